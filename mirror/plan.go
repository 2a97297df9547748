package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
)

// pushPlan is what has to be where.
type pushPlan struct {
	blobs        []*blobPlan // the largest first
	repositories []repositoryPlan
}

// blobPlan is one blob and the repositories that need it.
type blobPlan struct {
	desc         content.Descriptor
	bundle       *archive.Reader // nil when only the registry can have it: a delta's base
	image        string          // the first that needs it
	repositories []string
	shard        int          // that sends it, from 0 on
	at           *whereabouts // nil until somebody looked
}

// whereabouts is what a registry has of a blob.
type whereabouts struct {
	holder  string // a repository that has it, or ""
	lacking []string
}

// repositoryPlan is one repository and what it gets, children before parents
// and subjects before their referrers.
type repositoryPlan struct {
	name      string
	manifests []manifestPlan
	tags      []Placement
}

// manifestPlan is one manifest or index. Its bytes are read when it is sent.
type manifestPlan struct {
	desc    content.Descriptor
	bundle  *archive.Reader
	subject *content.Descriptor // nil when it has none
	after   []digest.Digest     // what has to be there before it
}

// planPush reads the documents of the bundles and lists what goes where.
func planPush(ctx context.Context, union *Union, m *Mapping) (*pushPlan, error) {
	placements, err := union.Place(m)
	if err != nil {
		return nil, err
	}
	b := &planner{union: union, blobs: map[digest.Digest]*blobPlan{}, repositories: map[string]*repositoryPlan{}, seen: map[place]bool{}}
	for _, p := range placements {
		if err := b.add(ctx, p); err != nil {
			return nil, fmt.Errorf("planning %s: %w", p.Root.Reference, err)
		}
	}
	return b.plan(), nil
}

type planner struct {
	union        *Union
	blobs        map[digest.Digest]*blobPlan
	repositories map[string]*repositoryPlan
	seen         map[place]bool
}

// place is content in a repository.
type place struct {
	repository string
	digest     digest.Digest
}

func (b *planner) add(ctx context.Context, p Placement) error {
	repo := b.repositories[p.Repository]
	if repo == nil {
		repo = &repositoryPlan{name: p.Repository}
		b.repositories[p.Repository] = repo
	}
	repo.tags = append(repo.tags, p)
	read := func(d content.Descriptor) ([]byte, error) {
		_, data, err := p.Bundle.Document(ctx, d.Digest)
		return data, err
	}
	return archive.Walk(p.Root, read, func(d content.Descriptor, m *content.Manifest, _ []byte) error {
		// Not left out with all that is below it when it was seen before: an
		// index that two roots share may carry more platforms for one of them.
		key := place{p.Repository, d.Digest}
		if b.seen[key] {
			return nil
		}
		b.seen[key] = true
		if m == nil {
			return b.blob(p, d)
		}
		plan := planManifest(p.Bundle, d, m)
		if d.Digest == p.Root.Descriptor.Digest && p.Root.Subject != "" {
			plan.after = append(plan.after, p.Root.Subject) // one that only its tag names, as cosign's are
		}
		repo.manifests = append(repo.manifests, plan)
		return nil
	})
}

func planManifest(bundle *archive.Reader, d content.Descriptor, m *content.Manifest) manifestPlan {
	out := manifestPlan{desc: content.Bare(d), bundle: bundle}
	for _, c := range m.Manifests {
		out.after = append(out.after, c.Digest)
	}
	if m.Subject != nil {
		subject := content.Bare(*m.Subject)
		out.subject = &subject
		out.after = append(out.after, subject.Digest)
	}
	return out
}

func (b *planner) blob(p Placement, d content.Descriptor) error {
	have := b.blobs[d.Digest]
	if have == nil {
		have = &blobPlan{desc: content.Bare(d), bundle: b.union.Holder(d.Digest), image: p.Root.Reference}
		if have.bundle == nil && !p.Bundle.FromBase(d) {
			return fmt.Errorf("%s (%s): %w", d.Digest, d.MediaType, archive.ErrNotClosed)
		}
		b.blobs[d.Digest] = have
	}
	have.repositories = append(have.repositories, p.Repository)
	return nil
}

func (b *planner) plan() *pushPlan {
	out := &pushPlan{}
	for _, p := range b.blobs {
		slices.Sort(p.repositories)
		out.blobs = append(out.blobs, p)
	}
	slices.SortFunc(out.blobs, func(x, y *blobPlan) int {
		return cmp.Or(cmp.Compare(y.desc.Size, x.desc.Size), cmp.Compare(x.desc.Digest, y.desc.Digest))
	})
	for _, r := range b.repositories {
		r.manifests = inOrder(r.manifests)
		out.repositories = append(out.repositories, *r)
	}
	slices.SortFunc(out.repositories, func(x, y repositoryPlan) int { return cmp.Compare(x.name, y.name) })
	return out
}

// inOrder puts what has to be there first before what needs it, and keeps the
// order otherwise. Digests make sure that nothing needs itself.
func inOrder(manifests []manifestPlan) []manifestPlan {
	at := make(map[digest.Digest]int, len(manifests))
	for i, m := range manifests {
		at[m.desc.Digest] = i
	}
	out := make([]manifestPlan, 0, len(manifests))
	done := make([]bool, len(manifests))
	var add func(int)
	add = func(i int) {
		if done[i] {
			return
		}
		done[i] = true
		for _, d := range manifests[i].after {
			if j, ok := at[d]; ok {
				add(j)
			}
		}
		out = append(out, manifests[i])
	}
	for i := range manifests {
		add(i)
	}
	return out
}

// totalSize returns the size of blobs, each once.
func totalSize(blobs []*blobPlan) int64 {
	var n int64
	for _, b := range blobs {
		n += b.desc.Size
	}
	return n
}
