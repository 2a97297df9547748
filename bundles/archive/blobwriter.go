package archive

import (
	"encoding"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/content"
)

// BlobWriter writes one blob to its place, in order, hashing as it goes.
type BlobWriter struct {
	w    *Writer
	blob Blob
	at   int64 // position of the blob in the file

	mu      sync.Mutex
	hash    hash.Hash
	written int64
	noted   int64 // as of the last record
	flushed int64 // handed to the disk
	failed  error // of a write: only Rewind helps
}

// flushSize is how many bytes are handed to the disk at once.
const flushSize = 8 << 20

// flush lets the disk begin with what was written, once there are least bytes
// of it, so that the sync at the end finds little to do.
func (b *BlobWriter) flush(least int64) {
	if n := b.written - b.flushed; n >= least {
		b.w.out.StartWriteback(b.at+b.flushed, n)
		b.flushed = b.written
	}
}

// Offset returns how many bytes are written: where to go on from.
func (b *BlobWriter) Offset() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.written
}

// Rewind begins the blob again. What the journal has of it is withdrawn first:
// the noted hash state must never outlive the bytes that it was made from.
func (b *BlobWriter) Rewind() error {
	b.w.checkpointing.Lock()
	defer b.w.checkpointing.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hash.Reset()
	noted := b.noted > 0
	b.written, b.noted, b.flushed, b.failed = 0, 0, 0, nil
	if !noted {
		return nil
	}
	return b.w.journal.append([]record{{Under: b.blob.Digest}})
}

// Write adds p to the blob.
func (b *BlobWriter) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed != nil {
		return 0, b.failed
	}
	if int64(len(p)) > b.blob.Size-b.written {
		return 0, fmt.Errorf("%s is longer than its %d bytes: %w", b.blob.Digest, b.blob.Size, content.ErrMismatch)
	}
	var n int
	var err error
	written := make(chan struct{})
	go func() {
		defer close(written)
		n, err = b.w.out.WriteAt(p, b.at+b.written)
	}()
	_, _ = b.hash.Write(p) // while the disk has its time; a hash never fails
	<-written
	if err != nil { // the hash is ahead of the bytes
		b.failed = err
		return 0, err
	}
	b.written += int64(n)
	b.flush(flushSize)
	return n, nil
}

// ReadFrom implements io.ReaderFrom: it adds all that r has, in pieces that go
// to the disk as they are. What was read before r failed is added too.
func (b *BlobWriter) ReadFrom(r io.Reader) (total int64, err error) {
	buf := b.w.out.Buffer()
	defer b.w.out.Release(buf)
	for err == nil {
		piece := b.w.out.Piece(buf, b.at+b.Offset())
		var filled int
		filled, err = fill(piece, r)
		n, writeErr := b.Write(piece[:filled])
		total += int64(n)
		if writeErr != nil {
			return total, writeErr
		}
	}
	if err == io.EOF { //nolint:errorlint // the documented value of Read; a wrapped one is a failure
		err = nil
	}
	return total, err
}

// fill reads until p is full or r fails. Unlike io.ReadFull it leaves the
// error as it is: that r was cut off is not that it ended.
func fill(p []byte, r io.Reader) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// Commit checks the blob and counts it as complete. When its bytes are not
// the ones that were announced it fails with content.ErrMismatch, and the blob
// has to be begun again.
func (b *BlobWriter) Commit() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.written != b.blob.Size {
		return fmt.Errorf("%s has %d bytes, not %d: %w", b.blob.Digest, b.written, b.blob.Size, content.ErrMismatch)
	}
	if got := digest.NewDigest(digest.SHA256, b.hash); got != b.blob.Digest {
		return fmt.Errorf("%s: the bytes have the digest %s: %w", b.blob.Digest, got, content.ErrMismatch)
	}
	b.flush(1)
	h, err := header(BlobName(b.blob.Digest), b.blob.Size)
	if err != nil {
		return err
	}
	if _, err := b.w.out.WriteAt(h, b.at-blockSize); err != nil {
		return err
	}
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	delete(b.w.under, b.blob.Digest)
	b.w.done[b.blob.Digest] = true
	b.w.fresh = append(b.w.fresh, b.blob.Digest)
	return b.w.failed
}

// record returns the journal's record of a blob under way; ok is false when
// there is nothing new to note.
func (b *BlobWriter) record() (r record, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.written == b.noted || b.written == 0 || b.failed != nil {
		return record{}, false, nil
	}
	state, err := b.hash.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return record{}, false, err
	}
	b.noted = b.written
	return record{Under: b.blob.Digest, Offset: b.written, State: state}, true, nil
}
