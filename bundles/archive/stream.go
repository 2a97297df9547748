package archive

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/content"
)

// Stream writes the bundle to w from beginning to end, where nothing can be
// written out of order: to encryption or to an object store. fetch is called
// for one blob after the other, in the order of the file, and writes its bytes;
// they are hashed on their way, and what is wrong ends the stream.
func (l *Layout) Stream(ctx context.Context, w io.Writer, signature []byte, fetch func(context.Context, Blob, io.Writer) error) error {
	head, err := l.Head(signature)
	if err != nil {
		return err
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, b := range l.Statement.Blobs {
		if err := l.streamBlob(ctx, w, b, fetch); err != nil {
			return err
		}
	}
	_, err = w.Write(make([]byte, endSize))
	return err
}

func (l *Layout) streamBlob(ctx context.Context, w io.Writer, b Blob, fetch func(context.Context, Blob, io.Writer) error) error {
	h, err := header(BlobName(b.Digest), b.Size)
	if err != nil {
		return err
	}
	if _, err := w.Write(h); err != nil {
		return err
	}
	c := &checkedWriter{w: w, blob: b, hash: sha256.New()}
	if data, ok := l.documents[b.Digest]; ok {
		_, err = c.Write(data)
	} else {
		err = fetch(ctx, b, c)
	}
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return err
	}
	_, err = w.Write(make([]byte, roundUp(b.Size)-b.Size))
	return err
}

// checkedWriter passes on the bytes of one blob, and no others.
type checkedWriter struct {
	w       io.Writer
	blob    Blob
	hash    hash.Hash
	written int64
}

// Write implements io.Writer.
func (c *checkedWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > c.blob.Size-c.written {
		return 0, fmt.Errorf("%s is longer than its %d bytes: %w", c.blob.Digest, c.blob.Size, content.ErrMismatch)
	}
	n, err := c.w.Write(p)
	_, _ = c.hash.Write(p[:n]) // a hash never fails
	c.written += int64(n)
	return n, err
}

func (c *checkedWriter) check() error {
	if c.written != c.blob.Size {
		return fmt.Errorf("%s has %d bytes, not %d: %w", c.blob.Digest, c.written, c.blob.Size, content.ErrMismatch)
	}
	if got := digest.NewDigest(digest.SHA256, c.hash); got != c.blob.Digest {
		return fmt.Errorf("%s: the bytes have the digest %s: %w", c.blob.Digest, got, content.ErrMismatch)
	}
	return nil
}

// Pending returns the blobs that Stream asks for, in order.
func (l *Layout) Pending() []Blob {
	var out []Blob
	for _, b := range l.Statement.Blobs {
		if _, ok := l.documents[b.Digest]; !ok {
			out = append(out, b)
		}
	}
	return out
}
