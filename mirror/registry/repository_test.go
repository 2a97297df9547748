package registry_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/content/contenttest"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/registries"
)

// quick is options for tests: no TLS with host, and no long waits.
func quick(host string) registry.Options {
	return registry.Options{PlainHTTP: []string{host}, MinWait: time.Millisecond, StallTimeout: 300 * time.Millisecond}
}

func repository(t testing.TB, host, path string, opts registry.Options) *registry.Repository {
	c, err := registry.NewClient(opts)
	require.NoError(t, err)
	r, err := c.Repository(host + "/" + path)
	require.NoError(t, err)
	return r
}

func noise(size int) (content.Descriptor, []byte) {
	data := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	return content.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromBytes(data), Size: int64(size)}, data
}

func TestConformance(t *testing.T) {
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			n := 0
			contenttest.Store(t, func(t *testing.T) content.Store {
				n++
				host := host
				if n > 1 && name == "ociregistry" { // its blobs are visible in every repository
					host = start(t)
				}
				return repository(t, host, "team/app"+strconv.Itoa(n), quick(host))
			})
			contenttest.Ranges(t, func(t *testing.T, data []byte) content.RangeFetcher {
				r := repository(t, host, "ranges", quick(host))
				d := content.Descriptor{Digest: digest.FromBytes(data), Size: int64(len(data))}
				require.NoError(t, r.PushBlob(t.Context(), d, bytes.NewReader(data), progress.None{}))
				return r
			})
		})
	}
}

func TestManifests(t *testing.T) {
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			r := repository(t, host, "team/app", quick(host))
			config, data := noise(20)
			config.MediaType = "application/vnd.oci.empty.v1+json"
			require.NoError(t, r.PushBlob(t.Context(), config, bytes.NewReader(data), progress.None{}))
			m := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":"` +
				config.Digest.String() + `","size":20},"layers":[]}`)
			d := content.Descriptor{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: digest.FromBytes(m), Size: int64(len(m))}
			_, err := r.Resolve(t.Context(), "v1")
			require.ErrorIs(t, err, content.ErrNotFound)
			require.NoError(t, r.PushManifest(t.Context(), d, m))
			require.NoError(t, r.PushManifest(t.Context(), d, m, "v1"))
			got, err := r.Resolve(t.Context(), "v1")
			require.NoError(t, err)
			require.Equal(t, d, got)
			there, err := r.Exists(t.Context(), d)
			require.NoError(t, err)
			require.True(t, there)
			back, err := content.ReadAll(t.Context(), r, d, 1<<20)
			require.NoError(t, err)
			require.Equal(t, m, back)
			require.ErrorIs(t, r.PushManifest(t.Context(), d, m[1:]), content.ErrMismatch)
		})
	}
}

// TestUploadIsTwoRequests also covers mounting and that nothing else is asked.
func TestUploadIsTwoRequests(t *testing.T) {
	seen := registries.NewRequests()
	host := registries.Host(registries.Distribution(t, registries.Options{Wrap: seen.Wrap}))
	c, err := registry.NewClient(quick(host))
	require.NoError(t, err)
	one, err := c.Repository(host + "/one")
	require.NoError(t, err)
	two, err := c.Repository(host + "/two")
	require.NoError(t, err)
	d, data := noise(100_000)
	require.NoError(t, one.PushBlob(t.Context(), d, bytes.NewReader(data), progress.None{}))
	lines := seen.Lines()
	require.Len(t, lines, 2, "%v", lines)
	require.Equal(t, "POST /v2/one/blobs/uploads/", lines[0])
	require.Equal(t, 1, registries.Count(lines, "PUT "))
	mounted, err := two.Mount(t.Context(), d, "one")
	require.NoError(t, err)
	require.True(t, mounted)
	require.Len(t, seen.Lines(), 1)
	there, err := two.Exists(t.Context(), d)
	require.NoError(t, err)
	require.True(t, there)
	mounted, err = two.Mount(t.Context(), content.Descriptor{Digest: digest.FromString("not there")}, "one")
	require.NoError(t, err)
	require.False(t, mounted)
}

// counter is a progress.Task.
type counter struct{ n int64 }

func (c *counter) Add(n int64) { c.n += n }
func (c *counter) Done()       {}

