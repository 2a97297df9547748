package sbom

import (
	"context"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/pkg"
	"github.com/bmatcuk/doublestar/v4"
)

// wanted are the patterns of files that catalogers ask for.
type wanted []string

// wantedBy asks catalogers which files they look for, by showing them a file
// system without any.
func wantedBy(ctx context.Context, list []pkg.Cataloger) (wanted, error) {
	r := &recorder{}
	for _, c := range list {
		if _, _, err := c.Catalog(ctx, r); err != nil {
			return nil, err
		}
	}
	slices.Sort(r.patterns)
	return slices.Compact(r.patterns), nil
}

// match tells whether a path is among the wanted.
func (w wanted) match(p string) bool {
	p = strings.TrimPrefix(p, "/")
	return slices.ContainsFunc(w, func(pattern string) bool { return doublestar.MatchUnvalidated(pattern, p) })
}

// recorder is a file system without files that notes what it is asked for.
type recorder struct{ patterns wanted }

var _ file.Resolver = (*recorder)(nil)

// FilesByGlob notes patterns.
func (r *recorder) FilesByGlob(patterns ...string) ([]file.Location, error) {
	for _, p := range patterns {
		r.patterns = append(r.patterns, strings.TrimPrefix(p, "/"))
	}
	return nil, nil
}

// FilesByPath notes paths.
func (r *recorder) FilesByPath(paths ...string) ([]file.Location, error) {
	return r.FilesByGlob(paths...)
}

// RelativeFileByPath finds nothing.
func (r *recorder) RelativeFileByPath(file.Location, string) *file.Location { return nil }

// FilesByMIMEType finds nothing; programs are always kept.
func (r *recorder) FilesByMIMEType(...string) ([]file.Location, error) { return nil, nil }

// HasPath finds nothing.
func (r *recorder) HasPath(string) bool { return false }

// FileContentsByLocation finds nothing.
func (r *recorder) FileContentsByLocation(file.Location) (io.ReadCloser, error) {
	return nil, fs.ErrNotExist
}

// FileMetadataByLocation finds nothing.
func (r *recorder) FileMetadataByLocation(file.Location) (file.Metadata, error) {
	return file.Metadata{}, fs.ErrNotExist
}

// AllLocations sends nothing.
func (r *recorder) AllLocations(context.Context) <-chan file.Location {
	none := make(chan file.Location)
	close(none)
	return none
}
