package bundles

import (
	"context"
	"errors"
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

// BaseOptions is how a base is opened.
type BaseOptions struct {
	Keys     []archive.Verifier // it has to be signed with one of them
	Location location.Options   // how a bundle is reached that is no plain file
}

// OpenBase reads the base at path: a receipt, or a bundle wherever one may be.
func OpenBase(ctx context.Context, path string, opts BaseOptions) (*Base, error) {
	if len(opts.Keys) == 0 {
		return nil, problem.New(problem.Usage, "give the public key that the base is signed with: that of a bundle, or that of the site which wrote a receipt",
			"base %s: no key to verify it with", path)
	}
	if beginsWith(path, '{') {
		r, err := receipt.Load(path, anyOf(opts.Keys))
		if err != nil {
			return nil, err
		}
		return &Base{bundles: r.Bundles, has: r.Has}, nil
	}
	r, err := Open(ctx, path, OpenOptions{Verifier: anyOf(opts.Keys), Location: opts.Location})
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

// beginsWith tells whether path is a file of this host with this first byte.
func beginsWith(path string, first byte) bool {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // opened for reading
	var b [1]byte
	_, err = io.ReadFull(f, b[:])
	return err == nil && b[0] == first
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
