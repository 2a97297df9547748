package runtimeconfig_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	containerd "github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/runtimeconfig"
	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/registries"
	"github.com/sealift/sealift/test/runtimes"
)

const plainImage = "docker.io/library/plain:1"

// darkSite is a registry with a certificate of the site's own authority that
// serves a bundle below a prefix.
type darkSite struct {
	host     string
	mapping  *mirror.Mapping
	ca       []byte
	digest   string // of plainImage
	images   []string
	requests *registries.Requests
}

func newDarkSite(t *testing.T) *darkSite {
	b := archivetest.New(t)
	plain := b.Image("amd64", "a layer", "another")
	b.Root(plainImage, plain)
	b.Root("quay.io/team/app:2", b.Image("amd64", "a layer", "the app"))
	m, err := mirror.ParseMapping("site/mirror", []string{"quay.io=quay"})
	require.NoError(t, err)
	h, err := serve.Bundles(t.Context(), []*archive.Reader{archivetest.Open(t, b.Write())}, m)
	require.NoError(t, err)
	authority := registries.NewAuthority(t)
	ca, err := os.ReadFile(authority.File)
	require.NoError(t, err)
	requests := registries.NewRequests()
	server := registries.Start(t, h, registries.Options{TLS: authority.Server(time.Now().Add(time.Hour), false), Wrap: requests.Wrap})
	return &darkSite{host: registries.Host(server), mapping: m, ca: ca, digest: plain.Digest.String(), images: []string{plainImage, "quay.io/team/app:2"}, requests: requests}
}

// configure writes the configuration of a runtime to dir, a folder of this
// machine.
func (s *darkSite) configure(t *testing.T, runtime runtimeconfig.Runtime, dir string, opts runtimeconfig.Options) {
	opts.Dir, opts.CA, opts.Images = dir, s.ca, s.images
	config, err := runtimeconfig.New(runtime, s.host, s.mapping, opts)
	require.NoError(t, err)
	_, err = runtimeconfig.Write("/", config.Files, runtimeconfig.WriteOptions{Overwrite: true})
	require.NoError(t, err)
}

// outside stands for everything beyond the site: a proxy that notes whom a
// program wants to talk to and lets nothing through.
type outside struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newOutside(t *testing.T) *outside {
	o := &outside{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.asked = append(o.asked, r.Host)
		w.WriteHeader(http.StatusBadGateway)
	}))
	t.Cleanup(o.Close)
	return o
}

// hosts returns who was asked for since the last call.
func (o *outside) hosts() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := o.asked
	o.asked = nil
	return slices.Compact(out)
}

// run runs a program whose only way out is the proxy.
func (o *outside) run(t *testing.T, home, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "HTTPS_PROXY=" + o.URL, "HTTP_PROXY=" + o.URL}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestContainerd2Pulls(t *testing.T) {
	site, dir := newDarkSite(t), t.TempDir()
	site.configure(t, runtimeconfig.Containerd, dir, runtimeconfig.Options{Hosts: []string{runtimeconfig.EveryHost}})
	var asked []string
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: containerd.ConfigureHosts(t.Context(), containerd.HostOptions{
		HostDir:      containerd.HostDirFromRoot(dir),
		UpdateClient: func(c *http.Client) error { c.Transport = noting{c.Transport, &asked}; return nil },
	})})
	for _, image := range append(site.images, site.host+"/site/mirror/library/plain:1") {
		ref, desc, err := resolver.Resolve(t.Context(), image)
		require.NoError(t, err)
		fetcher, err := resolver.Fetcher(t.Context(), ref)
		require.NoError(t, err)
		body, err := fetcher.Fetch(t.Context(), desc)
		require.NoError(t, err)
		data, err := io.ReadAll(body)
		require.NoError(t, err)
		require.NoError(t, body.Close())
		sum := sha256.Sum256(data)
		require.Equal(t, desc.Digest.Encoded(), hex.EncodeToString(sum[:]))
	}
	for _, image := range []string{"docker.io/library/absent:1", "quay.io/team/absent:1", "ghcr.io/any/thing:1", "registry.k8s.io/pause:3.10"} {
		_, _, err := resolver.Resolve(t.Context(), image)
		require.Error(t, err)
	}
	slices.Sort(asked)
	require.Equal(t, []string{site.host}, slices.Compact(asked))
}

