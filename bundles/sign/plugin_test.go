package sign

import (
	"context"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/cliplugin/handler"
	"github.com/stretchr/testify/require"
)

const pluginName = "sigstore-kms-suite"

// TestMain also is the program of a key service: sigstore finds a plugin by
// its name on PATH, and here that name leads to the test's own program.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == pluginName {
		os.Exit(servePlugin())
	}
	os.Exit(m.Run())
}

// fileService keeps its keys in files, which it names by their path.
type fileService struct{ signature.SignerVerifier }

func (fileService) CreateKey(context.Context, string) (crypto.PublicKey, error) {
	return nil, errors.ErrUnsupported
}
func (fileService) CryptoSigner(context.Context, func(error)) (crypto.Signer, crypto.SignerOpts, error) {
	return nil, nil, errors.ErrUnsupported
}
func (fileService) SupportedAlgorithms() []string { return []string{"ecdsa-p256"} }
func (fileService) DefaultAlgorithm() string      { return "ecdsa-p256" }

func servePlugin() int {
	args, err := handler.GetPluginArgs(os.Args)
	if err == nil {
		var data []byte
		if data, err = os.ReadFile(args.InitOptions.KeyResourceID); err == nil {
			var sv signature.SignerVerifier
			if sv, err = cosign.LoadPrivateKey(data, []byte(passphrase), nil); err == nil {
				_, err = handler.Dispatch(os.Stdout, os.Stdin, args, fileService{sv})
			}
		}
	}
	if err == nil {
		return 0
	}
	if err := handler.WriteErrorResponse(os.Stdout, err); err != nil {
		return 2
	}
	return 1
}

// pluginPath returns a PATH on which the plugin is.
func pluginPath(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.Symlink(program, filepath.Join(dir, pluginName)))
	return dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

func TestKeyServiceByPlugin(t *testing.T) {
	t.Setenv("PATH", pluginPath(t))
	prefix := newPair(t)
	uri := "suite://" + prefix + ".key"
	payload := []byte("the statement\n")

	signer, verifier := open(t, uri, uri)
	sig, err := signer.Sign(t.Context(), payload)
	require.NoError(t, err)
	require.NoError(t, verifier.Verify(payload, sig))
	requireRefused(t, verifier.Verify([]byte("another\n"), sig))

	// At the site the service is out of reach: the public key is enough there.
	_, site := open(t, uri, prefix+".pub")
	require.NoError(t, site.Verify(payload, sig))
	require.Equal(t, site.Fingerprint(), verifier.Fingerprint())

	require.NoError(t, verifier.Verify(payload, cosignSign(t, uri, payload)))
	out, err := cosignVerify(t, uri, payload, sig)
	require.NoError(t, err, out)
}

func TestKeyServiceFails(t *testing.T) {
	t.Setenv("PATH", pluginPath(t))
	prefix := newPair(t)
	_, err := NewVerifier(t.Context(), "suite://"+prefix+".none")
	require.ErrorIs(t, err, ErrKey)
	require.ErrorContains(t, err, "no such file")

	uri := "suite://" + prefix + ".key"
	signer, verifier := open(t, uri, uri)
	sig, err := signer.Sign(t.Context(), []byte("x"))
	require.NoError(t, err)
	require.NoError(t, os.Rename(prefix+".key", prefix+".away"))
	_, err = signer.Sign(t.Context(), []byte("x"))
	require.ErrorContains(t, err, "no such file")
	err = verifier.Verify([]byte("x"), sig)
	requireRefused(t, err)
	require.ErrorContains(t, err, "no such file", "the failure of the service shows")

	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = NewSigner(canceled, uri, Options{})
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, strings.Contains(err.Error(), passphrase))
}
