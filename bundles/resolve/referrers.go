package resolve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/internal/problem"
)

// Limits of what may refer to one image.
const (
	maxReferrerDepth = 4 // what refers to what refers to ...
	maxReferrers     = 1000
)

// cosignTags are the endings of the tags under which cosign keeps signatures,
// attestations and SBOMs beside their subject: sha256-HEX.sig.
func cosignTags() []string { return []string{".sig", ".att", ".sbom"} }

// referrer is an artifact that refers to a manifest.
type referrer struct {
	subject  digest.Digest
	tag      string // "" when it is found through its subject field
	desc     content.Descriptor
	manifest *content.Manifest
}

func (f referrer) root(repo string) archive.Root {
	root := archive.Root{Kind: archive.RootReferrer, Requested: cmp.Or(f.tag, f.desc.Digest.String()), Resolved: repo + "@" + f.desc.Digest.String(),
		Descriptor: f.desc, Platforms: []string{}, Subject: f.subject}
	root.Reference = root.Resolved
	if f.tag != "" {
		root.Reference = repo + ":" + f.tag
	}
	return root
}

func (f referrer) lock() definition.LockedReferrer {
	return definition.LockedReferrer{Subject: f.subject.String(), Tag: f.tag, Digest: f.desc.Digest.String(), MediaType: f.desc.MediaType, Size: f.desc.Size}
}

// referrers adds what refers to the manifests that travel, all levels, and
// returns it: subjects before their referrers, else by tag and digest. With a
// lock, known, nothing else is looked for.
func (r *resolver) referrers(ctx context.Context, known []definition.LockedReferrer) ([]referrer, error) {
	if known != nil {
		return r.lockedReferrers(ctx, known)
	}
	subjects := []content.Descriptor{r.desc}
	for _, b := range r.blobs {
		if b.Data != nil && r.walked[b.Descriptor.Digest] && b.Descriptor.Digest != r.desc.Digest {
			subjects = append(subjects, b.Descriptor)
		}
	}
	var all []referrer
	seen := map[digest.Digest]bool{}
	for depth := 0; len(subjects) > 0; depth++ {
		for _, d := range subjects {
			seen[d.Digest] = true
		}
		found, err := r.referrersOf(ctx, subjects)
		if err != nil {
			return nil, err
		}
		// Nothing refers to itself; some registries have an answer for every tag.
		found = slices.DeleteFunc(found, func(f referrer) bool { return seen[f.desc.Digest] })
		if len(found) > 0 && depth == maxReferrerDepth || len(all)+len(found) > maxReferrers {
			return nil, fmt.Errorf("more than %d artifacts, or %d levels of them, refer to it: %w", maxReferrers, maxReferrerDepth, content.ErrTooLarge)
		}
		subjects = nil
		for i := range found {
			if found[i].manifest, err = r.attach(ctx, found[i].desc); err != nil {
				return nil, fmt.Errorf("%s, which refers to %s: %w", cmp.Or(found[i].tag, found[i].desc.Digest.String()), found[i].subject, err)
			}
			subjects = append(subjects, found[i].desc)
		}
		all = append(all, found...)
	}
	return all, nil
}

// referrersOf returns what refers to any of these manifests, in order.
func (r *resolver) referrersOf(ctx context.Context, subjects []content.Descriptor) ([]referrer, error) {
	var mu sync.Mutex
	var found []referrer
	add := func(f referrer) {
		mu.Lock()
		defer mu.Unlock()
		if !slices.ContainsFunc(found, func(have referrer) bool { return have.tag == f.tag && have.desc.Digest == f.desc.Digest }) {
			found = append(found, f)
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(defaultJobs)
	for _, subject := range subjects {
		for _, ending := range cosignTags() {
			g.Go(func() error {
				tag := "sha256-" + subject.Digest.Encoded() + ending
				d, err := r.src.Resolve(ctx, tag)
				if errors.Is(err, content.ErrNotFound) {
					return nil
				}
				if err == nil {
					add(referrer{subject: subject.Digest, tag: tag, desc: content.Bare(d)})
				}
				return err
			})
		}
		if lister, ok := r.src.(content.ReferrerLister); ok {
			g.Go(func() error {
				list, err := lister.Referrers(ctx, content.Bare(subject))
				for _, d := range list {
					add(referrer{subject: subject.Digest, desc: content.Bare(d)})
				}
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		// Not finding out is not the same as finding nothing: an image would
		// arrive without its signature.
		return nil, fmt.Errorf("looking for signatures and other referrers: %w", err)
	}
	slices.SortFunc(found, func(a, b referrer) int {
		return cmp.Or(cmp.Compare(a.subject, b.subject), cmp.Compare(a.tag, b.tag), cmp.Compare(a.desc.Digest, b.desc.Digest))
	})
	return found, nil
}

// lockedReferrers takes precisely what the lock has.
func (r *resolver) lockedReferrers(ctx context.Context, known []definition.LockedReferrer) ([]referrer, error) {
	var all []referrer
	for _, k := range known {
		f := referrer{subject: digest.Digest(k.Subject), tag: k.Tag,
			desc: content.Descriptor{MediaType: k.MediaType, Digest: digest.Digest(k.Digest), Size: k.Size}}
		var err error
		if f.manifest, err = r.attach(ctx, f.desc); errors.Is(err, content.ErrNotFound) {
			err = problem.New(problem.Failed, "accept what is there now with --update-lock, or bring back what was locked",
				"%s %s, which refers to %s in the lock: %w", k.Tag, k.Digest, k.Subject, errors.Join(ErrMoved, err))
		}
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// attach adds an artifact whole, of all platforms, to the blobs.
func (r *resolver) attach(ctx context.Context, d content.Descriptor) (*content.Manifest, error) {
	sub := &resolver{src: r.src, repo: r.repo, named: r.named, desc: d, blobs: r.blobs, at: r.at, walked: r.walked, bytes: r.bytes}
	if err := sub.walk(ctx); err != nil {
		return nil, err
	}
	r.blobs, r.bytes = sub.blobs, sub.bytes
	return content.ParseManifest(d, r.blobs[r.at[d.Digest]].Data)
}
