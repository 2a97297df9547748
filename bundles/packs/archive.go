package packs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zip"
	"github.com/klauspost/compress/zstd"
	"github.com/mholt/archiver/v4"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

// What an archive may ask for.
const (
	maxNameLength = 1024
	maxRatio      = 100      // bytes unpacked for each byte read,
	ratioSlack    = 16 << 20 // beyond this many
	maxDirectory  = 4 << 20  // bytes of a zip file read before its first entry
	maxWindow     = 32 << 20 // bytes of memory that a zstd archive may ask for
)

// cleanName returns the path that an entry of an archive or a layer of an
// artifact may be written to. Names that lead elsewhere, or could on some
// system, are refused with ErrUnsafe.
func cleanName(name string) (string, error) {
	clean := path.Clean(name)
	odd := strings.ContainsFunc(name, func(r rune) bool { return r == '\\' || unicode.IsControl(r) || r == utf8.RuneError })
	drive := len(name) > 1 && name[1] == ':'
	// ".." within a name is refused even if it stays inside: no honest tool writes it.
	up := strings.Contains("/"+name+"/", "/../")
	if odd || drive || up || len(name) > maxNameLength || !fs.ValidPath(clean) {
		shown := name
		if len(shown) > 100 {
			shown = shown[:100] + "..."
		}
		return "", problem.New(problem.Failed, "do not use it: a pack has plain relative names", "the name %q: %w", shown, ErrUnsafe)
	}
	return clean, nil
}

// unpack writes the files of an archive below root.
func unpack(ctx context.Context, archive string, root *os.Root) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	src := &source{File: f}
	format, err := src.format()
	if err != nil {
		return err
	}
	w := &writer{root: root, src: src}
	if err := format.Extract(ctx, src, w.entry); err != nil {
		return explain(ctx, err)
	}
	return w.finish()
}

// explain says of an error that the library for archives returned what it means.
func explain(ctx context.Context, err error) error {
	var path *fs.PathError
	switch {
	case errors.Is(err, ErrUnsafe), errors.Is(err, ErrInvalid), errors.Is(err, content.ErrTooLarge), errors.As(err, &path), ctx.Err() != nil:
		return err
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return problem.New(problem.Failed, "pack it with zstd -19 or less", "it asks for more than %d MiB of memory: %w", maxWindow>>20, content.ErrTooLarge)
	default:
		return problem.New(problem.Failed, "copy it again from where it was made", "the archive is damaged (%w): %w", err, ErrInvalid)
	}
}

// source reads an archive and counts.
type source struct {
	*os.File
	read    int64 // bytes read so far
	entries int   // handed out so far
}

// format tells by its first bytes what an archive is.
func (s *source) format() (archiver.Extraction, error) {
	var magic [4]byte
	if _, err := s.File.ReadAt(magic[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic[:], []byte{0x1f, 0x8b}):
		return archiver.Archive{Compression: archiver.Gz{}, Extraction: archiver.Tar{}}, nil
	case bytes.Equal(magic[:], []byte{0x28, 0xb5, 0x2f, 0xfd}):
		options := []zstd.DOption{zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1)}
		return archiver.Archive{Compression: archiver.Zstd{DecoderOptions: options}, Extraction: archiver.Tar{}}, nil
	case bytes.HasPrefix(magic[:], []byte("PK")):
		return archiver.Zip{}, nil
	default:
		return nil, problem.New(problem.Failed, "give a folder, or an archive .tar.gz, .zip or .tar.zst", "it is no archive that packs come in: %w", ErrInvalid)
	}
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.File.Read(p)
	s.read += int64(n)
	return n, err
}

// ReadAt implements io.ReaderAt. A zip file is read from its end: what it holds
// is known only when its whole directory is in memory.
func (s *source) ReadAt(p []byte, offset int64) (int, error) {
	n, err := s.File.ReadAt(p, offset)
	s.read += int64(n)
	if s.entries == 0 && s.read > maxDirectory {
		return 0, tooManyEntries()
	}
	return n, err
}

// writer puts files below a folder and keeps the limits.
type writer struct {
	root    *os.Root
	src     *source // of the archive; nil where nothing is packed
	entries int
	total   int64
	links   []link
}

