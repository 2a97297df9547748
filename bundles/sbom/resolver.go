package sbom

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	stereoscope "github.com/anchore/stereoscope/pkg/file"
	"github.com/anchore/syft/syft/file"
	"github.com/bmatcuk/doublestar/v4"

	"github.com/sealift/sealift/bundles/content"
)

// resolver shows the file system of an image to syft's catalogers.
type resolver struct {
	ctx    context.Context //nolint:containedctx // lives as long as one image is looked at; the interface passes none
	tree   *tree
	layers []content.Descriptor
}

var _ file.Resolver = (*resolver)(nil)

// location names a file: where it is and by which path it was asked for.
func (r *resolver) location(n *node, where, asked string) file.Location {
	id := ""
	if n.layer < len(r.layers) {
		id = r.layers[n.layer].Digest.String()
	}
	return file.NewVirtualLocationFromCoordinates(file.NewCoordinates(where, id), asked)
}

// fileReader is what catalogers of programs need: it reads at any position.
type fileReader struct{ *io.SectionReader }

func (fileReader) Close() error { return nil }

// FileContentsByLocation opens a file.
func (r *resolver) FileContentsByLocation(l file.Location) (io.ReadCloser, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	n, _ := r.tree.find(l.RealPath)
	switch {
	case n == nil || n.children != nil:
		return nil, fmt.Errorf("opening %s: %w", l.RealPath, fs.ErrNotExist)
	case n.content == nil:
		return nil, fmt.Errorf("opening %s: it has %d bytes: %w", l.RealPath, n.size, content.ErrTooLarge)
	}
	return fileReader{io.NewSectionReader(n.content, n.offset, n.size)}, nil
}

// HasPath tells whether there is a file or folder of that path.
func (r *resolver) HasPath(p string) bool {
	n, _ := r.tree.find(p)
	return n != nil
}

// FilesByPath returns the files of these paths, each once.
func (r *resolver) FilesByPath(paths ...string) ([]file.Location, error) {
	var out []file.Location
	seen := map[*node]bool{}
	for _, p := range paths {
		if n, where := r.tree.find(p); n != nil && n.children == nil && !seen[n] {
			seen[n] = true
			out = append(out, r.location(n, where, path.Clean("/"+p)))
		}
	}
	return out, r.ctx.Err()
}

// FilesByGlob returns the files whose paths match one of the patterns, each once.
func (r *resolver) FilesByGlob(patterns ...string) ([]file.Location, error) {
	var found []string
	for _, pattern := range patterns {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		pattern = strings.TrimPrefix(pattern, "/")
		if !doublestar.ValidatePattern(pattern) {
			return nil, fmt.Errorf("pattern %q: %w", pattern, doublestar.ErrBadPattern)
		}
		end := strings.TrimPrefix(pattern[strings.LastIndexAny(pattern, `*?[]{}\`)+1:], "/") // how every match ends
		for _, p := range r.tree.paths {
			if strings.HasSuffix(p, end) && doublestar.MatchUnvalidated(pattern, p) {
				found = append(found, p)
			}
		}
	}
	return r.FilesByPath(found...)
}

// FilesByMIMEType returns the files of these types. Only programs have a type here.
func (r *resolver) FilesByMIMEType(types ...string) ([]file.Location, error) {
	var out []file.Location
	for _, p := range r.tree.paths {
		if n := r.tree.at(split(p)); n != nil && n.mime != "" && slices.Contains(types, n.mime) {
			out = append(out, r.location(n, "/"+p, "/"+p))
		}
	}
	return out, r.ctx.Err()
}

// RelativeFileByPath returns the file of a path, or nil.
func (r *resolver) RelativeFileByPath(_ file.Location, p string) *file.Location {
	if found, err := r.FilesByPath(p); err == nil && len(found) > 0 {
		return &found[0]
	}
	return nil
}

// AllLocations sends every file.
func (r *resolver) AllLocations(ctx context.Context) <-chan file.Location {
	out := make(chan file.Location)
	go func() {
		defer close(out)
		for _, p := range r.tree.paths {
			n := r.tree.at(split(p))
			select {
			case <-ctx.Done():
				return
			case out <- r.location(n, "/"+p, "/"+p):
			}
		}
	}()
	return out
}

// FileMetadataByLocation returns what is known of a file.
func (r *resolver) FileMetadataByLocation(l file.Location) (file.Metadata, error) {
	n, where := r.tree.find(l.RealPath)
	if n == nil {
		return file.Metadata{}, fmt.Errorf("looking at %s: %w", l.RealPath, fs.ErrNotExist)
	}
	mode, kind := fs.FileMode(0o644), stereoscope.TypeRegular
	if n.children != nil {
		mode, kind = fs.ModeDir|0o755, stereoscope.TypeDirectory
	}
	return file.Metadata{FileInfo: stereoscope.ManualInfo{NameValue: path.Base(where), SizeValue: n.size, ModeValue: mode},
		Path: where, Type: kind, MIMEType: n.mime}, nil
}
