package release

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/images"
)

// consoleImage is the image that the console's chart asks for.
const consoleImage = "docker.io/sealift/systemconsole:0.1.0"

// upstream serves the lab's images, and the suite's own, under the names of the
// registries that they have upstream.
type upstream struct {
	own       string // HOST:PORT of the registry of the suite's own images
	proxy     string // URL of the proxy by which it is reached
	authority []byte // of its certificate, PEM
	closers   []func()
}

// startUpstream serves the data folder of a registry in which images stand as
// HOST/REPOSITORY:TAG, and a new one for the suite's own images.
func startUpstream(ctx context.Context, data, ownData string) (*upstream, error) {
	own, err := authority.New("lab", time.Hour)
	if err != nil {
		return nil, err
	}
	pair, err := own.Issue(authority.Leaf{Name: "upstream", Validity: time.Hour,
		DNSNames: []string{"registry.k8s.io", "ghcr.io", "docker.io", "registry-1.docker.io", "lab.sealift.test"}})
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return nil, err
	}
	registry, closeRegistry, err := serve.Registry(ctx, serve.RegistryOptions{Data: data})
	if err != nil {
		return nil, err
	}
	suite, closeSuite, err := serve.Registry(ctx, serve.RegistryOptions{Data: ownData})
	if err != nil {
		return nil, errors.Join(err, closeRegistry())
	}
	ownServer := httptest.NewServer(suite)
	server := httptest.NewUnstartedServer(byHost(registry, suite))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	proxy := httptest.NewServer(tunnel(server.Listener.Addr().String()))
	return &upstream{own: ownServer.Listener.Addr().String(), proxy: proxy.URL, authority: own.Pair().Certificate,
		closers: []func(){proxy.Close, server.Close, ownServer.Close, func() { _ = errors.Join(closeRegistry(), closeSuite()) }}}, nil
}

// addConsole adds the image of the system console's program.
func (u *upstream) addConsole(program string) error {
	_, err := images.PushProgram(strings.Replace(consoleImage, "docker.io", u.own, 1), map[string]string{"linux/" + runtime.GOARCH: program})
	return err
}

func (u *upstream) close() {
	for _, c := range u.closers {
		c()
	}
}

// byHost finds the repositories of each registry below its name; those below
// sealift/ are the suite's own.
func byHost(registry, suite http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v2/sealift/") {
			suite.ServeHTTP(w, r)
			return
		}
		if rest, ok := strings.CutPrefix(r.URL.Path, "/v2/"); ok && rest != "" {
			r.URL.Path = "/v2/" + strings.Replace(r.Host, "registry-1.docker.io", "docker.io", 1) + "/" + rest
		}
		registry.ServeHTTP(w, r)
	})
}

// tunnel is a proxy that leads every CONNECT to one address.
func tunnel(to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
			return
		}
		there, err := net.Dial("tcp", to)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusOK)
		here, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = there.Close()
			return
		}
		go func() {
			_, _ = io.Copy(there, buffered)
			_ = there.Close()
		}()
		_, _ = io.Copy(here, there)
		_ = here.Close()
	})
}
