package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
)

// Errors of a registry's answers, to be matched with errors.Is, besides
// content.ErrNotFound and content.ErrMismatch.
var (
	ErrUnauthorized = errors.New("unauthorized")
	ErrForbidden    = errors.New("forbidden")
	ErrRateLimited  = errors.New("too many requests")
	// ErrUnavailable: the registry answered that it cannot answer now.
	ErrUnavailable = errors.New("the registry is in trouble")
	// ErrSparseIndex: the registry takes an index only with all its manifests.
	ErrSparseIndex = errors.New("the registry refuses an index that is not complete")
)

// maxErrorBody is how much of an error's body is read, and maxErrorText how
// much of it is shown.
const (
	maxErrorBody = 8 << 10
	maxErrorText = 300
)

// responseError turns an answer that is no success into an error.
func responseError(resp *http.Response) error {
	e := &errcode.ErrorResponse{Method: resp.Request.Method, URL: resp.Request.URL, StatusCode: resp.StatusCode}
	var b struct {
		Errors errcode.Errors `json:"errors"`
	}
	if json.NewDecoder(io.LimitReader(resp.Body, maxErrorBody)).Decode(&b) == nil {
		e.Errors = b.Errors
	}
	return e
}

// explain says what an error means, and what to do, without secrets: no
// query of a URL, no header, little of what the other side wrote.
func (r *Repository) explain(action string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", action, r.Name(), r.meaning(err))
}

func (r *Repository) meaning(err error) error {
	var answer *errcode.ErrorResponse
	switch {
	case errors.Is(err, ErrSparseIndex):
		return err
	case errors.As(err, &answer):
		return r.answer(answer)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		host := r.oras.Reference.Registry
		return problem.New(problem.Failed, logIn(host), "%w: %s asks for a user, and there are no credentials for it", ErrUnauthorized, host)
	case errors.Is(err, errdef.ErrNotFound):
		return content.ErrNotFound
	case errors.Is(err, content.ErrMismatch), errors.Is(err, content.ErrNotFound), errors.Is(err, content.ErrNoRange), errors.Is(err, retry.ErrStalled):
		return err
	default:
		return r.network(err)
	}
}

// answer explains an answer of the server.
func (r *Repository) answer(e *errcode.ErrorResponse) error {
	text := fmt.Sprintf("%s %s answered %d %s", e.Method, e.URL.Host+e.URL.Path, e.StatusCode, http.StatusText(e.StatusCode))
	for _, detail := range e.Errors {
		text += ": " + strings.TrimSpace(detail.Code+" "+detail.Message)
	}
	if len(text) > maxErrorText {
		text = text[:maxErrorText] + "..."
	}
	host := r.oras.Reference.Registry
	wrap := func(sentinel error, remedy string) error {
		return problem.New(problem.Failed, remedy, "%w: %s", sentinel, text)
	}
	if e.Method == http.MethodDelete && refusesDelete(e.StatusCode) {
		return wrap(ErrNoDelete, "allow "+host+" to delete (distribution: REGISTRY_STORAGE_DELETE_ENABLED=true), or remove it there by hand")
	}
	switch e.StatusCode {
	case http.StatusUnauthorized:
		return wrap(ErrUnauthorized, logIn(host))
	case http.StatusForbidden:
		return wrap(ErrForbidden, "ask for the right to "+right(e.Method)+" "+r.Name())
	case http.StatusNotFound:
		return wrap(content.ErrNotFound, notFoundRemedy(e.Method, host))
	case http.StatusTooManyRequests:
		return wrap(ErrRateLimited, "wait, log in, or use fewer --jobs")
	case http.StatusInsufficientStorage:
		return wrap(errors.New("the registry's disk is full"), "make room on "+host+": sealift mirror prune removes what old bundles brought")
	case http.StatusBadRequest:
		remedy := ""
		if r.oras.PlainHTTP { // what servers with TLS answer to a request without
			remedy = "if the registry has TLS, leave out --plain-http"
		}
		return problem.New(problem.Failed, remedy, "%s", text)
	default:
		if e.StatusCode >= 500 {
			return wrap(ErrUnavailable, "look at the registry's own log, then run the same command again")
		}
		return errors.New(text)
	}
}

// refusesDelete knows the answers by which registries say that they remove nothing.
func refusesDelete(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented
}

func logIn(host string) string {
	return "run docker login " + host + ", or set SEALIFT_REGISTRY_USERNAME and SEALIFT_REGISTRY_PASSWORD"
}

func right(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead:
		return "pull from"
	case http.MethodDelete:
		return "delete from"
	default:
		return "push to"
	}
}

func notFoundRemedy(method, host string) string {
	if method == http.MethodGet || method == http.MethodHead {
		return ""
	}
	return "create the project or repository on " + host + " first, if that registry does not do it by itself (Harbor does not)"
}

// network explains a request that got no answer.
func (r *Repository) network(err error) error {
	var (
		host        = r.oras.Reference.Registry
		unknown     x509.UnknownAuthorityError
		noTLS       tls.RecordHeaderError
		request     *url.Error
		plainAnswer = strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
	)
	realm := ""
	if errors.As(err, &request) {
		if u, parseErr := url.Parse(request.URL); parseErr == nil && u.Scheme == "https" && r.oras.PlainHTTP {
			realm = u.Scheme + "://" + u.Host
		}
		err = request.Err // the URL in its text may hold a signature
	}
	remedy := ""
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case realm != "" && (plainAnswer || errors.As(err, &noTLS) || retry.Refused(err)):
		remedy = "the registry is reached without TLS but sends clients to " + realm + " for a token: set its external URL to http://" + host +
			" (Harbor: external_url in harbor.yml), or give it a certificate and leave out --plain-http"
	case plainAnswer || errors.As(err, &noTLS):
		remedy = "if the registry has no TLS, say --plain-http " + host
	case errors.As(err, &unknown):
		remedy = "give the certificate of the registry's authority: --registry-ca FILE"
	case strings.Contains(err.Error(), "bearer realm host"):
		remedy = "if that host is this site's token server, say --token-server HOST"
	}
	return problem.WithRemedy(err, remedy)
}
