package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/receipt"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/mirror/registry"
)

// PushOptions is how a registry is filled. The zero value is a good default.
type PushOptions struct {
	Jobs     int               // blobs, and repositories, worked on at once; 0 means 8
	DryRun   bool              // only look at what the registry holds
	Progress progress.Reporter // nil means none
	// Shard is the part of the blobs that this run sends; the zero value is all.
	Shard Shard
	// ShardTimeout is how long the last shard waits without any blob of the
	// others arriving; 0 means two hours.
	ShardTimeout time.Duration
}

const defaultJobs = 8

// PushResult is what a push did, or with DryRun would do.
type PushResult struct {
	Registry string        `json:"registry"`
	DryRun   bool          `json:"dryRun"`
	Shard    string        `json:"shard,omitempty"` // I/N when this was one of several
	Images   []PushedImage `json:"images"`
	// Blobs are counted once for each repository that needs them.
	Blobs     Tally `json:"blobs"`
	Manifests Tally `json:"manifests"`
	Bytes     int64 `json:"bytes"` // of blobs that were sent

	receipt *receipt.Receipt // nil unless this run saw everything there
}

// New is how many of the images were not in the registry before.
func (r *PushResult) New() int {
	n := 0
	for _, i := range r.Images {
		if i.Sent {
			n++
		}
	}
	return n
}

// PushedImage is where one image, or another root of the bundle, went.
type PushedImage struct {
	Kind   string `json:"kind"`   // as in the bundle: "image"
	Source string `json:"source"` // the full reference in the bundle
	Target string `json:"target"` // the reference in the registry
	Digest string `json:"digest"`
	Sent   bool   `json:"sent"` // false when it was there already
	// Previous is the digest that the tag named before; "" when it is new or stayed.
	Previous string `json:"previous,omitempty"`
}

// Tally counts what became of content.
type Tally struct {
	Sent    int `json:"sent"`
	Mounted int `json:"mounted"`
	There   int `json:"there"` // already
}

// Push fills a registry from bundles: every blob that a repository lacks is
// mounted from a repository that has it or sent straight from the file; then
// manifests, children before parents and subjects before referrers; tags last.
// What is there already is not sent again, so that a run that was cut off is
// simply repeated. What a delta leaves out must be in the registry, or in
// another of the bundles, before anything is sent: else it fails with
// ErrBaseMissing.
//
// Of a push in shards, each run sends its own blobs; the run of the last shard
// waits for those of all others, and only it sends manifests and tags.
func Push(ctx context.Context, bundles []*archive.Reader, client *registry.Client, host string, m *Mapping, opts PushOptions) (*PushResult, error) {
	if err := opts.Shard.check(); err != nil {
		return nil, err
	}
	plan, err := planPush(ctx, Join(bundles), m)
	if err != nil {
		return nil, err
	}
	opts.Shard.assign(plan.blobs)
	p := &pusher{client: client, host: host, target: strings.TrimSuffix(host+"/"+m.Prefix(), "/"), opts: opts, plan: plan, held: map[digest.Digest]int64{}, manifestsHeld: map[digest.Digest]int64{},
		result: &PushResult{Registry: host, DryRun: opts.DryRun, Shard: opts.Shard.String(), Images: []PushedImage{}}}
	steps := []func(context.Context) error{p.checkBase, p.blobs}
	if opts.Shard.Last() {
		steps = append(steps, p.awaitOthers, p.manifests)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, p.failed(ctx, err)
		}
	}
	slices.SortFunc(p.result.Images, func(a, b PushedImage) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Source, b.Source))
	})
	if opts.Shard.Last() && !opts.DryRun {
		p.result.receipt = p.receipt(bundles, m)
	}
	return p.result, nil
}

// pusher carries out a plan.
type pusher struct {
	client *registry.Client
	host   string
	target string // as the user names it: the host, and what every repository begins with
	opts   PushOptions
	plan   *pushPlan

	mu            sync.Mutex
	result        *PushResult
	held          map[digest.Digest]int64 // blobs that were seen in all their repositories, or arrived there; sizes
	manifestsHeld map[digest.Digest]int64
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
	own := slices.DeleteFunc(slices.Clone(p.plan.blobs), func(b *blobPlan) bool { return b.shard != p.opts.Shard.index() })
	phase := p.phase(own)
	defer phase.Done()
	return each(ctx, p.jobs(), own, func(ctx context.Context, b *blobPlan) error {
		if err := p.blob(ctx, b, phase); err != nil {
			return fmt.Errorf("blob %s (%s): %w", b.desc.Digest, b.desc.MediaType, err)
		}
		return nil
	})
}

