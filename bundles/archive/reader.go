package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
)

// Head is the beginning of a bundle, read but not believed.
type Head struct {
	r       location.Source
	size    int64 // of the bundle
	start   int64 // payload start
	entries map[string][]byte
	at      map[string]int64 // where the entries begin
}

// Open reads the head of a bundle, wherever it is: a file, its volumes, an
// https:// or s3:// address, encrypted or not. ctx ends the reading of what is
// remote, for as long as the bundle is open.
func Open(ctx context.Context, name string, opts location.Options) (*Head, error) {
	src, err := location.Open(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	h, err := OpenSource(src)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening bundle %s: %w", location.Redact(name), err), src.Close())
	}
	return h, nil
}

// Unreadable tells whether an error is that of the way to the bytes, which
// says nothing about the bytes.
func Unreadable(err error) bool {
	return errors.Is(err, location.ErrUnreadable) || errors.Is(err, location.ErrChanged) || errors.Is(err, context.Canceled)
}

// ReadHead reads the head of a bundle of size bytes. It reads nothing else.
func ReadHead(r io.ReaderAt, size int64) (*Head, error) { return readHead(location.Bytes(r, size)) }

// OpenSource is Open for a source that is open already.
func OpenSource(src location.Source) (*Head, error) {
	h, err := readHead(src)
	if err != nil && !Unreadable(err) {
		err = problem.As(problem.Verification, err)
	}
	return h, err
}

func readHead(r location.Source) (*Head, error) {
	h := &Head{r: r, size: r.Size(), entries: map[string][]byte{}, at: map[string]int64{}}
	for _, e := range headLimits() {
		data, err := h.readEntry(e.name, e.size)
		if err != nil {
			return nil, fmt.Errorf("entry %s at byte %d: %w", e.name, h.start, err)
		}
		h.entries[e.name] = data
		h.at[e.name] = h.start - blockSize - roundUp(int64(len(data)))
	}
	return h, nil
}

// placed adds to an error the volumes in which the n bytes from at lie.
func (h *Head) placed(err error, at, n int64) error {
	if place := h.r.Place(at, n); err != nil && place != "" {
		return fmt.Errorf("%w (%s)", err, place)
	}
	return err
}

// placedEntry is placed for an entry of the head.
func (h *Head) placedEntry(err error, name string) error {
	return h.placed(err, h.at[name], blockSize+int64(len(h.entries[name])))
}

// readEntry reads the entry at h.start and moves h.start behind it.
func (h *Head) readEntry(name string, limit int64) ([]byte, error) {
	size, err := h.readHeader(name, limit)
	if err != nil {
		return nil, h.placed(err, h.start, blockSize)
	}
	if h.size-h.start-blockSize < roundUp(size) { // before memory is taken for it
		return nil, fmt.Errorf("%w: the file has %d bytes", ErrTruncated, h.size)
	}
	data := make([]byte, roundUp(size))
	if err := readAt(h.r, data, h.start+blockSize, h.size); err != nil {
		return nil, err
	}
	if !allZero(data[size:]) {
		return nil, h.placed(fmt.Errorf("%w: the gap after it is not empty", ErrFormat), h.start+blockSize+size, roundUp(size)-size)
	}
	h.start += blockSize + roundUp(size)
	return data[:size:size], nil
}

// readHeader reads the header at h.start and returns the size of its entry.
func (h *Head) readHeader(name string, limit int64) (int64, error) {
	var block [blockSize]byte
	if err := readAt(h.r, block[:], h.start, h.size); err != nil {
		return 0, err
	}
	got, size, err := parseHeader(block[:])
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if got != name {
		return 0, fmt.Errorf("%w: another entry, %q, stands in its place", ErrFormat, printable(got))
	}
	if size > limit {
		return 0, fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrFormat, size, limit)
	}
	return size, nil
}

// Statement returns the bytes of the statement.
func (h *Head) Statement() []byte { return h.entries[NameStatement] }

