//go:build pkcs11key

package sign

import (
	"strings"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/softhsm"
)

const pin = "31415926"

// softToken makes a token of SoftHSM with three key pairs.
func softToken(t *testing.T) *softhsm.Token {
	t.Helper()
	token, err := softhsm.Make(t.Context(), t.TempDir(), "suite", pin, "EC:prime256v1", "rsa:2048", "EC:secp384r1")
	require.NoError(t, err)
	t.Setenv(token.Env())
	return token
}

// exportPublic writes the public key of a token, as a site gets it.
func exportPublic(t *testing.T, ref string) string {
	t.Helper()
	key, err := openPKCS11(ref, false)
	require.NoError(t, err)
	defer key.Close()
	public, err := key.PublicKey()
	require.NoError(t, err)
	text, err := cryptoutils.MarshalPublicKeyToPEM(public)
	require.NoError(t, err)
	return writeFile(t, text)
}

func TestPKCS11(t *testing.T) {
	uri := softToken(t).URI
	payload := []byte("the statement\n")
	for _, label := range []string{"key0", "key1", "key2"} {
		t.Run(label, func(t *testing.T) {
			withPIN := uri(label) + "&pin-value=" + pin
			signer, verifier := open(t, withPIN, withPIN)
			sig, err := signer.Sign(t.Context(), payload)
			require.NoError(t, err)
			require.NoError(t, verifier.Verify(payload, sig))
			requireRefused(t, verifier.Verify([]byte("another\n"), sig))

			public := exportPublic(t, withPIN)
			_, site := open(t, withPIN, public)
			require.NoError(t, site.Verify(payload, sig))
			require.Equal(t, site.Fingerprint(), verifier.Fingerprint())
			out, err := cosignVerify(t, public, payload, sig)
			require.NoError(t, err, out)
		})
	}
	t.Run("PIN from the environment", func(t *testing.T) {
		t.Setenv("COSIGN_PKCS11_PIN", pin)
		signer, verifier := open(t, uri("key0"), uri("key0"))
		sig, err := signer.Sign(t.Context(), payload)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(payload, sig))
	})
	t.Run("bad", func(t *testing.T) { badPKCS11(t, uri) })
}

func badPKCS11(t *testing.T, uri func(string) string) {
	const secret = "s3cret"
	for name, ref := range map[string]string{
		"wrong PIN":    uri("key0") + "&pin-value=" + secret,
		"no such key":  uri("nokey") + "&pin-value=" + pin,
		"no token":     "pkcs11:object=k?pin-value=" + secret,
		"other token":  strings.Replace(uri("k"), "token=suite", "token=none", 1) + "&pin-value=" + secret,
		"no module":    "pkcs11:token=a;object=k?module-path=/none.so&pin-value=" + secret,
		"no C library": "pkcs11:token=a;object=k?module-path=" + writeFile(t, nil) + "&pin-value=" + secret,
		"bad escape":   "pkcs11:token=a%zz;object=k?pin-value=" + secret,
		"bad in query": "pkcs11:token=a;object=k?pin-value=" + secret + "%zz",
		"control":      "pkcs11:token=a\x01?pin-value=" + secret,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewSigner(t.Context(), ref, Options{})
			require.ErrorIs(t, err, ErrKey)
			hasRemedy(t, err, "")
			require.NotContains(t, err.Error(), secret)
			require.NotContains(t, err.Error(), pin)
			_, err = NewVerifier(t.Context(), ref)
			require.ErrorIs(t, err, ErrKey)
			require.NotContains(t, err.Error(), secret)
		})
	}
}
