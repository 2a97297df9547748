package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is done on file systems without links.
func TestRenameNew(t *testing.T) {
	dir := t.TempDir()
	tmp, path := filepath.Join(dir, "tmp"), filepath.Join(dir, "name")
	require.NoError(t, os.WriteFile(tmp, []byte("new"), 0o644))
	require.NoError(t, renameNew(tmp, path))
	require.NoError(t, os.WriteFile(tmp, []byte("another"), 0o600))
	require.ErrorIs(t, renameNew(tmp, path), fs.ErrExist)
	require.NoFileExists(t, tmp)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(data))
}
