// Package receipt is the statement that a dark site sends back: what its
// registry holds after a push, digest by digest, signed with the site's own
// key. On the connected side it takes the place of a base: the next delta
// leaves out what really arrived.
//
// A receipt is a JSON file with its signature beside it, FILE.sig, as
// `cosign sign-blob` writes it; stock cosign verifies the two:
//
//	cosign verify-blob --key site.pub --insecure-ignore-tlog --signature FILE.sig FILE
package receipt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// Kind is what a receipt says it is.
const Kind = "Receipt"

// Limits of what is read.
const (
	maxFile      = 64 << 20
	maxSignature = 64 << 10
	maxSize      = 1 << 50 // of a blob, in bytes
)

// ErrInvalid means: the file is not a receipt, or not one of this version.
var ErrInvalid = errors.New("not a valid receipt")

// Receipt is what a registry was seen to hold after a push.
type Receipt struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Registry   string    `json:"registry"` // HOST[:PORT]
	Prefix     string    `json:"prefix"`   // that every repository begins with, or ""
	Time       time.Time `json:"time"`     // UTC, whole seconds
	// Bundles are what was pushed, in the order of the command.
	Bundles []archive.Base `json:"bundles"`
	// Images are sorted by target, then reference.
	Images []Image `json:"images"`
	// Manifests (with indexes) and Blobs are sorted by digest, each once.
	Manifests []Blob `json:"manifests"`
	Blobs     []Blob `json:"blobs"`
}

// Image is one root of a bundle and where it is now.
type Image struct {
	Kind      string        `json:"kind"`      // as in the bundle: "image"
	Reference string        `json:"reference"` // in the bundle, in full
	Target    string        `json:"target"`    // in the registry, in full
	Digest    digest.Digest `json:"digest"`
}

// Blob is content that the registry holds.
type Blob struct {
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"` // bytes
}

// Has tells whether the registry held content of this digest and size; it
// looks at manifests too.
func (r *Receipt) Has(d content.Descriptor) bool {
	for _, list := range [][]Blob{r.Blobs, r.Manifests} {
		if i, found := find(list, d.Digest); found && list[i].Size == d.Size {
			return true
		}
	}
	return false
}

// find looks for a digest in a sorted list.
func find(list []Blob, d digest.Digest) (int, bool) {
	return slices.BinarySearchFunc(list, d, func(b Blob, d digest.Digest) int { return cmp.Compare(b.Digest, d) })
}

// Normalize sorts the lists, leaves out what stands twice and rounds the time
// down, as Encode wants them.
func (r *Receipt) Normalize() {
	r.Time = r.Time.UTC().Truncate(time.Second)
	slices.SortFunc(r.Images, compareImages)
	r.Images = slices.Compact(r.Images)
	for _, list := range []*[]Blob{&r.Manifests, &r.Blobs} {
		slices.SortFunc(*list, func(a, b Blob) int { return cmp.Compare(a.Digest, b.Digest) })
		*list = slices.Compact(*list)
	}
}

func compareImages(a, b Image) int {
	return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Reference, b.Reference))
}

// Encode returns the only bytes that say what r says: one JSON object without
// insignificant white space, keys in the order above, one line feed at its
// end. It fails with ErrInvalid when r breaks a rule of its fields.
func (r *Receipt) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("encoding the receipt: %w", err)
	}
	return buf.Bytes(), nil
}

// Decode reads what Encode wrote, and nothing else: an unknown key, a key
// that stands twice, another order or white space is refused. The bytes should
// have been authenticated before.
func Decode(data []byte) (*Receipt, error) {
	r := new(Receipt)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if r.APIVersion != archive.APIVersion || r.Kind != Kind {
		return nil, fmt.Errorf("%w: it is a %q of version %q, this program reads %q of %q", ErrInvalid, r.Kind, r.APIVersion, Kind, archive.APIVersion)
	}
	again, err := r.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, fmt.Errorf("%w: its bytes are not the ones that sealift writes", ErrInvalid)
	}
	return r, nil
}

// Signer signs; sign.Signer is one.
type Signer interface {
	Sign(ctx context.Context, payload []byte) (signature []byte, err error)
}

// Save writes r to path and its signature to path.sig.
func (r *Receipt) Save(ctx context.Context, path string, signer Signer) error {
	data, err := r.Encode()
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fmt.Errorf("the receipt would have %d bytes, the limit is %d: divide the bundle", len(data), maxFile)
	}
	signature, err := signer.Sign(ctx, data)
	if err != nil {
		return fmt.Errorf("signing the receipt: %w", err)
	}
	if err := durable.WriteFile(signaturePath(path), append(bytes.TrimSpace(signature), '\n'), 0o644); err != nil {
		return err
	}
	return durable.WriteFile(path, data, 0o644)
}

func signaturePath(path string) string { return path + ".sig" }

// Load reads the receipt at path. Its signature, in path.sig, is checked
// before anything of it is believed, or even parsed.
func Load(path string, v archive.Verifier) (*Receipt, error) {
	r, err := load(path, v)
	if err != nil {
		return nil, fmt.Errorf("reading receipt %s: %w", path, err)
	}
	return r, nil
}

func load(path string, v archive.Verifier) (*Receipt, error) {
	data, err := read(path, maxFile)
	if err != nil {
		return nil, err
	}
	signature, err := read(signaturePath(path), maxSignature)
	if errors.Is(err, os.ErrNotExist) {
		return nil, problem.New(problem.Verification, "carry both files: the receipt and its signature, FILE.sig", "it has no signature: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if err := v.Verify(data, signature); err != nil {
		return nil, err
	}
	r, err := Decode(data)
	return r, problem.As(problem.Verification, err)
}

// read reads a regular file of at most limit bytes.
func read(path string, limit int64) ([]byte, error) {
	// Looked at before it is opened: opening a pipe waits for its other end.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	data, err := content.ReadFile(path, limit)
	if errors.Is(err, content.ErrTooLarge) {
		err = problem.As(problem.Verification, err)
	}
	return data, err
}
