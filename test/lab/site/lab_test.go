package site_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/lab/cluster"
	"github.com/sealift/sealift/test/lab/images"
	"github.com/sealift/sealift/test/lab/site"
)

// openBuilt returns the lab where LAB_TEST asks for tests that take an engine
// and a built lab.
func openBuilt(t *testing.T) *site.Lab {
	t.Helper()
	if os.Getenv("LAB_TEST") == "" {
		t.Skip("set LAB_TEST=1 to make clusters in a built lab")
	}
	lab, err := site.Open(t.Context(), ".", site.Environment(t.Logf))
	require.NoError(t, err)
	require.NoError(t, lab.Ready(t.Context()))
	return lab
}

// Nodes without images pull all of them from a registry on this machine.
func TestBareNodesPullEverything(t *testing.T) {
	lab := openBuilt(t)
	ctx := t.Context()
	e, err := lab.Engine(ctx)
	require.NoError(t, err)
	names, err := lab.LoadNodes(ctx, e)
	require.NoError(t, err)
	address, err := cluster.Network(ctx, e)
	require.NoError(t, err)
	registry, pulls := upstream(t, lab, address)

	certs := t.TempDir()
	all, err := images.Names(lab.Images())
	require.NoError(t, err)
	for _, name := range all {
		host, _, _ := strings.Cut(name, "/")
		dir := filepath.Join(certs, host)
		require.NoError(t, os.MkdirAll(dir, 0o755))
		hosts := fmt.Sprintf("[host.\"%s/v2/%s\"]\n  capabilities = [\"pull\", \"resolve\"]\n  override_path = true\n", registry, host)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(hosts), 0o644))
	}
	const name = "sealift-lab-bare"
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	t.Cleanup(func() { require.NoError(t, cluster.Delete(context.Background(), e, name, kubeconfig)) })
	_, err = cluster.Create(ctx, e, name, cluster.Options{Image: names.Bare, Workers: 1, Kubeconfig: kubeconfig,
		Mounts: []cluster.Mount{{Host: certs, Node: "/etc/containerd/certs.d"}}})
	require.NoError(t, err)
	require.Positive(t, pulls.Load())

	programs, err := lab.Programs()
	require.NoError(t, err)
	out, err := exec.CommandContext(ctx, programs["kubectl"], "--kubeconfig", kubeconfig, "wait", "--for=condition=Ready",
		"--all", "--all-namespaces", "--timeout=120s", "pods").CombinedOutput()
	require.NoError(t, err, string(out))
	t.Logf("%d manifests and blobs were pulled\n%s", pulls.Load(), out)
}

// upstream serves the lab's images on an address, and counts what is asked for.
func upstream(t *testing.T, lab *site.Lab, address string) (url string, pulls *atomic.Int64) {
	t.Helper()
	data := t.TempDir()
	require.NoError(t, lab.LinkUpstream(data))
	handler, closeRegistry, err := serve.Registry(t.Context(), serve.RegistryOptions{Data: data})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closeRegistry()) })
	pulls = &atomic.Int64{}
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pulls.Add(1)
		handler.ServeHTTP(w, r)
	}))
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, pulls
}
