package peers_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/registries"
)

// TestOrasPullsPacks gets the files of a pack back with stock oras: also those
// that are empty, that are the same twice, and that lie in folders.
func TestOrasPullsPacks(t *testing.T) {
	const source = "../../bundles/packs/testdata/lantern"
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			sealift(t, "pack", "push", source, host+"/site", "--plain-http", host, "--quiet")
			reference := host + "/site/spectro-packs/archive/lantern:2.4.0"
			pulled := t.TempDir()
			run(t, pulled, "oras", "pull", "--plain-http", reference)
			want, got := files(t, source), files(t, pulled)
			require.Equal(t, want, got)
			require.Contains(t, run(t, pulled, "oras", "manifest", "fetch", "--plain-http", reference), `"artifactType":"application/vnd.sealift.pack.v1"`)
		})
	}
}

// files returns the contents of all files below a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		out[name] = string(data)
		return nil
	}))
	return out
}
