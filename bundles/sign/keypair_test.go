package sign

import (
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/durable"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	out := []string{}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestKeyPairFiles(t *testing.T) {
	prefix := newPair(t)
	require.Equal(t, []string{"k.key", "k.pub"}, names(t, filepath.Dir(prefix)))
	for suffix, want := range map[string]struct {
		mode  fs.FileMode
		block string
	}{
		".key": {0o600, "ENCRYPTED SIGSTORE PRIVATE KEY"},
		".pub": {0o644, "PUBLIC KEY"},
	} {
		info, err := os.Stat(prefix + suffix)
		require.NoError(t, err)
		require.Equal(t, want.mode, info.Mode())
		data, err := os.ReadFile(prefix + suffix)
		require.NoError(t, err)
		block, rest := pem.Decode(data)
		require.NotNil(t, block)
		require.Equal(t, want.block, block.Type)
		require.Empty(t, rest)
	}
}

func TestKeyPairNeverOverwrites(t *testing.T) {
	asked := func() ([]byte, error) { t.Error("a passphrase was asked for"); return nil, nil }
	for _, suffix := range []string{".key", ".pub"} {
		prefix := filepath.Join(t.TempDir(), "k")
		require.NoError(t, os.WriteFile(prefix+suffix, []byte("mine"), 0o600))
		err := WriteKeyPair(prefix, asked)
		require.ErrorIs(t, err, durable.ErrExists)
		require.ErrorContains(t, err, prefix+suffix)
		hasRemedy(t, err, "choose another --out")
		require.Equal(t, []string{"k" + suffix}, names(t, filepath.Dir(prefix)))
	}
	// A link that leads nowhere is a name that is taken, too.
	prefix := filepath.Join(t.TempDir(), "k")
	require.NoError(t, os.Symlink("nowhere", prefix+".key"))
	require.ErrorIs(t, WriteKeyPair(prefix, asked), durable.ErrExists)
}

// A file that appears while the passphrase is typed is kept, and what was
// written before it is found is taken away again.
func TestKeyPairFailsWhole(t *testing.T) {
	for _, suffix := range []string{".key", ".pub"} {
		prefix := filepath.Join(t.TempDir(), "k")
		err := WriteKeyPair(prefix, func() ([]byte, error) {
			return []byte("x"), os.WriteFile(prefix+suffix, []byte("mine"), 0o600)
		})
		require.ErrorIs(t, err, durable.ErrExists)
		require.Equal(t, []string{"k" + suffix}, names(t, filepath.Dir(prefix)))
		data, err := os.ReadFile(prefix + suffix)
		require.NoError(t, err)
		require.Equal(t, "mine", string(data))
	}
}

func TestKeyPairWithoutPassphraseOrFolder(t *testing.T) {
	stop := errors.New("no terminal")
	dir := t.TempDir()
	require.ErrorIs(t, WriteKeyPair(filepath.Join(dir, "k"), func() ([]byte, error) { return nil, stop }), stop)

	asked := func() ([]byte, error) { t.Error("a passphrase was asked for"); return nil, nil }
	err := WriteKeyPair(filepath.Join(dir, "none", "k"), asked)
	require.ErrorIs(t, err, os.ErrNotExist)
	hasRemedy(t, err, "make the folder")
	for _, prefix := range []string{"", dir + string(filepath.Separator)} {
		hasRemedy(t, WriteKeyPair(prefix, asked), "add a name")
	}
	require.Empty(t, names(t, dir))
}
