package serve_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/images"
	"github.com/sealift/sealift/test/registries"
)

// start serves bundles and returns the host.
func start(t *testing.T, readers ...*archive.Reader) string {
	m, err := mirror.ParseMapping("", nil)
	require.NoError(t, err)
	h, err := serve.Bundles(t.Context(), readers, m)
	require.NoError(t, err)
	return registries.Host(registries.Start(t, h, registries.Options{}))
}

func get(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(header) && header[i] != ""; i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp, string(data)
}

func TestPullFromBundles(t *testing.T) {
	other := archivetest.New(t)
	other.Root("docker.io/library/other:1", other.Image("amd64", "other"))
	r := archivetest.Open(t, archivetest.Sample(t).Write())
	host := start(t, r, archivetest.Open(t, other.Write()))
	for _, root := range r.Statement().Roots {
		_, path, _ := strings.Cut(root.Reference, "/")
		for _, ref := range []string{path, strings.Split(path, ":")[0] + "@" + root.Descriptor.Digest.String()} {
			got, err := images.Pull(host+"/"+ref, "linux/s390x")
			require.NoError(t, err)
			require.Equal(t, root.Descriptor.Digest.String(), got)
		}
	}
	_, err := images.Pull(host + "/library/other:1")
	require.NoError(t, err)
}

func TestSkopeoReadsTheEndpoint(t *testing.T) {
	_, err := exec.LookPath("skopeo")
	require.NoError(t, err, "skopeo is not here: run make test, which installs it, or apt-get install skopeo")
	host := start(t, archivetest.Open(t, archivetest.Sample(t).Write()))
	out, err := exec.CommandContext(t.Context(), "skopeo", "inspect", "--raw", "--tls-verify=false", "docker://"+host+"/library/multi:2").CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "arm64")
}

func TestProtocol(t *testing.T) {
	r := archivetest.Open(t, archivetest.Sample(t).Write())
	base := "http://" + start(t, r)
	layer := ""
	for _, b := range r.Statement().Blobs {
		if b.Size == int64(len("shared layer")) {
			layer = b.Digest.String()
		}
	}
	absent := r.Statement().Roots[2].Absent[0].Digest.String()
	for _, c := range []struct {
		method, path, header, value string
		status                      int
		body                        string
	}{
		{"GET", "/v2/", "", "", 200, ""},
		{"GET", "/v2/library/plain/blobs/" + layer, "", "", 200, "shared layer"},
		{"GET", "/v2/library/plain/blobs/" + layer, "Range", "bytes=2-5", 206, "ared"},
		{"GET", "/v2/library/plain/blobs/" + layer, "Range", "bytes=7-", 206, "layer"},
		{"GET", "/v2/library/plain/blobs/" + layer, "Range", "bytes=-5", 206, "layer"},
		{"GET", "/v2/library/plain/blobs/" + layer, "Range", "bytes=99-", 416, ""},
		{"HEAD", "/v2/library/plain/blobs/" + layer, "", "", 200, ""},
		{"GET", "/v2/library/plain/manifests/1?ns=docker.io", "", "", 200, `"schemaVersion":2`},
		{"GET", "/v2/team/sparse/blobs/" + layer, "", "", 404, "BLOB_UNKNOWN"},
		{"GET", "/v2/no/such/blobs/" + layer, "", "", 404, "NAME_UNKNOWN"},
		{"GET", "/v2/no/such/manifests/1", "", "", 404, "NAME_UNKNOWN"},
		{"GET", "/v2/library/plain/manifests/9", "", "", 404, "MANIFEST_UNKNOWN"},
		{"GET", "/v2/team/sparse/manifests/" + absent, "", "", 404, "left out of the bundle on purpose"},
		{"POST", "/v2/library/plain/blobs/uploads/", "", "", 405, "read-only"},
		{"PUT", "/v2/library/plain/manifests/1", "", "", 405, "UNSUPPORTED"},
		{"DELETE", "/v2/library/plain/manifests/1", "", "", 405, "UNSUPPORTED"},
		{"GET", "/v2/library/plain/tags/list", "", "", 200, `"tags":["1"]`},
		{"GET", "/v2/_catalog", "", "", 200, `["library/multi","library/plain","team/sparse"]`},
		{"GET", "/v2/_catalog?n=1", "", "", 200, `["library/multi"]`},
		{"GET", "/v2/_catalog?n=1&last=library/multi", "", "", 200, `["library/plain"]`},
		{"GET", "/v2/library/plain/blobs/sha256:..%2f..%2fetc", "", "", 404, ""},
	} {
		resp, body := get(t, c.method, base+c.path, c.header, c.value)
		require.Equal(t, c.status, resp.StatusCode, "%s %s %s", c.method, c.path, c.value)
		require.Contains(t, body, c.body, "%s %s", c.method, c.path)
	}
}

func TestReferrers(t *testing.T) {
	b := archivetest.New(t)
	image := b.Image("amd64", "x")
	subject := content.Descriptor{MediaType: image.MediaType, Digest: image.Digest, Size: image.Size}
	empty := b.Blob("application/vnd.oci.empty.v1+json", []byte("{}"))
	sbom := b.Document(ocispec.MediaTypeImageManifest, ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: "application/spdx+json", Config: empty, Layers: []content.Descriptor{empty}, Subject: &subject})
	b.Root("docker.io/library/x:1", image)
	b.Root("docker.io/library/x:sbom", sbom)
	base := "http://" + start(t, archivetest.Open(t, b.Write()))
	list := func(query string) []content.Descriptor {
		resp, body := get(t, "GET", base+"/v2/library/x/referrers/"+image.Digest.String()+query)
		require.Equal(t, 200, resp.StatusCode)
		var index ocispec.Index
		require.NoError(t, json.Unmarshal([]byte(body), &index))
		return index.Manifests
	}
	require.Len(t, list(""), 1)
	require.Equal(t, "application/spdx+json", list("")[0].ArtifactType)
	require.Len(t, list("?artifactType=application/spdx%2Bjson"), 1)
	require.Empty(t, list("?artifactType=other"))
}

