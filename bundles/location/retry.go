package location

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
)

const (
	defaultAttempts = 6
	defaultMinWait  = 500 * time.Millisecond
	maxWait         = time.Minute
	defaultStall    = 60 * time.Second
)

// transient is a failure that may be over the next time.
type transient struct {
	err    error
	answer http.Header // of the server; nil when it gave none
}

func (t *transient) Error() string { return t.err.Error() }
func (t *transient) Unwrap() error { return t.err }

// attempts is how often and how long a request is tried.
type attempts struct {
	retry.Backoff
	stall time.Duration
}

func newAttempts(opts Options) attempts {
	return attempts{Backoff: retry.Backoff{Attempts: cmp.Or(opts.MaxAttempts, defaultAttempts), Min: cmp.Or(opts.MinWait, defaultMinWait), Max: maxWait},
		stall: cmp.Or(opts.StallTimeout, defaultStall)}
}

// do calls f until it succeeds or fails for good. known tells that the other
// side has answered before. f returns how many bytes it
// has moved: an attempt that moved some counts as a first one again. What is
// left in the end is ErrUnreadable.
func (r attempts) do(ctx context.Context, known bool, f func(ctx context.Context) (moved int, err error)) error {
	for attempt := 1; ; attempt++ {
		moved, err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if moved > 0 {
			attempt = 1
		}
		var t *transient
		if !errors.As(err, &t) {
			return err
		}
		if attempt >= r.Limit(err, known) {
			// As text: a connection that ended must not look like the end of the file.
			return problem.New(problem.Failed, strings.Join(problem.Remedies(err), "; "), "%w: %s", ErrUnreadable, err.Error())
		}
		if err := retry.Sleep(ctx, r.Wait(attempt, t.answer)); err != nil {
			return err
		}
	}
}

// asTransient marks an error of the connection that may be over next time.
// What TLS or a name server refuses stays refused.
func asTransient(err error) error {
	switch {
	case err == nil:
		return nil
	case retry.Connection(err):
		return &transient{err: err}
	}
	remedy := ""
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		remedy = "give the certificate of the server's authority: --source-ca FILE"
	}
	return problem.New(problem.Failed, remedy, "%w: %w", ErrUnreadable, err)
}

// fill reads all of p from r, under watch.
func fill(w *retry.Watchdog, r io.Reader, p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m, err := r.Read(p[n:])
		n += m
		w.Alive(w.Limit)
		if n < len(p) && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, w.Cause(err)
		}
	}
	return n, nil
}
