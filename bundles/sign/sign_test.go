package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
)

const passphrase = "correct horse"

func secret(text string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(text), nil }
}

// algorithms are the keys that cosign takes and how to make one of each.
var algorithms = []struct {
	name string
	make func() (crypto.Signer, error)
}{
	{"ecdsa-p256", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
	{"ecdsa-p384", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }},
	{"ecdsa-p521", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P521(), rand.Reader) }},
	{"rsa-2048", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }},
	{"rsa-3072", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 3072) }},
	{"ed25519", func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}},
}

// importPair writes key as cosign import-key-pair does and returns the prefix.
func importPair(t *testing.T, key crypto.Signer) string {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "imported")
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	plain := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	require.NoError(t, os.WriteFile(prefix+".pem", plain, 0o600))
	pair, err := cosign.ImportKeyPair(prefix+".pem", func(bool) ([]byte, error) { return []byte(passphrase), nil })
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(prefix+".key", pair.PrivateBytes, 0o600))
	require.NoError(t, os.WriteFile(prefix+".pub", pair.PublicBytes, 0o644))
	return prefix
}

func newPair(t *testing.T) string {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "k")
	require.NoError(t, WriteKeyPair(prefix, secret(passphrase)))
	return prefix
}

func open(t *testing.T, private, public string) (*Signer, *Verifier) {
	t.Helper()
	signer, err := NewSigner(t.Context(), private, Options{Passphrase: secret(passphrase)})
	require.NoError(t, err)
	t.Cleanup(signer.Close)
	verifier, err := NewVerifier(t.Context(), public)
	require.NoError(t, err)
	return signer, verifier
}

func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// hasRemedy requires an error that says what to do about it.
func hasRemedy(t *testing.T, err error, remedy string) {
	t.Helper()
	require.Error(t, err)
	require.Contains(t, strings.Join(problem.Remedies(err), "\n"), remedy)
}

func requireRefused(t *testing.T, err error) {
	t.Helper()
	require.ErrorIs(t, err, ErrSignature)
	require.Equal(t, problem.Verification, problem.KindOf(err))
	require.NotEmpty(t, problem.Remedies(err))
}

func TestEachAlgorithm(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm.name, func(t *testing.T) {
			t.Parallel()
			key, err := algorithm.make()
			require.NoError(t, err)
			prefix := importPair(t, key)
			signer, verifier := open(t, prefix+".key", prefix+".pub")
			payload := []byte(`{"kind":"statement"}`)
			sig, err := signer.Sign(t.Context(), payload)
			require.NoError(t, err)

			require.NoError(t, verifier.Verify(payload, sig))
			require.NoError(t, verifier.Verify(payload, append(sig, '\n')), "a line feed at the end, as editors add it")
			requireRefused(t, verifier.Verify(append([]byte(" "), payload...), sig))
			requireRefused(t, verifier.Verify(nil, sig))
			raw, err := base64.StdEncoding.DecodeString(string(sig))
			require.NoError(t, err, "a signature is base64 text")
			for i := 0; i < len(raw); i += 1 + len(raw)/16 {
				changed := bytes.Clone(raw)
				changed[i] ^= 1
				requireRefused(t, verifier.Verify(payload, []byte(base64.StdEncoding.EncodeToString(changed))))
			}
		})
	}
}