func TestChunkedUploadGoesOn(t *testing.T) {
	for name, faults := range map[string][]registries.Fault{
		"without faults": nil,
		"a chunk fails":  {{Method: "PATCH", Times: 1, Do: registries.Status(http.StatusBadGateway)}},
		"a chunk is cut": {{Method: "PATCH", Times: 2, Through: func(h http.Handler, w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r) // stored, but the client never learns of it
			panic(http.ErrAbortHandler)
		}}},
		"the end fails": {{Method: "PUT", Path: "/blobs/uploads/", Times: 1, Do: registries.Status(http.StatusServiceUnavailable)}},
	} {
		t.Run(name, func(t *testing.T) {
			host := registries.Host(registries.Distribution(t, registries.Options{Wrap: registries.Faults(faults...)}))
			opts := quick(host)
			opts.ChunkSize = 10_000
			r := repository(t, host, "big", opts)
			d, data := noise(95_000)
			var c counter
			require.NoError(t, r.PushBlob(t.Context(), d, bytes.NewReader(data), &c))
			require.Equal(t, d.Size, c.n)
			got, err := content.ReadAll(t.Context(), r, d, 1<<20)
			require.NoError(t, err)
			require.Equal(t, data, got)
		})
	}
}

func TestUploadIsTriedAgain(t *testing.T) {
	for name, fault := range map[string]registries.Fault{
		"begin 503":       {Method: "POST", Times: 2, Do: registries.Status(http.StatusServiceUnavailable)},
		"begin 429":       {Method: "POST", Times: 1, Do: registries.Status(http.StatusTooManyRequests, "Retry-After", "0")},
		"bytes 500":       {Method: "PUT", Times: 2, Do: registries.Status(http.StatusInternalServerError)},
		"connection lost": {Method: "PUT", Times: 1, Do: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(name, func(t *testing.T) {
			host := registries.Host(registries.Distribution(t, registries.Options{Wrap: registries.Faults(fault)}))
			r := repository(t, host, "app", quick(host))
			d, data := noise(50_000)
			var c counter
			require.NoError(t, r.PushBlob(t.Context(), d, bytes.NewReader(data), &c))
			require.Equal(t, d.Size, c.n)
		})
	}
}

func TestUploadFailures(t *testing.T) {
	elsewhere := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://elsewhere.invalid/upload?secret=1")
		w.WriteHeader(http.StatusAccepted)
	}
	for name, c := range map[string]struct {
		fault  registries.Fault
		want   string
		remedy string
	}{
		"401":        {registries.Fault{Do: registries.Status(http.StatusUnauthorized)}, "unauthorized", "docker login"},
		"403":        {registries.Fault{Do: registries.Status(http.StatusForbidden)}, "forbidden", "push to"},
		"404":        {registries.Fault{Method: "POST", Do: registries.Status(http.StatusNotFound)}, "not found", "create the project"},
		"always 5xx": {registries.Fault{Method: "PUT", Do: registries.Status(http.StatusBadGateway)}, "502", "registry's own log"},
		"elsewhere":  {registries.Fault{Method: "POST", Do: elsewhere}, "sends the upload to http://elsewhere.invalid,", "external URL"},
		"disk full":  {registries.Fault{Method: "PUT", Do: registries.Status(http.StatusInsufficientStorage)}, "disk is full", "make room"},
	} {
		t.Run(name, func(t *testing.T) {
			host := registries.Host(registries.Distribution(t, registries.Options{Wrap: registries.Faults(c.fault)}))
			r := repository(t, host, "app", quick(host))
			d, data := noise(1000)
			err := r.PushBlob(t.Context(), d, bytes.NewReader(data), progress.None{})
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, host+"/app")
			require.NotContains(t, err.Error(), "secret")
			require.NotContains(t, err.Error(), "_state")
			require.Contains(t, strings.Join(problem.Remedies(err), "\n"), c.remedy)
		})
	}
}

// pushed starts a registry with faults that holds one blob.
func pushed(t *testing.T, size int, opts registry.Options, faults ...registries.Fault) (*registry.Repository, content.Descriptor, []byte, *registries.Requests) {
	seen := registries.NewRequests()
	layer := registries.Faults(faults...)
	host := registries.Host(registries.Distribution(t, registries.Options{Wrap: func(h http.Handler) http.Handler { return seen.Wrap(layer(h)) }}))
	opts.PlainHTTP = []string{host}
	r := repository(t, host, "app", opts)
	d, data := noise(size)
	require.NoError(t, r.PushBlob(t.Context(), d, bytes.NewReader(data), progress.None{}))
	seen.Lines()
	return r, d, data, seen
}

