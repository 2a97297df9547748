package sbom

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/gabriel-vasile/mimetype"
	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/layers"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// limits is how much one layer may unpack to.
type limits struct {
	entries int   // names
	free    int64 // bytes that every layer may unpack to
	ratio   int64 // and how many more for each of its own bytes
	small   int64 // size of a file, in bytes, up to which it is kept whatever it is
	large   int64 // size above which only programs are kept
}

// defaultLimits leave room for any layer that is meant to be run: the largest
// have some 500,000 files, text packs 20 to 1, and databases of RPM have less
// than 200 MiB.
func defaultLimits() limits {
	return limits{entries: 1_000_000, free: 1 << 30, ratio: 100, small: 1 << 20, large: 256 << 20}
}

// maxPath is the longest name in a layer, in bytes, as in Linux.
const maxPath = 4096

// Errors of reading layers, to be matched with errors.Is.
var (
	// ErrLayer: a layer is no tar file.
	ErrLayer = errors.New("not a layer")
	// ErrBomb: a layer unpacks to more than any image needs.
	ErrBomb = errors.New("it unpacks to more than is reasonable")
)

// layer is what one layer changes. The content of files that catalogers may ask
// for is in a file without a name, which is gone when the process is.
type layer struct {
	entries []entry
	file    *os.File
}

// entry is one name in a layer.
type entry struct {
	path string
	kind entryKind
	node node
}

type entryKind int

const (
	entryFile    entryKind = iota // a file or a symbolic link
	entryFolder                   // a folder
	entrySame                     // another name, node.link, has the same content: a hard link
	entryGone                     // what lower layers have of this name is gone
	entryEmptied                  // what lower layers have in this folder is gone
)

// layerReader reads layers, each once however many images share it.
type layerReader struct {
	bundle  content.Fetcher
	wanted  wanted
	limits  limits
	tempDir string
	phase   progress.Phase
	uses    map[digest.Digest]int // how often a layer is still needed
	open    map[digest.Digest]*layer
}

// use announces that a layer will be read and tells whether that is new.
func (r *layerReader) use(d content.Descriptor) bool {
	r.uses[d.Digest]++
	return r.uses[d.Digest] == 1
}

// layer returns the content of a layer. Whoever calls it calls done in the end.
func (r *layerReader) layer(ctx context.Context, d content.Descriptor) (*layer, error) {
	if l := r.open[d.Digest]; l != nil {
		return l, nil
	}
	f, err := os.CreateTemp(r.tempDir, "sealift-sbom-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	u := &unpacker{layerReader: r, layer: &layer{file: f}, left: r.limits.free + r.limits.ratio*d.Size}
	u.w = bufio.NewWriterSize(f, 1<<20)
	if err := u.read(ctx, d); err != nil {
		return nil, errors.Join(fmt.Errorf("layer %s: %w", d.Digest, err), f.Close())
	}
	r.open[d.Digest] = u.layer
	return u.layer, nil
}

// done takes back one use of a layer.
func (r *layerReader) done(d content.Descriptor) {
	if r.uses[d.Digest]--; r.uses[d.Digest] > 0 {
		return
	}
	if l := r.open[d.Digest]; l != nil {
		_ = l.file.Close() // it has no name and is gone with this
		delete(r.open, d.Digest)
	}
}

// close ends all uses.
func (r *layerReader) close() {
	for _, l := range r.open {
		_ = l.file.Close() // as above
	}
}

// unpacker reads one layer.
type unpacker struct {
	*layerReader
	layer *layer
	w     *bufio.Writer
	kept  int64 // bytes in the layer's file
	left  int64 // bytes that the layer may still unpack to
}

// read unpacks the layer and checks its digest.
func (u *unpacker) read(ctx context.Context, d content.Descriptor) error {
	task := u.phase.Task(d.Digest.String(), d.Size)
	defer task.Done()
	rc, err := u.bundle.Fetch(ctx, d)
	if err != nil {
		return err
	}
	defer rc.Close() //nolint:errcheck // opened for reading
	v, err := content.Verify(progress.Reader(rc, task), d)
	if err != nil {
		return problem.As(problem.Verification, err)
	}
	unpacked := u.unpack(v)
	if unpacked != nil && (ctx.Err() != nil || !errors.Is(unpacked, ErrLayer)) {
		return unpacked
	}
	// What follows after the end of the tar file belongs to the digest too, and
	// bytes that are damaged explain whatever else is wrong with them.
	if _, err = io.Copy(io.Discard, v); err == nil {
		err = v.Close()
	}
	if err == nil {
		err = unpacked
	}
	if err != nil {
		return problem.As(problem.Verification, err)
	}
	return u.w.Flush()
}

func (u *unpacker) unpack(compressed io.Reader) error {
	plain, done, err := layers.Decompress(compressed)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrLayer, err)
	}
	defer done()
	tr := tar.NewReader(&bombReader{r: plain, left: &u.left})
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return notALayer(err)
		}
		if err := u.entry(h, tr); err != nil {
			return err
		}
	}
}