// A service may sign with the hash of the size of its curve, as cosign does
// when it signs with a file.
func TestHashOfTheCurve(t *testing.T) {
	for _, c := range []struct {
		curve elliptic.Curve
		hash  crypto.Hash
		ok    bool
	}{
		{elliptic.P384(), crypto.SHA384, true},
		{elliptic.P521(), crypto.SHA512, true},
		{elliptic.P256(), crypto.SHA384, false},
		{elliptic.P384(), crypto.SHA512, false},
	} {
		key, err := ecdsa.GenerateKey(c.curve, rand.Reader)
		require.NoError(t, err)
		public, err := cryptoutils.MarshalPublicKeyToPEM(key.Public())
		require.NoError(t, err)
		verifier, err := NewVerifier(t.Context(), writeFile(t, public))
		require.NoError(t, err)
		sum := c.hash.New()
		sum.Write([]byte("payload"))
		raw, err := key.Sign(rand.Reader, sum.Sum(nil), c.hash)
		require.NoError(t, err)
		err = verifier.Verify([]byte("payload"), []byte(base64.StdEncoding.EncodeToString(raw)))
		if c.ok {
			require.NoError(t, err, "%s with %s", c.curve.Params().Name, c.hash)
		} else {
			requireRefused(t, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	prefix, other := newPair(t), newPair(t)
	signer, verifier := open(t, prefix+".key", prefix+".pub")
	payload := []byte("payload")
	good, err := signer.Sign(t.Context(), payload)
	require.NoError(t, err)
	stranger, _ := open(t, other+".key", other+".pub")
	foreign, err := stranger.Sign(t.Context(), payload)
	require.NoError(t, err)
	raw, err := base64.StdEncoding.DecodeString(string(good))
	require.NoError(t, err)

	for name, sig := range map[string][]byte{
		"none":          nil,
		"white space":   []byte(" \n"),
		"another key":   foreign,
		"cut short":     good[:len(good)-8],
		"not base64":    []byte("%%%%"),
		"raw":           raw,
		"url base64":    []byte("__" + string(good[2:])),
		"data after it": append(bytes.Clone(good), good...),
		"more after it": []byte(base64.StdEncoding.EncodeToString(append(bytes.Clone(raw), 0))),
		"huge":          bytes.Repeat([]byte("A"), maxSignature+4),
		"huge padding":  append(bytes.Repeat([]byte(" "), maxSignature), good...),
		"zeros":         []byte(base64.StdEncoding.EncodeToString(make([]byte, 64))),
		"r = s = 0":     []byte(base64.StdEncoding.EncodeToString([]byte{0x30, 6, 2, 1, 0, 2, 1, 0})),
	} {
		t.Run(name, func(t *testing.T) {
			err := verifier.Verify(payload, sig)
			requireRefused(t, err)
			hasRemedy(t, err, verifier.Fingerprint())
		})
	}
}

func TestFingerprintIsOfTheDER(t *testing.T) {
	prefix := newPair(t)
	data, err := os.ReadFile(prefix + ".pub")
	require.NoError(t, err)
	block, _ := pem.Decode(data)
	sum := sha256.Sum256(block.Bytes)
	verifier, err := NewVerifier(t.Context(), prefix+".pub")
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(sum[:]), verifier.Fingerprint())
}

func TestWrongPassphrase(t *testing.T) {
	prefix := newPair(t)
	for _, wrong := range []func() ([]byte, error){secret("Wrong-Guess"), secret(""), nil} {
		_, err := NewSigner(t.Context(), prefix+".key", Options{Passphrase: wrong})
		require.ErrorIs(t, err, ErrKey)
		hasRemedy(t, err, "COSIGN_PASSWORD")
		require.NotContains(t, err.Error(), "Wrong-Guess")
	}
	stop := errors.New("no terminal")
	_, err := NewSigner(t.Context(), prefix+".key", Options{Passphrase: func() ([]byte, error) { return nil, stop }})
	require.ErrorIs(t, err, stop)
}

func TestPassphraseIsWiped(t *testing.T) {
	given := []byte(passphrase)
	prefix := filepath.Join(t.TempDir(), "k")
	require.NoError(t, WriteKeyPair(prefix, func() ([]byte, error) { return given, nil }))
	require.Equal(t, make([]byte, len(passphrase)), given)

	given = []byte(passphrase)
	_, err := NewSigner(t.Context(), prefix+".key", Options{Passphrase: func() ([]byte, error) { return given, nil }})
	require.NoError(t, err)
	require.Equal(t, make([]byte, len(passphrase)), given)
}

func TestEmptyPassphrase(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "k")
	require.NoError(t, WriteKeyPair(prefix, nil))
	signer, err := NewSigner(t.Context(), prefix+".key", Options{})
	require.NoError(t, err)
	sig, err := signer.Sign(t.Context(), []byte("x"))
	require.NoError(t, err)
	verifier, err := NewVerifier(t.Context(), prefix+".pub")
	require.NoError(t, err)
	require.NoError(t, verifier.Verify([]byte("x"), sig))
}

// What is no key is told apart before a passphrase is asked for.
func TestBadPrivateKeys(t *testing.T) {
	prefix := newPair(t)
	good, err := os.ReadFile(prefix + ".key")
	require.NoError(t, err)
	public, err := os.ReadFile(prefix + ".pub")
	require.NoError(t, err)
	asked := func() ([]byte, error) { t.Error("a passphrase was asked for"); return nil, nil }
	plain, err := x509.MarshalPKCS8PrivateKey(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)))
	require.NoError(t, err)

	for name, c := range map[string]struct {
		data   []byte
		remedy string
		pass   func() ([]byte, error)
	}{
		"empty":       {nil, "PREFIX.key", asked},
		"garbage":     {[]byte("\x00\xffgarbage"), "PREFIX.key", asked},
		"public":      {public, "give the private key", asked},
		"plain":       {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: plain}), "import-key-pair", asked},
		"certificate": {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: plain}), "PREFIX.key", asked},
		"cut short":   {good[:len(good)/2], "PREFIX.key", asked},
		"not sealed":  {pem.EncodeToMemory(&pem.Block{Type: cosign.SigstorePrivateKeyPemType, Bytes: plain}), "damaged", secret(passphrase)},
		"greedy kdf":  {greedyKey(t, good), "damaged", secret(passphrase)},
		"too large":   {append(bytes.Clone(good), make([]byte, maxKeyFile)...), "", asked},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewSigner(t.Context(), writeFile(t, c.data), Options{Passphrase: c.pass})
			require.ErrorIs(t, err, ErrKey)
			hasRemedy(t, err, c.remedy)
		})
	}
	_, err = NewSigner(t.Context(), prefix+".none", Options{Passphrase: asked})
	require.ErrorIs(t, err, os.ErrNotExist)
	hasRemedy(t, err, "sealift key generate")
	_, err = NewSigner(t.Context(), t.TempDir(), Options{Passphrase: asked})
	require.Error(t, err)
}

