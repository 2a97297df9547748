// Package resolve turns the names of a definition into descriptors: which
// manifests and blobs a bundle has to carry, and where each can be fetched.
//
// Charts, packs and manifests are looked through for the images that they
// need, and what refers to an image travels with it. Manifests and indexes are
// read here, once, and verified; of other content only what has to be looked
// into is fetched.
package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/discovery"
	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// Upstream gives access to where content comes from.
type Upstream interface {
	// Repository returns the repository of a name in full: HOST/PATH.
	Repository(ctx context.Context, name string) (content.Source, error)
	charts.Downloader
}

// Options is how a definition is resolved. The zero value is a good default.
type Options struct {
	// Lock pins digests; nil means that there is none yet.
	Lock *definition.Lock
	// UpdateLock resolves again what the lock holds.
	UpdateLock bool
	// Platforms are carried instead of those of the definition's spec.
	Platforms []string
	// Jobs is how many things are resolved at once; 0 means 8.
	Jobs int
	// Progress shows files that have to be read for their digest; nil means none.
	Progress progress.Reporter
}

const defaultJobs = 8

// Result is everything that a bundle has to carry.
type Result struct {
	// Roots in the order of the definition, then the images that they need,
	// each followed by what refers to it. Their Size is not known yet.
	Roots        []archive.Root
	AllowMissing []archive.Allowance
	Blobs        []Blob           // each digest once, sorted by digest
	Lock         *definition.Lock // complete for this definition
	Moved        []Moved          // what UpdateLock changed, or a file or chart of this host
	Warnings     []string         // what somebody should know, though it stops nothing

	closers []io.Closer
}

// Close ends the use of the origins.
func (r *Result) Close() error {
	var failures []error
	for _, c := range r.closers {
		failures = append(failures, c.Close())
	}
	return errors.Join(failures...)
}

// Blob is a blob and where it can be fetched.
type Blob struct {
	Descriptor content.Descriptor
	Origins    []Origin // in the order of the definition
	Data       []byte   // of a manifest or index; nil for other content
}

// Origin is a place that holds a blob.
type Origin struct {
	Name  string // HOST/PATH of a repository, or what it is on this host
	From  Fetcher
	Local bool // a file of this host, whose digest somebody has stated
}

// Fetcher is where a blob is fetched from.
type Fetcher interface {
	content.Fetcher
	content.RangeFetcher
}

// Moved is a name that stands for other content than the lock says.
type Moved struct {
	Reference string `json:"reference"`
	Old       string `json:"old"`
	New       string `json:"new"`
}

// ErrMoved means: what the lock has is gone upstream, or is not the same any more.
var ErrMoved = errors.New("gone upstream")

// ErrPlatform means: an image lacks a platform that is asked for.
var ErrPlatform = errors.New("platform not there")

// Resolve resolves everything in a definition and every image that it needs,
// many at once. Its error names everything that failed. The caller closes the
// result when nothing is fetched from it any more.
func Resolve(ctx context.Context, def *definition.Bundle, up Upstream, opts Options) (*Result, error) {
	if err := definition.CheckPlatforms(opts.Platforms); err != nil {
		return nil, err
	}
	s := &session{def: def, up: up, repositories: charts.NewRepositories(up), opts: opts}
	out, err := s.resolve(ctx)
	if err != nil {
		return nil, errors.Join(err, (&Result{closers: s.closers}).Close())
	}
	out.closers = s.closers
	return out, nil
}

func (s *session) resolve(ctx context.Context) (*Result, error) {
	var images []func(context.Context) (*item, error)
	for _, img := range s.def.Spec.Images {
		images = append(images, func(ctx context.Context) (*item, error) { return s.image(ctx, img, archive.RootImage) })
	}
	items, err := s.all(ctx, "resolving", append(images, s.others()...))
	if err != nil {
		return nil, err
	}
	if err := solve(items); err != nil {
		return nil, err
	}
	needed, err := s.needed(ctx, items)
	if err != nil {
		return nil, err
	}
	out, err := collect(append(items, needed...))
	if err != nil {
		return nil, err
	}
	out.AllowMissing = s.allowed()
	return out, closure.Missing(out.Roots, out.AllowMissing)
}

