package bootstrap_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/bootstrap/bootstraptest"
	"github.com/sealift/sealift/test/lab/engine"
	"github.com/sealift/sealift/test/lab/site"
)

// needsEngine skips unless LAB_TEST asks for tests with a container engine.
func needsEngine(t *testing.T) *engine.Engine {
	t.Helper()
	if os.Getenv("LAB_TEST") == "" {
		t.Skip("set LAB_TEST=1 to make clusters in a built lab")
	}
	e, err := engine.Find(t.Context())
	require.NoError(t, err)
	const network = "sealift-bootstrap-test"
	t.Setenv("KIND_EXPERIMENTAL_DOCKER_NETWORK", network)
	t.Cleanup(func() { _, _ = e.Run(context.WithoutCancel(t.Context()), "network", "rm", network) })
	return e
}

func TestKind(t *testing.T) {
	e := needsEngine(t)
	lab, err := site.Open(t.Context(), ".", site.Options{Log: t.Logf})
	require.NoError(t, err)
	names, err := lab.LoadNodes(t.Context(), e)
	require.NoError(t, err)
	dirs := t.TempDir()
	bootstraptest.Run(t, func(t *testing.T) bootstrap.Bootstrap {
		return bootstrap.NewKind(bootstrap.KindOptions{Name: "sealift-bootstrap-test", Dir: filepath.Join(dirs, filepath.Base(t.Name())), Image: names.Full})
	})
}

// The node image of a bundle is loaded into the engine, under a name of its
// digest; that it is none shows only afterwards.
func TestKindLoadsItsNodeFromTheBundle(t *testing.T) {
	e := needsEngine(t)
	b := archivetest.New(t)
	d := image(t, b, "/node", layer(t, entry{name: "node", data: []byte("none")}))
	b.Root("docker.io/kindest/node:v1", d)
	k := bootstrap.NewKind(bootstrap.KindOptions{Name: "sealift-bootstrap-load", Dir: filepath.Join(t.TempDir(), "kind"), Image: "docker.io/kindest/node:v1",
		From: archivetest.Open(t, b.Write()), NodeImage: d})
	_, err := k.Start(t.Context())
	require.Error(t, err)
	require.NotContains(t, err.Error(), "loading the node image")
	tag := "sealift.local/sealift-bootstrap-load:" + d.Digest.Encoded()[:32]
	_, err = e.Run(t.Context(), "image", "inspect", tag)
	require.NoError(t, err)
	require.NoError(t, k.Remove(t.Context()))
	_, err = e.Run(t.Context(), "image", "inspect", tag)
	require.Error(t, err)
}

// A network without nodes is something that is left, also when the folder has gone.
func TestKindLeavesNoNetwork(t *testing.T) {
	e := needsEngine(t)
	k := bootstrap.NewKind(bootstrap.KindOptions{Name: "sealift-bootstrap-left", Dir: filepath.Join(t.TempDir(), "kind"), Image: "none"})
	there, err := k.Exists(t.Context())
	require.NoError(t, err)
	require.False(t, there)
	_, err = e.Run(t.Context(), "network", "create", "sealift-bootstrap-left")
	require.NoError(t, err)
	there, err = k.Exists(t.Context())
	require.NoError(t, err)
	require.True(t, there)
	require.NoError(t, k.Remove(t.Context()))
	there, err = k.Exists(t.Context())
	require.NoError(t, err)
	require.False(t, there)
}