// Signature returns the bytes of the statement's signature.
func (h *Head) Signature() []byte { return h.entries[NameSignature] }

// Close closes the file.
func (h *Head) Close() error { return h.r.Close() }

// Verifier checks a signature; sign.Verifier is one.
type Verifier interface {
	Verify(payload, signature []byte) error
}

// Authenticate checks the signature, then the statement and the rest of the
// head, and returns a reader of the payload. No part of the statement is
// believed, or even parsed, before its signature is checked.
func (h *Head) Authenticate(v Verifier) (*Reader, error) {
	if err := v.Verify(h.Statement(), h.Signature()); err != nil {
		return nil, h.placed(err, h.at[NameStatement], h.start-h.at[NameStatement])
	}
	return h.Unverified()
}

// Unverified is Authenticate without the check of the signature, for looking
// at a bundle whose origin does not matter. Nothing may be pushed or served
// from its result.
func (h *Head) Unverified() (*Reader, error) {
	r, err := h.reader()
	if err != nil {
		return nil, problem.As(problem.Verification, err)
	}
	return r, nil
}

func (h *Head) reader() (*Reader, error) {
	s, err := DecodeStatement(h.Statement())
	if err != nil {
		return nil, h.placedEntry(err, NameStatement)
	}
	if err := h.checkEntries(s); err != nil {
		return nil, err
	}
	if err := h.checkSize(h.start + s.Payload); err != nil {
		return nil, err
	}
	r := &Reader{head: h, statement: s, blobs: make(map[digest.Digest]Blob, len(s.Blobs)),
		fromBase: make(map[digest.Digest]int64, len(s.FromBase))}
	for _, b := range s.Blobs {
		r.blobs[b.Digest] = b
	}
	for _, d := range s.FromBase {
		r.fromBase[d.Digest] = d.Size
	}
	return r, nil
}

// checkSize compares the size of the bundle with what it must be, and names
// the volumes that are lacking or too many.
func (h *Head) checkSize(want int64) error {
	var err error
	switch {
	case h.size < want:
		err = fmt.Errorf("%w: the file has %d bytes of %d", ErrTruncated, h.size, want)
	case h.size > want:
		err = fmt.Errorf("%w: %d bytes follow after the end at byte %d", ErrFormat, h.size-want, want)
	}
	if missing := h.r.Missing(want); err != nil && missing != "" {
		return problem.New(problem.Verification, "bring exactly its volumes into one folder, each as long as where it was made", "%w: %s", err, missing)
	}
	return err
}

// checkEntries compares the entries before the statement with what it says.
func (h *Head) checkEntries(s *Statement) error {
	names := []string{NameLayout, NameIndex, NameManifest}
	if len(s.Head) != len(names) {
		return fmt.Errorf("%s: %w: head has %d entries, not %d", NameStatement, ErrFormat, len(s.Head), len(names))
	}
	for i, name := range names {
		data := h.entries[name]
		if e := s.Head[i]; e.Name != name || e.Size != int64(len(data)) || e.Digest != digest.FromBytes(data) {
			err := fmt.Errorf("%s: %w: not what the statement says (%s of %d bytes)", name, content.ErrMismatch, e.Digest, e.Size)
			return h.placedEntry(err, name)
		}
	}
	var layout struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(h.entries[NameLayout], &layout); err != nil || layout.Version != "1.0.0" {
		return fmt.Errorf("%s: %w: not an OCI image layout of version 1.0.0", NameLayout, ErrFormat)
	}
	return nil
}

// Reader reads the blobs of a bundle by their digest. It is safe for many
// goroutines.
type Reader struct {
	head      *Head
	statement *Statement
	blobs     map[digest.Digest]Blob
	fromBase  map[digest.Digest]int64 // sizes
}

var (
	_ content.Fetcher      = (*Reader)(nil)
	_ content.RangeFetcher = (*Reader)(nil)
)

