// Package resolve turns the names of a definition into descriptors: which
// manifests and blobs a bundle has to carry, and where each can be fetched.
//
// Manifests and indexes are read here, once, and verified; nothing else is
// fetched but the configurations of plain images, to learn their platform.
package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/internal/problem"
)

// Registries gives access to repositories.
type Registries interface {
	// Repository returns the repository of a name in full: HOST/PATH.
	Repository(ctx context.Context, name string) (content.Source, error)
}

// Options is how a definition is resolved. The zero value is a good default.
type Options struct {
	// Lock pins digests; nil means that there is none yet.
	Lock *definition.Lock
	// UpdateLock resolves again what the lock holds.
	UpdateLock bool
	// Platforms are carried instead of those of the definition's spec.
	Platforms []string
	// Jobs is how many images are resolved at once; 0 means 8.
	Jobs int
}

const defaultJobs = 8

// Result is everything that a bundle has to carry.
type Result struct {
	Roots []Root           // in the order of the definition
	Blobs []Blob           // each digest once, sorted by digest
	Lock  *definition.Lock // complete for this definition
	Moved []Moved          // what UpdateLock changed
}

// Root is one image of the definition.
type Root struct {
	Requested  string // as the definition has it
	Reference  string // in full: docker.io/library/nginx:1.27
	Resolved   string // docker.io/library/nginx@sha256:...
	Descriptor content.Descriptor
	Platforms  []string // that travel, sorted; empty for content that has none
	// Absent are the manifests of an index that the platforms leave out.
	Absent []content.Descriptor
}

// Blob is a blob and where it can be fetched.
type Blob struct {
	Descriptor   content.Descriptor
	Repositories []string // HOST/PATH, in the order of the definition
	Data         []byte   // of a manifest or index; nil for other content
}

// Moved is a tag that names another manifest than the lock says.
type Moved struct {
	Reference string `json:"reference"`
	Old       string `json:"old"`
	New       string `json:"new"`
}

// ErrMoved means: a locked digest is gone upstream.
var ErrMoved = errors.New("gone upstream")

// ErrPlatform means: an image lacks a platform that is asked for.
var ErrPlatform = errors.New("platform not there")

