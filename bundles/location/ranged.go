package location

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/sealift/sealift/internal/problem"
)

// ranged is an object that is read by requests for parts of it, of a size and
// a version that must not change.
type ranged struct {
	ctx   context.Context //nolint:containedctx // of the source; io.ReaderAt has none
	retry attempts
	// get reads p from offset in one request. It learns or checks the version.
	get func(ctx context.Context, p []byte, off int64) (int, error)

	known          bool // size and version were learned
	size           int64
	etag, modified string
}

// learn asks for the first byte: the answer tells size and version.
func (o *ranged) learn(ctx context.Context) error {
	return o.retry.do(ctx, false, func(ctx context.Context) (int, error) {
		var first [1]byte
		return o.get(ctx, first[:], 0)
	})
}

// Size implements object.
func (o *ranged) Size() int64 { return o.size }

// Close implements object.
func (o *ranged) Close() error { return nil }

// ReadAt implements io.ReaderAt, with one request more for each that was cut.
func (o *ranged) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= o.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), o.size-off)]
	n := 0
	err := o.retry.do(o.ctx, true, func(ctx context.Context) (int, error) {
		m, err := o.get(ctx, want[n:], off+int64(n))
		n += m
		return m, err
	})
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// checkRange compares the headers of a part with what was asked for, which is
// p from off on. From the first it learns size and version.
func (o *ranged) checkRange(header http.Header, p []byte, off int64) error {
	from, to, size, err := parseContentRange(header.Get("Content-Range"))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	etag, modified := header.Get("Etag"), header.Get("Last-Modified")
	if !o.known {
		o.known, o.size, o.etag, o.modified = true, size, etag, modified
	}
	last := off + int64(len(p)) - 1
	switch {
	case size != o.size:
		return changed("it had %d bytes and has %d", o.size, size)
	case o.etag != "" && etag != o.etag:
		return changed("its version was %s and is %s", o.etag, etag)
	case o.etag == "" && modified != o.modified:
		return changed("it was of %s and is of %s", o.modified, modified)
	case from != off || to != last:
		return fmt.Errorf("%w: the server gave bytes %d to %d, asked for %d to %d", ErrUnreadable, from, to, off, last)
	}
	return nil
}

func changed(format string, args ...any) error {
	return problem.New(problem.Failed, "run the command again, when nobody writes to it any more", "%w: %s", ErrChanged, fmt.Sprintf(format, args...))
}

func noRanges() error {
	return problem.New(problem.Failed, "copy the file here first, or put it on a server that supports ranges", "%w: it answered with the whole file", ErrNoRanges)
}

// parseContentRange reads "bytes FROM-TO/SIZE".
func parseContentRange(v string) (from, to, size int64, err error) {
	bad := fmt.Errorf("the server answers with the range %.100q", v)
	rest, ok := strings.CutPrefix(v, "bytes ")
	span, total, ok2 := strings.Cut(rest, "/")
	a, b, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, 0, bad
	}
	var n [3]int64
	for i, s := range []string{a, b, total} {
		u, err := strconv.ParseUint(s, 10, 63)
		if err != nil {
			return 0, 0, 0, bad
		}
		n[i] = int64(u)
	}
	if n[0] > n[1] || n[1] >= n[2] {
		return 0, 0, 0, bad
	}
	return n[0], n[1], n[2], nil
}
