// Package enginetest makes images of one program for tests of what runs in
// containers.
package enginetest

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/lab/engine"
)

// Image compiles a command of a test's folder, such as ./testdata/guest, into
// an image of the engine that starts it, and is removed with the test. The
// program is /guest there; links are further names of it, as bin/ip.
func Image(t testing.TB, e *engine.Engine, image, command string, links ...string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "guest")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, command)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	data, err := os.ReadFile(program)
	require.NoError(t, err)
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "guest", Mode: 0o755, Size: int64(len(data))}))
	_, err = w.Write(data)
	require.NoError(t, err)
	for _, link := range links {
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: filepath.Dir(link) + "/", Mode: 0o755}))
		require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: link, Linkname: "/guest"}))
	}
	require.NoError(t, w.Close())
	_, err = e.RunWith(t.Context(), &root, "import", "--change", `ENTRYPOINT ["/guest"]`, "-", image)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = e.Run(context.WithoutCancel(t.Context()), "image", "rm", image) })
}