// session is one call of Resolve.
type session struct {
	def          *definition.Bundle
	up           Upstream
	repositories *charts.Repositories
	opts         Options
	keys         verifiers

	mu      sync.Mutex
	closers []io.Closer
}

// others returns how to resolve what is no image, in the order of the definition.
func (s *session) others() []func(context.Context) (*item, error) {
	var out []func(context.Context) (*item, error)
	spec := s.def.Spec
	for _, c := range spec.Charts {
		out = append(out, func(ctx context.Context) (*item, error) { return s.chart(ctx, c) })
	}
	for _, p := range spec.Packs {
		out = append(out, func(ctx context.Context) (*item, error) { return s.pack(ctx, p) })
	}
	for _, m := range spec.Manifests {
		out = append(out, func(context.Context) (*item, error) { return s.manifests(m) })
	}
	for _, f := range spec.Files {
		out = append(out, func(ctx context.Context) (*item, error) { return s.file(ctx, f) })
	}
	return out
}

// needed resolves the images that items need and the definition does not list.
func (s *session) needed(ctx context.Context, items []*item) ([]*item, error) {
	var reports []discovery.Report
	for _, it := range items {
		reports = append(reports, it.found)
	}
	needs := closure.Needs(discovery.Report{}.Merge(reports...))
	var steps []func(context.Context) (*item, error)
	for _, n := range closure.Unmet(needs, rootsOf(items), s.allowed()) {
		if n.Kind != archive.RootImage {
			continue // a chart cannot be guessed where to get; closure.Missing tells of it
		}
		steps = append(steps, func(ctx context.Context) (*item, error) {
			it, err := s.image(ctx, definition.Image{Ref: n.Reference}, archive.RootImage)
			if err != nil {
				return nil, needFailed(n, err)
			}
			return it, nil
		})
	}
	return s.all(ctx, "resolving what is needed", steps)
}

// allowed returns what may be missing as the statement has it.
func (s *session) allowed() []archive.Allowance {
	var out []archive.Allowance
	for _, a := range s.def.Spec.AllowMissing {
		out = append(out, archive.Allowance(a))
	}
	return out
}

func rootsOf(items []*item) []archive.Root {
	var out []archive.Root
	for _, it := range items {
		out = append(out, it.roots...)
	}
	return out
}

