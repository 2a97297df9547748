// Package client calls the console's API.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
	"github.com/sealift/sealift/systemconsole"
)

// Options are what a client needs. URL and Token are required.
type Options struct {
	URL   string // of the console, such as https://console.example.com
	Token string // as the page of the own account shows it once
	CA    string // PEM file of an authority that is trusted besides the system's
}

// answerTime is how long a call may take, but for an answer that is copied:
// that may take as long as it does, with no pause of stallTime. A change may take
// changeTime, a little longer than the console gives to the longest of them, such
// as a restore: it says itself when that is over. maxAnswer is the most bytes of an
// answer that is read whole.
const (
	answerTime = 2 * time.Minute
	changeTime = 11 * time.Minute
	stallTime  = time.Minute
	maxAnswer  = 16 << 20
)

// ErrUnavailable means that the console cannot be reached or fails itself: what
// was asked for may succeed later.
var ErrUnavailable = errors.New("the console is not available")

// Client is one console and a token for it.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// New returns a client. It connects to nothing yet.
func New(opts Options) (*Client, error) {
	base, err := url.Parse(opts.URL)
	if err != nil || base.Scheme != "https" || base.Host == "" {
		return nil, problem.New(problem.Usage, "give --console or SEALIFT_CONSOLE, such as https://console.example.com", "%q is no https:// address of a console", opts.URL)
	}
	if opts.Token == "" || strings.ContainsAny(opts.Token, " \r\n") {
		return nil, problem.New(problem.Usage, "make a token on the page My account; give its file with --token-file, or SEALIFT_TOKEN", "a token is needed")
	}
	pool, err := authority.Pool(opts.CA)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	// A token goes to no other address than the one that was given.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{base: base, token: opts.Token, http: &http.Client{Transport: transport, CheckRedirect: stay}}, nil
}

// Call sends in to a path below /api/v1 and reads the answer into out; nil
// sends or reads nothing.
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	patience := changeTime
	if method == http.MethodGet {
		patience = answerTime
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resp, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fmt.Errorf("reading the console's answer to %s %s: %w", method, path, err)
	}
	return nil
}

// Copy writes the answer of a path to w.
func (c *Client) Copy(ctx context.Context, path string, w io.Writer) error {
	watch := retry.Watch(ctx, answerTime, stallTime)
	defer watch.Stop()
	resp, err := c.send(watch.Context, http.MethodGet, path, nil)
	if err != nil {
		return watch.Cause(err)
	}
	resp.Body = watch.Body(resp.Body)
	defer resp.Body.Close() //nolint:errcheck // it was only read
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("reading %s from the console: %w", path, err)
	}
	return nil
}

// send returns an answer that is no failure.
func (c *Client) send(ctx context.Context, method, path string, in any) (*http.Response, error) {
	req, err := c.request(ctx, method, path, in)
	if err != nil {
		return nil, err
	}
	return c.do(req)
}

// do returns an answer that is no failure, or a refusal.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		var unknown *tls.CertificateVerificationError
		if errors.As(err, &unknown) {
			return nil, problem.WithRemedy(fmt.Errorf("calling the console: %w", err), "give the certificate of the console's authority with --console-ca")
		}
		return nil, problem.WithRemedy(fmt.Errorf("%w: %w", ErrUnavailable, err),
			"see that --console or SEALIFT_CONSOLE is its address, that it runs, and that nothing between here and it (HTTPS_PROXY, a firewall) is in the way")
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	return nil, refusal{failure(resp), resp.StatusCode}
}

// refusal is a call that the console answered with a failure.
type refusal struct {
	error
	status int
}

func (r refusal) Unwrap() error { return r.error }

func (c *Client) request(ctx context.Context, method, path string, in any) (*http.Request, error) {
	if in == nil {
		return c.with(ctx, method, path, nil)
	}
	data, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	req, err := c.with(ctx, method, path, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return req, nil
}

// with makes a request with the token and a body.
func (c *Client) with(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	path, query, _ := strings.Cut(path, "?")
	u := c.base.JoinPath("api", "v1", path)
	u.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	return req, nil
}

// failure is what the console, or a proxy before it, says against a call.
func failure(resp *http.Response) error {
	err := said(resp)
	switch resp.StatusCode {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	default:
		return err
	}
}

func said(resp *http.Response) error {
	var f systemconsole.Failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&f); err != nil {
		return fmt.Errorf("the console answered %s", resp.Status)
	}
	remedy := strings.Join(f.Remedies, "\n")
	kind := problem.Failed
	switch {
	case f.Broken:
		kind = problem.Verification
	case resp.StatusCode == http.StatusUnprocessableEntity || resp.StatusCode == http.StatusBadRequest:
		kind = problem.Usage
	case resp.StatusCode == http.StatusUnauthorized:
		remedy = "the token has expired, was revoked or is for another console: make a new one on the page My account"
	case resp.StatusCode == http.StatusForbidden:
		remedy = "use a token that has the permission"
	}
	return problem.New(kind, remedy, "the console says: %s", f.Message)
}
