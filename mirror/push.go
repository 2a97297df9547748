package mirror

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
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/mirror/registry"
)

// PushOptions is how a registry is filled. The zero value is a good default.
type PushOptions struct {
	Jobs     int               // blobs, and repositories, worked on at once; 0 means 8
	DryRun   bool              // only look at what the registry holds
	Progress progress.Reporter // nil means none
}

const defaultJobs = 8

// PushResult is what a push did, or with DryRun would do.
type PushResult struct {
	Registry string        `json:"registry"`
	DryRun   bool          `json:"dryRun"`
	Images   []PushedImage `json:"images"`
	// Blobs are counted once for each repository that needs them.
	Blobs     Tally `json:"blobs"`
	Manifests Tally `json:"manifests"`
	Bytes     int64 `json:"bytes"` // of blobs that were sent
}

// PushedImage is where one image of the bundle went.
type PushedImage struct {
	Source string `json:"source"` // the full reference in the bundle
	Target string `json:"target"` // the reference in the registry
	Digest string `json:"digest"`
	Sent   bool   `json:"sent"` // false when it was there already
}

// Tally counts what became of content.
type Tally struct {
	Sent    int `json:"sent"`
	Mounted int `json:"mounted"`
	There   int `json:"there"` // already
}

// Push fills a registry from bundles: every blob that a repository lacks is
// mounted from a repository that has it or sent straight from the file; then
// manifests, children before parents; tags last. What is there already is not
// sent again, so that a run that was cut off is simply repeated.
func Push(ctx context.Context, bundles []*archive.Reader, client *registry.Client, host string, m *Mapping, opts PushOptions) (*PushResult, error) {
	plan, err := planPush(ctx, bundles, m)
	if err != nil {
		return nil, err
	}
	p := &pusher{client: client, host: host, opts: opts, plan: plan, result: &PushResult{Registry: host, DryRun: opts.DryRun, Images: []PushedImage{}}}
	if err := p.blobs(ctx); err != nil {
		return nil, p.failed(ctx, err)
	}
	if err := p.manifests(ctx); err != nil {
		return nil, p.failed(ctx, err)
	}
	slices.SortFunc(p.result.Images, func(a, b PushedImage) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Source, b.Source))
	})
	return p.result, nil
}

// pushPlan is what has to be where.
type pushPlan struct {
	blobs        []blobPlan // the largest first
	repositories []repositoryPlan
	bytes        int64 // of blobs, each once
}

// blobPlan is one blob and the repositories that need it.
type blobPlan struct {
	bundle       *archive.Reader
	desc         content.Descriptor
	repositories []string
}

// repositoryPlan is one repository and what it gets, children before parents.
type repositoryPlan struct {
	name      string
	manifests []manifestPlan
	tags      []Placement
}

type manifestPlan struct {
	desc content.Descriptor
	data []byte
}

// planPush reads the documents of the bundles and lists what goes where.
func planPush(ctx context.Context, bundles []*archive.Reader, m *Mapping) (*pushPlan, error) {
	b := &planner{blobs: map[digest.Digest]*blobPlan{}, repositories: map[string]*repositoryPlan{}, seen: map[string]bool{}}
	var all []archive.Root
	for _, bundle := range bundles {
		all = append(all, bundle.Statement().Roots...)
	}
	placements, err := m.Place(all)
	if err != nil {
		return nil, err
	}
	i := 0
	for _, bundle := range bundles {
		for range bundle.Statement().Roots {
			if err := b.add(ctx, bundle, placements[i]); err != nil {
				return nil, fmt.Errorf("planning %s: %w", placements[i].Root.Reference, err)
			}
			i++
		}
	}
	return b.plan(), nil
}

type planner struct {
	blobs        map[digest.Digest]*blobPlan
	repositories map[string]*repositoryPlan
	seen         map[string]bool // repository@digest
}