// phase begins what is reported of blobs: their bytes, or when none will be
// sent how many were looked at.
func (p *pusher) phase(blobs []*blobPlan) progress.Phase {
	report := progress.OrNone(p.opts.Progress)
	if p.opts.DryRun {
		return report.Count("looking", len(blobs))
	}
	return report.Start("pushing", totalSize(blobs))
}

func (p *pusher) jobs() int { return cmp.Or(p.opts.Jobs, defaultJobs) }

// look asks every repository that needs a blob whether it has it.
func (p *pusher) look(ctx context.Context, b *blobPlan) (*whereabouts, error) {
	at := &whereabouts{}
	for _, name := range b.repositories {
		there, err := p.has(ctx, name, b.desc)
		if err != nil {
			return nil, err
		}
		if there {
			at.holder = name
		} else {
			at.lacking = append(at.lacking, name)
		}
	}
	return at, nil
}

func (p *pusher) has(ctx context.Context, repository string, d content.Descriptor) (bool, error) {
	repo, err := p.repository(repository)
	if err != nil {
		return false, err
	}
	return repo.Exists(ctx, d)
}

// blob brings one blob to every repository that needs it. It is sent at most
// once; from there on the registry mounts it.
func (p *pusher) blob(ctx context.Context, b *blobPlan, phase progress.Phase) error {
	at := b.at
	if at == nil {
		var err error
		if at, err = p.look(ctx, b); err != nil {
			return err
		}
	}
	p.count(func(r *PushResult) { r.Blobs.There += len(b.repositories) - len(at.lacking) })
	holder := at.holder
	switch {
	case p.opts.DryRun:
		phase.Skip(1)
	case holder != "":
		phase.Skip(b.desc.Size)
	}
	for _, name := range at.lacking {
		sent, err := p.bring(ctx, name, b, holder, phase)
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
		holder = cmp.Or(holder, name)
	}
	p.hold(b)
	return nil
}

// hold notes that every repository has a blob.
func (p *pusher) hold(b *blobPlan) {
	p.count(func(*PushResult) { p.held[b.desc.Digest] = b.desc.Size })
}

// bring mounts the blob from holder, or sends it when there is none or the
// registry does not mount.
func (p *pusher) bring(ctx context.Context, name string, b *blobPlan, holder string, phase progress.Phase) (sent bool, err error) {
	if p.opts.DryRun {
		return holder == "", nil
	}
	repo, err := p.repository(name)
	if err != nil {
		return false, err
	}
	if holder != "" {
		mounted, err := repo.Mount(ctx, b.desc, holder)
		if mounted || err != nil {
			return false, err
		}
	}
	if b.bundle == nil {
		return true, p.copy(ctx, repo, b.desc, holder) // its bytes are counted already
	}
	task := progress.Task(progress.None{})
	if holder == "" { // else its bytes are counted already
		task = phase.Task(b.desc.Digest.String(), b.desc.Size)
	}
	defer task.Done()
	return true, p.send(ctx, repo, b, task)
}

// send sends a blob from its bundle.
func (p *pusher) send(ctx context.Context, repo *registry.Repository, b *blobPlan, task progress.Task) error {
	section, err := b.bundle.Section(b.desc.Digest)
	if err != nil {
		return err
	}
	err = repo.PushBlob(ctx, b.desc, section, task)
	if err != nil && ctx.Err() == nil {
		// The registry verifies what it gets. When it refuses, find out whose fault it is.
		damage := b.bundle.VerifyBlob(ctx, b.desc.Digest)
		if archive.Unreadable(damage) {
			return damage
		}
		if damage != nil {
			return problem.New(problem.Verification, "do not use this file: copy it again from where it was made", "the bundle is damaged: %w", damage)
		}
	}
	return err
}

// copy brings a blob that only the registry has to another repository of it,
// where the registry does not mount.
func (p *pusher) copy(ctx context.Context, to *registry.Repository, d content.Descriptor, holder string) error {
	from, err := p.repository(holder)
	if err != nil {
		return err
	}
	src := &remoteBlob{ctx: ctx, from: from, d: d}
	return errors.Join(to.PushBlob(ctx, d, src, progress.None{}), src.Close())
}

