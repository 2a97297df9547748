package location_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/registries"
	"github.com/sealift/sealift/test/stores"
)

type through = func(http.Handler, http.ResponseWriter, *http.Request)

// stores that the faults are made before.
func remotes(t *testing.T, data []byte, fault func(http.Handler) http.Handler) map[string]func() (string, location.Options) {
	t.Helper()
	return map[string]func() (string, location.Options){
		"https": func() (string, location.Options) {
			address, ca := stores.Web(t, filepath.Dir(write(t, data)), fault)
			return address + "/bundle.tar", quick(location.Options{CAFile: ca})
		},
		"s3": func() (string, location.Options) {
			var active atomic.Bool
			stores.S3(t, []string{"bundles"}, func(h http.Handler) http.Handler {
				faulty := fault(h)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if active.Load() {
						faulty.ServeHTTP(w, r)
					} else {
						h.ServeHTTP(w, r)
					}
				})
			})
			copyTo(t, "s3://bundles/bundle.tar", data, location.CreateOptions{})
			active.Store(true)
			return "s3://bundles/bundle.tar", quick(location.Options{})
		},
	}
}

// readAll opens a source and reads it in order.
func readAll(t *testing.T, name string, opts location.Options) ([]byte, error) {
	s, err := location.Open(t.Context(), name, opts)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return io.ReadAll(io.NewSectionReader(s, 0, s.Size()))
}

// nth makes a fault of the answers with these numbers, from 1 on.
func nth(do through, numbers ...int64) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		var count atomic.Int64
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := count.Add(1)
			for _, want := range numbers {
				if n == want {
					do(h, w, r)
					return
				}
			}
			h.ServeHTTP(w, r)
		})
	}
}

func answer(code int, header ...string) through {
	return func(_ http.Handler, w http.ResponseWriter, r *http.Request) { registries.Status(code, header...)(w, r) }
}

// TestFaultsThatPass are over after a time: the bytes come whole.
func TestFaultsThatPass(t *testing.T) {
	data := sample(7<<20 + 5)
	for name, fault := range map[string]func(http.Handler) http.Handler{
		"cut":         nth(registries.CutAfter(1_000_000), 2, 3, 4, 6),
		"cut at once": nth(registries.CutAfter(0), 1, 3, 4),
		"429":         nth(answer(429, "Retry-After", "0"), 1, 3),
		"500":         nth(answer(500), 1, 2, 4, 6),
		"503":         nth(answer(503), 1, 4, 5),
		"stalled":     nth(registries.StallAfter(300_000), 3),
		"slow headers": nth(func(h http.Handler, w http.ResponseWriter, r *http.Request) {
			time.Sleep(100 * time.Millisecond)
			h.ServeHTTP(w, r)
		}, 1, 2, 3),
	} {
		for kind := range remotes(t, nil, nil) {
			t.Run(name+" "+kind, func(t *testing.T) {
				address, opts := remotes(t, data, fault)[kind]()
				opts.StallTimeout = time.Second
				got, err := readAll(t, address, opts)
				require.NoError(t, err)
				require.Equal(t, data, got)
			})
		}
	}
}

// rewrite changes the headers of an answer.
func rewrite(change func(http.Header)) through {
	return func(h http.Handler, w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&rewriter{ResponseWriter: w, change: change}, r)
	}
}

type rewriter struct {
	http.ResponseWriter
	change func(http.Header)
}

func (r *rewriter) WriteHeader(code int) {
	r.change(r.Header())
	r.ResponseWriter.WriteHeader(code)
}

func set(name, value string) through {
	return rewrite(func(h http.Header) { h.Set(name, value) })
}

// from makes a fault of all answers with this number or a higher one.
func from(do through, number int64) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		var count atomic.Int64
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if count.Add(1) >= number {
				do(h, w, r)
			} else {
				h.ServeHTTP(w, r)
			}
		})
	}
}

