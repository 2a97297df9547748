package location

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/buildinfo"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
)

// maxRedirects is how often a server may send a request elsewhere.
const maxRedirects = 5

// web reads files of a web server.
type web struct {
	ctx    context.Context //nolint:containedctx // of the source; io.ReaderAt has none
	client *http.Client
	retry  attempts
}

// newWeb returns what opens objects at the host of a URL.
func newWeb(ctx context.Context, name string, opts Options) (openFunc, error) {
	u, err := parseWeb(name, opts.PlainHTTP)
	if err != nil {
		return nil, err
	}
	r := newAttempts(opts)
	transport, err := newTransport(opts, r.stall)
	if err != nil {
		return nil, err
	}
	var rt http.RoundTripper = transport
	if opts.Username != "" || opts.Password != "" {
		rt = basic{scheme: u.Scheme, host: u.Host, username: opts.Username, password: opts.Password, next: transport}
	}
	w := &web{ctx: ctx, client: &http.Client{Transport: rt, CheckRedirect: checkRedirect}, retry: r}
	return w.open, nil
}

// parseWeb checks the address of a web server's file.
func parseWeb(name string, plainHTTP []string) (*url.URL, error) {
	u, err := url.Parse(name)
	if err != nil || u.Host == "" { // the text of err has the address with all its secrets
		return nil, problem.New(problem.Usage, "write it as https://HOST[:PORT]/PATH", "not an address")
	}
	if u.User != nil {
		return nil, problem.New(problem.Usage, "set SEALIFT_SOURCE_USERNAME and SEALIFT_SOURCE_PASSWORD instead: a command line is seen by every user of this machine",
			"the address holds credentials")
	}
	if u.Scheme == "http" && !slices.Contains(plainHTTP, u.Host) && !slices.Contains(plainHTTP, u.Hostname()) {
		return nil, problem.New(problem.Usage, "if the host has no TLS, say --plain-http "+u.Host, "http:// is spoken only when asked for")
	}
	return u, nil
}

// newTransport makes the connections to web servers and object stores.
func newTransport(opts Options, stall time.Duration) (*http.Transport, error) {
	pool, err := authority.Pool(opts.CAFile)
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: min(stall, 30*time.Second), KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
		TLSHandshakeTimeout:   min(stall, 30*time.Second),
		ResponseHeaderTimeout: stall,
		MaxIdleConnsPerHost:   maxBlocks,
		IdleConnTimeout:       90 * time.Second,
		// Several connections carry several requests; over one, HTTP/2 lets a
		// single lost packet hold up all of them.
		ForceAttemptHTTP2:  false,
		DisableCompression: true, // offsets are those of the file
	}, nil
}

// basic adds credentials to requests for one host, and to no other: where a
// server sends a client is not where its credentials belong.
type basic struct {
	scheme, host, username, password string
	next                             http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b basic) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != b.scheme || req.URL.Host != b.host {
		return b.next.RoundTrip(req)
	}
	req = req.Clone(req.Context())
	req.SetBasicAuth(b.username, b.password)
	return b.next.RoundTrip(req)
}

// errRedirect is what checkRedirect refuses.
var errRedirect = errors.New("the server sends the request where it must not go")

func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: more than %d redirects", errRedirect, maxRedirects)
	case req.URL.Scheme != "https" && req.URL.Scheme != via[0].URL.Scheme:
		return fmt.Errorf("%w: from %s to %s", errRedirect, via[0].URL.Scheme, req.URL.Scheme)
	case req.URL.User != nil:
		return fmt.Errorf("%w: an address with credentials", errRedirect)
	}
	req.Header.Del("Referer") // it would hand the address, with what is secret in it, to another host
	return nil
}

// open asks for the first byte: the answer tells size, version, and whether
// the server gives parts of a file at all.
func (w *web) open(ctx context.Context, name string) (object, error) {
	o := &ranged{ctx: w.ctx, retry: w.retry}
	o.get = func(ctx context.Context, p []byte, off int64) (int, error) { return w.get(ctx, o, name, p, off) }
	return o, o.learn(ctx)
}

// get reads p from offset of an object in one request.
func (w *web) get(ctx context.Context, o *ranged, name string, p []byte, off int64) (int, error) {
	watch := retry.Watch(ctx, w.retry.stall, w.retry.stall)
	defer watch.Stop()
	req, err := http.NewRequestWithContext(watch.Context, http.MethodGet, name, nil)
	if err != nil {
		return 0, problem.New(problem.Usage, "write it as https://HOST[:PORT]/PATH", "not an address")
	}
	req.Header.Set("User-Agent", "sealift/"+buildinfo.Version())
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1))
	if strings.HasPrefix(o.etag, `"`) { // a weak one never matches
		req.Header.Set("If-Match", o.etag)
	} else if o.modified != "" {
		req.Header.Set("If-Unmodified-Since", o.modified)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return 0, withoutURL(watch.Cause(err))
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end, or not worth it
	if resp.StatusCode != http.StatusPartialContent {
		return 0, o.refused(resp)
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return 0, fmt.Errorf("%w: the server compresses it", ErrUnreadable)
	}
	if err := o.checkRange(resp.Header, p, off); err != nil {
		return 0, err
	}
	n, err := fill(watch, resp.Body, p)
	return n, asTransient(err)
}

// withoutURL takes the address, and what may be secret in it, out of an error.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, errRedirect) {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return asTransient(err)
}

// refused turns an answer that is no part of the file into an error.
func (o *ranged) refused(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return noRanges()
	case code == http.StatusPreconditionFailed:
		return changed("its version is no longer %s", o.etag+o.modified)
	case code == http.StatusRequestedRangeNotSatisfiable && !o.known:
		return problem.New(problem.Verification, "", "it is empty")
	case code == http.StatusRequestedRangeNotSatisfiable:
		return changed("it is shorter than its %d bytes", o.size)
	case (code == http.StatusNotFound || code == http.StatusGone) && o.known:
		return changed("it is gone")
	case code == http.StatusNotFound, code == http.StatusGone:
		return ErrNotFound
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return problem.New(problem.Failed, "set SEALIFT_SOURCE_USERNAME and SEALIFT_SOURCE_PASSWORD, or use an address that needs none",
			"%w: the server answers %s", ErrUnreadable, resp.Status)
	case retry.Status(code):
		err := problem.New(problem.Failed, "look at the server's own log, then run the same command again", "the server answers %s", resp.Status)
		return &transient{err: err, answer: resp.Header}
	default:
		return fmt.Errorf("%w: the server answers %s", ErrUnreadable, resp.Status)
	}
}

// Redact returns a name without what may be secret in it: the query of a
// signed address, credentials, all of an address that cannot be read.
func Redact(name string) string {
	if !strings.HasPrefix(name, "https://") && !strings.HasPrefix(name, "http://") {
		return name
	}
	u, err := url.Parse(name)
	if err != nil {
		scheme, _, _ := strings.Cut(name, "://")
		return scheme + "://..."
	}
	shown := (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
	if u.RawQuery != "" {
		shown += "?..."
	}
	return shown
}
