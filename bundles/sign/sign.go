// Package sign makes keys, signs statements and checks signatures, all as
// cosign version 2 does, with cosign's and sigstore's libraries.
//
// A key is named by a file, by the URI of a key management service (KMS) or by
// a PKCS#11 URI. Nothing here asks a transparency log, a trust root or a name
// server: what is signed with a key is verified with a key.
package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/cosign/v2/pkg/cosign/pkcs11key"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// Errors of this package, to be matched with errors.Is.
var (
	// ErrSignature: the signature is missing, malformed or not of this key.
	ErrSignature = errors.New("the signature does not verify")
	// ErrKey: a key cannot be read or used.
	ErrKey = errors.New("the key cannot be used")
)

// Limits of what is read.
const (
	maxKeyFile   = 1 << 20
	maxSignature = 64 << 10
)

// Options is how a signer is opened.
type Options struct {
	// Passphrase returns the passphrase of a private key file. It is asked
	// only for such a file. The zero value is an empty passphrase.
	Passphrase func() ([]byte, error)
}

// WriteKeyPair makes a new key pair as `cosign generate-key-pair` does, and
// writes prefix.key (readable by its owner only) and prefix.pub. Existing
// files are never replaced, and a failed run leaves neither of the two.
func WriteKeyPair(prefix string, passphrase func() ([]byte, error)) error {
	private, public := prefix+".key", prefix+".pub"
	for _, path := range []string{private, public} {
		if _, err := os.Lstat(path); err == nil {
			return exists(path)
		}
	}
	keys, err := cosign.GenerateKeyPair(func(bool) ([]byte, error) { return passphrase() })
	if err != nil {
		return fmt.Errorf("making a key pair: %w", err)
	}
	if err := writeNew(private, keys.PrivateBytes, 0o600); err != nil {
		return err
	}
	if err := writeNew(public, keys.PublicBytes, 0o644); err != nil {
		return errors.Join(err, os.Remove(private))
	}
	return nil
}

