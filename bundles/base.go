package bundles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/bundles/receipt"
	"github.com/sealift/sealift/internal/problem"
)

// Base is what a delta leaves out because the site has it: an older bundle, or
// the receipt of what a registry of the site held.
type Base struct {
	bundles []archive.Base
	has     func(content.Descriptor) bool
}

// anyOf accepts what one of several keys signed.
type anyOf []archive.Verifier

func (v anyOf) Verify(payload, signature []byte) error {
	var failures []error
	for _, one := range v {
		err := one.Verify(payload, signature)
		if err == nil {
			return nil
		}
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// OpenBase reads the base at path, which has to be signed with one of keys.
func OpenBase(ctx context.Context, path string, at location.Options, keys ...archive.Verifier) (*Base, error) {
	if len(keys) == 0 {
		return nil, problem.New(problem.Usage, "give the public key that the base is signed with: that of a bundle, or that of the site which wrote a receipt",
			"base %s: no key to verify it with", path)
	}
	isReceipt := false
	if _, err := os.Stat(path); err == nil { // what else it may be is a bundle in volumes, or elsewhere
		if isReceipt, err = beginsWith(path, '{'); err != nil {
			return nil, fmt.Errorf("opening base %s: %w", path, err)
		}
	}
	if isReceipt {
		r, err := receipt.Load(path, anyOf(keys))
		if err != nil {
			return nil, err
		}
		return &Base{bundles: r.Bundles, has: r.Has}, nil
	}
	r, err := Open(ctx, path, OpenOptions{Verifier: anyOf(keys), Location: at})
	if err != nil {
		return nil, err
	}
	s := r.Statement()
	base := &Base{bundles: []archive.Base{{Name: s.Name, Version: s.Version, Statement: r.StatementDigest()}}}
	base.has = func(d content.Descriptor) bool {
		b, ok := r.Blob(d.Digest)
		return ok && b.Size == d.Size
	}
	return base, r.Close() // its head is in memory, and nothing else is needed
}

func beginsWith(path string, first byte) (bool, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	var b [1]byte
	if _, err := io.ReadFull(f, b[:]); err != nil {
		return false, err
	}
	return b[0] == first, nil
}

// deltaOf makes contents a delta of bases.
func deltaOf(c *archive.Contents, bases []*Base) {
	if len(bases) == 0 {
		return
	}
	for _, b := range bases {
		c.Bases = append(c.Bases, b.bundles...)
	}
	c.Has = func(d content.Descriptor) bool {
		for _, b := range bases {
			if b.has(d) {
				return true
			}
		}
		return false
	}
}
