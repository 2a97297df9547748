package archive

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"runtime"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/progress"
)

// VerifyOptions is how a bundle is verified. The zero value is a good default.
type VerifyOptions struct {
	Jobs     int               // blobs hashed at once; 0 means one a core
	Progress progress.Reporter // nil means none
}

// verifyBuffer is how much of a blob is read at once, in bytes.
const verifyBuffer = 1 << 20

// Verify checks every byte of the payload against the statement, many blobs
// at once, then that the bundle is closed: that each root is whole. It returns
// every fault that it finds, in the order of the file; the error is for when
// it could not look.
func (r *Reader) Verify(ctx context.Context, opts VerifyOptions) (faults []error, err error) {
	faults, err = r.verifyBlobs(ctx, opts)
	if err != nil || len(faults) > 0 {
		return faults, err
	}
	if err := r.verifyEnd(); Unreadable(err) {
		return nil, err
	} else if err != nil {
		return []error{r.head.placed(err, r.head.size-endSize, endSize)}, nil
	}
	return r.Closure(ctx)
}

func (r *Reader) verifyBlobs(ctx context.Context, opts VerifyOptions) ([]error, error) {
	blobs := slices.Clone(r.statement.Blobs)
	slices.SortStableFunc(blobs, func(a, b Blob) int { return cmp.Compare(b.Size, a.Size) })
	var total int64
	for _, b := range blobs {
		total += b.Size
	}
	phase := progress.OrNone(opts.Progress).Start("verifying", total)
	defer phase.Done()

	var mu sync.Mutex
	found := map[digest.Digest]error{}
	queue := make(chan Blob)
	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(queue)
		for _, b := range blobs {
			select {
			case queue <- b:
			case <-inner.Done():
				return inner.Err()
			}
		}
		return nil
	})
	for range cmp.Or(opts.Jobs, runtime.GOMAXPROCS(0)) {
		g.Go(func() error {
			c := checker{r: r, phase: phase, hash: sha256.New(), buf: make([]byte, verifyBuffer)}
			for b := range queue {
				if err := c.check(inner, b); inner.Err() != nil {
					return inner.Err()
				} else if Unreadable(err) {
					return err
				} else if err != nil {
					mu.Lock()
					found[b.Digest] = r.placed(err, b)
					mu.Unlock()
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return r.named(ctx, found), nil
}

// named returns the faults of blobs in the order of the statement, each with who
// needs the blob.
func (r *Reader) named(ctx context.Context, found map[digest.Digest]error) (faults []error) {
	if len(found) == 0 {
		return nil
	}
	owners := r.owners(ctx)
	for _, b := range r.statement.Blobs {
		if err := found[b.Digest]; err != nil {
			faults = append(faults, owners.name(b.Digest, err))
		}
	}
	return faults
}

// owners are the references of the roots that need a blob.
type owners map[digest.Digest][]string

// owners looks through the documents that can be read.
func (r *Reader) owners(ctx context.Context) owners {
	out := owners{}
	for _, root := range r.statement.Roots {
		add := func(d content.Descriptor) { out[d.Digest] = append(out[d.Digest], root.Reference) }
		read := func(d content.Descriptor) ([]byte, error) {
			add(d)
			_, data, err := r.Document(ctx, d.Digest)
			return data, err
		}
		_ = Walk(root, read, func(d content.Descriptor, m *content.Manifest, _ []byte) error { // a damaged one ends it
			if m == nil {
				add(d)
			}
			return nil
		})
	}
	return out
}

// name adds to a fault of a blob who needs that, as far as it is known.
func (o owners) name(d digest.Digest, err error) error {
	switch refs := o[d]; len(refs) {
	case 0:
		return err
	case 1:
		return fmt.Errorf("%s: %w", refs[0], err)
	default:
		return fmt.Errorf("%s and %d more: %w", refs[0], len(refs)-1, err)
	}
}

// VerifyBlob checks the bytes of one blob.
func (r *Reader) VerifyBlob(ctx context.Context, d digest.Digest) error {
	b, ok := r.blobs[d]
	if !ok {
		return fmt.Errorf("blob %s in the bundle: %w", d, content.ErrNotFound)
	}
	c := checker{r: r, phase: progress.None{}, hash: sha256.New(), buf: make([]byte, verifyBuffer)}
	return r.placed(c.check(ctx, b), b)
}

// placed adds to a fault of a blob the volumes that hold its header, its bytes
// and its gap.
func (r *Reader) placed(err error, b Blob) error {
	return r.head.placed(err, r.head.start+b.Offset-blockSize, blockSize+roundUp(b.Size))
}

// checker checks one blob after the other with one buffer and one hash.
type checker struct {
	r     *Reader
	phase progress.Phase
	hash  hash.Hash
	buf   []byte
}

func (c *checker) check(ctx context.Context, b Blob) error {
	at := c.r.head.start + b.Offset
	want, err := header(BlobName(b.Digest), b.Size)
	if err != nil {
		return err
	}
	got := c.buf[:blockSize]
	if err := readAt(c.r.head.r, got, at-blockSize, c.r.head.size); err != nil {
		return fmt.Errorf("header of blob %s: %w", b.Digest, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("header of blob %s at byte %d: %w", b.Digest, at-blockSize, content.ErrMismatch)
	}
	if err := c.hashBlob(ctx, b, at); err != nil {
		return err
	}
	gap := c.buf[:roundUp(b.Size)-b.Size]
	if err := readAt(c.r.head.r, gap, at+b.Size, c.r.head.size); err != nil {
		return fmt.Errorf("gap after blob %s: %w", b.Digest, err)
	}
	if !allZero(gap) {
		return fmt.Errorf("gap after blob %s at byte %d is not empty: %w", b.Digest, at+b.Size, content.ErrMismatch)
	}
	return nil
}

func (c *checker) hashBlob(ctx context.Context, b Blob, at int64) error {
	task := c.phase.Task(b.Digest.String(), b.Size)
	defer task.Done()
	c.hash.Reset()
	for done := int64(0); done < b.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := c.buf[:min(int64(len(c.buf)), b.Size-done)]
		if err := readAt(c.r.head.r, p, at+done, c.r.head.size); err != nil {
			return fmt.Errorf("blob %s: %w", b.Digest, err)
		}
		_, _ = c.hash.Write(p) // a hash never fails
		done += int64(len(p))
		task.Add(int64(len(p)))
	}
	if got := digest.NewDigest(digest.SHA256, c.hash); got != b.Digest {
		return fmt.Errorf("blob %s (%s, %d bytes from byte %d on): its bytes have the digest %s",
			b.Digest, b.MediaType, b.Size, at, got)
	}
	return nil
}

// verifyEnd checks the two empty blocks that end the file.
func (r *Reader) verifyEnd() error {
	var end [endSize]byte
	at := r.head.size - endSize
	if err := readAt(r.head.r, end[:], at, r.head.size); err != nil {
		return err
	}
	if !allZero(end[:]) {
		return fmt.Errorf("the end mark at byte %d is damaged: %w", at, content.ErrMismatch)
	}
	return nil
}

// ErrNotClosed means: content that a root needs is neither there nor declared absent.
var ErrNotClosed = fmt.Errorf("the bundle is not whole: %w", content.ErrNotFound)

// Closure checks that every descriptor reachable from a root is in the bundle,
// in its base, or declared absent, with the size that its parent states. It
// reads and verifies documents only.
func (r *Reader) Closure(ctx context.Context) (faults []error, err error) {
	for _, root := range r.statement.Roots {
		c := closure{ctx: ctx, r: r, root: root.Reference}
		err := Walk(root, c.read, c.visit)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if Unreadable(err) {
			return nil, err
		}
		faults = append(faults, c.faults...)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", root.Reference, err))
		}
	}
	return faults, nil
}

// closure looks at what is below one root.
type closure struct {
	ctx    context.Context //nolint:containedctx // lives as long as one call of Closure
	r      *Reader
	root   string
	faults []error
}

func (c *closure) read(d content.Descriptor) ([]byte, error) {
	if b, ok := c.r.blobs[d.Digest]; !ok || b.Size != d.Size {
		c.missing(d)
		return nil, ErrSkip
	}
	_, data, err := c.r.Document(c.ctx, d.Digest)
	return data, err
}

func (c *closure) visit(d content.Descriptor, _ *content.Manifest, _ []byte) error {
	if b, ok := c.r.blobs[d.Digest]; ok && b.Size == d.Size {
		return nil
	}
	if !c.r.FromBase(d) {
		c.missing(d)
	}
	return nil
}

func (c *closure) missing(d content.Descriptor) {
	c.faults = append(c.faults, fmt.Errorf("%s needs %s (%s, %d bytes): %w", c.root, d.Digest, d.MediaType, d.Size, ErrNotClosed))
}
