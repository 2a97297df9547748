//go:build e2e

package e2e_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/lab/images"
	"github.com/sealift/sealift/test/lab/upstream"
)

// TestDockerLoads reads the bundle with Docker, as if it came from docker save,
// and starts a container of what it loaded.
func TestDockerLoads(t *testing.T) {
	s := openSite(t)
	s.bundle(t)
	names, err := images.Names(s.lab.Images())
	require.NoError(t, err)
	t.Cleanup(func() {
		s.engine.Run(context.Background(), append([]string{"image", "rm", "--force", upstream.SealiftImage}, names...)...)
	}) // they may be missing
	out, err := s.engine.Run(t.Context(), "load", "--input", filepath.Join(s.dir, "plane.tar"))
	require.NoError(t, err, out)
	for _, name := range names {
		familiar := strings.TrimPrefix(strings.TrimPrefix(name, "docker.io/"), "library/") // as Docker says it
		require.Contains(t, out, "Loaded image: "+familiar)
	}
	out, err = s.engine.Run(t.Context(), "run", "--rm", "--pull=never", "--network=none", images.Busybox, "echo", "it runs")
	require.NoError(t, err, out)
	require.Contains(t, out, "it runs")
}
