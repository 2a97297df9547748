package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"

	"github.com/sealift/sealift/internal/problem"
)

// Verifier checks signatures of one key.
type Verifier struct {
	ref         string
	verifiers   []signature.Verifier // one of them has to accept
	fingerprint string
	public      []byte // PEM
}

// NewVerifier opens a public key: a PEM file, a KMS URI or a PKCS#11 URI.
func NewVerifier(ctx context.Context, ref string) (*Verifier, error) {
	v, err := openVerifier(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("opening the public key %s: %w", Redact(ref), err)
	}
	return v, nil
}

// ParseVerifier reads a public key in PEM. Errors call it name.
func ParseVerifier(name string, data []byte) (*Verifier, error) {
	public, err := parsePublic(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return newVerifier(name, public)
}

func openVerifier(ctx context.Context, ref string) (*Verifier, error) {
	switch {
	case isPKCS11(ref):
		key, err := openPKCS11(ref, false)
		if err != nil {
			return nil, err
		}
		defer key.Close()
		public, err := key.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, err)
		}
		return newVerifier(ref, public)
	case isURI(ref):
		key, err := openKMS(ctx, ref)
		if err != nil {
			return nil, err
		}
		public, err := key.PublicKey(options.WithContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrKey, conceal(err, ref))
		}
		// The service knows how its key signs, so it is asked to verify.
		return newVerifier(ref, public, key)
	}
	public, err := readPublic(ref)
	if err != nil {
		return nil, err
	}
	return newVerifier(ref, public)
}

// readPublic reads a public key in a PEM file.
func readPublic(path string) (crypto.PublicKey, error) {
	data, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.Usage, "name the public key of who made the bundle, PREFIX.pub", "%w", err)
	}
	if err != nil {
		return nil, err
	}
	return parsePublic(data)
}

func parsePublic(data []byte) (crypto.PublicKey, error) {
	if block, _ := pem.Decode(data); block != nil && strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, problem.New(problem.Usage, "give the public key, PREFIX.pub, and keep the private key off this machine", "%w: it is a private key", ErrKey)
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return nil, problem.New(problem.Usage, "give the PEM file that sealift key generate or cosign wrote as PREFIX.pub", "%w: %w", ErrKey, err)
	}
	return public, nil
}

// newVerifier makes a Verifier of a public key; verifiers is by default what
// verifies with the key itself.
func newVerifier(ref string, public crypto.PublicKey, verifiers ...signature.Verifier) (*Verifier, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if len(verifiers) == 0 {
		for _, hash := range hashes(public) {
			v, err := signature.LoadVerifier(public, hash)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrKey, err)
			}
			verifiers = append(verifiers, v)
		}
	}
	sum := sha256.Sum256(der)
	return &Verifier{ref: ref, verifiers: verifiers, fingerprint: hex.EncodeToString(sum[:]), public: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}, nil
}

// PublicKey returns the key in PEM, from wherever it came.
func (v *Verifier) PublicKey() []byte { return bytes.Clone(v.public) }

// hashes returns what a key may have signed: a SHA-256, as verify-blob takes
// it for granted, or for a larger curve the hash of its size, with which
// cosign and services sign.
func hashes(public crypto.PublicKey) []crypto.Hash {
	if key, ok := public.(*ecdsa.PublicKey); ok {
		switch key.Curve.Params().BitSize {
		case 384:
			return []crypto.Hash{crypto.SHA256, crypto.SHA384}
		case 521:
			return []crypto.Hash{crypto.SHA256, crypto.SHA512}
		}
	}
	return []crypto.Hash{crypto.SHA256}
}

// Verify checks a signature as Sign makes it. It fails with ErrSignature.
func (v *Verifier) Verify(payload, sig []byte) error {
	if len(sig) > maxSignature {
		return v.refuse(fmt.Sprintf("the signature has %d bytes, the limit is %d", len(sig), maxSignature))
	}
	sig = bytes.TrimSpace(sig)
	if len(sig) == 0 {
		return v.refuse("there is no signature")
	}
	raw, err := base64.StdEncoding.DecodeString(string(sig))
	if err != nil {
		return v.refuse("the signature is not base64")
	}
	for _, one := range v.verifiers {
		if err = one.VerifySignature(bytes.NewReader(raw), bytes.NewReader(payload)); err == nil {
			return nil
		}
	}
	why := "it was made with another key, or what was signed has changed"
	if isURI(v.ref) { // a service may also just be out of reach
		why += " (" + conceal(err, v.ref).Error() + ")"
	}
	return v.refuse(why)
}

func (v *Verifier) refuse(why string) error {
	return problem.New(problem.Verification,
		"do not use it: get it again from who made it, and make sure that the key is theirs (sha256 of this one: "+v.fingerprint+")",
		"%w with %s: %s", ErrSignature, Redact(v.ref), why)
}

// Fingerprint returns the SHA-256 of the public key (DER, PKIX) in hex.
func (v *Verifier) Fingerprint() string { return v.fingerprint }
