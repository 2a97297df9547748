package discovery_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/discovery"
	"github.com/sealift/sealift/internal/problem"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.yaml", "b/c.yml", "b/d.json", "b/README.md", ".git/e.yaml", "chart/Chart.yaml", "chart/templates/f.yaml",
		"pack/pack.json", "pack/values.yaml", "g.tgz"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte("kind: X\n"), 0o600))
	}
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "h.yaml")))

	in, err := discovery.Open(dir)
	require.NoError(t, err)
	var sources []string
	for _, d := range in.Documents {
		require.Equal(t, "kind: X\n", string(d.Data))
		sources = append(sources, d.Source)
	}
	require.Equal(t, []string{filepath.ToSlash(dir) + "/a.yaml", filepath.ToSlash(dir) + "/b/c.yml", filepath.ToSlash(dir) + "/b/d.json"}, sources)
	require.Equal(t, []string{filepath.Join(dir, "chart")}, in.Charts)
	require.Equal(t, []string{filepath.Join(dir, "pack")}, in.Packs)

	in, err = discovery.Open(filepath.Join(dir, "b", "README.md"))
	require.NoError(t, err)
	require.Len(t, in.Documents, 1, "a file that is named is read, whatever its name")
	in, err = discovery.Open(filepath.Join(dir, "g.tgz"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "g.tgz")}, in.Charts)
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := discovery.Open(filepath.Join(dir, "nothere"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.Equal(t, problem.Usage, problem.KindOf(err))

	large := filepath.Join(dir, "large.yaml")
	require.NoError(t, os.WriteFile(large, nil, 0o600))
	require.NoError(t, os.Truncate(large, 65<<20))
	_, err = discovery.Open(large)
	require.ErrorContains(t, err, "large.yaml has more than")
}
