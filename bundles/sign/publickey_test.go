package sign_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/sign"
)

// The public key of a verifier, written to a file, is the same key.
func TestPublicKey(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "cosign")
	require.NoError(t, sign.WriteKeyPair(prefix, nil))
	v, err := sign.NewVerifier(t.Context(), prefix+".pub")
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "again.pub")
	require.NoError(t, os.WriteFile(file, v.PublicKey(), 0o600))
	again, err := sign.NewVerifier(t.Context(), file)
	require.NoError(t, err)
	require.Equal(t, v.Fingerprint(), again.Fingerprint())
}