// TestFaultsThatStay end the reading, with an error that says which.
func TestFaultsThatStay(t *testing.T) {
	data := sample(5 << 20)
	for _, c := range []struct {
		name  string
		fault func(http.Handler) http.Handler
		is    error
		want  string
	}{
		{"no ranges", from(registries.WithoutRanges, 1), location.ErrNoRanges, "whole file"},
		{"no ranges any more", from(registries.WithoutRanges, 3), location.ErrNoRanges, "whole file"},
		{"another version", nth(set("Etag", `"other"`), 3), location.ErrChanged, `and is "other"`},
		{"no version any more", from(rewrite(func(h http.Header) { h.Del("Etag") }), 3), location.ErrChanged, "its version was"},
		{"412", nth(answer(412), 3), location.ErrChanged, "its version is no longer"},
		{"416", from(answer(416), 3), location.ErrChanged, "shorter than its 5242880 bytes"},
		{"gone", nth(answer(404), 3), location.ErrChanged, "it is gone"},
		{"another size", from(set("Content-Range", "bytes 0-2097151/9999999"), 2), location.ErrChanged, "had 5242880 bytes and has 9999999"},
		{"another range", from(set("Content-Range", "bytes 1-2097152/5242880"), 2), location.ErrUnreadable, "gave bytes 1 to 2097152, asked for 0 to 2097151"},
		{"range of nonsense", from(set("Content-Range", "bytes 5-3/x"), 2), location.ErrUnreadable, `the range "bytes 5-3/x"`},
		{"range that overflows", from(set("Content-Range", "bytes 0-2097151/99999999999999999999"), 2), location.ErrUnreadable, "the range"},
		{"always 500", from(answer(500), 3), location.ErrUnreadable, ""},
		{"501", from(answer(501), 3), location.ErrUnreadable, ""},
		{"403", from(answer(403), 1), location.ErrUnreadable, ""},
	} {
		for kind := range remotes(t, nil, nil) {
			if kind == "s3" && strings.Contains(c.name, "no ranges") {
				continue // below
			}
			t.Run(c.name+" "+kind, func(t *testing.T) {
				address, opts := remotes(t, data, c.fault)[kind]()
				_, err := readAll(t, address, opts)
				require.ErrorIs(t, err, c.is)
				require.ErrorContains(t, err, c.want)
			})
		}
	}
}

func TestS3WithoutRanges(t *testing.T) {
	address, opts := remotes(t, sample(100), nth(registries.WithoutRanges, 1, 2, 3, 4))["s3"]()
	_, err := readAll(t, address, opts)
	require.ErrorIs(t, err, location.ErrNoRanges)
}

// TestChangedFile replaces a file between two reads, for real.
func TestChangedFile(t *testing.T) {
	path := write(t, sample(5<<20))
	address, ca := stores.Web(t, filepath.Dir(path))
	s, err := location.Open(t.Context(), address+"/bundle.tar", quick(location.Options{CAFile: ca}))
	require.NoError(t, err)
	defer s.Close()
	_, err = s.ReadAt(make([]byte, 10), 0)
	require.NoError(t, err)
	other := sample(5<<20 + 1)[1:]
	require.NoError(t, os.WriteFile(path, other, 0o644))
	require.NoError(t, os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)))
	_, err = s.ReadAt(make([]byte, 10), 4<<20+10)
	require.ErrorIs(t, err, location.ErrChanged)
	require.NotEmpty(t, problem.Remedies(err))
}

// TestWebWithoutVersions reads from a server that knows only dates, or nothing.
func TestWebWithoutVersions(t *testing.T) {
	data := sample(5 << 20)
	dir := filepath.Dir(write(t, data))
	for name, change := range map[string]func(http.Header){
		"weak":  func(h http.Header) { h.Set("Etag", `W/"x"`) },
		"dates": func(h http.Header) { h.Del("Etag") },
		"none":  func(h http.Header) { h.Del("Etag"); h.Del("Last-Modified") },
	} {
		t.Run(name, func(t *testing.T) {
			address, ca := stores.Web(t, dir, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { rewrite(change)(h, w, r) })
			})
			got, err := readAll(t, address+"/bundle.tar", quick(location.Options{CAFile: ca}))
			require.NoError(t, err)
			require.Equal(t, data, got)
		})
	}
}

