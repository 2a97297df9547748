package systemconsole

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/tenant"
	"github.com/sealift/sealift/systemconsole/web"
)

// The errors of requests.
var (
	errCrossOrigin = errors.New("the request came from another site")
	errStaleForm   = errors.New("the form is from another session: load the page anew and send it again")
	errUnknown     = errors.New("there is no such page")
)

// badRequest is a request that cannot be read.
type badRequest struct{ err error }

func (e badRequest) Error() string { return "the request cannot be read: " + e.err.Error() }
func (e badRequest) Unwrap() error { return e.err }

func badForm(err error) error { return badRequest{err} }

// farError is a failure of another server that the console asked, such as the
// cluster's or a registry. Unlike one of the console's own it is shown: who asked
// can do something about it.
type farError struct{ err error }

func (e farError) Error() string { return e.err.Error() }
func (e farError) Unwrap() error { return e.err }

func far(err error) error {
	if err == nil {
		return nil
	}
	return farError{err}
}

// stepError is a session that is for another step of the login, of an account or
// of a tenant's user.
type stepError struct {
	purpose auth.Purpose
	tenant  string
}

func (e stepError) Error() string { return "the login is not complete" }

// page is where the step is taken.
func (e stepError) page() string {
	switch e.purpose {
	case auth.ChangePassword:
		return "/password"
	case auth.SecondFactor:
		return "/second-factor"
	case auth.TenantPassword:
		return tenantSite(e.tenant) + "password"
	case auth.TenantUser:
		return tenantSite(e.tenant)
	default:
		return "/"
	}
}

// fail is the one place where errors become answers.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // nobody waits for an answer
	}
	status := statusOf(err)
	message := err.Error()
	if status == http.StatusInternalServerError {
		s.log.ErrorContext(r.Context(), "request failed", "request", numberOf(r), "method", r.Method, "route", r.Pattern, "error", err)
		message = "something went wrong on the server; its log says what"
	}
	if status == http.StatusBadGateway {
		s.log.WarnContext(r.Context(), "another server failed", "request", numberOf(r), "method", r.Method, "route", r.Pattern, "error", err)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	if strings.HasPrefix(r.URL.Path, "/api/") || r.URL.Path == metricsPath {
		s.failAPI(w, r, status, message, err)
		return
	}
	s.failPage(w, r, status, message, err)
}

// statusOf returns the status that an error is answered with.
func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	var bad badRequest
	var other stepError
	var refused uploadError
	var away farError
	_, invalid := form.From(err)
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.As(err, &bad):
		return http.StatusBadRequest
	case errors.As(err, &refused):
		return refused.status
	case invalid:
		return http.StatusUnprocessableEntity
	case errors.Is(err, auth.ErrNoSession), errors.Is(err, auth.ErrLogin):
		return http.StatusUnauthorized
	case errors.Is(err, auth.ErrLink):
		return http.StatusGone
	case errors.Is(err, auth.ErrForbidden), errors.Is(err, errCrossOrigin), errors.Is(err, errStaleForm), errors.As(err, &other):
		return http.StatusForbidden
	case errors.Is(err, store.ErrNotFound), errors.Is(err, errUnknown), errors.Is(err, enterprise.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, enterprise.ErrInvalid):
		return http.StatusUnprocessableEntity
	case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrExists), errors.Is(err, enterprise.ErrBusy), errors.Is(err, enterprise.ErrQuorum),
		errors.Is(err, tenant.ErrHeld):
		return http.StatusConflict
	case errors.Is(err, errTooMany):
		return http.StatusTooManyRequests
	case errors.Is(err, auth.ErrBusy):
		return http.StatusServiceUnavailable
	case problem.KindOf(err) == problem.Verification:
		return http.StatusConflict
	case problem.KindOf(err) == problem.Usage:
		return http.StatusBadRequest
	case errors.As(err, &away):
		return http.StatusBadGateway
	default:
		return http.StatusInternalServerError
	}
}

// Failure is an error as the API answers it.
type Failure struct {
	Status   int            `json:"status"`
	Message  string         `json:"message"`
	Problems []form.Problem `json:"problems,omitempty"` // field by field
	Remedies []string       `json:"remedies,omitempty"`
	Request  string         `json:"request,omitempty"` // number of the request in the server's log
	Broken   bool           `json:"broken,omitempty"`  // a verification failed
}

