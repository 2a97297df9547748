// Package sign makes keys, signs statements and checks signatures, all as
// cosign version 2 does, with cosign's and sigstore's libraries.
//
// A key is named by a file, by the URI of a key management service (KMS) or by
// a PKCS#11 URI. Nothing here asks a transparency log, a trust root or a name
// server: what is signed with a key is verified with a key. Only the URI of a
// service makes its own provider talk to that service.
package sign

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"

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
	// Passphrase returns the passphrase of a private key file, and is asked
	// only for such a file. What it returns is wiped after use. The zero value
	// is an empty passphrase.
	Passphrase func() ([]byte, error)
}

// Signer signs with one private key.
type Signer struct {
	ref  string
	sv   signature.Signer
	opts []signature.SignOption
}

// NewSigner opens a private key: a file, a KMS URI or a PKCS#11 URI. Close it
// after use.
func NewSigner(ctx context.Context, ref string, opts Options) (*Signer, error) {
	s, err := openSigner(ctx, ref, opts)
	if err != nil {
		return nil, fmt.Errorf("opening the private key %s: %w", Redact(ref), err)
	}
	return s, nil
}

func openSigner(ctx context.Context, ref string, opts Options) (*Signer, error) {
	switch {
	case isPKCS11(ref):
		key, err := openPKCS11(ref, true)
		if err != nil {
			return nil, err
		}
		return &Signer{ref: ref, sv: key}, nil
	case isURI(ref):
		key, err := openKMS(ctx, ref)
		if err != nil {
			return nil, err
		}
		return &Signer{ref: ref, sv: key}, nil
	}
	sv, err := openPrivateFile(ref, opts.Passphrase)
	if err != nil {
		return nil, err
	}
	// Every key signs a SHA-256: that is what verify-blob expects unless it is
	// told otherwise, also where the library would take the hash of the curve.
	sha256 := options.WithCryptoSignerOpts(crypto.SHA256)
	return &Signer{ref: ref, sv: sv, opts: []signature.SignOption{sha256}}, nil
}

func openPrivateFile(path string, passphrase func() ([]byte, error)) (signature.Signer, error) {
	data, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, problem.New(problem.Usage, "name an existing private key; sealift key generate makes one", "%w", err)
	}
	if err != nil {
		return nil, err
	}
	if err := checkPrivate(data); err != nil {
		return nil, err
	}
	pass, err := ask(passphrase)
	if err != nil {
		return nil, err
	}
	defer clear(pass)
	// As cosign does where no transparency log takes part: plain Ed25519.
	sv, err := cosign.LoadPrivateKey(data, pass, &[]signature.LoadOption{})
	if err != nil {
		return nil, problem.New(problem.Failed,
			"check the passphrase (COSIGN_PASSWORD); if it is right, the file is damaged or of a kind of key that cosign does not take",
			"%w: %w", ErrKey, err)
	}
	return sv, nil
}

// checkPrivate tells what a file is that is no private key of cosign, before
// anybody is asked for a passphrase.
func checkPrivate(data []byte) error {
	const remedy = "give the file that sealift key generate or cosign wrote as PREFIX.key"
	block, _ := pem.Decode(data)
	switch {
	case block == nil:
		return problem.New(problem.Usage, remedy, "%w: it is not a PEM file", ErrKey)
	case block.Type == cosign.SigstorePrivateKeyPemType, block.Type == cosign.CosignPrivateKeyPemType:
		return nil
	case strings.HasSuffix(block.Type, "PUBLIC KEY"):
		return problem.New(problem.Usage, "give the private key, PREFIX.key", "%w: it is a public key", ErrKey)
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return problem.New(problem.Usage, "turn it into one with: cosign import-key-pair --key FILE",
			"%w: it is not an encrypted private key of cosign", ErrKey)
	}
	return problem.New(problem.Usage, remedy, "%w: it is not a private key", ErrKey)
}

// Sign returns the signature of payload as `cosign sign-blob` prints it: base64.
func (s *Signer) Sign(ctx context.Context, payload []byte) ([]byte, error) {
	opts := append([]signature.SignOption{options.WithContext(ctx)}, s.opts...)
	raw, err := s.sv.SignMessage(bytes.NewReader(payload), opts...)
	if err != nil {
		return nil, fmt.Errorf("signing with %s: %w", Redact(s.ref), conceal(err, s.ref))
	}
	out := make([]byte, base64.StdEncoding.EncodedLen(len(raw)))
	base64.StdEncoding.Encode(out, raw)
	return out, nil
}

// Close ends the session with a PKCS#11 token. Other keys need no end.
func (s *Signer) Close() {
	if c, ok := s.sv.(interface{ Close() }); ok {
		c.Close()
	}
}
