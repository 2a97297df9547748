package location

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

const (
	defaultAttempts = 6
	defaultMinWait  = 500 * time.Millisecond
	maxWait         = time.Minute
	defaultStall    = 60 * time.Second
)

// refusedAttempts is how often a host is called that refuses connections: it
// may be starting again, but most often its name or port is wrong.
const refusedAttempts = 3

// errStalled is the cause of a request that moved no byte for too long.
var errStalled = errors.New("the connection stalled")

// transient is a failure that may be over the next time.
type transient struct {
	err   error
	after time.Duration // as the server asked; 0 when it did not
}

func (t *transient) Error() string { return t.err.Error() }
func (t *transient) Unwrap() error { return t.err }

// retry is how often and how long a request is tried.
type retry struct {
	attempts int
	min      time.Duration
	stall    time.Duration
}

func newRetry(opts Options) retry {
	return retry{attempts: cmp.Or(opts.MaxAttempts, defaultAttempts), min: cmp.Or(opts.MinWait, defaultMinWait), stall: cmp.Or(opts.StallTimeout, defaultStall)}
}

// do calls f until it succeeds or fails for good. f returns how many bytes it
// has moved: an attempt that moved some counts as a first one again. What is
// left in the end is ErrUnreadable.
func (r retry) do(ctx context.Context, f func(ctx context.Context) (moved int, err error)) error {
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
		limit := r.attempts
		if errors.Is(err, syscall.ECONNREFUSED) {
			limit = min(limit, refusedAttempts)
		}
		var t *transient
		if !errors.As(err, &t) {
			return err
		}
		if attempt >= limit {
			// As text: a connection that ended must not look like the end of the file.
			return fmt.Errorf("%w: %s", ErrUnreadable, err.Error())
		}
		if err := sleep(ctx, r.wait(attempt, t.after)); err != nil {
			return err
		}
	}
}

// wait returns the pause after a failed attempt: what the server asked for,
// else twice as long each time, with jitter.
func (r retry) wait(attempt int, asked time.Duration) time.Duration {
	if asked > 0 {
		return min(asked, maxWait)
	}
	d := min(r.min<<min(attempt-1, 16), maxWait)
	return d/2 + rand.N(d/2+1)
}

// sleep waits, or ends early with the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// asTransient marks an error of the connection that may be over next time.
// What TLS or a name server refuses stays refused.
func asTransient(err error) error {
	var network net.Error
	var dns *net.DNSError
	again := false
	switch {
	case err == nil, errors.Is(err, context.Canceled) && !errors.Is(err, errStalled):
	case errors.As(err, &dns):
		again = dns.IsTemporary || dns.IsTimeout
	case errors.Is(err, errStalled), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		again = true
	default:
		again = errors.As(err, &network) && network.Timeout()
	}
	switch {
	case again:
		return &transient{err: err}
	case err == nil:
		return nil
	default:
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
}

// retryableStatus tells whether a status may be another one next time.
func retryableStatus(code int) bool {
	return code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || (code >= 500 && code != http.StatusNotImplemented)
}

// retryAfter reads the header Retry-After: seconds or a date; 0 for none.
func retryAfter(answer http.Header) time.Duration {
	v := answer.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n >= 0 {
		return time.Duration(min(n, 3600)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(time.Until(t), 0)
	}
	return 0
}

// watched is one request: it ends when no byte moved for a time.
type watched struct {
	ctx    context.Context //nolint:containedctx // that of one request
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

func watch(ctx context.Context, limit time.Duration) *watched {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watched{ctx: ctx, cancel: cancel, limit: limit}
	w.timer = time.AfterFunc(limit, func() { cancel(fmt.Errorf("%w: no byte for %s", errStalled, limit)) })
	return w
}

// fill reads all of p from r.
func (w *watched) fill(r io.Reader, p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m, err := r.Read(p[n:])
		n += m
		w.timer.Reset(w.limit)
		if n < len(p) && err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, w.cause(err)
		}
	}
	return n, nil
}

// cause returns errStalled when that is why err happened.
func (w *watched) cause(err error) error {
	if cause := context.Cause(w.ctx); err != nil && errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

func (w *watched) stop() {
	w.timer.Stop()
	w.cancel(nil)
}
