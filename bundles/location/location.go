// Package location is where the bytes of a bundle come from and go to. It
// knows nothing of what is in them.
//
// A source is read by offset: a file, the numbered volumes of one (FILE.001,
// FILE.002, ...), an object behind https:// or s3://, or any of these
// encrypted with age, which shows in its first bytes and not in its name. The
// layers stand on one another: objects are joined to volumes, a cache that
// reads ahead stands above what is remote, decryption above that.
//
// An Output is a local file, or volumes, under way: it has its name only when
// it is complete.
package location

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/sealift/sealift/bundles/encrypt"
	"github.com/sealift/sealift/internal/problem"
)

// Errors of sources, to be matched with errors.Is.
var (
	// ErrUnreadable: the source could not be reached or read. It says nothing
	// about whether its content is good.
	ErrUnreadable = errors.New("the source cannot be read")
	// ErrChanged: the source became another one while it was read.
	ErrChanged = errors.New("the source changed while it was read")
	// ErrNoRanges: a server gives whole files only.
	ErrNoRanges = errors.New("the server does not give parts of a file (HTTP Range)")
	// ErrVolumes: a volume is missing or has the wrong size.
	ErrVolumes = errors.New("the volumes do not fit together")
	// ErrEncrypted: there is no identity to decrypt it with.
	ErrEncrypted = errors.New("it is encrypted")
	// ErrNotFound: there is nothing of that name.
	ErrNotFound = errors.New("no such file or object")
)

// Source is the bytes of a bundle, read by offset. It is safe for many
// goroutines.
type Source interface {
	io.ReaderAt
	io.Closer
	// Size returns the length in bytes.
	Size() int64
	// Place says in which volumes the n bytes from offset lie, as in
	// "FILE.002 from byte 17 on"; it is "" where there is one file only.
	Place(offset, n int64) string
	// Missing says which volumes are lacking, or too many, of a whole of size
	// bytes; it is "" where there is one file only or nothing to say.
	Missing(size int64) string
}

// Options is how sources are reached. The zero value speaks TLS, trusts what
// the system trusts, has no credentials but those of AWS, and decrypts nothing.
type Options struct {
	// PlainHTTP are the hosts, HOST or HOST:PORT, that are spoken to without
	// TLS. No host is unless it is named here.
	PlainHTTP []string
	// CAFile is a PEM file of authorities trusted besides the system's.
	CAFile string
	// Username and Password are for the host of an https:// source. They go to
	// no other host.
	Username, Password string
	// Identities decrypt sources that are encrypted.
	Identities []age.Identity
	// MaxAttempts is how often a request is tried; 0 means 6.
	MaxAttempts int
	// MinWait is the wait before the first retry; it doubles each time. 0
	// means 500 ms.
	MinWait time.Duration
	// StallTimeout ends a connection that moves no byte; 0 means 60 s.
	StallTimeout time.Duration
}

// IsRemote tells whether a name is that of an object, not of a file.
func IsRemote(name string) bool {
	return strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://") || IsS3(name)
}

// IsS3 tells whether a name is that of an object in S3.
func IsS3(name string) bool { return strings.HasPrefix(name, s3Scheme) }

// Open opens a source: a file, volumes by their common name or that of the
// first, an https:// or s3:// address. What is encrypted is decrypted as it is
// read. ctx ends the reading of remote sources.
func Open(ctx context.Context, name string, opts Options) (Source, error) {
	s, err := OpenRaw(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	out, err := decrypted(s, opts.Identities)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", Redact(name), err), s.Close())
	}
	return out, nil
}

// OpenRaw is Open without decryption.
func OpenRaw(ctx context.Context, name string, opts Options) (Source, error) {
	var s Source
	var err error
	if IsRemote(name) {
		s, err = openRemote(ctx, name, opts)
	} else {
		s, err = openLocal(name)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", Redact(name), err)
	}
	return s, nil
}

// Exists tells whether there is a file, volumes or an object of this name.
// Volumes that are being given their names do not count.
func Exists(ctx context.Context, name string, opts Options) (bool, error) {
	if !IsRemote(name) {
		if _, err := os.Lstat(name); err == nil {
			return true, nil
		}
		parts, err := localParts(name)
		return len(parts) > 0 && !Finishing(name), err
	}
	s, err := OpenRaw(ctx, name, opts)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.Close()
}

// openRemote opens an object, or volumes of objects, with a cache before it.
func openRemote(ctx context.Context, name string, opts Options) (Source, error) {
	ctx, cancel := context.WithCancel(ctx)
	open, err := opener(ctx, name, opts)
	if err == nil {
		var v *volumes
		if v, err = openObjects(ctx, name, open); err == nil {
			return &remote{volumes: v, blocks: newBlocks(ctx, v, v.Size()), cancel: cancel}, nil
		}
	}
	cancel()
	return nil, err
}

// opener returns what opens one object of the store that name is in.
func opener(ctx context.Context, name string, opts Options) (openFunc, error) {
	if IsS3(name) {
		return newS3(ctx, opts)
	}
	return newWeb(ctx, name, opts)
}

// remote is objects read through a cache.
type remote struct {
	*volumes
	blocks *blocks
	cancel context.CancelFunc
}

// ReadAt implements io.ReaderAt.
func (r *remote) ReadAt(p []byte, off int64) (int, error) { return r.blocks.ReadAt(p, off) }

// Close ends requests under way.
func (r *remote) Close() error {
	r.cancel()
	r.blocks.wait()
	return r.volumes.Close()
}

// sealed is a source that is decrypted as it is read.
type sealed struct {
	Source
	*encrypt.Reader
}

// ReadAt implements io.ReaderAt.
func (s *sealed) ReadAt(p []byte, off int64) (int, error) { return s.Reader.ReadAt(p, off) }

// Size implements Source.
func (s *sealed) Size() int64 { return s.Reader.Size() }

// Place implements Source.
func (s *sealed) Place(offset, n int64) string { return s.Source.Place(s.Span(offset, n)) }

// Missing implements Source.
func (s *sealed) Missing(size int64) string { return s.Source.Missing(s.SealedSize(size)) }

// decrypted returns s, or what s holds when that is encrypted.
func decrypted(s Source, identities []age.Identity) (Source, error) {
	is, err := encrypt.Is(s, s.Size())
	if err != nil || !is {
		return s, err
	}
	if len(identities) == 0 {
		return nil, problem.New(problem.Usage, "give the file of a private age key that it was encrypted for: --identity FILE, or "+encrypt.IdentityVariable,
			"%w", ErrEncrypted)
	}
	r, err := encrypt.Open(s, s.Size(), identities)
	if errors.Is(err, encrypt.ErrDamaged) {
		if v, ok := s.(interface{ Count() int }); ok && v.Count() > 0 {
			err = fmt.Errorf("%w (volumes found: %d; is the last one missing?)", err, v.Count())
		}
	}
	if err != nil {
		return nil, err
	}
	return &sealed{Source: s, Reader: r}, nil
}
