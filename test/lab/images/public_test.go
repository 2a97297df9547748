package images

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror/serve"
)

// internet leads every registry to one that has their images as HOST/REPOSITORY.
type internet struct{ server *url.URL }

func (i internet) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if rest := strings.TrimPrefix(r.URL.Path, "/v2/"); rest != "" {
		r.URL.Path = "/v2/" + strings.Replace(r.URL.Host, "index.", "", 1) + "/" + rest
	}
	r.URL.Scheme, r.URL.Host, r.Host = i.server.Scheme, i.server.Host, ""
	return http.DefaultTransport.RoundTrip(r)
}

// published starts a registry that has these images.
func published(t *testing.T, all ...Image) PublicOptions {
	t.Helper()
	dir, data := t.TempDir(), t.TempDir()
	require.NoError(t, WriteLayout(t.Context(), dir, all))
	require.NoError(t, FillRegistry(t.Context(), dir, data))
	handler, closeRegistry, err := serve.Registry(t.Context(), serve.RegistryOptions{Data: data})
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		require.NoError(t, closeRegistry())
	})
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	return PublicOptions{Transport: internet{u}}
}

func text(name, content string) Image {
	return Image{Name: name, Files: Files{"text": {Text: content}}, Config: v1.Config{}}
}

func TestPublishedImagesAreTaken(t *testing.T) {
	opts := published(t, text("registry.k8s.io/pause:3.10.1", "published"), text("docker.io/library/busybox:1.37.0", "published"))
	ours := []Image{text("registry.k8s.io/pause:3.10.1", "source"), text("docker.io/library/busybox:1.37.0", "source"), text(Netd, "source")}
	dir := t.TempDir()
	require.NoError(t, WritePublic(t.Context(), dir, ours, opts))
	names, err := Names(dir)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"registry.k8s.io/pause:3.10.1", "docker.io/library/busybox:1.37.0", Netd}, names)
	require.NoError(t, FillRegistry(t.Context(), dir, t.TempDir()), "the upstream is filled from it")
}

func TestPublicRegistryThatCannotBeReached(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	u, err := url.Parse(closed.URL)
	require.NoError(t, err)
	err = WritePublic(t.Context(), t.TempDir(), []Image{text("registry.k8s.io/pause:3.10.1", "")}, PublicOptions{Transport: internet{u}})
	require.ErrorContains(t, err, "registry.k8s.io cannot be reached: copying registry.k8s.io/pause:3.10.1")
	require.Contains(t, problem.Remedies(err)[0], "unset LAB_SOURCE")
	require.Equal(t, problem.Preflight, problem.KindOf(err))
}

func TestPublicRegistryWithoutTheImage(t *testing.T) {
	opts := published(t, text("registry.k8s.io/pause:3.10.1", ""))
	err := WritePublic(t.Context(), t.TempDir(), []Image{text("registry.k8s.io/pause:9", "")}, opts)
	require.ErrorContains(t, err, "copying registry.k8s.io/pause:9")
	require.Contains(t, problem.Remedies(err)[0], "registry.k8s.io answers, but does not give the image")
}
