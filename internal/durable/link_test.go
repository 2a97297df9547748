package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Where nothing can be renamed without replacing, a link does it.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	require.NoError(t, os.WriteFile(from, []byte("new"), 0o600))
	require.NoError(t, link(from, to))
	require.NoFileExists(t, from)
	require.NoError(t, os.WriteFile(from, []byte("another"), 0o600))
	require.ErrorIs(t, link(from, to), fs.ErrExist)
	require.ErrorIs(t, rename(from, to), fs.ErrExist)
	data, err := os.ReadFile(to)
	require.NoError(t, err)
	require.Equal(t, "new", string(data))
	require.FileExists(t, from)
}