func TestBundlesThatDisagree(t *testing.T) {
	one, two := archivetest.New(t), archivetest.New(t)
	one.Root("docker.io/library/x:1", one.Image("amd64", "one"))
	two.Root("docker.io/library/x:1", two.Image("amd64", "two"))
	m, err := mirror.ParseMapping("", nil)
	require.NoError(t, err)
	_, err = serve.Bundles(t.Context(), []*archive.Reader{archivetest.Open(t, one.Write()), archivetest.Open(t, two.Write())}, m)
	require.ErrorIs(t, err, mirror.ErrCollision)
}

func TestServerWithTLS(t *testing.T) {
	ca := registries.NewAuthority(t)
	cert, key := ca.Issue("server", time.Now().Add(time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan string, 1)
	done := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	go func() {
		done <- serve.Run(ctx, handler, serve.ServerOptions{Addr: "127.0.0.1:0", CertFile: cert, KeyFile: key, Listening: func(url string) { ready <- url }})
	}()
	url := <-ready
	require.True(t, strings.HasPrefix(url, "https://"))
	pool := x509.NewCertPool()
	data, err := os.ReadFile(ca.File)
	require.NoError(t, err)
	pool.AppendCertsFromPEM(data)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	resp, err := client.Get(url)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	client.CloseIdleConnections()

	err = serve.Run(ctx, handler, serve.ServerOptions{Addr: strings.TrimPrefix(url, "https://")})
	require.Contains(t, strings.Join(problem.Remedies(err), ""), "--addr")
	require.Error(t, serve.Run(ctx, handler, serve.ServerOptions{Addr: "127.0.0.1:0", CertFile: cert}))
	cancel()
	require.NoError(t, <-done)
}

// What is printed is what clients can use.
func TestTheAddressOfAServer(t *testing.T) {
	name, err := os.Hostname()
	require.NoError(t, err)
	for addr, want := range map[string]string{"0.0.0.0:0": name, "[::]:0": name, ":0": name, "localhost:0": "localhost", "127.0.0.1:0": "127.0.0.1", "[::1]:0": "::1"} {
		ctx, cancel := context.WithCancel(t.Context())
		var got string
		err := serve.Run(ctx, http.NotFoundHandler(), serve.ServerOptions{Addr: addr, Listening: func(url string) { got = url; cancel() }})
		if strings.HasPrefix(addr, "[") && err != nil {
			t.Logf("this machine has no IPv6: %v", err)
			cancel()
			continue
		}
		require.NoError(t, err)
		u, err := url.Parse(got)
		require.NoError(t, err, got)
		require.Equal(t, want, u.Hostname(), addr)
		require.NotEqual(t, "0", u.Port())
	}
}

func TestRegistryRefuses(t *testing.T) {
	dir := t.TempDir()
	h, closeRegistry, err := serve.Registry(t.Context(), serve.RegistryOptions{Data: dir})
	require.NoError(t, err)
	_, _, err = serve.Registry(t.Context(), serve.RegistryOptions{Data: dir})
	require.ErrorIs(t, err, serve.ErrBusy)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v2/", nil))
	require.Equal(t, 200, w.Code)
	require.NoError(t, closeRegistry())
	for name, text := range map[string]string{"nobody": "\n", "md5": "user:$apr1$x\n"} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, _, err = serve.Registry(t.Context(), serve.RegistryOptions{Data: dir, Htpasswd: file})
		require.Contains(t, strings.Join(problem.Remedies(err), ""), "sealift registry user NAME --htpasswd "+file)
	}
	_, _, err = serve.Registry(t.Context(), serve.RegistryOptions{Data: dir, Htpasswd: filepath.Join(dir, "nothere")})
	require.Error(t, err)
	require.NoFileExists(t, filepath.Join(dir, "nothere"))
}

func TestServeDelta(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/team/a:latest", b.Image("amd64", "shared layer", "old"))
	base := archivetest.Open(t, b.Write())
	b = archivetest.New(t)
	b.Root("docker.io/team/a:latest", b.Image("amd64", "shared layer", "new"))
	b.Over(base)
	delta := archivetest.Open(t, b.Write())

	m, err := mirror.ParseMapping("", nil)
	require.NoError(t, err)
	_, err = serve.Bundles(t.Context(), []*archive.Reader{delta}, m)
	require.ErrorIs(t, err, mirror.ErrBaseMissing)
	require.ErrorContains(t, err, "2 blobs, ")
	require.Contains(t, problem.Remedies(err)[0], "serve DELTA BASE")

	for _, readers := range [][]*archive.Reader{{delta, base}, {base, delta}} {
		got, err := images.Pull(start(t, readers...) + "/team/a:latest")
		require.NoError(t, err)
		require.Equal(t, delta.Statement().Roots[0].Descriptor.Digest.String(), got, "of a delta and its base, the delta counts")
	}
}
