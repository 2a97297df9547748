// Package registries starts real registries for tests: three code bases, with
// and without TLS and users, and a layer between that makes faults.
package registries

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/mirror/serve"
)

// Options is how a registry is started. The zero value has neither TLS nor users.
type Options struct {
	Htpasswd string // file of users
	// Wrap stands between the client and the registry.
	Wrap func(http.Handler) http.Handler
	// TLS starts the registry with a certificate of its own.
	TLS *tls.Config
}

// All returns the starters of the three code bases, by name.
func All() map[string]func(t testing.TB) string {
	return map[string]func(t testing.TB) string{
		"distribution 3":  func(t testing.TB) string { return Host(Distribution(t, Options{})) },
		"docker-registry": Docker,
		"ociregistry":     func(t testing.TB) string { return Host(Start(t, ociserver.New(ocimem.New(), nil), Options{})) },
	}
}

// Host returns HOST:PORT of a server.
func Host(s *httptest.Server) string { return s.Listener.Addr().String() }

// Distribution starts the distribution project's registry, version 3.
func Distribution(t testing.TB, opts Options) *httptest.Server {
	h, closeRegistry, err := serve.Registry(t.Context(), serve.RegistryOptions{Data: t.TempDir(), Htpasswd: opts.Htpasswd})
	require.NoError(t, err)
	t.Cleanup(func() { _ = closeRegistry() })
	return Start(t, h, opts)
}

// Start serves a handler.
func Start(t testing.TB, h http.Handler, opts Options) *httptest.Server {
	if opts.Wrap != nil {
		h = opts.Wrap(h)
	}
	s := httptest.NewUnstartedServer(h)
	if opts.TLS != nil {
		s.TLS = opts.TLS
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// Docker starts Debian's docker-registry, version 2.8, and returns its host.
func Docker(t testing.TB) string {
	program, err := exec.LookPath("docker-registry")
	require.NoError(t, err, "docker-registry is not here: run make test, which installs it, or apt-get install docker-registry")
	dir := t.TempDir()
	host := freeAddress(t)
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}, delete: {enabled: true}}\nhttp: {addr: %q}\n",
		filepath.Join(dir, "data"), host)
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	cmd := exec.Command(program, "serve", config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		resp, err := http.Get("http://" + host + "/v2/")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 10*time.Second, 20*time.Millisecond, "docker-registry did not start")
	return host
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // only its address was wanted
	return l.Addr().String()
}

// Fault is what happens to matching requests.
type Fault struct {
	Method string // "" is any
	Path   string // a part of the path
	Times  int    // how often; 0 is always
	Do     http.HandlerFunc
	// Through, if set, gets the registry's own handler instead of Do.
	Through func(http.Handler, http.ResponseWriter, *http.Request)
}

// Requests records what a registry was asked.
type Requests struct {
	lines chan string
}

// NewRequests returns an empty record.
func NewRequests() *Requests { return &Requests{lines: make(chan string, 100_000)} }

// Lines returns METHOD PATH of every request since the last call.
func (r *Requests) Lines() []string {
	var out []string
	for {
		select {
		case l := <-r.lines:
			out = append(out, l)
		default:
			return out
		}
	}
}

// Count returns how many of lines begin with a prefix.
func Count(lines []string, prefix string) int {
	n := 0
	for _, l := range lines {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

// Wrap records every request that reaches h.
func (r *Requests) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.lines <- req.Method + " " + req.URL.Path
		h.ServeHTTP(w, req)
	})
}
