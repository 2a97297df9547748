package resolve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/internal/problem"
)

// image resolves an image, or another thing of a registry, and what refers to it.
func (s *session) image(ctx context.Context, asked definition.Image, kind string) (*item, error) {
	r, it, err := s.fromRegistry(ctx, asked, kind)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", asked.Ref, err)
	}
	if err := s.verify(ctx, r, it); err != nil {
		return nil, fmt.Errorf("%s: %w", asked.Ref, err)
	}
	return it, nil
}

func (s *session) fromRegistry(ctx context.Context, asked definition.Image, kind string) (*resolver, *item, error) {
	named, err := asked.Reference()
	if err != nil {
		return nil, nil, err
	}
	repo := named.Name()
	src, err := s.up.Repository(ctx, repo)
	if err != nil {
		return nil, nil, err
	}
	r := &resolver{src: src, repo: repo, named: named, wanted: s.wanted(asked)}
	locked, isLocked := s.opts.Lock.Find(named.String())
	keep := isLocked && !s.opts.UpdateLock
	// For other platforms the lock says which image, and not what refers to it.
	r.locked = keep && slices.Equal(locked.Platforms, r.wanted)
	if keep {
		err = r.resolveLocked(ctx, locked)
	} else {
		err = r.resolve(ctx, refOf(named))
	}
	if err == nil {
		err = r.walk(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	d := r.desc
	root := archive.Root{Kind: kind, Requested: asked.Ref, Reference: named.String(), Resolved: repo + "@" + d.Digest.String(),
		Descriptor: d, Platforms: append([]string{}, r.carried()...), Absent: r.absent}
	it := &item{roots: []archive.Root{root}, warnings: r.strayed(ctx)}
	lock := definition.LockedImage{Ref: named.String(), Digest: d.Digest.String(), MediaType: d.MediaType, Size: d.Size, Platforms: r.wanted}
	if isLocked && locked.Digest != lock.Digest {
		it.moved = append(it.moved, Moved{Reference: named.String(), Old: locked.Digest, New: lock.Digest})
	}
	var known []definition.LockedReferrer
	if r.locked {
		known = append([]definition.LockedReferrer{}, locked.Referrers...)
	}
	referrers, err := r.referrers(ctx, known)
	if err != nil {
		return nil, nil, err
	}
	for _, ref := range referrers {
		it.roots = append(it.roots, ref.root(repo))
		lock.Referrers = append(lock.Referrers, ref.lock())
	}
	it.blobs, it.images = r.blobs, []definition.LockedImage{lock}
	return r, it, nil
}

// needFailed says who needs an image that could not be resolved.
func needFailed(n archive.Need, err error) error {
	return problem.WithRemedy(fmt.Errorf("%w\n  %s", err, closure.Describe(n)),
		fmt.Sprintf("if it is never used, list it in the definition, under allowMissing: {match: %s, reason: why}", closure.Subject(n)))
}

// wanted returns the platforms to carry of an image, sorted; none means all.
func (s *session) wanted(asked definition.Image) []string {
	platforms := s.def.Spec.Platforms
	if len(s.opts.Platforms) > 0 {
		platforms = s.opts.Platforms
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
	locked bool // it is what the lock has for these platforms, with what referred to it then

	desc      content.Descriptor
	blobs     []Blob
	at        map[digest.Digest]int  // where in blobs
	walked    map[digest.Digest]bool // the manifests that were read; the value tells whether they travel
	ahead     map[digest.Digest][]byte
	bytes     int64 // of the manifests that were read
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

// strayed tells when an image is asked for by tag and digest, and the tag names
// something else by now. The digest is what is carried; that the question could
// not be answered is no reason to fail.
func (r *resolver) strayed(ctx context.Context) []string {
	tag := tagOf(r.named)
	if _, pinned := r.named.(reference.Digested); !pinned || tag == "" {
		return nil
	}
	now, err := r.src.Resolve(ctx, tag)
	switch {
	case errors.Is(err, content.ErrNotFound):
		return []string{fmt.Sprintf("%s: the registry has no tag %s any more; what the digest names is carried", r.named, tag)}
	case err != nil || now.Digest == r.desc.Digest:
		return nil
	default:
		return []string{fmt.Sprintf("%s: the tag %s names %s by now; what the digest names is carried", r.named, tag, now.Digest)}
	}
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