func (b *planner) add(ctx context.Context, bundle *archive.Reader, p Placement) error {
	repo := b.repositories[p.Repository]
	if repo == nil {
		repo = &repositoryPlan{name: p.Repository}
		b.repositories[p.Repository] = repo
	}
	repo.tags = append(repo.tags, p)
	read := func(d content.Descriptor) ([]byte, error) {
		if b.seen[p.Repository+"@"+d.Digest.String()] {
			return nil, archive.ErrSkip
		}
		_, data, err := bundle.Document(ctx, d.Digest)
		return data, err
	}
	return archive.Walk(p.Root, read, func(d content.Descriptor, m *content.Manifest, data []byte) error {
		key := p.Repository + "@" + d.Digest.String()
		if b.seen[key] {
			return nil
		}
		b.seen[key] = true
		if m == nil {
			b.blob(bundle, d, p.Repository)
		} else {
			repo.manifests = append(repo.manifests, manifestPlan{desc: content.Bare(d), data: data})
		}
		return nil
	})
}

func (b *planner) blob(bundle *archive.Reader, d content.Descriptor, repository string) {
	p := b.blobs[d.Digest]
	if p == nil {
		p = &blobPlan{bundle: bundle, desc: content.Bare(d)}
		b.blobs[d.Digest] = p
	}
	p.repositories = append(p.repositories, repository)
}

func (b *planner) plan() *pushPlan {
	out := &pushPlan{}
	for _, p := range b.blobs {
		slices.Sort(p.repositories)
		out.blobs = append(out.blobs, *p)
		out.bytes += p.desc.Size
	}
	slices.SortFunc(out.blobs, func(x, y blobPlan) int {
		return cmp.Or(cmp.Compare(y.desc.Size, x.desc.Size), cmp.Compare(x.desc.Digest, y.desc.Digest))
	})
	for _, r := range b.repositories {
		out.repositories = append(out.repositories, *r)
	}
	slices.SortFunc(out.repositories, func(x, y repositoryPlan) int { return cmp.Compare(x.name, y.name) })
	return out
}

// pusher carries out a plan.
type pusher struct {
	client *registry.Client
	host   string
	opts   PushOptions
	plan   *pushPlan

	mu     sync.Mutex
	result *PushResult
}

// failed says that what has arrived is not lost, when something has.
func (p *pusher) failed(ctx context.Context, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err = fmt.Errorf("pushing to %s: %w", p.host, err)
	if ctx.Err() != nil || p.opts.DryRun || problem.KindOf(err) != problem.Failed || p.result.Blobs.Sent+p.result.Blobs.Mounted+p.result.Manifests.Sent == 0 {
		return err
	}
	return &problem.Error{Err: err, Kind: problem.Partial, Remedy: "then run the same command again: what has arrived is not sent twice"}
}

func (p *pusher) count(add func(*PushResult)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	add(p.result)
}

func (p *pusher) repository(name string) (*registry.Repository, error) {
	return p.client.Repository(p.host + "/" + name)
}

func (p *pusher) blobs(ctx context.Context) error {
	phase := progress.OrNone(p.opts.Progress).Start("pushing", p.plan.bytes)
	defer phase.Done()
	return each(ctx, cmp.Or(p.opts.Jobs, defaultJobs), p.plan.blobs, func(ctx context.Context, b blobPlan) error {
		if err := p.blob(ctx, b, phase); err != nil {
			return fmt.Errorf("blob %s (%s): %w", b.desc.Digest, b.desc.MediaType, err)
		}
		return nil
	})
}

// blob brings one blob to every repository that needs it. It is sent at most
// once; from there on the registry mounts it.
func (p *pusher) blob(ctx context.Context, b blobPlan, phase progress.Phase) error {
	var holder string
	var lacking []*registry.Repository
	for _, name := range b.repositories {
		repo, err := p.repository(name)
		if err != nil {
			return err
		}
		there, err := repo.Exists(ctx, b.desc)
		if err != nil {
			return err
		}
		if there {
			holder = name
			p.count(func(r *PushResult) { r.Blobs.There++ })
		} else {
			lacking = append(lacking, repo)
		}
	}
	if holder != "" || p.opts.DryRun {
		phase.Skip(b.desc.Size)
	}
	for _, repo := range lacking {
		sent, err := p.bring(ctx, repo, b, holder, phase)
		if err != nil {
			return err
		}
		p.count(func(r *PushResult) {
			if sent {
				r.Blobs.Sent++
				r.Bytes += b.desc.Size
			} else {
				r.Blobs.Mounted++
			}
		})
		if holder == "" {
			holder = repo.Path()
		}
	}
	return nil
}

