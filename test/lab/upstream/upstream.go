// Package upstream serves the lab's images, and a suite's own, under the names
// of the registries that they have on the connected side.
package upstream

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

	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/images"
)

// Images of programs of this module that its charts ask for.
const (
	SealiftImage = "docker.io/sealift/sealift:0.1.0"
	ConsoleImage = "docker.io/sealift/systemconsole:0.1.0"
)

// Hosts are the names that an upstream answers under.
func Hosts() []string {
	return []string{"registry.k8s.io", "docker.io", "registry-1.docker.io", "ghcr.io", "lab.sealift.test"}
}

// Upstream is an upstream that runs.
type Upstream struct {
	Own   string // HOST:PORT of the registry of the suite's own images
	Proxy string // URL of the proxy by which Hosts are reached

	closers []func()
}

// Start serves the data folder of a registry in which images stand as
// HOST/REPOSITORY:TAG, and a new one for the suite's own images, with a
// certificate for Hosts.
func Start(ctx context.Context, cert tls.Certificate, data, ownData string) (*Upstream, error) {
	lab, closeLab, err := serve.Registry(ctx, serve.RegistryOptions{Data: data})
	if err != nil {
		return nil, err
	}
	own, closeOwn, err := serve.Registry(ctx, serve.RegistryOptions{Data: ownData})
	if err != nil {
		return nil, errors.Join(err, closeLab())
	}
	ownServer := httptest.NewServer(own)
	server := httptest.NewUnstartedServer(byHost(lab, own))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	proxy := httptest.NewServer(tunnel(server.Listener.Addr().String()))
	return &Upstream{Own: ownServer.Listener.Addr().String(), Proxy: proxy.URL,
		closers: []func(){proxy.Close, server.Close, ownServer.Close, func() { _ = errors.Join(closeLab(), closeOwn()) }}}, nil
}

// AddProgram adds the image of a program of this module, as one of its charts
// asks for it.
func (u *Upstream) AddProgram(image, program string) error {
	_, err := images.PushProgram(strings.Replace(image, "docker.io", u.Own, 1), map[string]string{"linux/" + runtime.GOARCH: program})
	return err
}

// Close ends it.
func (u *Upstream) Close() {
	for _, c := range u.closers {
		c()
	}
}

// byHost finds the repositories of each registry below its name; those below
// sealift/ and kindest/ are the suite's own.
func byHost(lab, own http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest, ok := strings.CutPrefix(r.URL.Path, "/v2/")
		if !ok || rest == "" || strings.HasPrefix(rest, "sealift/") || strings.HasPrefix(rest, "kindest/") {
			own.ServeHTTP(w, r)
			return
		}
		r.URL.Path = "/v2/" + strings.Replace(r.Host, "registry-1.docker.io", "docker.io", 1) + "/" + rest
		lab.ServeHTTP(w, r)
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