// Statement returns what the bundle says of itself. It must not be changed.
func (r *Reader) Statement() *Statement { return r.statement }

// StatementDigest returns the digest of the statement: it identifies the
// bundle, whoever signed it.
func (r *Reader) StatementDigest() digest.Digest { return digest.FromBytes(r.head.Statement()) }

// Size returns the size of the bundle in bytes.
func (r *Reader) Size() int64 { return r.head.size }

// Head reads everything before the payload: with it and the blobs, wherever
// they are, the bundle can be read again by ReadHead.
func (r *Reader) Head() ([]byte, error) {
	head := make([]byte, r.head.start)
	return head, readAt(r.head.r, head, 0, r.head.size)
}

// Close closes the file.
func (r *Reader) Close() error { return r.head.Close() }

// Blob returns the entry of a digest, and whether the bundle has it.
func (r *Reader) Blob(d digest.Digest) (Blob, bool) {
	b, ok := r.blobs[d]
	return b, ok
}

// FromBase tells whether the bundle, a delta, leaves d to its base.
func (r *Reader) FromBase(d content.Descriptor) bool {
	size, ok := r.fromBase[d.Digest]
	return ok && size == d.Size
}

// Section returns the bytes of a blob, straight from the file, not verified.
// It fails with content.ErrNotFound.
func (r *Reader) Section(d digest.Digest) (*io.SectionReader, error) {
	b, ok := r.blobs[d]
	if !ok {
		return nil, fmt.Errorf("blob %s in the bundle: %w", d, content.ErrNotFound)
	}
	return io.NewSectionReader(r.head.r, r.head.start+b.Offset, b.Size), nil
}

// Fetch opens the content of d.
func (r *Reader) Fetch(ctx context.Context, d content.Descriptor) (io.ReadCloser, error) {
	return r.FetchRange(ctx, d, 0, d.Size)
}

// FetchRange opens length bytes of the content of d from offset on.
func (r *Reader) FetchRange(ctx context.Context, d content.Descriptor, offset, length int64) (io.ReadCloser, error) {
	s, err := r.Section(d.Digest)
	if err != nil {
		return nil, err
	}
	if s.Size() != d.Size {
		return nil, fmt.Errorf("blob %s has %d bytes, not %d: %w", d.Digest, s.Size(), d.Size, content.ErrMismatch)
	}
	if offset < 0 || length < 0 || offset > s.Size()-length {
		return nil, fmt.Errorf("bytes %d to %d of %s, which has %d", offset, offset+length, d.Digest, s.Size())
	}
	return io.NopCloser(content.Until(ctx, io.NewSectionReader(s, offset, length))), nil
}

// Document reads a manifest, an index or the definition and verifies it.
func (r *Reader) Document(ctx context.Context, d digest.Digest) (content.Descriptor, []byte, error) {
	b, ok := r.blobs[d]
	if !ok {
		return content.Descriptor{}, nil, fmt.Errorf("blob %s in the bundle: %w", d, content.ErrNotFound)
	}
	data, err := content.ReadAll(ctx, r, b.Descriptor(), content.MaxManifestSize)
	if Unreadable(err) {
		return content.Descriptor{}, nil, err
	}
	if err != nil {
		return content.Descriptor{}, nil, problem.As(problem.Verification, err)
	}
	return b.Descriptor(), data, nil
}

// readAt fills p from offset of a file of size bytes.
func readAt(r io.ReaderAt, p []byte, offset, size int64) error {
	if size-offset < int64(len(p)) {
		return fmt.Errorf("%w: the file has %d bytes", ErrTruncated, size)
	}
	n, err := r.ReadAt(p, offset)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w at byte %d: the file became shorter while it was read", ErrTruncated, offset+int64(n))
	}
	return fmt.Errorf("reading at byte %d: %w", offset, err)
}

func allZero(p []byte) bool { return len(bytes.TrimLeft(p, "\x00")) == 0 }