// TestCredentials checks that they go to the host that was named, and to no
// other that it sends the request to.
func TestCredentials(t *testing.T) {
	data := sample(3 << 20)
	dir := filepath.Dir(write(t, data))
	var leaked atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked.Store(leaked.Load() || r.Header.Get("Authorization") != "" || r.Header.Get("Referer") != "")
		stores.WebHandler(dir).ServeHTTP(w, r)
	}))
	t.Cleanup(other.Close)
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch user, pass, _ := r.BasicAuth(); {
		case user != "me" || pass != "a secret":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path == "/moved/bundle.tar":
			http.Redirect(w, r, other.URL+"/bundle.tar", http.StatusFound)
		case r.URL.Path == "/here/bundle.tar":
			http.Redirect(w, r, "/bundle.tar", http.StatusTemporaryRedirect)
		case r.URL.Path == "/round/bundle.tar":
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		case r.URL.Path == "/user/bundle.tar":
			http.Redirect(w, r, strings.Replace(other.URL, "//", "//x:y@", 1)+"/bundle.tar", http.StatusFound)
		default:
			stores.WebHandler(dir).ServeHTTP(w, r)
		}
	}))
	t.Cleanup(own.Close)
	host, err := url.Parse(own.URL)
	require.NoError(t, err)
	opts := quick(location.Options{PlainHTTP: []string{host.Host}, Username: "me", Password: "a secret"})
	for _, path := range []string{"", "/moved", "/here"} {
		got, err := readAll(t, own.URL+path+"/bundle.tar", opts)
		require.NoError(t, err, path)
		require.Equal(t, data, got)
	}
	require.False(t, leaked.Load())
	for path, want := range map[string]string{"/round": "more than 5 redirects", "/user": "an address with credentials"} {
		_, err = readAll(t, own.URL+path+"/bundle.tar", opts)
		require.ErrorContains(t, err, want)
		require.ErrorIs(t, err, location.ErrUnreadable)
	}
	opts.Password = "wrong"
	_, err = readAll(t, own.URL+"/bundle.tar", opts)
	require.ErrorContains(t, err, "401")
	require.ErrorContains(t, fmt.Errorf("%v", problem.Remedies(err)), "SEALIFT_SOURCE_USERNAME")
	require.NotContains(t, err.Error(), "wrong")
}

func TestFromTLSToNone(t *testing.T) {
	plain := httptest.NewServer(stores.WebHandler(t.TempDir()))
	t.Cleanup(plain.Close)
	address, ca := stores.TLS(t, http.RedirectHandler(plain.URL+"/x", http.StatusFound))
	_, err := readAll(t, address+"/x", quick(location.Options{CAFile: ca}))
	require.ErrorContains(t, err, "from https to http")
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{
		"http://host/x":                           "only when asked for",
		"https://user:a-secret@host/x":            "holds credentials",
		"https:///x":                              "not an address",
		"https://host:port/x?a-secret":            "not an address",
		"https://127.0.0.1:1/x?sig=a-secret":      "connection refused",
		"https://no-such-host.invalid/x?a-secret": "no such host",
	} {
		_, err := readAll(t, address, quick(location.Options{}))
		require.ErrorContains(t, err, want, address)
		require.NotContains(t, err.Error(), "a-secret")
	}
	t.Setenv("AWS_ENDPOINT_URL", "host:9000")
	_, err := readAll(t, "s3://b/k", quick(location.Options{}))
	require.ErrorContains(t, err, "AWS_ENDPOINT_URL")
	_, err = location.Create(t.Context(), "https://host/x", 1, location.CreateOptions{})
	require.ErrorContains(t, err, "only read from")
	_, err = location.Create(t.Context(), "s3://b/k", 1, location.CreateOptions{VolumeSize: 1})
	require.ErrorContains(t, err, "volumes are local files")
}