// remoteBlob is the bytes of a blob in a registry. What is read on from where a
// read before ended comes from the same request.
type remoteBlob struct {
	ctx  context.Context //nolint:containedctx // an io.ReaderAt has none
	from *registry.Repository
	d    content.Descriptor
	rc   io.ReadCloser // nil before the first read
	at   int64         // where rc stands
}

// ReadAt implements io.ReaderAt, for one reader at a time.
func (b *remoteBlob) ReadAt(p []byte, at int64) (n int, err error) {
	if at >= b.d.Size {
		return 0, io.EOF
	}
	if b.rc == nil || b.at != at {
		if err := b.Close(); err != nil {
			return 0, err
		}
		if b.rc, err = b.from.FetchRange(b.ctx, b.d, at, b.d.Size-at); err != nil {
			return 0, err
		}
		b.at = at
	}
	n, err = io.ReadFull(b.rc, p[:min(int64(len(p)), b.d.Size-at)])
	b.at += int64(n)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Close implements io.Closer.
func (b *remoteBlob) Close() error {
	if b.rc == nil {
		return nil
	}
	rc := b.rc
	b.rc = nil
	return rc.Close()
}

func (p *pusher) manifests(ctx context.Context) error {
	return each(ctx, p.jobs(), p.plan.repositories, p.repositoryManifests)
}

// repositoryManifests brings the manifests of one repository, then its tags.
func (p *pusher) repositoryManifests(ctx context.Context, plan repositoryPlan) error {
	repo, err := p.repository(plan.name)
	if err != nil {
		return err
	}
	sent := map[digest.Digest]bool{}
	for _, m := range plan.manifests {
		there, err := p.manifest(ctx, repo, m)
		if err != nil {
			return fmt.Errorf("manifest %s to %s: %w", m.desc.Digest, plan.name, err)
		}
		sent[m.desc.Digest] = !there
		p.count(func(r *PushResult) {
			tallyOne(&r.Manifests, there)
			p.manifestsHeld[m.desc.Digest] = m.desc.Size
		})
	}
	for _, t := range plan.tags {
		previous, tagged, err := p.tag(ctx, repo, t)
		if err != nil {
			return fmt.Errorf("tag %s of %s: %w", t.Tag, plan.name, err)
		}
		image := PushedImage{Kind: t.Root.Kind, Source: t.Root.Reference, Target: p.host + "/" + plan.name, Digest: t.Root.Descriptor.Digest.String(),
			Sent: tagged || sent[t.Root.Descriptor.Digest], Previous: previous.String()}
		if t.Tag != "" {
			image.Target += ":" + t.Tag
		} else {
			image.Target += "@" + image.Digest
		}
		p.count(func(r *PushResult) { r.Images = append(r.Images, image) })
	}
	return nil
}

// manifest brings one manifest and tells whether it was there. One with a
// subject is there when the registry also lists it as a referrer: where that
// list is a tag, a run may have been cut off between the two.
func (p *pusher) manifest(ctx context.Context, repo *registry.Repository, m manifestPlan) (there bool, err error) {
	there, err = repo.Exists(ctx, m.desc)
	if there && err == nil && m.subject != nil {
		var listed []content.Descriptor
		listed, err = repo.Referrers(ctx, *m.subject)
		there = slices.ContainsFunc(listed, func(d content.Descriptor) bool { return d.Digest == m.desc.Digest })
	}
	if err != nil || there || p.opts.DryRun {
		return there, err
	}
	_, data, err := m.bundle.Document(ctx, m.desc.Digest)
	if err != nil {
		return false, err
	}
	return false, repo.PushManifest(ctx, m.desc, data)
}

func tallyOne(t *Tally, there bool) {
	if there {
		t.There++
	} else {
		t.Sent++
	}
}

// tag makes a tag point to its manifest, and tells whether it did not before,
// and to what it did.
func (p *pusher) tag(ctx context.Context, repo *registry.Repository, t Placement) (previous digest.Digest, changed bool, err error) {
	if t.Tag == "" {
		return "", false, nil
	}
	have, err := repo.Resolve(ctx, t.Tag)
	if err == nil && have.Digest == t.Root.Descriptor.Digest {
		return "", false, nil
	}
	if err != nil && !errors.Is(err, content.ErrNotFound) {
		return "", false, err
	}
	if p.opts.DryRun {
		return have.Digest, true, nil
	}
	d, data, err := t.Bundle.Document(ctx, t.Root.Descriptor.Digest)
	if err != nil {
		return "", false, err
	}
	return have.Digest, true, repo.PushManifest(ctx, d, data, t.Tag)
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
