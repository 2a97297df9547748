package systemconsole

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/store"
)

// metricsPath is where Prometheus reads.
const metricsPath = "/metrics"

// metrics are what Prometheus reads.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	logins   *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sealift_console_request_seconds",
			Help: "Time to answer requests, by route and status.", Buckets: []float64{.005, .01, .025, .05, .1, .25, 1, 5}}, []string{"route", "status"}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sealift_console_logins_total", Help: "Logins by outcome."}, []string{"outcome"})}
	m.registry.MustRegister(m.requests, m.logins, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// tellBackups adds when the last good backup was written, and whether the last
// one failed.
func (m *metrics) tellBackups(last func() backup.Run) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sealift_console_backup_good_timestamp_seconds", Help: "When the last good backup was written; 0 for none."},
			func() float64 {
				if good := last().Good; !good.IsZero() {
					return float64(good.Unix())
				}
				return 0
			}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sealift_console_backup_failed", Help: "1 when the last backup failed."}, func() float64 {
			if last().Failure != "" {
				return 1
			}
			return 0
		}))
}

// login counts the outcome of a login.
func (m *metrics) login(err error) {
	outcome := "error"
	switch {
	case err == nil:
		outcome = "accepted"
	case errors.Is(err, auth.ErrLogin):
		outcome = "refused"
	case errors.Is(err, auth.ErrBusy):
		outcome = "busy"
	}
	m.logins.WithLabelValues(outcome).Inc()
}

// operationRoutes are those for who runs the console.
func (s *Server) operationRoutes() []route {
	served := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})
	return []route{
		{pattern: "GET " + metricsPath, access: token(auth.ReadSettings), handler: func(w http.ResponseWriter, r *http.Request) error {
			served.ServeHTTP(w, r)
			return nil
		}, op: &operation{summary: "Metrics for Prometheus", in: nothing{}, content: "text/plain"}},
		{pattern: "GET /healthz", access: public(), handler: s.healthy, op: &operation{summary: "Whether the server runs", in: nothing{}, content: "text/plain"}},
		{pattern: "GET /readyz", access: public(), handler: s.ready, op: &operation{summary: "Whether the store answers", in: nothing{}, content: "text/plain"}},
	}
}

func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = w.Write([]byte("ok\n")) // a client that went away is told nothing
	return nil
}

// ready answers 503 while the store does not answer.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.opts.Store.List(r.Context(), audit.Kind, store.ListOptions{Limit: 1}); err != nil {
		s.log.WarnContext(r.Context(), "the store does not answer", "error", err)
		http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
		return nil
	}
	return s.healthy(w, r)
}

// measured counts and times the requests of a route.
func (s *Server) measured(pattern string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		status := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			taken := time.Since(start)
			s.metrics.requests.WithLabelValues(pattern, strconv.Itoa(status.status)).Observe(taken.Seconds())
			s.log.DebugContext(r.Context(), "request", "request", numberOf(r), "method", r.Method, "path", loggedPath(pattern, r), "status", status.status,
				"source", source(r), "time", taken)
		}()
		next.ServeHTTP(status, r)
	})
}

// loggedPath is what the log shows of an address: a path without its query, and
// the pattern where the path is a secret.
func loggedPath(pattern string, r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, "/link/") {
		return pattern
	}
	return r.URL.Path
}

// statusWriter notes the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach what is below.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
