package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/mirror/registry"
)

// PruneOptions is how a registry is pruned. The zero value is a good default.
type PruneOptions struct {
	Jobs     int               // repositories worked on at once; 0 means 8
	DryRun   bool              // only look at what the registry holds
	Progress progress.Reporter // nil means none
}

// PruneResult is what a pruning did, or with DryRun would do.
type PruneResult struct {
	Registry string `json:"registry"`
	DryRun   bool   `json:"dryRun"`
	// Images are those of the bundles given up that no other bundle has.
	Images    []PrunedImage `json:"images"`
	Shared    int           `json:"shared"`    // images that another bundle has as well: they stay
	Manifests int           `json:"manifests"` // removed
	// Bytes are those of blobs that nothing needs of what the bundles know: what
	// the registry frees at most when it collects its garbage.
	Bytes int64 `json:"bytes"`
}

// Removes tells whether something was removed, or would be.
func (r *PruneResult) Removes() bool {
	return slices.ContainsFunc(r.Images, func(i PrunedImage) bool { return i.State == PruneRemoved })
}

// PrunedImage is what became of one image, or another root of a bundle.
type PrunedImage struct {
	Kind   string `json:"kind"`   // as in the bundle: "image"
	Source string `json:"source"` // the full reference in the bundle
	Target string `json:"target"` // the reference in the registry
	Digest string `json:"digest"`
	State  string `json:"state"`         // one of the states below
	Why    string `json:"why,omitempty"` // it stays
}

// The states of a PrunedImage.
const (
	PruneRemoved = "removed"
	PruneAbsent  = "absent" // it was not there
	PruneStays   = "stays"
)

// ErrIncomplete means: the registry lacks something of a bundle that it should hold.
var ErrIncomplete = errors.New("the registry does not hold the whole bundle")

// maxTags is how many tags of a repository are looked at.
const maxTags = 10_000

// Prune removes from a registry what bundles brought there and none of the
// others needs: manifests, referrers before their subjects and indexes before
// what they name, and their tags. The others must all be there as a push leaves
// them, which is proved before and after: else it fails with ErrIncomplete.
// What a tag names that no bundle has, somebody else's, stays with all that
// it needs. The space is free once the registry has collected its garbage. A
// run that was cut off is simply repeated.
func Prune(ctx context.Context, drop, keep []*archive.Reader, client *registry.Client, host string, m *Mapping, opts PruneOptions) (*PruneResult, error) {
	p := &pruner{client: client, host: host, mapping: m, keep: keep, opts: opts, repositories: map[string]*pruneRepository{}, needed: map[digest.Digest]bool{},
		freed: map[digest.Digest]int64{}, result: &PruneResult{Registry: host, DryRun: opts.DryRun, Images: []PrunedImage{}}}
	if err := p.plan(ctx, drop); err != nil {
		return nil, fmt.Errorf("pruning %s: %w", host, err)
	}
	if err := p.run(ctx, drop); err != nil {
		return nil, p.failed(ctx, err)
	}
	for d, size := range p.freed {
		if !p.needed[d] {
			p.result.Bytes += size
		}
	}
	slices.SortFunc(p.result.Images, func(a, b PrunedImage) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Digest, b.Digest))
	})
	return p.result, nil
}

// pruner carries out a pruning.
type pruner struct {
	client       *registry.Client
	host         string
	mapping      *Mapping
	keep         []*archive.Reader
	opts         PruneOptions
	repositories map[string]*pruneRepository

	mu     sync.Mutex
	result *PruneResult
	begun  bool                    // something may have been removed
	needed map[digest.Digest]bool  // blobs of what stays
	freed  map[digest.Digest]int64 // blobs of what was removed; sizes
}

// pruneRepository is one repository and what the bundles have in it.
type pruneRepository struct {
	name      string
	manifests []manifestPlan         // of those given up, children before parents and subjects before their referrers
	tags      []Placement            // of those given up
	kept      map[digest.Digest]bool // manifests of the others
	keptTags  map[string]bool
}

// plan lists what the bundles have. Each is planned alone: two versions may
// have the same tag.
func (p *pruner) plan(ctx context.Context, drop []*archive.Reader) error {
	for _, bundle := range drop {
		plan, err := planPush(ctx, Join([]*archive.Reader{bundle}), p.mapping)
		if err != nil {
			return err
		}
		for _, r := range plan.repositories {
			into := p.repository(r.name)
			into.manifests = append(into.manifests, r.manifests...)
			into.tags = append(into.tags, r.tags...)
		}
	}
	for _, bundle := range p.keep {
		plan, err := planPush(ctx, Join([]*archive.Reader{bundle}), p.mapping)
		if err != nil {
			return err
		}
		for _, b := range plan.blobs {
			p.needed[b.desc.Digest] = true
		}
		for _, r := range plan.repositories {
			p.repository(r.name).keep(r)
			for _, m := range r.manifests {
				p.needed[m.desc.Digest] = true // its bytes, of which a registry has one copy
			}
		}
	}
	for _, r := range p.repositories {
		seen := map[digest.Digest]bool{}
		r.manifests = slices.DeleteFunc(r.manifests, func(m manifestPlan) bool {
			out := r.kept[m.desc.Digest] || seen[m.desc.Digest]
			seen[m.desc.Digest] = true
			return out
		})
		r.manifests = inOrder(r.manifests)
	}
	return nil
}