// noting notes the hosts that are asked.
type noting struct {
	http.RoundTripper
	hosts *[]string
}

func (n noting) RoundTrip(r *http.Request) (*http.Response, error) {
	*n.hosts = append(*n.hosts, r.URL.Host)
	return n.RoundTripper.RoundTrip(r)
}

// TestContainerdPulls pulls with the containerd of the system, 1.6 on Debian 12.
func TestContainerdPulls(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("containerd runs as root only")
	}
	site, home, away := newDarkSite(t), t.TempDir(), newOutside(t)
	socket := runtimes.Containerd(t)
	certs := filepath.Join(home, "certs.d")
	fetch := func(image string) (string, error) {
		return away.run(t, home, "ctr", "-a", socket, "content", "fetch", "--hosts-dir", certs, image)
	}
	site.configure(t, runtimeconfig.Containerd, certs, runtimeconfig.Options{})
	for _, image := range site.images {
		out, err := fetch(image)
		require.NoError(t, err, out)
	}
	out, err := away.run(t, home, "ctr", "-a", socket, "images", "ls")
	require.NoError(t, err)
	require.Contains(t, out, plainImage)
	require.Contains(t, out, site.digest)
	_, err = fetch("docker.io/library/absent:1")
	require.Error(t, err)
	require.Empty(t, away.hosts())

	site.configure(t, runtimeconfig.Containerd, certs, runtimeconfig.Options{Fallback: true})
	_, err = fetch("docker.io/library/absent:1")
	require.Error(t, err)
	require.Equal(t, []string{"registry-1.docker.io:443"}, away.hosts())
}

func TestSkopeoPulls(t *testing.T) {
	_, err := exec.LookPath("skopeo")
	require.NoError(t, err, "skopeo is not here: run make test, which installs it, or apt-get install skopeo")
	site, home, away := newDarkSite(t), t.TempDir(), newOutside(t)
	containers := filepath.Join(home, ".config", "containers") // the user's /etc/containers
	site.configure(t, runtimeconfig.CRIO, containers, runtimeconfig.Options{})
	for _, image := range site.images {
		out, err := away.run(t, home, "skopeo", "copy", "--insecure-policy", "docker://"+image, "dir:image")
		require.NoError(t, err, out)
	}
	out, err := away.run(t, home, "skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}", "docker://"+plainImage)
	require.NoError(t, err, out)
	require.Contains(t, out, site.digest)
	require.Positive(t, registries.Count(site.requests.Lines(), "GET /v2/site/mirror/library/plain/blobs/"))
	out, err = away.run(t, home, "skopeo", "inspect", "--no-tags", "docker://docker.io/library/absent:1")
	require.Error(t, err)
	require.Contains(t, out, "blocked")
	require.Empty(t, away.hosts())

	site.configure(t, runtimeconfig.CRIO, containers, runtimeconfig.Options{Fallback: true})
	out, err = away.run(t, home, "skopeo", "inspect", "--no-tags", "docker://"+plainImage)
	require.NoError(t, err, out)
	require.Empty(t, away.hosts())
	_, err = away.run(t, home, "skopeo", "inspect", "--no-tags", "docker://docker.io/library/absent:1")
	require.Error(t, err)
	require.Equal(t, []string{"registry-1.docker.io:443"}, away.hosts())

	// Without the authority, the registry is not trusted.
	require.NoError(t, os.RemoveAll(filepath.Join(containers, "certs.d")))
	out, err = away.run(t, home, "skopeo", "inspect", "--no-tags", "docker://"+plainImage)
	require.Error(t, err, out)
}
