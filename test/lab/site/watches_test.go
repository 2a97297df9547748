package site

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWatchesAreRaisedAndPutBack(t *testing.T) {
	file := filepath.Join(t.TempDir(), "max_user_instances")
	read := func() string {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(data)
	}
	require.NoError(t, os.WriteFile(file, []byte("128\n"), 0o600))
	restore, err := raiseWatches(file)
	require.NoError(t, err)
	require.Equal(t, "1024", read())
	require.NoError(t, restore())
	require.Equal(t, "128", read())

	require.NoError(t, os.WriteFile(file, []byte("8192\n"), 0o600))
	restore, err = raiseWatches(file)
	require.NoError(t, err)
	require.NoError(t, restore())
	require.Equal(t, "8192\n", read(), "a higher limit stays")
}