// bring mounts the blob from holder, or sends it when there is none or the
// registry does not mount.
func (p *pusher) bring(ctx context.Context, repo *registry.Repository, b blobPlan, holder string, phase progress.Phase) (sent bool, err error) {
	if p.opts.DryRun {
		return holder == "", nil
	}
	if holder != "" {
		mounted, err := repo.Mount(ctx, b.desc, holder)
		if mounted || err != nil {
			return false, err
		}
	}
	section, err := b.bundle.Section(b.desc.Digest)
	if err != nil {
		return false, err
	}
	task := phase.Task(b.desc.Digest.String(), b.desc.Size)
	if holder != "" { // counted already
		task = progress.None{}
	}
	defer task.Done()
	err = repo.PushBlob(ctx, b.desc, section, task)
	if err != nil && ctx.Err() == nil {
		// The registry verifies what it gets. When it refuses, find out whose fault it is.
		if damage := b.bundle.VerifyBlob(ctx, b.desc.Digest); damage != nil {
			return true, problem.New(problem.Verification, "do not use this file: copy it again from where it was made", "the bundle is damaged: %w", damage)
		}
	}
	return true, err
}

func (p *pusher) manifests(ctx context.Context) error {
	return each(ctx, cmp.Or(p.opts.Jobs, defaultJobs), p.plan.repositories, p.repositoryManifests)
}

// repositoryManifests brings the manifests of one repository, then its tags.
func (p *pusher) repositoryManifests(ctx context.Context, plan repositoryPlan) error {
	repo, err := p.repository(plan.name)
	if err != nil {
		return err
	}
	sent := map[digest.Digest]bool{}
	for _, m := range plan.manifests {
		there, err := repo.Exists(ctx, m.desc)
		if err == nil && !there && !p.opts.DryRun {
			err = repo.PushManifest(ctx, m.desc, m.data)
		}
		if err != nil {
			return fmt.Errorf("manifest %s to %s: %w", m.desc.Digest, plan.name, err)
		}
		sent[m.desc.Digest] = !there
		p.count(func(r *PushResult) { tallyOne(&r.Manifests, there) })
	}
	for _, t := range plan.tags {
		tagged, err := p.tag(ctx, repo, plan, t)
		if err != nil {
			return fmt.Errorf("tag %s of %s: %w", t.Tag, plan.name, err)
		}
		image := PushedImage{Source: t.Root.Reference, Target: p.host + "/" + plan.name, Digest: t.Root.Descriptor.Digest.String(),
			Sent: tagged || sent[t.Root.Descriptor.Digest]}
		if t.Tag != "" {
			image.Target += ":" + t.Tag
		} else {
			image.Target += "@" + image.Digest
		}
		p.count(func(r *PushResult) { r.Images = append(r.Images, image) })
	}
	return nil
}

func tallyOne(t *Tally, there bool) {
	if there {
		t.There++
	} else {
		t.Sent++
	}
}

// tag makes a tag point to its manifest and tells whether it did not before.
func (p *pusher) tag(ctx context.Context, repo *registry.Repository, plan repositoryPlan, t Placement) (bool, error) {
	if t.Tag == "" {
		return false, nil
	}
	have, err := repo.Resolve(ctx, t.Tag)
	if err == nil && have.Digest == t.Root.Descriptor.Digest {
		return false, nil
	}
	if err != nil && !errors.Is(err, content.ErrNotFound) {
		return false, err
	}
	if p.opts.DryRun {
		return true, nil
	}
	i := slices.IndexFunc(plan.manifests, func(m manifestPlan) bool { return m.desc.Digest == t.Root.Descriptor.Digest })
	return true, repo.PushManifest(ctx, plan.manifests[i].desc, plan.manifests[i].data, t.Tag)
}

// each calls do for every item, jobs at once, in their order, until one fails.
func each[T any](ctx context.Context, jobs int, items []T, do func(context.Context, T) error) error {
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(jobs)
	for _, item := range items {
		if inner.Err() != nil {
			break
		}
		g.Go(func() error { return do(inner, item) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
