package bundles

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// ExtractOptions is how files are taken out of a bundle. The zero value is a
// good default.
type ExtractOptions struct {
	Overwrite bool              // replace files that are there
	Progress  progress.Reporter // nil means none
}

// Extracted is one file that was taken out.
type Extracted struct {
	Reference string `json:"reference"`
	Path      string `json:"path"`
	Size      int64  `json:"size"` // bytes
	Digest    string `json:"digest"`
}

// ErrUnsafeName means: what is carried has a name that leads out of the folder.
var ErrUnsafeName = errors.New("the name leads out of the folder")

// Extract writes files, charts, packs, manifests, values and the like to a
// folder, each under the name that it travels with. names are references, or
// their last part: console, console:1.2.3; none means every root of the kind
// file. Each file is verified while it is written and has its name only then.
func Extract(ctx context.Context, w Whole, names []string, dir string, opts ExtractOptions) ([]Extracted, error) {
	roots, err := choose(w.Statement().Roots, names)
	if err != nil {
		return nil, err
	}
	var parts []part
	total := int64(0)
	for _, root := range roots {
		found, err := partsOf(ctx, w, root)
		if err != nil {
			return nil, fmt.Errorf("extracting %s: %w", root.Reference, fromBase(w.Reader, err))
		}
		for _, p := range found {
			total += p.desc.Size
		}
		parts = append(parts, found...)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := location.CheckSpace(filepath.Join(dir, "files"), total); err != nil {
		return nil, err
	}
	to, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer to.Close() //nolint:errcheck // every file in it was closed
	e := &extractor{from: w, to: to, opts: opts, phase: progress.OrNone(opts.Progress).Start("extracting", total), buf: make([]byte, 1<<20)}
	defer e.phase.Done()
	out := []Extracted{}
	if err := e.allFree(parts); err != nil {
		return nil, err
	}
	for _, p := range parts {
		if err := e.write(ctx, p); err != nil {
			return out, fmt.Errorf("extracting %s of %s: %w", p.name, p.root.Reference, err)
		}
		out = append(out, Extracted{Reference: p.root.Reference, Path: filepath.Join(dir, p.name), Size: p.desc.Size, Digest: p.desc.Digest.String()})
	}
	return out, nil
}

// choose returns the roots that names mean.
func choose(roots []archive.Root, names []string) ([]archive.Root, error) {
	var out []archive.Root
	if len(names) == 0 {
		for _, root := range roots {
			if root.Kind == archive.RootFile {
				out = append(out, root)
			}
		}
		if len(out) == 0 {
			return nil, problem.New(problem.Usage, "name a chart, a pack or manifests; sealift bundle inspect lists them", "the bundle carries no files")
		}
		return out, nil
	}
	for _, name := range names {
		found := named(roots, name)
		if len(found) == 0 {
			return nil, problem.New(problem.Usage, "sealift bundle inspect lists what it carries", "%q: %w", name, content.ErrNotFound)
		}
		files := slices.DeleteFunc(slices.Clone(found), func(r archive.Root) bool { return r.Kind == archive.RootImage || r.Kind == archive.RootReferrer })
		if len(files) == 0 {
			return nil, problem.New(problem.Usage, "serve it with sealift mirror serve and pull it, or copy it: skopeo copy oci-archive:FILE:"+found[0].Reference+" dir:FOLDER",
				"%s is not made of files: it is of the kind %s", found[0].Reference, found[0].Kind)
		}
		for _, file := range files {
			if !slices.ContainsFunc(out, func(r archive.Root) bool { return r.Reference == file.Reference }) {
				out = append(out, file)
			}
		}
	}
	return out, nil
}

// named returns the roots whose reference, or its last part with or without tag, is name.
func named(roots []archive.Root, name string) []archive.Root {
	var out []archive.Root
	for _, root := range roots {
		last := path.Base(root.Reference)
		short := last[:strings.IndexAny(last+":", ":@")]
		if name == root.Reference || name == last || name == short {
			out = append(out, root)
		}
	}
	return out
}

// part is one file of a root.
type part struct {
	root archive.Root
	name string // below the folder
	desc content.Descriptor
}

// partsOf returns the files that a root is made of. A chart's archive has no
// name of its own and takes the one that helm pull gives it; packs and manifests
// get a folder, and the values of a chart or pack one beside it.
func partsOf(ctx context.Context, w Whole, root archive.Root) ([]part, error) {
	d, data, err := w.Document(ctx, root.Descriptor.Digest)
	if err != nil {
		return nil, err
	}
	m, err := content.ParseManifest(d, data)
	if err != nil {
		return nil, err
	}
	name, tag := path.Base(root.Reference), ""
	if ref, err := reference.ParseNormalizedNamed(root.Reference); err == nil {
		name = path.Base(ref.Name())
		if t, ok := ref.(reference.Tagged); ok {
			tag = t.Tag()
		}
	}
	var out []part
	for _, l := range m.Layers {
		title := l.Annotations[ocispec.AnnotationTitle]
		switch {
		case l.MediaType == charts.MediaTypeArchive && root.Kind == archive.RootChart:
			title = name + "-" + tag + ".tgz"
		case l.MediaType == charts.MediaTypeProvenance:
			title = name + "-" + tag + ".tgz.prov"
		case root.Kind == archive.RootValues:
			title = path.Join(name+".values", title)
		case root.Kind != archive.RootFile:
			title = path.Join(name, title)
		}
		if title == "" || !filepath.IsLocal(filepath.FromSlash(title)) {
			return nil, problem.New(problem.Verification, "", "%q: %w", title, ErrUnsafeName)
		}
		if !w.Has(l.Digest) {
			return nil, fmt.Errorf("%s: %w", title, content.ErrNotFound)
		}
		out = append(out, part{root: root, name: filepath.FromSlash(title), desc: content.Bare(l)})
	}
	return out, nil
}

// fromBase says of what a delta does not carry who does.
func fromBase(r *archive.Reader, err error) error {
	var names []string
	for _, b := range r.Statement().Bases {
		names = append(names, b.Name+" "+b.Version)
	}
	if len(names) == 0 || !errors.Is(err, content.ErrNotFound) {
		return err
	}
	return problem.New(problem.Failed, "name the file of "+strings.Join(names, " or ")+" with --base", "this is a delta, and its base has it: %w", err)
}

type extractor struct {
	from  Whole
	to    *os.Root
	opts  ExtractOptions
	phase progress.Phase
	buf   []byte
}

// allFree fails before anything is written when one of the files must not, or
// cannot, get its name.
func (e *extractor) allFree(parts []part) error {
	taken := map[string]bool{}
	for _, p := range parts {
		err := e.free(p.name)
		if taken[p.name] {
			err = problem.New(problem.Usage, "name one of them, by its whole reference", "two of those named have a file of this name")
		}
		taken[p.name] = true
		if err != nil {
			return fmt.Errorf("extracting %s of %s: %w", p.name, p.root.Reference, err)
		}
	}
	return nil
}

// free fails when a file must not, or cannot, get its name.
func (e *extractor) free(name string) error {
	info, err := e.to.Lstat(name)
	switch {
	case err != nil:
		return nil //nolint:nilerr // who writes it says what is wrong with the name
	case info.IsDir():
		return problem.New(problem.Failed, "choose another folder", "%s is a folder there", name)
	case !e.opts.Overwrite:
		return problem.New(problem.Failed, "choose another folder, or give --overwrite", "%w", fs.ErrExist)
	}
	return nil
}

// write writes one file: beside its place, verified, then under its name.
func (e *extractor) write(ctx context.Context, p part) (err error) {
	if err := e.to.MkdirAll(filepath.Dir(p.name), 0o755); err != nil {
		return err
	}
	// A name that nobody has: neither the bundle nor the folder holds it.
	partial := filepath.Join(filepath.Dir(p.name), "."+filepath.Base(p.name)+"."+rand.Text()+".partial")
	f, err := e.to.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	err = errors.Join(e.copy(ctx, f, p), f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, e.to.Remove(partial))
	}
	if err := e.to.Rename(partial, p.name); err != nil {
		return errors.Join(err, e.to.Remove(partial))
	}
	return durable.SyncDir(filepath.Join(e.to.Name(), filepath.Dir(p.name)))
}

func (e *extractor) copy(ctx context.Context, w io.Writer, p part) error {
	task := e.phase.Task(p.name, p.desc.Size)
	defer task.Done()
	rc, err := e.from.Fetch(ctx, p.desc)
	if err != nil {
		return err
	}
	defer rc.Close() //nolint:errcheck // opened for reading
	v, err := content.Verify(progress.Reader(rc, task), p.desc)
	if err != nil {
		return err
	}
	if _, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{v}, e.buf); err == nil {
		err = v.Close()
	}
	if errors.Is(err, content.ErrMismatch) {
		err = problem.As(problem.Verification, err)
	}
	return err
}