func TestFetchSurvives(t *testing.T) {
	for name, fault := range map[string]registries.Fault{
		"503":             {Method: "GET", Times: 2, Do: registries.Status(http.StatusServiceUnavailable, "Retry-After", "0")},
		"429 with a date": {Method: "GET", Times: 1, Do: registries.Status(http.StatusTooManyRequests, "Retry-After", time.Now().UTC().Format(http.TimeFormat))},
		"500":             {Method: "GET", Times: 1, Do: registries.Status(http.StatusInternalServerError)},
		"a cut body":      {Method: "GET", Times: 3, Through: registries.CutAfter(40_000)},
		"a stalled body":  {Method: "GET", Times: 1, Through: registries.StallAfter(40_000)},
	} {
		t.Run(name, func(t *testing.T) {
			r, d, data, _ := pushed(t, 200_000, quick(""), fault)
			got, err := content.ReadAll(t.Context(), r, d, 1<<20)
			require.NoError(t, err)
			require.Equal(t, data, got)
		})
	}
}

func TestCutBodyIsNotReadTwice(t *testing.T) {
	var ranges []string
	r, d, data, _ := pushed(t, 200_000, quick(""), registries.Fault{Method: "GET", Path: "/blobs/",
		Through: func(h http.Handler, w http.ResponseWriter, req *http.Request) {
			ranges = append(ranges, req.Header.Get("Range"))
			if len(ranges) == 1 {
				registries.CutAfter(40_000)(h, w, req)
			}
			h.ServeHTTP(w, req)
		}})
	got, err := content.ReadAll(t.Context(), r, d, 1<<20)
	require.NoError(t, err)
	require.Equal(t, data, got)
	require.Equal(t, []string{"", "bytes=40000-199999"}, ranges)
}

func TestFetchFailures(t *testing.T) {
	for name, c := range map[string]struct {
		fault registries.Fault
		is    error
	}{
		"401":          {registries.Fault{Method: "GET", Do: registries.Status(http.StatusUnauthorized)}, registry.ErrUnauthorized},
		"403":          {registries.Fault{Method: "GET", Do: registries.Status(http.StatusForbidden)}, registry.ErrForbidden},
		"404":          {registries.Fault{Method: "GET", Do: registries.Status(http.StatusNotFound)}, content.ErrNotFound},
		"429 for ever": {registries.Fault{Method: "GET", Do: registries.Status(http.StatusTooManyRequests, "Retry-After", "0")}, registry.ErrRateLimited},
		"wrong bytes":  {registries.Fault{Method: "GET", Through: registries.WrongBytes}, content.ErrMismatch},
		"wrong length": {registries.Fault{Method: "GET", Through: registries.AnnounceMore("200001")}, content.ErrMismatch},
		"cut, no ranges": {registries.Fault{Method: "GET", Through: func(h http.Handler, w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			registries.CutAfter(1000)(h, w, r)
		}}, content.ErrNoRange},
		"always cut": {registries.Fault{Method: "GET", Through: registries.CutAfter(0)}, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			r, d, _, _ := pushed(t, 200_000, quick(""), c.fault)
			_, err := content.ReadAll(t.Context(), r, d, 1<<20)
			require.ErrorIs(t, err, c.is)
		})
	}
}

func TestStalledAnswerEnds(t *testing.T) {
	r, d, _, _ := pushed(t, 1000, registry.Options{MinWait: time.Millisecond, StallTimeout: 50 * time.Millisecond, MaxAttempts: 2},
		registries.Fault{Method: "HEAD", Do: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }})
	start := time.Now()
	_, err := r.Exists(t.Context(), d)
	require.Error(t, err)
	require.Less(t, time.Since(start), 5*time.Second)
}

func TestCancellationIsPrompt(t *testing.T) {
	opts := quick("")
	opts.StallTimeout = time.Minute
	r, d, _, _ := pushed(t, 200_000, opts, registries.Fault{Method: "GET", Through: registries.StallAfter(100)})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := content.ReadAll(ctx, r, d, 1<<20)
	require.ErrorIs(t, err, context.Canceled)
}

func TestRepositoryNames(t *testing.T) {
	c, err := registry.NewClient(registry.Options{})
	require.NoError(t, err)
	for _, name := range []string{"host/UPPER", "host/x:tag", "", "host/x@sha256:0"} {
		_, err := c.Repository(name)
		require.Error(t, err, name)
	}
	r, err := c.Repository("docker.io/library/nginx")
	require.NoError(t, err)
	require.Equal(t, "docker.io/library/nginx", r.Name())
	require.Equal(t, "library/nginx", r.Path())
}

// TestCredentialsStayHome covers blobs that the registry keeps elsewhere.
func TestCredentialsStayHome(t *testing.T) {
	d, data := noise(5000)
	var leaked []string
	storage := registries.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Authorization"); a != "" {
			leaked = append(leaked, a)
		}
		_, _ = w.Write(data)
	}), registries.Options{})
	front := registries.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, r, storage.URL+"/elsewhere?signature=secret", http.StatusTemporaryRedirect)
	}), registries.Options{})
	host := registries.Host(front)
	opts := quick(host)
	opts.Host, opts.Username, opts.Password = host, "user", "password"
	got, err := content.ReadAll(t.Context(), repository(t, host, "app", opts), d, 1<<20)
	require.NoError(t, err)
	require.Equal(t, data, got)
	require.Empty(t, leaked)
	storage.Close()
	_, err = content.ReadAll(t.Context(), repository(t, host, "app", opts), d, 1<<20)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
	require.NotContains(t, err.Error(), "password")
}

