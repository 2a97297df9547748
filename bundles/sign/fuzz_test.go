package sign

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzVerify: no signature but one that was made passes, and none panics.
func FuzzVerify(f *testing.F) {
	prefix := filepath.Join(f.TempDir(), "k")
	require.NoError(f, WriteKeyPair(prefix, nil))
	signer, err := NewSigner(f.Context(), prefix+".key", Options{})
	require.NoError(f, err)
	verifier, err := NewVerifier(f.Context(), prefix+".pub")
	require.NoError(f, err)
	payload := []byte("the statement")
	good, err := signer.Sign(f.Context(), payload)
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:20])
	f.Add([]byte("MAYCAQACAQA="))
	f.Add([]byte{})
	want, err := base64.StdEncoding.DecodeString(string(good))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, sig []byte) {
		if err := verifier.Verify(payload, sig); err != nil {
			requireRefused(t, err)
			return
		}
		raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(sig)))
		require.NoError(t, err)
		require.Equal(t, want, raw, "a signature that nobody made is accepted")
	})
}

// FuzzKeyFiles: whatever stands in a key file, it opens or fails cleanly.
func FuzzKeyFiles(f *testing.F) {
	dir := f.TempDir()
	prefix := filepath.Join(dir, "k")
	require.NoError(f, WriteKeyPair(prefix, nil))
	for _, suffix := range []string{".key", ".pub"} {
		data, err := os.ReadFile(prefix + suffix)
		require.NoError(f, err)
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"))
	f.Add([]byte("-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\ne30=\n-----END ENCRYPTED COSIGN PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := writeFile(t, data)
		if signer, err := NewSigner(t.Context(), path, Options{}); err != nil {
			require.ErrorIs(t, err, ErrKey)
		} else {
			_, err := signer.Sign(t.Context(), []byte("x"))
			require.NoError(t, err)
		}
		if verifier, err := NewVerifier(t.Context(), path); err != nil {
			require.ErrorIs(t, err, ErrKey)
		} else {
			requireRefused(t, verifier.Verify([]byte("x"), []byte("AAAA")))
		}
	})
}

// FuzzRedact: the PIN of a PKCS#11 URI never shows.
func FuzzRedact(f *testing.F) {
	f.Add("token=a;object=k?module-path=/m.so&", "&x=1")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, before, after string) {
		const pin = "s3cret-31415926"
		if n := len(before); n > 0 && !bytes.ContainsAny([]byte(before[n-1:]), ";&?") {
			before += ";"
		}
		require.NotContains(t, Redact("pkcs11:"+before+"pin-value="+pin+after), pin)
	})
}
