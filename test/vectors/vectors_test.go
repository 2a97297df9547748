package vectors_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/vectors"
)

// TestVectors checks that the good bundle verifies, and that every broken one
// is refused in the words that its row states, as a failed verification.
func TestVectors(t *testing.T) {
	key, err := sign.NewVerifier(t.Context(), "vectors.pub")
	require.NoError(t, err)
	listed := map[string]bool{}
	for _, v := range vectors.List() {
		listed[v.File] = true
		t.Run(v.File+v.MinVersion, func(t *testing.T) {
			result, err := bundles.Verify(t.Context(), v.File, bundles.OpenOptions{Verifier: key, MinVersion: v.MinVersion}, bundles.VerifyOptions{})
			if v.Want == "" {
				require.NoError(t, err)
				require.True(t, result.Valid)
				return
			}
			require.Error(t, err)
			text := err.Error()
			if result != nil {
				text = strings.Join(result.Faults, "\n")
			}
			require.Contains(t, text, v.Want)
			require.Equal(t, problem.Verification, problem.KindOf(err))
			require.NotEmpty(t, problem.Remedies(err))
		})
	}
	files, err := filepath.Glob("*.tar*")
	require.NoError(t, err)
	for _, f := range files {
		require.True(t, listed[f], "%s is in no row", f)
	}
}

// TestVectorsAreGenerated checks that the files are what the generator writes.
func TestVectorsAreGenerated(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "run", "./generate", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, f := range files {
		want, err := os.ReadFile(filepath.Join(dir, f.Name()))
		require.NoError(t, err)
		have, err := os.ReadFile(f.Name())
		require.NoError(t, err)
		require.Equal(t, want, have, "%s: run make generate", f.Name())
	}
}
