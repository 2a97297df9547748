// Package seal encrypts what the store must not show.
//
// Each tenant has a data key of its own, which seals values. The data key is
// kept wrapped by a master key, which a Keeper has: in a file, in a Secret of
// the cluster, or in a key management service that never gives it out. Deleting
// the wrapped data key makes all that it sealed unreadable for good.
//
// What is sealed is bound to its place (the associated data): a value that was
// moved to another tenant, object or field does not open.
package seal

import (
	"context"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// ErrSealed means: the key is another one, the value was altered, or it stands
// in another place than it was sealed for.
var ErrSealed = errors.New("the value cannot be opened")

// KeySize is the size of every key in bytes.
const KeySize = chacha20poly1305.KeySize

// prefix names the method: XChaCha20-Poly1305 with a random nonce.
const prefix = "x1."

// Key seals and opens values.
type Key struct {
	aead  cipher.AEAD
	index []byte // for Index
}

// NewKey returns the key of a secret of KeySize bytes.
func NewKey(secret []byte) (*Key, error) {
	if len(secret) != KeySize {
		return nil, fmt.Errorf("a key has %d bytes, not %d", KeySize, len(secret))
	}
	aead, err := chacha20poly1305.NewX(secret)
	if err != nil {
		return nil, err
	}
	index, err := hkdf.Key(sha256.New, secret, nil, "sealift index", sha256.Size)
	return &Key{aead: aead, index: index}, err
}

// NewSecret returns the secret of a new key.
func NewSecret() []byte {
	secret := make([]byte, KeySize)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// Seal returns a value as text that only this key opens, and only in place.
func (k *Key) Seal(value []byte, place ...string) string {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	_, _ = rand.Read(nonce) // never fails
	return prefix + base64.RawStdEncoding.EncodeToString(k.aead.Seal(nonce, nonce, value, associated(place)))
}

// Open returns what was sealed for the place, or ErrSealed.
func (k *Key) Open(sealed string, place ...string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, prefix)
	data, err := base64.RawStdEncoding.DecodeString(text)
	if !ok || err != nil || len(data) < chacha20poly1305.NonceSizeX {
		return nil, fmt.Errorf("%w: it is malformed", ErrSealed)
	}
	value, err := k.aead.Open(nil, data[:chacha20poly1305.NonceSizeX], data[chacha20poly1305.NonceSizeX:], associated(place))
	if err != nil {
		return nil, ErrSealed
	}
	return value, nil
}

// Index returns a name for a value by which it is found again, and that tells
// nothing to who lacks the key.
func (k *Key) Index(value string, place ...string) string {
	mac := hmac.New(sha256.New, k.index)
	mac.Write(associated(append([]string{value}, place...)))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// associated joins the parts of a place so that no two places are the same.
func associated(place []string) []byte {
	var out []byte
	for _, p := range place {
		out = binary.AppendUvarint(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}

// Keeper has a master key.
type Keeper interface {
	// Wrap returns a data key as only this keeper can unwrap it, for one owner.
	Wrap(ctx context.Context, secret []byte, owner string) (string, error)
	// Unwrap returns what was wrapped for an owner, or ErrSealed.
	Unwrap(ctx context.Context, wrapped, owner string) ([]byte, error)
}
