// Package encrypt keeps bundles secret at rest, with age
// (https://age-encryption.org/v1): for recipients, the public keys, whose
// holders decrypt with an identity, the private key. age seals a file in
// chunks of 64 KiB, each on its own, so that an encrypted bundle is read by
// offset as a plain one is.
//
// Encryption says nothing about who made a bundle: that is what the signature
// inside is for.
package encrypt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// IdentityVariable is the environment variable that names a file of identities.
const IdentityVariable = "SEALIFT_AGE_IDENTITY"

// ErrDamaged means: the encrypted bytes are not what was written.
var ErrDamaged = errors.New("the encrypted file is damaged or cut off")

// The format of age, as far as sizes depend on it.
const (
	magic   = "age-encryption.org/v1\n"
	armored = "-----BEGIN AGE ENCRYPTED FILE-----"
	chunk   = 64 << 10 // plain bytes of a chunk, but the last
	tag     = 16       // bytes that sealing adds to a chunk
)

// maxIdentities is the size of the largest file of identities that is read.
const maxIdentities = 1 << 20

// ParseRecipients reads public keys, age1... each. All that are wrong are named.
func ParseRecipients(keys []string) ([]age.Recipient, error) {
	var out []age.Recipient
	var failures []error
	for _, k := range keys {
		found, err := age.ParseRecipients(strings.NewReader(k))
		if err != nil || len(found) != 1 {
			failures = append(failures, fmt.Errorf("%q is no public key of age", printable(k)))
			continue
		}
		out = append(out, found...)
	}
	if len(failures) > 0 {
		return nil, problem.New(problem.Usage, "a recipient is the public key that sealift key age or age-keygen prints: age1...", "%w", errors.Join(failures...))
	}
	return out, nil
}

// printable returns what may be shown of something that is no public key: by
// mistake it may be a private one.
func printable(key string) string {
	if strings.HasPrefix(strings.ToUpper(strings.TrimSpace(key)), "AGE-SECRET-KEY-") {
		return "AGE-SECRET-KEY-..."
	}
	const limit = 80
	return key[:min(len(key), limit)]
}

// ReadIdentities reads a file of private keys as WriteIdentity and age-keygen
// write it.
func ReadIdentities(path string) ([]age.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, problem.New(problem.Usage, "", "reading the age identity: %w", err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, maxIdentities))
	if err != nil {
		return nil, fmt.Errorf("reading the age identity: %w", err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(data))
	if err != nil { // its text may hold part of a key
		return nil, problem.New(problem.Usage, "give the file that sealift key age or age-keygen made, not protected by a passphrase", "%s holds no private keys of age", path)
	}
	return ids, nil
}

// WriteIdentity makes a private key and writes it into a new file, as age-keygen
// does. It returns the public key. A file that exists is never replaced: without
// its key nobody reads what was encrypted for it.
func WriteIdentity(path string) (recipient string, err error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("making an age key: %w", err)
	}
	public := id.Recipient().String()
	text := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", time.Now().Format(time.RFC3339), public, id)
	err = durable.WriteNew(path, []byte(text), 0o600)
	if errors.Is(err, durable.ErrExists) {
		return "", problem.New(problem.Usage, "choose another name: what was encrypted for the key in it needs that key", "%s exists", path)
	}
	if err != nil {
		return "", fmt.Errorf("writing the age key: %w", err)
	}
	return public, nil
}

// Is tells whether the size bytes of r are an age file.
func Is(r io.ReaderAt, size int64) (bool, error) {
	head := make([]byte, min(size, int64(len(armored))))
	if n, err := r.ReadAt(head, 0); n < len(head) {
		return false, err
	}
	if bytes.HasPrefix(head, []byte(armored)) {
		return false, problem.New(problem.Usage, "decrypt it with age, or encrypt it without armor", "it is an armored age file, which cannot be read by range")
	}
	return bytes.HasPrefix(head, []byte(magic)), nil
}

// Reader decrypts an age file by offset. It is safe for many goroutines.
type Reader struct {
	plain  io.ReaderAt
	size   int64 // of the plain bytes
	header int64 // bytes of the age file before its first chunk
}

// Open opens an age file of so many bytes. Its last chunk is read, so that its
// size is known to be right.
func Open(r io.ReaderAt, sealedSize int64, identities []age.Identity) (*Reader, error) {
	plain, size, err := age.DecryptReaderAt(observed{r}, sealedSize, identities...)
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return nil, problem.New(problem.Failed, "give the identity of one of the recipients that it was encrypted for", "none of the identities decrypts it")
	}
	if err != nil {
		return nil, damaged(err)
	}
	return &Reader{plain: plain, size: size, header: sealedSize - size - tag*chunks(size)}, nil
}

// observed marks errors of reading: they say nothing about the content.
type observed struct{ r io.ReaderAt }

// unread is an error of reading.
type unread struct{ error }

// Unwrap returns the error below.
func (u unread) Unwrap() error { return u.error }

func (o observed) ReadAt(p []byte, off int64) (int, error) {
	n, err := o.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unread{err}
	}
	return n, err
}

// damaged returns why reading failed, and ErrDamaged when it did not.
func damaged(err error) error {
	var failed unread
	if errors.As(err, &failed) {
		return failed.error
	}
	return problem.New(problem.Verification, "copy it again from where it was made", "%w: %w", ErrDamaged, err)
}

// Size returns the number of plain bytes.
func (r *Reader) Size() int64 { return r.size }

// ReadAt implements io.ReaderAt. It fails with ErrDamaged.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.plain.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = damaged(err)
	}
	return n, err
}

// Span returns which bytes of the age file hold n plain bytes from offset on.
func (r *Reader) Span(offset, n int64) (sealedOffset, length int64) {
	first, last := offset/chunk, max(offset+n-1, offset)/chunk
	at := r.header + first*(chunk+tag)
	end := min(r.header+(last+1)*(chunk+tag), r.SealedSize(r.size))
	return at, end - at
}

// SealedSize returns how long the age file of so many plain bytes is, with the
// recipients of this one.
func (r *Reader) SealedSize(size int64) int64 { return r.header + size + tag*chunks(size) }

// chunks returns how many chunks so many plain bytes make: an empty file is one.
func chunks(size int64) int64 { return max((size+chunk-1)/chunk, 1) }

// Writer encrypts what is written to it.
type Writer struct {
	io.WriteCloser
	header int64
}

// NewWriter begins an age file on w. Close ends it, and not w.
func NewWriter(w io.Writer, recipients []age.Recipient) (*Writer, error) {
	c := &counter{w: w}
	wc, err := age.Encrypt(c, recipients...)
	if err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return &Writer{WriteCloser: wc, header: c.n}, nil
}

// SealedSize returns how long the age file of so many plain bytes is for these
// recipients.
func SealedSize(size int64, recipients []age.Recipient) (int64, error) {
	w, err := NewWriter(io.Discard, recipients) // its keys are thrown away; the length of a header does not depend on them
	if err != nil {
		return 0, err
	}
	return w.header + size + tag*chunks(size), nil
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
