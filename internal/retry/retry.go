// Package retry decides whether and when something that failed on the network
// is tried again, and notices connections that move nothing.
package retry

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// How often a host is called that from the beginning refuses connections, or is
// silent: it may be starting again, but most often its name or port is wrong.
const (
	refusedAttempts = 3
	silentAttempts  = 2 // each of which takes as long as a connection may stall
)

// Backoff is how long to wait before the next attempt.
type Backoff struct {
	Attempts int           // in all
	Min, Max time.Duration // of a pause
}

// Wait returns the pause after a failed attempt (the first is 1): what the
// server asked for in its answer, else twice as long each time, with jitter.
func (b Backoff) Wait(attempt int, answer http.Header) time.Duration {
	if d, ok := after(answer); ok {
		return min(max(d, 0), b.Max)
	}
	d := min(b.Min<<min(attempt-1, 16), b.Max)
	return d/2 + rand.N(d/2+1)
}

// Limit returns how often something is tried, in all, that failed with err.
// known tells that the other side has answered before.
func (b Backoff) Limit(err error, known bool) int {
	switch {
	case known:
		return b.Attempts
	case Refused(err):
		return min(b.Attempts, refusedAttempts)
	case Silent(err):
		return min(b.Attempts, silentAttempts)
	default:
		return b.Attempts
	}
}

// after reads the header Retry-After: seconds or a date.
func after(answer http.Header) (time.Duration, bool) {
	v := answer.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil {
		return time.Duration(min(max(n, 0), 1<<20)) * time.Second, true
	}
	if t, err := http.ParseTime(v); err == nil {
		return time.Until(t), true
	}
	return 0, false
}

// Sleep waits, or ends early with the cause of ctx.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// Status tells whether a status of HTTP may be another one next time.
func Status(code int) bool {
	return code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || (code >= 500 && code != http.StatusNotImplemented)
}

// Connection tells whether a connection that failed may work next time. What
// TLS or a name server refuses stays refused.
func Connection(err error) bool {
	var dns *net.DNSError
	switch {
	case err == nil, errors.Is(err, context.Canceled) && !errors.Is(err, ErrStalled):
		return false
	case errors.As(err, &dns):
		return dns.IsTemporary || dns.IsTimeout
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return true
	default:
		return Silent(err)
	}
}

// Unreached tells whether a connection failed as Connection tells, or because
// there was no way to the host, as while a machine is being replaced.
func Unreached(err error) bool {
	return Connection(err) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH)
}

// Silent tells whether nothing came for too long.
func Silent(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

// Refused tells whether a host took no connection.
func Refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
