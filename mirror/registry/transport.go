package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// backoff is how long to wait before the next attempt.
type backoff struct {
	attempts int
	min, max time.Duration
}

// wait returns the pause after a failed attempt (the first is 1): what the
// server asked for, else twice as long each time, with jitter.
func (b backoff) wait(attempt int, answer http.Header) time.Duration {
	if d, ok := retryAfter(answer); ok {
		return min(max(d, 0), b.max)
	}
	d := min(b.min<<min(attempt-1, 16), b.max)
	return d/2 + rand.N(d/2+1)
}

// retryAfter reads the header Retry-After: seconds or a date.
func retryAfter(answer http.Header) (time.Duration, bool) {
	v := answer.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil {
		return time.Duration(n) * time.Second, true
	}
	if t, err := http.ParseTime(v); err == nil {
		return time.Until(t), true
	}
	return 0, false
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

// retryableStatus tells whether a status may be another one next time.
func retryableStatus(code int) bool {
	return code == http.StatusRequestTimeout || code == http.StatusTooManyRequests || (code >= 500 && code != http.StatusNotImplemented)
}

// retryableError tells whether a connection that failed may work next time.
// What TLS or a name server refuses stays refused.
func retryableError(err error) bool {
	var network net.Error
	var dns *net.DNSError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &dns):
		return dns.IsTemporary || dns.IsTimeout
	case errors.Is(err, errStalled), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EPIPE), errors.Is(err, net.ErrClosed):
		return true
	default:
		return errors.As(err, &network) && network.Timeout()
	}
}

// uploadKey marks the context of a request of an upload. Such a request must
// not be repeated below its caller: the same bytes cannot be sent twice to one
// session.
type uploadKey struct{}

func asUpload(ctx context.Context) context.Context { return context.WithValue(ctx, uploadKey{}, true) }
func isUpload(ctx context.Context) bool            { return ctx.Value(uploadKey{}) != nil }

// retryTransport repeats requests that may succeed the next time.
type retryTransport struct {
	backoff
	next http.RoundTripper
}

// refusedAttempts is how often a host is called that refuses connections: it
// may be starting again, but most often its name or port is wrong.
const refusedAttempts = 3

// RoundTrip implements http.RoundTripper.
func (t retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if isUpload(ctx) {
		return t.next.RoundTrip(req)
	}
	for attempt := 1; ; attempt++ {
		resp, err := t.next.RoundTrip(req)
		again := retryableError(err) || (err == nil && retryableStatus(resp.StatusCode))
		if errors.Is(err, syscall.ECONNREFUSED) && attempt >= refusedAttempts {
			again = false
		}
		if !again || attempt >= t.attempts || ctx.Err() != nil || (req.Body != nil && req.Body != http.NoBody && req.GetBody == nil) {
			return resp, err
		}
		pause := t.wait(attempt, nil)
		if err == nil {
			pause = t.wait(attempt, resp.Header)
			_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
			_ = resp.Body.Close()
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// tokenServers lets credentials go to token servers in private networks.
//
// The layer above refuses a token realm at a private address unless it is on
// the registry's own host, lest a registry on the internet makes a client call
// services of its own network. In a dark site every address is private and
// the token server is often a host of its own. The hosts that the user named
// are therefore presented as the registry's own: the realm is rewritten to a
// path there, and requests for that path go to where the realm really is.
type tokenServers struct {
	hosts []string
	next  http.RoundTripper
}

const realmPath = "/.sealift-token-server/"

// RoundTrip implements http.RoundTripper.
func (t tokenServers) RoundTrip(req *http.Request) (*http.Response, error) {
	if rest, ok := strings.CutPrefix(req.URL.Path, realmPath); ok && len(t.hosts) > 0 {
		return t.next.RoundTrip(toRealm(req, rest))
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || len(t.hosts) == 0 {
		return resp, err
	}
	for i, challenge := range resp.Header["Www-Authenticate"] {
		resp.Header["Www-Authenticate"][i] = t.rewrite(challenge, req.URL)
	}
	return resp, nil
}

// rewrite makes the realm of a challenge, if it is on a trusted host, a path of the registry.
func (t tokenServers) rewrite(challenge string, registry *url.URL) string {
	const key = `realm="`
	start := strings.Index(challenge, key)
	if start < 0 {
		return challenge
	}
	start += len(key)
	end := strings.IndexByte(challenge[start:], '"')
	if end < 0 {
		return challenge
	}
	realm, err := url.Parse(challenge[start : start+end])
	if err != nil || (realm.Scheme != "https" && (realm.Scheme != "http" || registry.Scheme != "http")) ||
		(!slices.Contains(t.hosts, realm.Host) && !slices.Contains(t.hosts, realm.Hostname())) {
		return challenge
	}
	own := url.URL{Scheme: registry.Scheme, Host: registry.Host, Path: realmPath + realm.Scheme + "/" + realm.Host + realm.Path, RawQuery: realm.RawQuery}
	return challenge[:start] + own.String() + challenge[start+end:]
}

// toRealm is the request for a token at its real place; rest is SCHEME/HOST/PATH.
func toRealm(req *http.Request, rest string) *http.Request {
	scheme, rest, _ := strings.Cut(rest, "/")
	host, path, _ := strings.Cut(rest, "/")
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.URL.Path, out.URL.RawPath, out.Host = scheme, host, "/"+path, "", host
	return out
}

// errStalled is the cause of a request that moved no byte for too long.
var errStalled = errors.New("the connection stalled")

// watchdog ends a request that moves no byte for a time.
type watchdog struct {
	ctx    context.Context //nolint:containedctx // that of the request it watches
	cancel context.CancelCauseFunc
	limit  time.Duration
	mu     sync.Mutex
	timer  *time.Timer
	ended  bool
}

// watch begins a watch; nothing has to move before first is over, and then
// something within every limit.
func watch(ctx context.Context, first, limit time.Duration) *watchdog {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{ctx: ctx, cancel: cancel, limit: limit}
	w.timer = time.AfterFunc(first, func() { cancel(fmt.Errorf("%w: no byte for %s", errStalled, limit)) })
	return w
}

// alive says that something moved, or that the next wait may take longer.
func (w *watchdog) alive(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.timer.Reset(limit)
	}
}

// stop ends the watch and the request.
func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
	w.cancel(nil)
}

// cause returns errStalled when that is why err happened.
func (w *watchdog) cause(err error) error {
	if cause := context.Cause(w.ctx); err != nil && errors.Is(cause, errStalled) {
		return cause
	}
	return err
}

// body is a response's body under watch.
type body struct {
	io.ReadCloser
	w *watchdog
}

// Read implements io.Reader.
func (b body) Read(p []byte) (int, error) {
	b.w.alive(b.w.limit)
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.w.cause(err)
	}
	return n, err
}

// Close ends the request.
func (b body) Close() error {
	b.w.stop()
	return b.ReadCloser.Close()
}
