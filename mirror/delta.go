package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

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
	return lacking.Err(p.baseRemedy())
}

// searchElsewhere looks in the other repositories of the registry for what no
// repository of the plan has: an image that the delta does not have any more
// may have brought it.
func (p *pusher) searchElsewhere(context.Context, []*blobPlan) error { return nil }

func (p *pusher) baseRemedy() string {
	return "push the base first, or name its file beside the delta: sealift mirror push DELTA BASE " + p.host + "; nothing was sent"
}