func TestUntrustedServer(t *testing.T) {
	address, _ := stores.Web(t, filepath.Dir(write(t, sample(10))))
	_, err := readAll(t, address+"/bundle.tar", quick(location.Options{}))
	require.ErrorContains(t, err, "certificate")
	require.ErrorIs(t, err, location.ErrUnreadable)
}

// TestReadAhead checks that a reader in order is served by requests of blocks,
// several under way, and that many readers share what is asked for.
func TestReadAhead(t *testing.T) {
	const size = 40 << 20
	data := sample(size)
	dir := filepath.Dir(write(t, data))
	var requests, under, most atomic.Int64
	address, ca := stores.Web(t, dir, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			if n := under.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer under.Add(-1)
			time.Sleep(5 * time.Millisecond)
			h.ServeHTTP(w, r)
		})
	})
	s, err := location.Open(t.Context(), address+"/bundle.tar", quick(location.Options{CAFile: ca}))
	require.NoError(t, err)
	defer s.Close()
	buf := make([]byte, 64<<10)
	_, err = io.CopyBuffer(io.Discard, struct{ io.Reader }{io.NewSectionReader(s, 0, size)}, buf)
	require.NoError(t, err)
	require.LessOrEqual(t, requests.Load(), int64(size/(2<<20)+2), "no byte is asked for twice")
	require.Greater(t, most.Load(), int64(1), "the next block is under way")

	var wg sync.WaitGroup
	for i := range int64(40) { // more readers than blocks
		wg.Go(func() {
			from := i << 20
			got, err := io.ReadAll(io.NewSectionReader(s, from, 1<<20))
			if err != nil || string(got) != string(data[from:from+1<<20]) {
				t.Errorf("reader %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	require.LessOrEqual(t, most.Load(), int64(16))
}

// TestUploads writes objects of one part and of several, with faults between.
func TestUploads(t *testing.T) {
	for _, size := range []int{1, 5 << 20, 40<<20 + 3} {
		data := sample(size)
		stores.S3(t, []string{"bundles"}, nth(answer(500), 2, 4))
		copyTo(t, "s3://bundles/x.tar", data, location.CreateOptions{})
		got, err := readAll(t, "s3://bundles/x.tar", quick(location.Options{}))
		require.NoError(t, err)
		require.True(t, string(data) == string(got), "%d bytes", size)
	}
	w, err := location.Create(t.Context(), "s3://bundles/y.tar", 40<<20, location.CreateOptions{})
	require.NoError(t, err)
	_, err = w.Write(sample(17 << 20))
	require.NoError(t, err)
	require.Error(t, w.Commit(), "not whole")
	require.NoError(t, w.Close())
	there, err := location.Exists(t.Context(), "s3://bundles/y.tar", quick(location.Options{}))
	require.NoError(t, err)
	require.False(t, there)

	_, err = location.Create(t.Context(), "s3://bundles/x.tar", 1, location.CreateOptions{})
	require.ErrorIs(t, err, location.ErrExists)
	w, err = location.Create(t.Context(), "s3://nowhere/x.tar", 3, location.CreateOptions{Overwrite: true})
	require.NoError(t, err)
	_, err = w.Write([]byte("abc"))
	require.NoError(t, err)
	require.ErrorContains(t, w.Commit(), "NoSuchBucket")
	require.NoError(t, w.Close())
}

// A server that never answers is not called as often as one that is in trouble.
func TestSilentServer(t *testing.T) {
	for kind := range remotes(t, nil, nil) {
		t.Run(kind, func(t *testing.T) {
			var calls atomic.Int32
			address, opts := remotes(t, sample(1000), func(http.Handler) http.Handler {
				return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					calls.Add(1)
					<-r.Context().Done()
				})
			})[kind]()
			opts.StallTimeout, opts.MaxAttempts = 50*time.Millisecond, 6
			_, err := readAll(t, address, opts)
			require.ErrorIs(t, err, location.ErrUnreadable)
			require.Contains(t, strings.Join(problem.Remedies(err), "\n"), "no firewall or proxy swallows")
			require.LessOrEqual(t, calls.Load(), int32(2))
		})
	}
}
