// Package golden compares what code makes with the file that keeps it.
package golden

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Equal requires that a text is what the file says. With GOLDEN=update in the
// environment the file is written anew.
func Equal(t *testing.T, file string, got []byte) {
	t.Helper()
	if os.Getenv("GOLDEN") == "update" {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, got, 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}
