package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/distribution/reference"
	orasregistry "oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/buildinfo"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
)

// Options is how registries are reached. The zero value speaks TLS, trusts
// what the system trusts and takes credentials from docker's configuration.
type Options struct {
	// PlainHTTP are the hosts, HOST or HOST:PORT, that are spoken to without
	// TLS. No host is unless it is named here.
	PlainHTTP []string
	// CAFile is a PEM file of authorities trusted besides the system's.
	CAFile string
	// CertFile and KeyFile are a client certificate, in PEM files.
	CertFile, KeyFile string
	// Host, Username and Password are credentials for one host, before those
	// of docker's configuration.
	Host, Username, Password string
	// Proxy chooses the proxy of a request; nil means as the environment says
	// (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).
	Proxy func(*http.Request) (*url.URL, error)
	// TokenServers are hosts, besides a registry itself and public ones, that
	// credentials may be sent to for a token.
	TokenServers []string
	// MaxAttempts is how often a request is tried; 0 means 6.
	MaxAttempts int
	// MinWait is the wait before the first retry; it doubles each time. 0
	// means 500 ms.
	MinWait time.Duration
	// StallTimeout ends a connection that moves no byte; 0 means 60 s.
	StallTimeout time.Duration
	// ChunkSize is the length of a chunk of an upload, and of the largest
	// upload that is sent whole; 0 means 256 MiB. For tests.
	ChunkSize int64
}

const (
	defaultAttempts = 6
	defaultMinWait  = 500 * time.Millisecond
	maxWait         = 2 * time.Minute
	defaultStall    = 60 * time.Second
	defaultChunk    = 256 << 20
)

// Client reaches registries. It is safe for many goroutines.
type Client struct {
	opts  Options
	http  *auth.Client
	retry retry.Backoff
}

// NewClient makes a client.
func NewClient(opts Options) (*Client, error) {
	if opts.MaxAttempts == 0 {
		opts.MaxAttempts = defaultAttempts
	}
	if opts.MinWait == 0 {
		opts.MinWait = defaultMinWait
	}
	if opts.StallTimeout == 0 {
		opts.StallTimeout = defaultStall
	}
	if opts.ChunkSize == 0 {
		opts.ChunkSize = defaultChunk
	}
	config, err := tlsConfig(opts)
	if err != nil {
		return nil, err
	}
	credential, err := credentialFunc(opts)
	if err != nil {
		return nil, err
	}
	backoff := retry.Backoff{Attempts: opts.MaxAttempts, Min: opts.MinWait, Max: maxWait}
	// The one place where requests are decorated: tokens above, then retries,
	// then the token servers of private networks, then the wire.
	transport := retryTransport{Backoff: backoff, known: &sync.Map{}, next: tokenServers{hosts: opts.TokenServers, next: newWire(config, opts)}}
	client := &auth.Client{Client: &http.Client{Transport: transport}, Cache: auth.NewCache(), Credential: credential}
	client.SetUserAgent("sealift/" + buildinfo.Version())
	return &Client{opts: opts, http: client, retry: backoff}, nil
}