func (p *pruner) repository(name string) *pruneRepository {
	r := p.repositories[name]
	if r == nil {
		r = &pruneRepository{name: name, kept: map[digest.Digest]bool{}, keptTags: map[string]bool{}}
		p.repositories[name] = r
	}
	return r
}

func (r *pruneRepository) keep(plan repositoryPlan) {
	for _, m := range plan.manifests {
		r.kept[m.desc.Digest] = true
	}
	for _, t := range plan.tags {
		r.keptTags[t.Tag] = true
	}
}

func (p *pruner) run(ctx context.Context, drop []*archive.Reader) error {
	if err := p.prove(ctx, "push it first, or do not name it with --keep"); err != nil {
		return err
	}
	if err := p.heads(ctx, drop); err != nil {
		return err
	}
	var touched []*pruneRepository
	for _, r := range p.repositories {
		if len(r.tags) > 0 {
			touched = append(touched, r)
		}
	}
	slices.SortFunc(touched, func(a, b *pruneRepository) int { return cmp.Compare(a.name, b.name) })
	phase := progress.OrNone(p.opts.Progress).Count("pruning", len(touched))
	defer phase.Done()
	err := each(ctx, cmp.Or(p.opts.Jobs, defaultJobs), touched, func(ctx context.Context, r *pruneRepository) error {
		defer phase.Skip(1)
		return p.prune(ctx, r)
	})
	if err != nil || p.opts.DryRun {
		return err
	}
	return p.prove(ctx, "the registry has removed more than it was asked to: push the bundle again")
}

// prove fails unless the registry holds all of the bundles that stay.
func (p *pruner) prove(ctx context.Context, remedy string) error {
	for _, bundle := range p.keep {
		s := bundle.Statement()
		found, err := Push(ctx, []*archive.Reader{bundle}, p.client, p.host, p.mapping, PushOptions{Jobs: p.opts.Jobs, DryRun: true, Progress: p.opts.Progress})
		if err != nil {
			return fmt.Errorf("looking for bundle %s %s: %w", s.Name, s.Version, err)
		}
		if lacks := p.lacks(found); lacks != "" {
			return problem.New(problem.Failed, remedy, "bundle %s %s: %w: %s", s.Name, s.Version, ErrIncomplete, lacks)
		}
	}
	return nil
}

// lacks names something that a push would still bring, or "". A tag may name
// what another bundle that stays has under it.
func (p *pruner) lacks(found *PushResult) string {
	all := map[digest.Digest]bool{}
	for _, r := range p.repositories {
		for d := range r.kept {
			all[d] = true
		}
	}
	for _, image := range found.Images {
		if image.Sent && !all[digest.Digest(image.Previous)] {
			return image.Target
		}
	}
	if n := found.Blobs.Sent + found.Blobs.Mounted; n > 0 {
		return fmt.Sprintf("%d blobs", n)
	}
	if found.Manifests.Sent > 0 {
		return fmt.Sprintf("%d manifests", found.Manifests.Sent)
	}
	return ""
}

// heads removes the heads of the bundles, first of all: who finds one may
// expect the content.
func (p *pruner) heads(ctx context.Context, drop []*archive.Reader) error {
	if p.opts.DryRun {
		return nil
	}
	for _, bundle := range drop {
		there, err := HasHead(ctx, bundle, p.client, p.host, p.mapping)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		repo, err := heads(p.client, p.host, p.mapping)
		if err != nil {
			return err
		}
		p.begin()
		if err := removeTagged(ctx, repo, headTag(bundle.Statement().Name, bundle.Statement().Version)); err != nil {
			return err
		}
	}
	return nil
}

// removeTagged removes a tag with its manifest: some registries leave tags of
// what is gone.
func removeTagged(ctx context.Context, repo *registry.Repository, tag string) error {
	d, err := repo.Resolve(ctx, tag)
	if err != nil {
		return err
	}
	if err := repo.Delete(ctx, d); err != nil {
		return err
	}
	if _, err = repo.Resolve(ctx, tag); err == nil {
		err = repo.Untag(ctx, tag)
	}
	if errors.Is(err, content.ErrNotFound) {
		return nil
	}
	return err
}