func TestTokenServers(t *testing.T) {
	d, data := noise(5000)
	var asked int
	tokens := registries.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "user" || p != "password" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		asked++
		_, _ = w.Write([]byte(`{"token":"good"}`))
	}), registries.Options{})
	// The realm is at another name of this machine, so that it is another host.
	realm := strings.Replace(tokens.URL, "127.0.0.1", "localhost", 1) + "/token"
	front := registries.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(data)
	}), registries.Options{})
	host := registries.Host(front)
	opts := quick(host)
	opts.Host, opts.Username, opts.Password = host, "user", "password"
	_, err := content.ReadAll(t.Context(), repository(t, host, "app", opts), d, 1<<20)
	require.Error(t, err)
	require.Contains(t, strings.Join(problem.Remedies(err), "\n"), "--token-server")
	require.Zero(t, asked)
	u, err := url.Parse(realm)
	require.NoError(t, err)
	opts.TokenServers = []string{u.Host}
	got, err := content.ReadAll(t.Context(), repository(t, host, "app", opts), d, 1<<20)
	require.NoError(t, err)
	require.Equal(t, data, got)
	require.Equal(t, 1, asked)
}

// A registry cannot state as its own the path by which token servers are
// reached, and so send clients wherever it likes.
func TestTokenServersAreThoseOfTheUser(t *testing.T) {
	var asked atomic.Int32
	other := registries.Start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = w.Write([]byte(`{"token":"good"}`))
	}), registries.Options{})
	front := registries.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/.sealift-token-server/http/`+registries.Host(other)+`/token",service="test"`)
		w.WriteHeader(http.StatusUnauthorized)
	}), registries.Options{})
	d, _ := noise(5000)
	opts := quick(registries.Host(front))
	opts.Host, opts.Username, opts.Password, opts.TokenServers = registries.Host(front), "user", "password", []string{"auth.site.example"}
	_, err := content.ReadAll(t.Context(), repository(t, registries.Host(front), "app", opts), d, 1<<20)
	require.ErrorContains(t, err, "no --token-server names that host")
	require.Zero(t, asked.Load())
}

// What a registry says of referrers may be anything.
func TestReferrersThatAreNone(t *testing.T) {
	front := registries.Start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		_, _ = w.Write([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"x","size":1}]}`))
	}), registries.Options{})
	d, _ := noise(100)
	_, err := repository(t, registries.Host(front), "app", quick(registries.Host(front))).Referrers(t.Context(), d)
	require.ErrorContains(t, err, `the registry names "x"`)
}

// A line that breaks again and again brings a large blob over, as long as each
// attempt gets further.
func TestUploadOverABadLine(t *testing.T) {
	var stored, calls int64
	front := registries.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/v2/app/blobs/uploads/1")
		switch r.Method {
		case http.MethodPost:
			w.WriteHeader(http.StatusAccepted)
		case http.MethodGet:
			w.Header().Set("Range", fmt.Sprintf("0-%d", stored-1))
			w.WriteHeader(http.StatusNoContent)
		case http.MethodPatch:
			if calls++; calls%3 == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			stored += r.ContentLength
			w.WriteHeader(http.StatusAccepted)
		case http.MethodPut:
			w.WriteHeader(http.StatusCreated)
		}
	}), registries.Options{})
	d, data := noise(60_000)
	opts := quick(registries.Host(front))
	opts.ChunkSize, opts.MaxAttempts = 1000, 3
	require.NoError(t, repository(t, registries.Host(front), "app", opts).PushBlob(t.Context(), d, bytes.NewReader(data), progress.None{}))
	require.Equal(t, int64(60_000), stored)
}

func TestHTTPSRealmBehindPlainHTTP(t *testing.T) {
	d, _ := noise(5000)
	front := registries.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://`+r.Host+`/service/token",service="harbor-registry"`)
		w.WriteHeader(http.StatusUnauthorized)
	}), registries.Options{})
	host := registries.Host(front)
	_, err := content.ReadAll(t.Context(), repository(t, host, "app", quick(host)), d, 1<<20)
	require.Error(t, err)
	require.Contains(t, strings.Join(problem.Remedies(err), "\n"), "external URL")
}