// notALayer marks an error of the tar reader.
func notALayer(err error) error {
	if errors.Is(err, ErrBomb) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrLayer, err)
}

// bombReader ends with ErrBomb after so many bytes.
type bombReader struct {
	r    io.Reader
	left *int64
}

func (b *bombReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if *b.left -= int64(n); *b.left < 0 {
		return n, problem.As(problem.Verification, ErrBomb)
	}
	return n, err
}

// Names of what layers take away: of one name below, or of all of a folder.
// Source: OCI image specification 1.1, "Image Layer Filesystem Changeset".
const (
	whiteout       = ".wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// entry notes one entry of the layer.
func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if len(u.layer.entries) == u.limits.entries {
		return problem.As(problem.Verification, fmt.Errorf("more than %d files: %w", u.limits.entries, ErrBomb))
	}
	if len(h.Name) > maxPath || len(h.Linkname) > maxPath {
		return fmt.Errorf("a name of %d bytes: %w", max(len(h.Name), len(h.Linkname)), ErrLayer)
	}
	e := entry{path: path.Clean("/" + h.Name)}
	dir, base := path.Split(e.path)
	switch name, gone := strings.CutPrefix(base, whiteout); {
	case base == whiteoutOpaque:
		e.kind, e.path = entryEmptied, dir
	case gone:
		e.kind, e.path = entryGone, dir+name
	case h.Typeflag == tar.TypeDir:
		e.kind = entryFolder
	case h.Typeflag == tar.TypeSymlink:
		e.node.link = h.Linkname
	case h.Typeflag == tar.TypeLink:
		e.kind, e.node.link = entrySame, h.Linkname
	case h.Typeflag == tar.TypeReg, h.Typeflag == tar.TypeGNUSparse:
		var err error
		if e.node, err = u.keep(e.path, h.Size, content); err != nil {
			return err
		}
	default: // devices and pipes
		return nil
	}
	u.layer.entries = append(u.layer.entries, e)
	return nil
}

// headSize is how much of a file shows what it is, in bytes.
const headSize = 3072

// keep copies the content of a file if it is small, a program, or if a
// cataloger asks for it by its name.
func (u *unpacker) keep(name string, size int64, content io.Reader) (node, error) {
	n := node{size: size}
	head := make([]byte, min(size, headSize))
	if _, err := io.ReadFull(content, head); err != nil {
		return n, notALayer(err)
	}
	if isProgram(head) {
		n.mime = mimetype.Detect(head).String()
	}
	if n.mime == "" && (size > u.limits.large || size > u.limits.small && !u.wanted.match(name)) {
		return n, nil
	}
	// The holes of a sparse file are not in the layer but would fill the disk.
	if u.left < size-int64(len(head)) {
		return n, problem.As(problem.Verification, ErrBomb)
	}
	n.content, n.offset = u.layer.file, u.kept
	in := &sourceReader{r: io.MultiReader(bytes.NewReader(head), content)}
	copied, err := io.Copy(u.w, in)
	u.kept += copied
	switch {
	case in.err != nil:
		return n, notALayer(in.err)
	case err != nil:
		return n, problem.New(problem.Failed, "free some space there, or name another folder with TMPDIR", "keeping what is looked at: %w", err)
	}
	return n, nil
}

// sourceReader remembers its error, to tell it from one of writing.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// isProgram tells whether a file begins as programs of Linux, Windows or macOS do.
func isProgram(head []byte) bool {
	for _, magic := range []string{"\x7fELF", "MZ", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}
