package release

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/mirror/serve"
)

// upstream serves the lab's images under the names of the registries that they
// have upstream.
type upstream struct {
	proxy     string // URL of the proxy by which it is reached
	authority []byte // of its certificate, PEM
	closers   []func()
}

// startUpstream serves the data folder of a registry in which images stand as
// HOST/REPOSITORY:TAG.
func startUpstream(ctx context.Context, data string) (*upstream, error) {
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
	server := httptest.NewUnstartedServer(byHost(registry))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	proxy := httptest.NewServer(tunnel(server.Listener.Addr().String()))
	return &upstream{proxy: proxy.URL, authority: own.Pair().Certificate,
		closers: []func(){proxy.Close, server.Close, func() { _ = closeRegistry() }}}, nil
}

func (u *upstream) close() {
	for _, c := range u.closers {
		c()
	}
}

// byHost finds the repositories of each registry below its name.
func byHost(registry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
