package archive

import (
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/content"
)

// ErrSkip is returned by the read of Walk to leave out a manifest and what is below.
var ErrSkip = errors.New("skip what is below")

// maxDepth is how deep indexes may be nested.
const maxDepth = 8

// Walk visits every descriptor below and including a root once, without those
// that are declared absent: children in their order, then their parent. read
// returns the bytes of a manifest or index; visit gets these bytes and what
// they say, or nil for other content.
func Walk(r Root, read func(content.Descriptor) ([]byte, error), visit func(content.Descriptor, *content.Manifest, []byte) error) error {
	w := walker{read: read, visit: visit, seen: make(map[digest.Digest]bool)}
	for _, d := range r.Absent {
		w.seen[d.Digest] = true
	}
	return w.walk(r.Descriptor, 0)
}

type walker struct {
	read  func(content.Descriptor) ([]byte, error)
	visit func(content.Descriptor, *content.Manifest, []byte) error
	seen  map[digest.Digest]bool
}

func (w *walker) walk(d content.Descriptor, depth int) error {
	if w.seen[d.Digest] {
		return nil
	}
	w.seen[d.Digest] = true
	if !content.IsManifest(d.MediaType) {
		return w.visit(d, nil, nil)
	}
	if depth > maxDepth {
		return fmt.Errorf("%s: indexes are nested more than %d deep: %w", d.Digest, maxDepth, ErrFormat)
	}
	data, err := w.read(d)
	if errors.Is(err, ErrSkip) {
		return nil
	}
	if err != nil {
		return err
	}
	m, err := content.ParseManifest(d, data)
	if err != nil {
		return err
	}
	for _, c := range m.Children() {
		if err := w.walk(c, depth+1); err != nil {
			return err
		}
	}
	return w.visit(d, m, data)
}
