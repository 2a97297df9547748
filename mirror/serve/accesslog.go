package serve

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/felixge/httpsnoop"
)

// Logged writes a line for each request that was answered: without its query
// and headers, which may hold what is secret.
func Logged(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := httpsnoop.CaptureMetrics(next, w, r)
		user, _, _ := r.BasicAuth()
		level := slog.LevelInfo
		if m.Code >= http.StatusInternalServerError {
			level = slog.LevelError
		}
		log.LogAttrs(r.Context(), level, "request", slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", m.Code),
			slog.Int64("bytes", m.Written), slog.Duration("took", m.Duration.Round(time.Microsecond)), slog.String("from", r.RemoteAddr), slog.String("user", user))
	})
}