// all takes steps, many at once; one that fails does not keep the others from being taken.
func (s *session) all(ctx context.Context, name string, steps []func(context.Context) (*item, error)) ([]*item, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	phase := progress.OrNone(s.opts.Progress).Count(name, len(steps))
	defer phase.Done()
	found := make([]*item, len(steps))
	failures := make([]error, len(steps))
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(s.opts.Jobs, defaultJobs))
	for i, step := range steps {
		g.Go(func() error {
			task := phase.Task("", 0)
			if found[i], failures[i] = step(inner); failures[i] == nil {
				task.Done()
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return found, joinFailures(failures)
}

// maxFailures is how many failures are told one by one.
const maxFailures = 20

func joinFailures(failures []error) error {
	failures = slices.DeleteFunc(failures, func(err error) bool { return err == nil })
	if len(failures) == 0 {
		return nil
	}
	total := len(failures)
	if total > maxFailures {
		failures = append(failures[:maxFailures:maxFailures], fmt.Errorf("and %d more", total-maxFailures))
	}
	if total == 1 {
		return fmt.Errorf("resolving %w", failures[0])
	}
	return fmt.Errorf("resolving: %d failed:\n%w", total, errors.Join(failures...))
}

// item is one thing of the definition as it was found.
type item struct {
	roots    []archive.Root // the thing itself, then what belongs to it
	blobs    []Blob
	images   []definition.LockedImage
	charts   []definition.LockedChart
	files    []definition.LockedFile
	moved    []Moved
	warnings []string
	found    discovery.Report
	packs    []*packs.Pack
}

// collect puts items together.
func collect(items []*item) (*Result, error) {
	out := &Result{Lock: definition.NewLock([]definition.LockedImage{})}
	at := map[digest.Digest]int{}
	for _, it := range items {
		out.Roots = append(out.Roots, it.roots...)
		out.Lock.Images = append(out.Lock.Images, it.images...)
		out.Lock.Charts = append(out.Lock.Charts, it.charts...)
		out.Lock.Files = append(out.Lock.Files, it.files...)
		out.Moved = append(out.Moved, it.moved...)
		out.Warnings = append(out.Warnings, it.warnings...)
		for _, b := range it.blobs {
			if err := out.add(at, b); err != nil {
				return nil, err
			}
		}
	}
	if err := distinct(out.Roots); err != nil {
		return nil, err
	}
	out.Lock.Charts = unique(out.Lock.Charts)
	var err error
	if out.Lock.Images, err = uniqueImages(out.Lock.Images); err != nil {
		return nil, err
	}
	slices.SortFunc(out.Blobs, func(a, b Blob) int { return cmp.Compare(a.Descriptor.Digest, b.Descriptor.Digest) })
	return out, nil
}

// add notes a blob, each digest once with all its origins.
func (r *Result) add(at map[digest.Digest]int, b Blob) error {
	i, ok := at[b.Descriptor.Digest]
	if !ok {
		at[b.Descriptor.Digest] = len(r.Blobs)
		r.Blobs = append(r.Blobs, b)
		return nil
	}
	have := &r.Blobs[i]
	if have.Descriptor.Size != b.Descriptor.Size {
		return fmt.Errorf("%s has %d bytes in %s and %d in %s: %w", b.Descriptor.Digest,
			have.Descriptor.Size, have.Origins[0].Name, b.Descriptor.Size, b.Origins[0].Name, content.ErrMismatch)
	}
	for _, o := range b.Origins {
		if !slices.ContainsFunc(have.Origins, func(h Origin) bool { return h.Name == o.Name }) {
			have.Origins = append(have.Origins, o)
		}
	}
	if have.Data == nil && b.Data != nil {
		have.Data, have.Descriptor.MediaType = b.Data, b.Descriptor.MediaType
	}
	return nil
}

// distinct refuses two roots of one reference and different content.
func distinct(roots []archive.Root) error {
	seen := map[string]archive.Root{}
	for _, r := range roots {
		if other, ok := seen[r.Reference]; ok && other.Descriptor.Digest != r.Descriptor.Digest {
			return fmt.Errorf("%s (%s) and %s (%s) are both %s: give one of them another name or version: %w",
				other.Requested, other.Kind, r.Requested, r.Kind, r.Reference, definition.ErrInvalid)
		}
		seen[r.Reference] = r
	}
	return nil
}

// uniqueImages leaves one entry of each reference, such as of a chart that two
// others depend on.
func uniqueImages(images []definition.LockedImage) ([]definition.LockedImage, error) {
	out := []definition.LockedImage{}
	at := map[string]int{}
	for _, img := range images {
		i, ok := at[img.Ref]
		if ok && out[i].Digest != img.Digest {
			return nil, problem.New(problem.Failed, "it moved just now: run the same command again",
				"%s is %s and %s", img.Ref, out[i].Digest, img.Digest)
		}
		if !ok {
			at[img.Ref] = len(out)
			out = append(out, img)
		}
	}
	return out, nil
}

func unique(charts []definition.LockedChart) []definition.LockedChart {
	var out []definition.LockedChart
	for _, c := range charts {
		if !slices.Contains(out, c) {
			out = append(out, c)
		}
	}
	return out
}
