package sign

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// stockCosign returns the cosign program of the version whose libraries this
// package uses. A test that needs it fails without it.
func stockCosign(t *testing.T) string {
	t.Helper()
	root, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		require.NotEqual(t, filepath.Dir(root), root, "no go.mod above the test")
		root = filepath.Dir(root)
	}
	path, err := exec.LookPath(filepath.Join(root, ".tools", "bin", "cosign"))
	if err != nil {
		path, err = exec.LookPath("cosign")
	}
	require.NoError(t, err, "stock cosign is needed: run make tools")
	return path
}

// runCosign runs stock cosign in a folder. The key of a transparency log that
// is never used keeps it from asking the network for one.
func runCosign(t *testing.T, dir string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), stockCosign(t), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "TUF_ROOT="+dir, "COSIGN_PASSWORD="+passphrase,
		"SIGSTORE_REKOR_PUBLIC_KEY="+os.DevNull)
	return cmd.CombinedOutput()
}

func cosignSign(t *testing.T, key string, payload []byte) []byte {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "blob"), payload, 0o600))
	out, err := runCosign(t, dir, "sign-blob", "--key", key, "--tlog-upload=false", "--yes", "--output-signature", "sig", "blob")
	require.NoError(t, err, string(out))
	sig, err := os.ReadFile(filepath.Join(dir, "sig"))
	require.NoError(t, err)
	return sig
}

// cosignVerify is the command of FORMAT.md, section 6.
func cosignVerify(t *testing.T, key string, payload, sig []byte) (string, error) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "blob"), payload, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sig"), sig, 0o600))
	out, err := runCosign(t, dir, "verify-blob", "--key", key, "--insecure-ignore-tlog", "--signature", "sig", "blob")
	return string(out), err
}

// What is signed here verifies with stock cosign, with every kind of key, and
// what stock cosign signs verifies here. (Its version 2.6 cannot sign a blob
// with Ed25519 without a transparency log.)
func TestBothWaysWithStockCosign(t *testing.T) {
	payload, other := []byte("the statement\n"), []byte("another\n")
	prefixes := map[string]string{"generated": newPair(t)}
	for _, algorithm := range algorithms {
		key, err := algorithm.make()
		require.NoError(t, err)
		prefixes[algorithm.name] = importPair(t, key)
	}
	for name, prefix := range prefixes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signer, verifier := open(t, prefix+".key", prefix+".pub")
			sig, err := signer.Sign(t.Context(), payload)
			require.NoError(t, err)
			out, err := cosignVerify(t, prefix+".pub", payload, sig)
			require.NoError(t, err, out)
			require.Contains(t, out, "Verified OK")
			out, err = cosignVerify(t, prefix+".pub", other, sig)
			require.Error(t, err, out)

			if name == "ed25519" {
				return
			}
			sig = cosignSign(t, prefix+".key", payload)
			require.NoError(t, verifier.Verify(payload, sig))
			requireRefused(t, verifier.Verify(other, sig))
		})
	}
}

func TestKeyPairOfStockCosign(t *testing.T) {
	dir := t.TempDir()
	out, err := runCosign(t, dir, "generate-key-pair")
	require.NoError(t, err, string(out))
	private, public := filepath.Join(dir, "cosign.key"), filepath.Join(dir, "cosign.pub")
	signer, verifier := open(t, private, public)
	payload := []byte("the statement\n")
	sig, err := signer.Sign(t.Context(), payload)
	require.NoError(t, err)
	require.NoError(t, verifier.Verify(payload, sig))
	require.NoError(t, verifier.Verify(payload, cosignSign(t, private, payload)))
	text, err := cosignVerify(t, public, payload, sig)
	require.NoError(t, err, text)
}