// prune removes what may go from one repository.
func (p *pruner) prune(ctx context.Context, r *pruneRepository) error {
	repo, err := p.client.Repository(p.host + "/" + r.name)
	if err != nil {
		return err
	}
	why, err := r.claims(ctx, repo)
	if err != nil {
		return err
	}
	removed := map[digest.Digest]bool{}
	for _, m := range slices.Backward(r.manifests) {
		if why[m.desc.Digest] != "" {
			err = p.blobs(ctx, m, func(d content.Descriptor) { p.needed[d.Digest] = true })
		} else {
			removed[m.desc.Digest], err = p.remove(ctx, repo, m)
		}
		if err != nil {
			return err
		}
	}
	for _, t := range r.tags {
		if err := p.tag(ctx, repo, r, t, removed, why); err != nil {
			return err
		}
	}
	return nil
}

// remove removes a manifest and tells whether it was there.
func (p *pruner) remove(ctx context.Context, repo *registry.Repository, m manifestPlan) (there bool, err error) {
	if there, err = repo.Exists(ctx, m.desc); err != nil || !there {
		return false, err
	}
	if !p.opts.DryRun {
		p.begin()
		if err = repo.Delete(ctx, m.desc); err != nil && !errors.Is(err, content.ErrNotFound) {
			return false, err
		}
		if err = repo.Unlist(ctx, m.desc.Digest); err != nil {
			return false, err
		}
	}
	p.count(func() { p.result.Manifests++ })
	return true, p.blobs(ctx, m, func(d content.Descriptor) { p.freed[d.Digest] = d.Size })
}

// blobs notes the blobs of a manifest, and itself.
func (p *pruner) blobs(ctx context.Context, m manifestPlan, note func(content.Descriptor)) error {
	_, data, err := m.bundle.Document(ctx, m.desc.Digest)
	if err != nil {
		return err
	}
	parsed, err := content.ParseManifest(m.desc, data)
	if err != nil {
		return err
	}
	p.count(func() {
		note(m.desc)
		for _, d := range parsed.Children() {
			if !content.IsManifest(d.MediaType) {
				note(d)
			}
		}
	})
	return nil
}

// begin notes that something may be removed from here on: an answer may be lost
// where another failure ends the run.
func (p *pruner) begin() { p.count(func() { p.begun = true }) }

func (p *pruner) count(add func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	add()
}

// tag removes a tag that outlived its manifest, or whose manifest stays, and
// notes what became of the root.
func (p *pruner) tag(ctx context.Context, repo *registry.Repository, r *pruneRepository, t Placement, removed map[digest.Digest]bool, why map[digest.Digest]string) error {
	d := t.Root.Descriptor.Digest
	image := PrunedImage{Kind: t.Root.Kind, Source: t.Root.Reference, Target: repo.Name() + ":" + t.Tag, Digest: d.String(), State: PruneAbsent}
	if t.Tag == "" || r.keptTags[t.Tag] { // another bundle has that tag
		image.Target = repo.Name() + "@" + image.Digest
	}
	switch {
	case why[d] != "":
		image.State, image.Why = PruneStays, why[d]
	case removed[d]:
		image.State = PruneRemoved
	}
	gone := removed[d] && p.opts.DryRun // with its tags
	if t.Tag != "" && !r.keptTags[t.Tag] && !gone {
		if err := p.untag(ctx, repo, t, &image); err != nil {
			return err
		}
	}
	p.count(func() {
		if r.kept[d] && image.State == PruneAbsent {
			p.result.Shared++
			return
		}
		p.result.Images = append(p.result.Images, image)
	})
	return nil
}

// untag removes the tag of a root, unless it names something else by now.
func (p *pruner) untag(ctx context.Context, repo *registry.Repository, t Placement, image *PrunedImage) error {
	now, err := repo.Resolve(ctx, t.Tag)
	if errors.Is(err, content.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if now.Digest != t.Root.Descriptor.Digest {
		image.Why = "the tag names " + now.Digest.String() + " now"
		return nil
	}
	if !p.opts.DryRun {
		err = repo.Untag(ctx, t.Tag)
	}
	switch {
	case errors.Is(err, registry.ErrNoDelete):
		image.State, image.Why = PruneStays, cmp.Or(image.Why, "the registry removes no tags of what stays")
		return nil
	case err == nil && image.State == PruneAbsent:
		image.State = PruneRemoved
	}
	return err
}

// failed says that the command may be repeated.
func (p *pruner) failed(ctx context.Context, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err = fmt.Errorf("pruning %s: %w", p.host, err)
	if ctx.Err() != nil || p.opts.DryRun || problem.KindOf(err) != problem.Failed || !p.begun || errors.Is(err, registry.ErrNoDelete) {
		return err
	}
	return &problem.Error{Err: err, Kind: problem.Partial, Remedy: "then run the same command again"}
}
