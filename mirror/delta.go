package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dustin/go-humanize"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// ErrBaseMissing means: content that a delta leaves out is nowhere to be had.
var ErrBaseMissing = errors.New("content of the base is missing")

// Lacking collects what deltas leave out and nobody supplies. The zero value
// is empty. It is safe for many goroutines.
type Lacking struct {
	mu    sync.Mutex
	blobs map[string]lack
}

type lack struct {
	desc  content.Descriptor
	image string
}

// Add notes a blob and an image that needs it.
func (l *Lacking) Add(d content.Descriptor, image string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.blobs == nil {
		l.blobs = map[string]lack{}
	}
	key := d.Digest.String()
	if have, ok := l.blobs[key]; !ok || image < have.image {
		l.blobs[key] = lack{d, image}
	}
}

// Err returns nil when nothing is lacking, else ErrBaseMissing with how much,
// the largest blobs, and remedy.
func (l *Lacking) Err(remedy string) error {
	if len(l.blobs) == 0 {
		return nil
	}
	var all []lack
	var total int64
	for _, b := range l.blobs {
		all = append(all, b)
		total += b.desc.Size
	}
	slices.SortFunc(all, func(a, b lack) int {
		return cmp.Or(cmp.Compare(b.desc.Size, a.desc.Size), cmp.Compare(a.desc.Digest, b.desc.Digest))
	})
	var text strings.Builder
	for _, b := range all[:min(len(all), maxNamed)] {
		fmt.Fprintf(&text, "\n  %s, %s, for %s", b.desc.Digest, size(b.desc.Size), b.image)
	}
	if n := len(all) - maxNamed; n > 0 {
		fmt.Fprintf(&text, "\n  and %d more", n)
	}
	return problem.New(problem.Failed, remedy, "%w: %d blobs, %s:%s", ErrBaseMissing, len(all), size(total), text.String())
}

func size(n int64) string { return humanize.IBytes(uint64(n)) }

// checkBase finds, before anything is sent, every blob that only the registry
// can have.
func (p *pusher) checkBase(ctx context.Context) error {
	base := slices.DeleteFunc(slices.Clone(p.plan.blobs), func(b *blobPlan) bool { return b.bundle != nil })
	if len(base) == 0 {
		return nil
	}
	phase := progress.OrNone(p.opts.Progress).Start("looking for the base", 0)
	defer phase.Done()
	err := each(ctx, p.jobs(), base, func(ctx context.Context, b *blobPlan) (err error) {
		b.at, err = p.look(ctx, b)
		return err
	})
	if err != nil {
		return err
	}
	if err := p.searchElsewhere(ctx, base); err != nil {
		return err
	}
	var lacking Lacking
	for _, b := range base {
		if b.at.holder == "" {
			lacking.Add(b.desc, b.image)
		}
	}
	if err := lacking.Err("push the base first, or name its file beside the delta: sealift mirror push DELTA BASE " + p.target + ", and the same flags"); err != nil {
		return fmt.Errorf("nothing was sent: %w", err)
	}
	return nil
}

// Limits of the search in repositories that the plan does not know.
const (
	maxSearched = 1000   // repositories
	maxAsked    = 50_000 // requests
)

// searchElsewhere looks in the other repositories of the registry for what no
// repository of the plan has: an image that the delta does not have any more
// may have brought it. A registry that does not list its repositories, or not
// to this user, is not searched.
func (p *pusher) searchElsewhere(ctx context.Context, base []*blobPlan) error {
	wanted := slices.DeleteFunc(slices.Clone(base), func(b *blobPlan) bool { return b.at.holder != "" })
	if len(wanted) == 0 {
		return nil
	}
	names, err := p.client.Repositories(ctx, p.host, maxSearched)
	if err != nil {
		return ctx.Err()
	}
	known := map[string]bool{}
	for _, r := range p.plan.repositories {
		known[r.name] = true
	}
	// Repositories of the plan were asked for what their own images need only.
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(rank(known[a]), rank(known[b])) })
	var asked atomic.Int64
	return each(ctx, p.jobs(), wanted, func(ctx context.Context, b *blobPlan) error {
		for _, name := range names {
			if slices.Contains(b.repositories, name) || asked.Add(1) > maxAsked {
				continue
			}
			// A repository that this user must not read has nothing for him.
			if there, err := p.has(ctx, name, b.desc); there && err == nil {
				b.at.holder = name
				return nil
			}
		}
		return ctx.Err()
	})
}

func rank(known bool) int {
	if known {
		return 0
	}
	return 1
}
