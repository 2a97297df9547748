//go:build pkcs11key

package sign

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/stretchr/testify/require"
)

const pin = "31415926"

// softToken makes a token of SoftHSM with three key pairs, and returns the URI
// of a key by its label, without a PIN.
func softToken(t *testing.T) func(label string) string {
	t.Helper()
	module := softModule(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "softhsm2.conf")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "tokens"), 0o700))
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
		filepath.Join(dir, "tokens")), 0o600))
	t.Setenv("SOFTHSM2_CONF", config)
	runTool(t, "softhsm2-util", "--init-token", "--free", "--label", "suite", "--pin", pin, "--so-pin", "27182818")
	for i, key := range []string{"EC:prime256v1", "rsa:2048", "EC:secp384r1"} {
		runTool(t, "pkcs11-tool", "--module", module, "--token-label", "suite", "--login", "--pin", pin,
			"--keypairgen", "--key-type", key, "--label", fmt.Sprintf("key%d", i), "--id", fmt.Sprintf("0%d", i+1))
	}
	return func(label string) string {
		return "pkcs11:token=suite;object=" + label + "?module-path=" + module
	}
}

func softModule(t *testing.T) string {
	t.Helper()
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	require.Fail(t, "SoftHSM is needed: apt-get install softhsm2 opensc")
	return ""
}

func runTool(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err, "apt-get install softhsm2 opensc")
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	require.NoError(t, err, string(out))
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
	uri := softToken(t)
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
		"other token":  "pkcs11:token=none;object=k?module-path=" + softModule(t) + "&pin-value=" + secret,
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