// link is a symbolic link that is still to be made.
type link struct{ name, target string }

// finish makes the links. They come last, so that nothing is ever written
// through one; where they may lead is decided by those who follow them.
func (w *writer) finish() error {
	for _, l := range w.links {
		if err := w.root.MkdirAll(path.Dir(l.name), 0o700); err != nil {
			return taken(l.name, err)
		}
		if err := w.root.Symlink(l.target, l.name); err != nil {
			return taken(l.name, err)
		}
	}
	return nil
}

// entry writes one entry of an archive.
func (w *writer) entry(_ context.Context, e archiver.FileInfo) error {
	w.src.entries++
	if w.entries++; w.entries > maxEntries {
		return tooManyEntries()
	}
	name, err := cleanName(e.NameInArchive)
	if err != nil || name == "." {
		return err
	}
	switch mode := e.Mode(); {
	case mode.IsDir():
		return taken(name, w.root.MkdirAll(name, 0o700))
	case mode&fs.ModeSymlink != 0:
		return w.link(name, e)
	case mode.IsRegular() && hasContent(e):
		return w.packed(name, e)
	default:
		return problem.New(problem.Failed, "make the archive again with the file itself (tar --hard-dereference)", "%s is neither file nor folder nor symbolic link: %w", name, ErrInvalid)
	}
}

// hasContent tells whether an entry that calls itself a file is one. In a tar
// file it may be another name of an earlier one (a hard link).
func hasContent(e archiver.FileInfo) bool {
	h, ok := e.Header.(*tar.Header)
	return !ok || h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeGNUSparse
}

// packed writes a regular file.
func (w *writer) packed(name string, e archiver.FileInfo) error {
	if err := readable(e); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if e.Size() < 0 || e.Size() > maxSize-w.total {
		return tooLarge()
	}
	r, err := e.Open()
	if err != nil {
		return err
	}
	return errors.Join(w.file(name, r), r.Close())
}

// readable refuses what a zip file may ask for and packs do not need. The
// library's readers for rare methods do not stand damage.
func readable(e archiver.FileInfo) error {
	const encrypted = 1
	h, ok := e.Header.(zip.FileHeader)
	if ok && (h.Method != zip.Store && h.Method != zip.Deflate || h.Flags&encrypted != 0) {
		return problem.New(problem.Failed, "make the archive again with plain zip", "it is encrypted or packed in an unusual way: %w", ErrInvalid)
	}
	return nil
}

// link notes a symbolic link.
func (w *writer) link(name string, e archiver.FileInfo) error {
	target := e.LinkTarget
	if target == "" { // a zip file has it as content
		if err := readable(e); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r, err := e.Open()
		if err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(r, maxNameLength+1))
		if err := errors.Join(err, r.Close()); err != nil {
			return err
		}
		target = string(data)
	}
	if len(target) > maxNameLength || path.IsAbs(target) {
		return problem.New(problem.Failed, "do not use it: a pack links to its own files only", "link %s -> %.100q: %w", name, target, ErrUnsafe)
	}
	w.links = append(w.links, link{name, target})
	return nil
}

// file writes r as a new file.
func (w *writer) file(name string, r io.Reader) error {
	f, err := w.create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &metered{r: r, w: w})
	return errors.Join(err, f.Close())
}

// create makes a new file and the folders that it needs.
func (w *writer) create(name string) (*os.File, error) {
	if err := w.root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return nil, taken(name, err)
	}
	f, err := w.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	return f, taken(name, err)
}

// taken says so when a name is used twice: readers would not agree which one counts.
func taken(name string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return problem.New(problem.Failed, "do not use it: make the archive again", "%s stands twice in it: %w", name, ErrInvalid)
	}
	return err
}

// metered reads what is unpacked, up to the limits of all files together.
type metered struct {
	r io.Reader
	w *writer
}

// Read implements io.Reader.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.w.total += int64(n)
	if m.w.total > maxSize {
		return 0, tooLarge()
	}
	if src := m.w.src; src != nil && m.w.total > ratioSlack+maxRatio*src.read {
		return 0, problem.New(problem.Failed, "do not use it: it is made to fill disks",
			"it unpacks to more than %d times its size: %w", maxRatio, content.ErrTooLarge)
	}
	return n, err
}
