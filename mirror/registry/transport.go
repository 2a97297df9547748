package registry

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/sealift/sealift/internal/retry"
)

// uploadKey marks the context of a request of an upload. Such a request must
// not be repeated below its caller: the same bytes cannot be sent twice to one
// session.
type uploadKey struct{}

func asUpload(ctx context.Context) context.Context { return context.WithValue(ctx, uploadKey{}, true) }
func isUpload(ctx context.Context) bool            { return ctx.Value(uploadKey{}) != nil }

// retryTransport repeats requests that may succeed the next time.
type retryTransport struct {
	retry.Backoff
	next  http.RoundTripper
	known *sync.Map // the hosts that have answered
}

// RoundTrip implements http.RoundTripper.
func (t retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if isUpload(ctx) {
		return t.next.RoundTrip(req)
	}
	for attempt := 1; ; attempt++ {
		resp, err := t.next.RoundTrip(req)
		if err == nil {
			t.known.Store(req.URL.Host, true)
		}
		_, known := t.known.Load(req.URL.Host)
		again := retry.Connection(err) || (err == nil && retry.Status(resp.StatusCode))
		if !again || attempt >= t.Limit(err, known) || ctx.Err() != nil || (req.Body != nil && req.Body != http.NoBody && req.GetBody == nil) {
			return resp, err
		}
		pause := t.Wait(attempt, nil)
		if err == nil {
			pause = t.Wait(attempt, resp.Header)
			_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
			_ = resp.Body.Close()
		}
		if err := retry.Sleep(ctx, pause); err != nil {
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
		to := toRealm(req, rest)
		if !t.trusted(to.URL, req.URL) { // a registry that states such a path as its own
			return nil, fmt.Errorf("the registry sends clients to %s for a token: no --token-server names that host", to.URL.Host)
		}
		return t.next.RoundTrip(to)
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
	if err != nil || !t.trusted(realm, registry) {
		return challenge
	}
	own := url.URL{Scheme: registry.Scheme, Host: registry.Host, Path: realmPath + realm.Scheme + "/" + realm.Host + realm.Path, RawQuery: realm.RawQuery}
	return challenge[:start] + own.String() + challenge[start+end:]
}

// trusted tells whether the user named the host of a realm, and TLS is not left.
func (t tokenServers) trusted(realm, registry *url.URL) bool {
	return (realm.Scheme == "https" || (realm.Scheme == "http" && registry.Scheme == "http")) &&
		(slices.Contains(t.hosts, realm.Host) || slices.Contains(t.hosts, realm.Hostname()))
}

// toRealm is the request for a token at its real place; rest is SCHEME/HOST/PATH.
func toRealm(req *http.Request, rest string) *http.Request {
	scheme, rest, _ := strings.Cut(rest, "/")
	host, path, _ := strings.Cut(rest, "/")
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host, out.URL.Path, out.URL.RawPath, out.Host = scheme, host, "/"+path, "", host
	return out
}
