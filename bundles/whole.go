package bundles

import (
	"context"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
)

// Whole is a bundle and, for what it leaves out when it is a delta, its bases.
type Whole struct {
	*archive.Reader
	Bases []*archive.Reader
}

// Fetch opens a blob of the bundle, or of the first base that has it.
func (w Whole) Fetch(ctx context.Context, d content.Descriptor) (io.ReadCloser, error) {
	return w.holder(d.Digest).Fetch(ctx, d)
}

// Has tells whether a blob is there.
func (w Whole) Has(d digest.Digest) bool {
	_, ok := w.holder(d).Blob(d)
	return ok
}

// holder returns who has a blob; the bundle itself when nobody has.
func (w Whole) holder(d digest.Digest) *archive.Reader {
	for _, r := range append([]*archive.Reader{w.Reader}, w.Bases...) {
		if _, ok := r.Blob(d); ok {
			return r
		}
	}
	return w.Reader
}
