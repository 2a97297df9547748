// Package content names what every place that holds OCI content has in common.
//
// Content is addressed by its descriptor: media type, digest and size. A place
// may be a repository of a remote registry, a bundle file or a folder; code
// that moves content knows only the interfaces here. What each promises is
// written on it and is checked for every implementation by contenttest.
package content

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Descriptor is the OCI descriptor: media type, digest and size of a blob.
type Descriptor = ocispec.Descriptor

// Bare returns d with nothing but media type, digest and size: what stays when
// the place that described it is left behind.
func Bare(d Descriptor) Descriptor {
	return Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

// Errors that every implementation returns for these cases, to be matched with
// errors.Is.
var (
	// ErrNotFound: the place does not hold the content.
	ErrNotFound = errors.New("not found")
	// ErrMismatch: the bytes are not the ones that the descriptor names.
	ErrMismatch = errors.New("content does not match its descriptor")
	// ErrTooLarge: the content is larger than the caller is ready to hold.
	ErrTooLarge = errors.New("content is too large")
)

// Fetcher reads content.
type Fetcher interface {
	// Fetch opens the content of d. The bytes are not verified: whoever reads
	// them across a trust boundary uses Verify or ReadAll. Fetch fails with
	// ErrNotFound when the content is not there. The reader ends early with
	// an error when ctx is canceled. The caller closes the reader.
	Fetch(ctx context.Context, d Descriptor) (io.ReadCloser, error)
}

// RangeFetcher reads a part of content.
type RangeFetcher interface {
	// FetchRange opens length bytes of the content of d from offset on.
	// The range lies within d.Size, or FetchRange fails. A source that cannot
	// serve ranges fails with ErrNoRange, and the caller starts again with Fetch.
	FetchRange(ctx context.Context, d Descriptor, offset, length int64) (io.ReadCloser, error)
}

// ErrNoRange means: the source has the content but cannot serve a part of it.
var ErrNoRange = errors.New("source does not serve ranges")

// Pusher writes content.
type Pusher interface {
	// Push stores the bytes of r as the content of d. A nil error means that
	// they matched digest and size and are durable. Pushing what exists
	// succeeds. A failed Push leaves nothing visible under d.Digest.
	Push(ctx context.Context, d Descriptor, r io.Reader) error
}

// Store reads and writes content.
type Store interface {
	Fetcher
	Pusher
	// Exists tells whether the content of d is there.
	Exists(ctx context.Context, d Descriptor) (bool, error)
}

// Resolver finds the content behind a name.
type Resolver interface {
	// Resolve returns the descriptor of the manifest that reference, a tag or
	// a digest, names now. It fails with ErrNotFound when there is none.
	Resolve(ctx context.Context, reference string) (Descriptor, error)
}

// Source is a repository that content can be taken from.
type Source interface {
	Resolver
	Fetcher
	RangeFetcher
}

// ReferrerLister is what a source may be besides.
type ReferrerLister interface {
	// Referrers returns the manifests that name subject as their subject, in
	// any order. No answer, or a broken one, is an error and never an empty list.
	Referrers(ctx context.Context, subject Descriptor) ([]Descriptor, error)
}

// MaxManifestSize is the largest manifest or index, in bytes, that is read
// into memory. It is the limit that registries have agreed on.
const MaxManifestSize = 4 << 20

// ReadAll fetches the content of d whole and verifies it. Content of more than
// limit bytes is refused with ErrTooLarge before it is fetched.
func ReadAll(ctx context.Context, f Fetcher, d Descriptor, limit int64) ([]byte, error) {
	if d.Size < 0 || d.Size > limit {
		return nil, fmt.Errorf("%s has %d bytes, the limit is %d: %w", d.Digest, d.Size, limit, ErrTooLarge)
	}
	rc, err := f.Fetch(ctx, d)
	if err != nil {
		return nil, err
	}
	defer rc.Close() //nolint:errcheck // opened for reading
	data := make([]byte, d.Size)
	v, err := Verify(rc, d)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(v, data); err != nil {
		return nil, fmt.Errorf("reading %s: %w", d.Digest, err)
	}
	if err := v.Close(); err != nil {
		return nil, err
	}
	return data, nil
}

// ReadFile reads a file of this host whole. One of more than limit bytes is
// refused with ErrTooLarge.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes: %w", path, limit, ErrTooLarge)
	}
	return data, err
}

// Until returns a reader of r that ends with the error of ctx once that is done.
func Until(ctx context.Context, r io.Reader) io.Reader { return &untilReader{ctx, r} }

type untilReader struct {
	ctx context.Context //nolint:containedctx // a reader has no other way to learn of cancellation
	r   io.Reader
}

func (u *untilReader) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// Verifier reads content and checks it at its end.
type Verifier struct {
	r        io.Reader
	d        Descriptor
	verifier digest.Verifier
	left     int64
}

// Verify returns a reader of r that is limited to the size of d. Close must be
// called after the last read: it fails with ErrMismatch unless exactly the
// content of d was read and r holds nothing more. It does not close r.
func Verify(r io.Reader, d Descriptor) (*Verifier, error) {
	if err := d.Digest.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", d.Digest, err)
	}
	if d.Size < 0 {
		return nil, fmt.Errorf("%s has the size %d: %w", d.Digest, d.Size, ErrMismatch)
	}
	return &Verifier{r: r, d: d, verifier: d.Digest.Verifier(), left: d.Size}, nil
}

// Read reads up to the size of the descriptor.
func (v *Verifier) Read(p []byte) (int, error) {
	if v.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > v.left {
		p = p[:v.left]
	}
	n, err := v.r.Read(p)
	v.left -= int64(n)
	_, _ = v.verifier.Write(p[:n]) // a hash never fails
	if errors.Is(err, io.EOF) && v.left > 0 {
		return n, fmt.Errorf("%s ends %d bytes early: %w", v.d.Digest, v.left, errors.Join(ErrMismatch, io.ErrUnexpectedEOF))
	}
	return n, err
}

// Close checks what was read.
func (v *Verifier) Close() error {
	if v.left > 0 {
		return fmt.Errorf("%s: %d bytes were not read: %w", v.d.Digest, v.left, ErrMismatch)
	}
	var one [1]byte
	if n, _ := io.ReadFull(v.r, one[:]); n > 0 {
		return fmt.Errorf("%s is longer than its %d bytes: %w", v.d.Digest, v.d.Size, ErrMismatch)
	}
	if !v.verifier.Verified() {
		return fmt.Errorf("%s: the bytes have another digest: %w", v.d.Digest, ErrMismatch)
	}
	return nil
}