func writeNew(path string, data []byte, perm os.FileMode) error {
	err := durable.WriteNew(path, data, perm)
	if errors.Is(err, durable.ErrExists) {
		return exists(path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

func exists(path string) error {
	return problem.New(problem.Failed, "choose another --out; a private key that is replaced is lost",
		"making a key pair: %s exists already: %w", path, durable.ErrExists)
}

// Signer signs with one private key.
type Signer struct {
	ref string
	sv  signature.Signer
}

// NewSigner opens a private key: a file, a KMS URI or a PKCS#11 URI.
func NewSigner(ctx context.Context, ref string, opts Options) (*Signer, error) {
	sv, err := openSigner(ctx, ref, opts)
	if err != nil {
		return nil, fmt.Errorf("opening the private key %s: %w", Redact(ref), err)
	}
	return &Signer{ref: ref, sv: sv}, nil
}

func openSigner(ctx context.Context, ref string, opts Options) (signature.Signer, error) {
	switch {
	case isPKCS11(ref):
		key, err := openPKCS11(ref, true)
		if err != nil {
			return nil, err
		}
		return key.SignerVerifier()
	case isURI(ref):
		return openKMS(ctx, ref)
	}
	data, err := readKey(ref)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(data); block != nil && block.Type == "PUBLIC KEY" {
		return nil, problem.New(problem.Usage, "give the private key, PREFIX.key", "it is a public key: %w", ErrKey)
	}
	var pass []byte
	if opts.Passphrase != nil {
		if pass, err = opts.Passphrase(); err != nil {
			return nil, err
		}
	}
	// As cosign does where no transparency log takes part: plain Ed25519.
	sv, err := cosign.LoadPrivateKey(data, pass, &[]signature.LoadOption{})
	if err != nil {
		return nil, problem.New(problem.Failed, "check the passphrase (COSIGN_PASSWORD), and that the file is a key of cosign (made with sealift key generate)",
			"%w: %w", ErrKey, err)
	}
	return sv, nil
}

// Sign returns the signature of payload as `cosign sign-blob` prints it: base64.
func (s *Signer) Sign(ctx context.Context, payload []byte) ([]byte, error) {
	raw, err := s.sv.SignMessage(bytes.NewReader(payload), options.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("signing with %s: %w", Redact(s.ref), err)
	}
	out := make([]byte, base64.StdEncoding.EncodedLen(len(raw)))
	base64.StdEncoding.Encode(out, raw)
	return out, nil
}

// Verifier checks signatures of one key.
type Verifier struct {
	ref         string
	v           signature.Verifier
	fingerprint string
}

// NewVerifier opens a public key: a PEM file, a KMS URI or a PKCS#11 URI.
func NewVerifier(ctx context.Context, ref string) (*Verifier, error) {
	v, err := openVerifier(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("opening the public key %s: %w", Redact(ref), err)
	}
	public, err := v.PublicKey(options.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("reading the public key %s: %w", Redact(ref), err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("reading the public key %s: %w", Redact(ref), err)
	}
	sum := sha256.Sum256(der)
	return &Verifier{ref: ref, v: v, fingerprint: hex.EncodeToString(sum[:])}, nil
}

func openVerifier(ctx context.Context, ref string) (signature.Verifier, error) {
	switch {
	case isPKCS11(ref):
		key, err := openPKCS11(ref, false)
		if err != nil {
			return nil, err
		}
		return key.Verifier()
	case isURI(ref):
		return openKMS(ctx, ref)
	}
	data, err := readKey(ref)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(data); block != nil && strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, problem.New(problem.Usage, "give the public key, PREFIX.pub, and keep the private key off this machine", "it is a private key: %w", ErrKey)
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return nil, problem.New(problem.Failed, "give the PEM file that sealift key generate or cosign wrote as PREFIX.pub", "%w: %w", ErrKey, err)
	}
	v, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return v, nil
}

// Verify checks a signature as Sign makes it. It fails with ErrSignature.
func (v *Verifier) Verify(payload, sig []byte) error {
	if len(bytes.TrimSpace(sig)) == 0 {
		return v.refuse("there is no signature")
	}
	if len(sig) > maxSignature {
		return v.refuse(fmt.Sprintf("the signature has %d bytes, the limit is %d", len(sig), maxSignature))
	}
	raw, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(sig)))
	if err != nil {
		return v.refuse("the signature is not base64")
	}
	if err := v.v.VerifySignature(bytes.NewReader(raw), bytes.NewReader(payload)); err != nil {
		return v.refuse("it was made with another key, or what was signed has changed")
	}
	return nil
}

func (v *Verifier) refuse(why string) error {
	return problem.New(problem.Verification,
		"do not use it: get it again from who made it, and make sure that the key is theirs (sha256 of this one: "+v.fingerprint+")",
		"%w with %s: %s", ErrSignature, Redact(v.ref), why)
}

// Fingerprint returns the SHA-256 of the public key (DER, PKIX) in hex.
func (v *Verifier) Fingerprint() string { return v.fingerprint }

// readKey reads a key file of a sane size.
func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = fmt.Errorf("%w: the file has more than %d bytes", ErrKey, maxKeyFile)
	}
	return data, err
}

func isPKCS11(ref string) bool { return strings.HasPrefix(ref, pkcs11key.ReferenceScheme) }
func isURI(ref string) bool    { return strings.Contains(ref, "://") }

// openPKCS11 opens a key of a token; private tells whether it will sign.
func openPKCS11(ref string, private bool) (*pkcs11key.Key, error) {
	config := pkcs11key.NewPkcs11UriConfig()
	if err := config.Parse(ref); err != nil {
		return nil, problem.New(problem.Usage, "", "%w: %w", ErrKey, err)
	}
	key, err := pkcs11key.GetKeyWithURIConfig(config, private)
	if err != nil {
		return nil, problem.WithRemedy(fmt.Errorf("%w: %w", ErrKey, err), pkcs11Remedy)
	}
	return key, nil
}

func openKMS(ctx context.Context, ref string) (kms.SignerVerifier, error) {
	sv, err := kms.Get(ctx, ref, crypto.SHA256)
	var unknown *kms.ProviderNotFoundError
	if errors.As(err, &unknown) {
		return nil, problem.New(problem.Usage,
			"use one of awskms://, azurekms://, gcpkms://, hashivault://, or put the plugin sigstore-kms-NAME for NAME:// on PATH",
			"%w: %w", ErrKey, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return sv, nil
}

// Redact hides the secrets that a key's name may hold: the PIN of a PKCS#11 URI.
func Redact(ref string) string {
	const pin = "pin-value="
	i := strings.Index(ref, pin)
	if i < 0 {
		return ref
	}
	rest := ref[i+len(pin):]
	end := strings.IndexAny(rest, "&;")
	if end < 0 {
		end = len(rest)
	}
	return ref[:i+len(pin)] + "..." + rest[end:]
}