// Resolve resolves every image of a definition, many at once. Its error names
// every image that failed.
func Resolve(ctx context.Context, def *definition.Bundle, regs Registries, opts Options) (*Result, error) {
	if err := definition.CheckPlatforms(opts.Platforms); err != nil {
		return nil, err
	}
	images := def.Spec.Images
	found := make([]*image, len(images))
	failures := make([]error, len(images))
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(cmp.Or(opts.Jobs, defaultJobs))
	for i := range images {
		g.Go(func() error {
			found[i], failures[i] = resolveImage(inner, def, images[i], regs, opts)
			return ctx.Err() // one image's failure does not keep the others from being looked at
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if err := joinFailures(failures); err != nil {
		return nil, err
	}
	return collect(found)
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
	return fmt.Errorf("resolving: %d images failed:\n%w", total, errors.Join(failures...))
}

// image is one image as it was found.
type image struct {
	root   Root
	blobs  []Blob
	locked definition.LockedImage
	moved  *Moved
}

func resolveImage(ctx context.Context, def *definition.Bundle, asked definition.Image, regs Registries, opts Options) (*image, error) {
	named, err := asked.Reference()
	if err != nil {
		return nil, err
	}
	repo := named.Name()
	src, err := regs.Repository(ctx, repo)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", asked.Ref, err)
	}
	platforms := wanted(def, asked, opts)
	r := &resolver{src: src, repo: repo, named: named, wanted: platforms}
	locked, isLocked := opts.Lock.Find(named.String())
	if isLocked && !opts.UpdateLock {
		err = r.resolveLocked(ctx, locked)
	} else {
		err = r.resolve(ctx, refOf(named))
	}
	if err == nil {
		err = r.walk(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", asked.Ref, err)
	}
	d := r.desc
	img := &image{blobs: r.blobs, root: Root{Requested: asked.Ref, Reference: named.String(), Resolved: repo + "@" + d.Digest.String(),
		Descriptor: d, Platforms: r.carried(), Absent: r.absent},
		locked: definition.LockedImage{Ref: named.String(), Digest: d.Digest.String(), MediaType: d.MediaType, Size: d.Size, Platforms: platforms}}
	if isLocked && locked.Digest != d.Digest.String() {
		img.moved = &Moved{Reference: named.String(), Old: locked.Digest, New: d.Digest.String()}
	}
	return img, nil
}

// wanted returns the platforms to carry of an image, sorted; none means all.
func wanted(def *definition.Bundle, asked definition.Image, opts Options) []string {
	platforms := def.Spec.Platforms
	if len(opts.Platforms) > 0 {
		platforms = opts.Platforms
	}
	if len(asked.Platforms) > 0 {
		platforms = asked.Platforms
	}
	platforms = slices.Clone(platforms)
	slices.Sort(platforms)
	return platforms
}

// refOf returns what to ask a registry for: the digest, else the tag.
func refOf(named reference.Named) string {
	if d, ok := named.(reference.Digested); ok {
		return d.Digest().String()
	}
	return tagOf(named)
}

func tagOf(named reference.Named) string {
	if t, ok := named.(reference.Tagged); ok {
		return t.Tag()
	}
	return ""
}

// resolver resolves one image.
type resolver struct {
	src    content.Source
	repo   string
	named  reference.Named
	wanted []string

	desc      content.Descriptor
	blobs     []Blob
	at        map[digest.Digest]int  // where in blobs
	walked    map[digest.Digest]bool // the manifests that were read; the value tells whether they travel
	bytes     int64                  // of the manifests that were read
	platforms []string
	absent    []content.Descriptor
}

func (r *resolver) resolve(ctx context.Context, ref string) error {
	d, err := r.src.Resolve(ctx, ref)
	if err != nil {
		return err
	}
	if want, err := digest.Parse(ref); err == nil && want != d.Digest {
		return fmt.Errorf("asked for %s, the registry answered with %s: %w", want, d.Digest, content.ErrMismatch)
	}
	r.desc = content.Bare(d)
	return nil
}

// resolveLocked takes the digest of the lock. When that is gone it says what
// its tag names now.
func (r *resolver) resolveLocked(ctx context.Context, locked definition.LockedImage) error {
	err := r.resolve(ctx, locked.Digest)
	if !errors.Is(err, content.ErrNotFound) {
		return err
	}
	now := "has no such manifest any more"
	if tag := tagOf(r.named); tag != "" {
		if d, tagErr := r.src.Resolve(ctx, tag); tagErr == nil {
			now = "now has " + d.Digest.String() + " under this tag"
		} else if errors.Is(tagErr, content.ErrNotFound) {
			now = "has neither that nor the tag any more"
		}
	}
	return problem.New(problem.Failed, "accept what is there now with --update-lock, or bring back what was locked",
		"it was %s in the lock, %s %s: %w", locked.Digest, r.repo, now, errors.Join(ErrMoved, err))
}

// collect puts what was found of each image together.
func collect(found []*image) (*Result, error) {
	out := &Result{}
	at := map[digest.Digest]int{}
	var locked []definition.LockedImage
	for _, img := range found {
		out.Roots = append(out.Roots, img.root)
		locked = append(locked, img.locked)
		if img.moved != nil {
			out.Moved = append(out.Moved, *img.moved)
		}
		for _, b := range img.blobs {
			i, ok := at[b.Descriptor.Digest]
			if !ok {
				at[b.Descriptor.Digest] = len(out.Blobs)
				out.Blobs = append(out.Blobs, b)
				continue
			}
			have := &out.Blobs[i]
			if have.Descriptor.Size != b.Descriptor.Size {
				return nil, fmt.Errorf("%s has %d bytes in %s and %d in %s: %w", b.Descriptor.Digest,
					have.Descriptor.Size, have.Repositories[0], b.Descriptor.Size, b.Repositories[0], content.ErrMismatch)
			}
			if !slices.Contains(have.Repositories, b.Repositories[0]) {
				have.Repositories = append(have.Repositories, b.Repositories[0])
			}
			if have.Data == nil && b.Data != nil {
				have.Data, have.Descriptor.MediaType = b.Data, b.Descriptor.MediaType
			}
		}
	}
	slices.SortFunc(out.Blobs, func(a, b Blob) int { return cmp.Compare(a.Descriptor.Digest, b.Descriptor.Digest) })
	out.Lock = definition.NewLock(locked)
	return out, nil
}

// carried returns the platforms that travel, sorted, each once.
func (r *resolver) carried() []string {
	out := slices.Clone(r.platforms)
	slices.Sort(out)
	return slices.Compact(out)
}

// missing returns the wanted platforms that nothing carried fits.
func (r *resolver) missing() []string {
	var out []string
	for _, w := range r.wanted {
		if !slices.ContainsFunc(r.platforms, func(p string) bool { return fits(p, w) }) {
			out = append(out, w)
		}
	}
	return out
}

func (r *resolver) checkPlatforms(has []string) error {
	missing := r.missing()
	if len(missing) == 0 || len(has) == 0 { // what has no platform fits everywhere
		return nil
	}
	slices.Sort(has)
	return problem.New(problem.Failed, "give this image a platforms: list of what it has and the site needs, or ask its makers for the platform",
		"%w: %s; it has %s", ErrPlatform, strings.Join(missing, ", "), strings.Join(slices.Compact(has), ", "))
}