func (s *Server) failAPI(w http.ResponseWriter, r *http.Request, status int, message string, err error) {
	f := Failure{Status: status, Message: message, Request: numberOf(r)}
	if status != http.StatusInternalServerError {
		f.Problems, _ = form.From(err) // none when it is no such error
		f.Remedies = problem.Remedies(err)
		f.Broken = problem.KindOf(err) == problem.Verification
	}
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="sealift"`)
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(f) // a client that went away is told nothing
}

func (s *Server) failPage(w http.ResponseWriter, r *http.Request, status int, message string, err error) {
	var other stepError
	switch {
	case errors.As(err, &other):
		elsewhere(w, r, status, other.page())
		return
	case errors.Is(err, auth.ErrNoSession):
		elsewhere(w, r, status, s.loginURL(r))
		return
	}
	p := web.ErrorPage{Frame: s.errorFrame(r, titleOf(status)), Status: status, Message: message, Request: numberOf(r)}
	if status != http.StatusInternalServerError {
		p.Remedies = problem.Remedies(err)
	}
	if err := s.web.Render(w, status, p); err != nil {
		s.log.ErrorContext(r.Context(), "showing an error failed", "request", numberOf(r), "error", err)
		http.Error(w, message, status)
	}
}

// titleOf is the title of an error's page, for those who know nothing of HTTP.
func titleOf(status int) string {
	switch status {
	case http.StatusNotFound:
		return "Not found"
	case http.StatusForbidden:
		return "Not allowed"
	case http.StatusConflict, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return "Not now"
	case http.StatusGone:
		return "No longer valid"
	case http.StatusBadGateway:
		return "Another server failed"
	case http.StatusInternalServerError:
		return "Something went wrong"
	default:
		return "That cannot be done"
	}
}

// errorFrame is the frame of an error. Below a tenant's pages it leads back to
// them, and never to the console.
func (s *Server) errorFrame(r *http.Request, title string) web.Frame {
	f := s.frame(r, title, "")
	rest, ok := strings.CutPrefix(r.URL.Path, "/t/")
	if !ok || f.Base != "" {
		return f
	}
	name, _, _ := strings.Cut(rest, "/")
	f = s.outside(r, title)
	f.Base = strings.TrimSuffix(tenantSite(name), "/")
	return f
}

// elsewhere sends the browser to another page than it asked for. Live parts and
// dialogs, which are loaded into a page, take the whole page there.
func elsewhere(w http.ResponseWriter, r *http.Request, status int, url string) {
	if r.Header.Get("HX-Request") == "" {
		http.Redirect(w, r, url, http.StatusSeeOther)
		return
	}
	w.Header().Set("HX-Redirect", url)
	w.WriteHeader(status)
}

// loginURL is the login with the way back. It tells who sent a form that this
// came to nothing.
func (s *Server) loginURL(r *http.Request) string {
	page, query := "/login", url.Values{}
	if name := r.PathValue("tenant"); name != "" && strings.HasPrefix(r.URL.Path, "/t/") {
		page = tenantSite(name) + "login"
	} else if next := s.pageOf(r); next != "/" {
		query.Set("next", local(next))
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		query.Set(unsentParameter, "1")
	}
	if len(query) == 0 {
		return page
	}
	return page + "?" + query.Encode()
}

// unsentParameter is in the address of a login in place of an answer to a form.
const unsentParameter = "unsent"

// unsent says on a login that a form came to nothing.
func unsent(r *http.Request) []web.Message {
	if !r.URL.Query().Has(unsentParameter) {
		return nil
	}
	return []web.Message{{State: web.Warn, Text: "Your session has ended, and nothing was changed.", Remedies: []string{"Log in, and do it once more."}}}
}

type numberKey struct{}

// numberOf returns the number of a request in the log.
func numberOf(r *http.Request) string {
	n, _ := r.Context().Value(numberKey{}).(string) // empty outside of the chain
	return n
}

// numbered numbers requests, and keeps one that panics from ending the server.
func (s *Server) numbered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		number := rand.Text()[:12]
		r = r.WithContext(context.WithValue(r.Context(), numberKey{}, number))
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler { //nolint:errorlint // recover gives what was thrown, unwrapped
				panic(cause)
			}
			s.log.LogAttrs(r.Context(), slog.LevelError, "request panicked", slog.String("request", number), slog.Any("cause", cause),
				slog.String("stack", string(debug.Stack())))
			s.fail(w, r, errors.New("panic"))
		}()
		next.ServeHTTP(w, r)
	})
}