func tlsConfig(opts Options) (*tls.Config, error) {
	pool, err := authority.Pool(opts.CAFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	if (opts.CertFile == "") != (opts.KeyFile == "") {
		return nil, problem.New(problem.Usage, "give both --registry-cert and --registry-key", "a client certificate without its key, or the reverse")
	}
	if opts.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(opts.CertFile, opts.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

// wire sends requests. The answer to an upload may take long, for the registry
// stores it first; that to any other request must not.
type wire struct {
	upload, other *http.Transport
}

// newWire is made for few hosts and much content. HTTP/2 would share one
// connection, and one window, among all blobs.
func newWire(config *tls.Config, opts Options) wire {
	const buffer = 64 << 10
	proxy := opts.Proxy
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	t := &http.Transport{
		Proxy:               proxy,
		DialContext:         dial(&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}),
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 15 * time.Second,
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
		WriteBufferSize:     buffer,
		ReadBufferSize:      buffer,
	}
	other := t.Clone()
	other.ResponseHeaderTimeout = opts.StallTimeout
	return wire{upload: t, other: other}
}

// RoundTrip implements http.RoundTripper.
func (w wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if isUpload(req.Context()) {
		return w.upload.RoundTrip(req)
	}
	return w.other.RoundTrip(req)
}

// credentialFunc asks docker's configuration and its helpers, once a host.
func credentialFunc(opts Options) (auth.CredentialFunc, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, problem.WithRemedy(fmt.Errorf("reading docker's configuration: %w", err), "mend or remove the file config.json in DOCKER_CONFIG (default ~/.docker)")
	}
	fromDocker := credentials.Credential(store)
	c := &credentialCache{ask: func(ctx context.Context, host string) (auth.Credential, error) {
		if host == opts.Host && opts.Username != "" {
			return auth.Credential{Username: opts.Username, Password: opts.Password}, nil
		}
		found, err := fromDocker(ctx, host)
		if err != nil {
			// What a helper prints may hold a secret; its exit is enough.
			return auth.EmptyCredential, problem.New(problem.Failed, "run docker login "+host+" again, or set SEALIFT_REGISTRY_USERNAME and SEALIFT_REGISTRY_PASSWORD",
				"asking docker's credential helper for %s failed", host)
		}
		return found, nil
	}, hosts: map[string]func() (auth.Credential, error){}}
	return c.get, nil
}

// credentialCache asks for the credentials of a host once, also when many
// requests need them at the same time.
type credentialCache struct {
	ask   auth.CredentialFunc
	mu    sync.Mutex
	hosts map[string]func() (auth.Credential, error)
}

func (c *credentialCache) get(ctx context.Context, host string) (auth.Credential, error) {
	c.mu.Lock()
	once, ok := c.hosts[host]
	if !ok {
		once = sync.OnceValues(func() (auth.Credential, error) { return c.ask(context.WithoutCancel(ctx), host) })
		c.hosts[host] = once
	}
	c.mu.Unlock()
	return once()
}

// Repository returns the repository of a name in full: HOST[:PORT]/PATH.
func (c *Client) Repository(name string) (*Repository, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || !reference.IsNameOnly(named) {
		return nil, problem.New(problem.Usage, "name it HOST[:PORT]/PATH, in lower case", "%q is not the name of a repository: %w", name, errors.Join(err))
	}
	host := reference.Domain(named)
	ref := orasregistry.Reference{Registry: host, Repository: reference.Path(named)}
	plain := c.plainHTTP(host)
	oras := &remote.Repository{Client: c.http, Reference: ref, PlainHTTP: plain, SkipReferrersGC: true}
	scheme := "https"
	if plain {
		scheme = "http"
	}
	return &Repository{client: c, oras: oras, base: scheme + "://" + ref.Host() + "/v2/" + ref.Repository}, nil
}

// plainHTTP tells whether a host is spoken to without TLS.
func (c *Client) plainHTTP(host string) bool {
	h, _, err := net.SplitHostPort(host)
	return slices.Contains(c.opts.PlainHTTP, host) || (err == nil && slices.Contains(c.opts.PlainHTTP, h))
}

// errEnough ends a listing early.
var errEnough = errors.New("enough")

// Repositories returns the names of at most limit repositories of a registry,
// in its order. Many registries refuse this to all but administrators.
func (c *Client) Repositories(ctx context.Context, host string, limit int) ([]string, error) {
	r := &remote.Registry{RepositoryOptions: remote.RepositoryOptions{Client: c.http, PlainHTTP: c.plainHTTP(host), Reference: orasregistry.Reference{Registry: host}}}
	var names []string
	err := r.Repositories(ctx, "", func(page []string) error {
		names = append(names, page...)
		if len(names) >= limit {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		at := &Repository{client: c, oras: &remote.Repository{Reference: orasregistry.Reference{Registry: host, Repository: "_catalog"}}}
		return nil, at.explain("listing the repositories of", err)
	}
	return names[:min(len(names), limit)], nil
}