// greedyKey asks for as much memory as an attacker may like.
func greedyKey(t *testing.T, good []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(good)
	require.Contains(t, string(block.Bytes), `"N":65536`)
	block.Bytes = []byte(strings.Replace(string(block.Bytes), `"N":65536`, `"N":1073741824`, 1))
	return pem.EncodeToMemory(block)
}

func TestBadPublicKeys(t *testing.T) {
	prefix := newPair(t)
	good, err := os.ReadFile(prefix + ".pub")
	require.NoError(t, err)
	exchange, err := x509.MarshalPKIXPublicKey(must(ecdh.X25519().GenerateKey(rand.Reader)).PublicKey())
	require.NoError(t, err)

	for name, data := range map[string][]byte{
		"empty":       nil,
		"garbage":     []byte("\x00\xffgarbage"),
		"cut short":   good[:len(good)/2],
		"not a key":   pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("none")}),
		"certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("none")}),
		"cannot sign": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: exchange}),
		"too large":   append(bytes.Clone(good), make([]byte, maxKeyFile)...),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewVerifier(t.Context(), writeFile(t, data))
			require.ErrorIs(t, err, ErrKey)
		})
	}
	_, err = NewVerifier(t.Context(), prefix+".key")
	require.ErrorIs(t, err, ErrKey)
	require.ErrorContains(t, err, "it is a private key")
	hasRemedy(t, err, "give the public key")
	_, err = NewVerifier(t.Context(), prefix+".none")
	require.ErrorIs(t, err, os.ErrNotExist)
	hasRemedy(t, err, "PREFIX.pub")
}

// Key pairs work where there is no network: no name is looked up, nothing is
// dialed.
func TestOffline(t *testing.T) {
	resolver, transport := net.DefaultResolver, http.DefaultTransport
	t.Cleanup(func() { net.DefaultResolver, http.DefaultTransport = resolver, transport })
	dial := func(_ context.Context, network, address string) (net.Conn, error) {
		t.Errorf("the network was used: %s %s", network, address)
		return nil, errors.New("offline")
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: dial}
	http.DefaultTransport = &http.Transport{DialContext: dial}

	prefix := newPair(t)
	signer, verifier := open(t, prefix+".key", prefix+".pub")
	sig, err := signer.Sign(t.Context(), []byte("x"))
	require.NoError(t, err)
	require.NoError(t, verifier.Verify([]byte("x"), sig))
	_, err = NewVerifier(t.Context(), "https://keys.example.com/cosign.pub")
	hasRemedy(t, err, "use a file")
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
