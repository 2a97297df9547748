package clusterapi

import (
	"errors"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/internal/retry"
)

// unreached is a request that an API server did not answer.
type unreached struct{ error }

// Unwrap returns why.
func (u unreached) Unwrap() error { return u.error }

// marking tells failures of the way to an API server from all others.
type marking struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (m marking) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := m.RoundTripper.RoundTrip(r)
	if err != nil {
		err = unreached{err}
	}
	return answer, err
}

// Mark lets Passing know the failures of the way to an API server.
func Mark(config *rest.Config) {
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { return marking{rt} })
}

// Passing tells whether an error means that the API server, or a webhook that it
// asks, is not there for a moment, as when their machine is being replaced. What
// was waited for already does not pass.
func Passing(err error) bool {
	if err == nil || errors.Is(err, ErrNotInTime) {
		return false
	}
	text := err.Error()
	return errors.As(err, &unreached{}) && retry.Unreached(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsTimeout(err) ||
		// The API server says so only in words.
		strings.Contains(text, "failed calling webhook") || strings.Contains(text, "conversion webhook")
}

// unsettled tells whether an apply may go through soon: what Passing tells, and
// what is not there yet or not gone yet.
func unsettled(err error) bool {
	return Passing(err) || apierrors.IsConflict(err) || meta.IsNoMatchError(err) || retry.Connection(err) || strings.Contains(err.Error(), "is being terminated")
}
