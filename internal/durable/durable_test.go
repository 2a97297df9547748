package durable_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/durable"
)

func TestWriteFileReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, durable.WriteFile(path, []byte("one"), 0o600))
	require.NoError(t, durable.WriteFile(path, []byte("two"), 0o640))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "two", string(data))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o640, info.Mode().Perm())
	onlyFile(t, path)
}

// A folder, a device or a pipe is never replaced, and no link is followed.
func TestWriteFileReplacesFilesAlone(t *testing.T) {
	dir := t.TempDir()
	pipe, link, path := filepath.Join(dir, "pipe"), filepath.Join(dir, "link"), filepath.Join(dir, "f")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, name := range []string{dir, pipe, os.DevNull} {
		require.Error(t, durable.WriteFile(name, []byte("x"), 0o600), name)
	}
	info, err := os.Stat(pipe)
	require.NoError(t, err)
	require.Equal(t, os.ModeNamedPipe, info.Mode().Type())
	require.NoError(t, os.WriteFile(path, []byte("one"), 0o600))
	require.NoError(t, os.Symlink("f", link))
	require.NoError(t, durable.WriteFile(link, []byte("two"), 0o600))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "one", string(data))
	err = durable.WriteFile(filepath.Join(dir, "nowhere", "f"), nil, 0o600)
	require.ErrorContains(t, err, filepath.Join(dir, "nowhere", "f")+":", "the name that was asked for")
}

// Whoever reads a file that is rewritten, such as a service of another user, goes
// on reading it.
func TestRewriteKeepsWhoMayRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, durable.Rewrite(path, []byte("one"), 0o600))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	require.NoError(t, os.Chmod(path, 0o640))
	const service = 12345
	owner := os.Getuid()
	if owner == 0 {
		require.NoError(t, os.Chown(path, service, service))
		owner = service
	}
	require.NoError(t, durable.Rewrite(path, []byte("two"), 0o600))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "two", string(data))
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o640, info.Mode().Perm())
	require.EqualValues(t, owner, info.Sys().(*syscall.Stat_t).Uid)
	onlyFile(t, path)
	require.Error(t, durable.Rewrite(filepath.Dir(path), nil, 0o600))
}

func TestWriteNewNeverReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	require.NoError(t, durable.WriteNew(path, []byte("one"), 0o600))
	require.ErrorIs(t, durable.WriteNew(path, []byte("two"), 0o600), durable.ErrExists)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "one", string(data))
	onlyFile(t, path)
	require.Error(t, durable.WriteNew(filepath.Join(path, "below a file"), nil, 0o600))
}

// What a killed write leaves is known by its name, and nothing else is taken for it.
func TestTemporary(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), ".ports.json.*") // as a write does
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.True(t, durable.Temporary(filepath.Base(f.Name()), "ports.json"))
	for _, name := range []string{"ports.json", ".ports.json", ".ports.json.", ".ports.json.1a", ".other.json.12", "ports.json.12"} {
		require.False(t, durable.Temporary(name, "ports.json"), name)
	}
}

// onlyFile checks that nothing was left beside path.
func onlyFile(t *testing.T, path string) {
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)
}
