package mirror

import (
	"context"
	"errors"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror/registry"
)

// claims returns why manifests stay that only the bundles given up have: a tag
// names them that no bundle has there, or an index of such a tag does.
func (r *pruneRepository) claims(ctx context.Context, repo *registry.Repository) (map[digest.Digest]string, error) {
	why := map[digest.Digest]string{}
	tags, err := repo.Tags(ctx, maxTags+1)
	if errors.Is(err, content.ErrNotFound) {
		return why, nil
	}
	if err == nil && len(tags) > maxTags {
		err = problem.New(problem.Failed, "remove them there by hand", "%s has more than %d tags", repo.Name(), maxTags)
	}
	if err != nil {
		return nil, err
	}
	c := claimant{repo: repo, repository: r, own: map[digest.Digest]manifestPlan{}, lists: map[string]bool{}, looked: map[digest.Digest]bool{}, why: why}
	for _, m := range r.manifests {
		c.own[m.desc.Digest] = m
		c.lists[registry.ReferrersTag(m.desc.Digest)] = true
	}
	for d := range r.kept {
		c.lists[registry.ReferrersTag(d)] = true
	}
	for _, tag := range tags {
		if err := c.tag(ctx, tag); err != nil {
			return nil, err
		}
	}
	c.referrers()
	return why, nil
}

// claimant finds what tags of others need.
type claimant struct {
	repo       *registry.Repository
	repository *pruneRepository
	own        map[digest.Digest]manifestPlan // what would be removed
	lists      map[string]bool                // tags of lists of what refers to the bundles' manifests
	looked     map[digest.Digest]bool
	why        map[digest.Digest]string
}

func (c *claimant) tag(ctx context.Context, tag string) error {
	if c.lists[tag] { // it follows what it lists
		return nil
	}
	d, err := c.repo.Resolve(ctx, tag)
	if errors.Is(err, content.ErrNotFound) {
		return nil // gone meanwhile
	}
	if err != nil || c.repository.kept[d.Digest] {
		return err
	}
	_, candidate := c.own[d.Digest]
	switch {
	case candidate && c.repository.gives(tag, d.Digest):
		return nil
	case candidate:
		c.claim(d.Digest, tag)
		return nil
	default:
		return c.foreign(ctx, d, tag)
	}
}

// gives tells whether a tag is one that the bundles given up have set.
func (r *pruneRepository) gives(tag string, d digest.Digest) bool {
	return slices.ContainsFunc(r.tags, func(t Placement) bool { return t.Tag == tag && t.Root.Descriptor.Digest == d })
}

// foreign claims what a manifest names that no bundle has.
func (c *claimant) foreign(ctx context.Context, d content.Descriptor, tag string) error {
	if c.looked[d.Digest] || !content.IsManifest(d.MediaType) {
		return nil
	}
	c.looked[d.Digest] = true
	data, err := content.ReadAll(ctx, c.repo, d, content.MaxManifestSize)
	if errors.Is(err, content.ErrNotFound) {
		return nil // an index may lack some
	}
	if err != nil {
		return err
	}
	m, err := content.ParseManifest(d, data)
	if err != nil {
		return nil //nolint:nilerr // what clients cannot read either needs nothing
	}
	for _, child := range m.Manifests {
		c.claim(child.Digest, tag)
		if content.IsIndex(child.MediaType) {
			err = errors.Join(err, c.foreign(ctx, child, tag))
		}
	}
	if m.Subject != nil {
		c.claim(m.Subject.Digest, tag)
	}
	return err
}

// claim keeps a manifest, if it is one that would be removed, and what it needs.
func (c *claimant) claim(d digest.Digest, tag string) {
	m, ok := c.own[d]
	if !ok || c.why[d] != "" {
		return
	}
	c.why[d] = "tag " + tag + " needs it, which no bundle has there"
	for _, below := range m.after {
		c.claim(below, tag)
	}
}

// referrers keeps the signatures and the like of what stays.
func (c *claimant) referrers() {
	for _, t := range c.repository.tags {
		if why := c.why[t.Root.Subject]; why != "" && c.why[t.Root.Descriptor.Digest] == "" {
			c.why[t.Root.Descriptor.Digest] = why
		}
	}
}
