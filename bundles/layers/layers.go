package layers

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

// Errors of reading layers, to be matched with errors.Is.
var (
	// ErrLayer: a layer is no tar file.
	ErrLayer = errors.New("not a layer")
	// ErrBomb: a layer unpacks to more than any image needs.
	ErrBomb = errors.New("it unpacks to more than is reasonable")
)

// What one layer may unpack to: so many entries, and bytes for the whole and
// for each of its own.
const (
	maxEntries = 1_000_000
	maxFree    = 1 << 30
	maxRatio   = 100
)

// Walk calls visit with every entry of a layer, in their order; r reads the
// entry's content. An error of visit ends the walk. Whatever visit has seen is
// to be believed only when Walk returns nil: then digest and size were right.
func Walk(ctx context.Context, from content.Fetcher, d content.Descriptor, visit func(h *tar.Header, r io.Reader) error) error {
	rc, err := from.Fetch(ctx, d)
	if err != nil {
		return fmt.Errorf("layer %s: %w", d.Digest, err)
	}
	defer rc.Close() //nolint:errcheck // opened for reading
	v, err := content.Verify(content.Until(ctx, rc), d)
	if err != nil {
		return problem.As(problem.Verification, err)
	}
	walked := walk(v, maxFree+maxRatio*d.Size, visit)
	if walked != nil && !errors.Is(walked, ErrLayer) {
		return fmt.Errorf("layer %s: %w", d.Digest, walked)
	}
	// What follows after the end of the tar file belongs to the digest too, and
	// bytes that are damaged explain whatever else is wrong with them.
	if _, err = io.Copy(io.Discard, v); err == nil {
		err = v.Close()
	}
	if err == nil {
		err = walked
	}
	if err != nil {
		return problem.As(problem.Verification, fmt.Errorf("layer %s: %w", d.Digest, err))
	}
	return nil
}

func walk(compressed io.Reader, limit int64, visit func(*tar.Header, io.Reader) error) error {
	plain, done, err := Decompress(compressed)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLayer, err)
	}
	defer done()
	tr := tar.NewReader(&limited{r: plain, left: limit})
	for range maxEntries {
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, ErrBomb):
			return problem.As(problem.Verification, err)
		case err != nil:
			return fmt.Errorf("%w: %w", ErrLayer, err)
		}
		if err := visit(h, tr); err != nil {
			return err
		}
	}
	return problem.As(problem.Verification, fmt.Errorf("more than %d entries: %w", maxEntries, ErrBomb))
}

// limited ends with ErrBomb after so many bytes.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return n, ErrBomb
	}
	return n, err
}

// Path returns the absolute, clean path of an entry in its image.
func Path(h *tar.Header) string { return path.Clean("/" + h.Name) }

// Names of what layers take away: of one name below, or of all of a folder.
// Source: OCI image specification 1.1, "Image Layer Filesystem Changeset".
const (
	whiteout       = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// Hides tells whether an entry takes a path away from the layers below.
func Hides(h *tar.Header, name string) bool {
	dir, base := path.Split(Path(h))
	if base == whiteoutOpaque {
		return strings.HasPrefix(name, dir)
	}
	gone, ok := strings.CutPrefix(base, whiteout)
	return ok && (name == dir+gone || strings.HasPrefix(name, dir+gone+"/"))
}
