package mirror

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/internal/retry"
)

// Shard is one of several runs that fill a registry together. The zero value
// is the only run.
type Shard struct {
	Index int // from 1 on
	Of    int
}

// maxShards is more than any registry can take at once.
const maxShards = 1000

// ParseShard reads I/N, such as 2/4.
func ParseShard(text string) (Shard, error) {
	first, second, ok := strings.Cut(text, "/")
	i, errIndex := strconv.Atoi(first)
	n, errOf := strconv.Atoi(second)
	s := Shard{Index: i, Of: n}
	if !ok || errIndex != nil || errOf != nil || n == 0 || s.check() != nil {
		return Shard{}, problem.New(problem.Usage, "write it as I/N with I from 1 to N, such as 2/4", "the shard %q is none", text)
	}
	return s, nil
}

// String returns I/N, or "" for the zero value.
func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Of)
}

func (s Shard) check() error {
	if s == (Shard{}) || (s.Of >= 1 && s.Of <= maxShards && s.Index >= 1 && s.Index <= s.Of) {
		return nil
	}
	return problem.New(problem.Usage, "give shards from 1/N to N/N, of at most "+strconv.Itoa(maxShards), "there is no shard %d of %d", s.Index, s.Of)
}

func (s Shard) index() int { return max(s.Index, 1) - 1 }

// Last tells whether this run sends manifests and tags.
func (s Shard) Last() bool { return s.Index == s.Of }

// requestCost is what a blob costs besides its bytes: in the time of its
// requests, about so many bytes are sent.
const requestCost = 256 << 10

// assign gives each blob, with all repositories that need it, to one shard: the
// largest first, each to the shard that has least to send. A blob that several
// repositories need thus has one shard that sends it once and mounts it. blobs
// are in the order of the plan, so that every shard comes to the same result.
func (s Shard) assign(blobs []*blobPlan) {
	load := make([]int64, max(s.Of, 1))
	for _, b := range blobs {
		least := 0
		for i, l := range load {
			if l < load[least] {
				least = i
			}
		}
		b.shard = least
		load[least] += requestCost
		if b.bundle != nil { // else nothing is sent
			load[least] += b.desc.Size
		}
	}
}

// ErrShardsMissing means: blobs of other shards did not arrive in time.
var ErrShardsMissing = errors.New("blobs of other shards have not arrived")

const (
	defaultShardTimeout = 2 * time.Hour
	minPoll             = 250 * time.Millisecond
	maxPoll             = 15 * time.Second
)

// awaitOthers waits until every repository has the blobs that other shards
// bring. It asks for few at a time, in the order in which they are sent.
func (p *pusher) awaitOthers(ctx context.Context) error {
	others := slices.DeleteFunc(slices.Clone(p.plan.blobs), func(b *blobPlan) bool { return b.shard == p.opts.Shard.index() })
	if len(others) == 0 {
		return nil
	}
	phase := progress.OrNone(p.opts.Progress).Start("waiting for the other shards", totalSize(others))
	defer phase.Done()
	w := &waiting{p: p, phase: phase, limit: cmp.Or(p.opts.ShardTimeout, defaultShardTimeout)}
	w.arrived()
	byShard := make([][]*blobPlan, p.opts.Shard.Of)
	for _, b := range others {
		byShard[b.shard] = append(byShard[b.shard], b)
	}
	jobs := max(1, p.jobs()/(p.opts.Shard.Of-1))
	g, inner := errgroup.WithContext(ctx)
	for _, blobs := range byShard {
		g.Go(func() error { return each(inner, jobs, blobs, w.wait) })
	}
	err := g.Wait()
	if errors.Is(err, ErrShardsMissing) {
		return w.report(ctx, others)
	}
	return err
}

// waiting is what the waits for all shards share.
type waiting struct {
	p     *pusher
	phase progress.Phase
	limit time.Duration
	last  atomic.Int64 // when a blob arrived last, in Unix nanoseconds
}

func (w *waiting) arrived() { w.last.Store(time.Now().UnixNano()) }

func (w *waiting) timeLeft() time.Duration {
	return w.limit - time.Since(time.Unix(0, w.last.Load()))
}

// wait returns once all repositories have the blob. In a dry run it only looks.
func (w *waiting) wait(ctx context.Context, b *blobPlan) error {
	poll := minPoll
	for _, name := range b.repositories {
		for {
			there, err := w.p.has(ctx, name, b.desc)
			if err != nil {
				return err
			}
			if there || w.p.opts.DryRun {
				break
			}
			left := w.timeLeft()
			if left <= 0 {
				return ErrShardsMissing
			}
			if err := retry.Sleep(ctx, min(poll, left)); err != nil {
				return err
			}
			poll = min(2*poll, maxPoll)
		}
	}
	w.arrived()
	w.phase.Skip(b.desc.Size)
	w.p.hold(b)
	return nil
}

// maxNamed is how much of what is missing an error names.
const maxNamed = 20

// report looks once more at what was not seen and says whose it is.
func (w *waiting) report(ctx context.Context, others []*blobPlan) error {
	var mu sync.Mutex
	var missing []*blobPlan
	err := each(ctx, w.p.jobs(), others, func(ctx context.Context, b *blobPlan) error {
		w.p.mu.Lock()
		_, held := w.p.held[b.desc.Digest]
		w.p.mu.Unlock()
		if held {
			return nil
		}
		at, err := w.p.look(ctx, b)
		mu.Lock()
		defer mu.Unlock()
		if err == nil && len(at.lacking) > 0 {
			missing = append(missing, b)
		} else if err == nil {
			w.p.hold(b)
		}
		return err
	})
	if err != nil || len(missing) == 0 { // the rest came at the last moment
		return err
	}
	slices.SortFunc(missing, func(a, b *blobPlan) int {
		return cmp.Or(cmp.Compare(a.shard, b.shard), cmp.Compare(b.desc.Size, a.desc.Size), cmp.Compare(a.desc.Digest, b.desc.Digest))
	})
	return w.missing(missing)
}

func (w *waiting) missing(blobs []*blobPlan) error {
	of := w.p.opts.Shard.Of
	var text strings.Builder
	counts := make([]int, of)
	for i, b := range blobs {
		counts[b.shard]++
		if i < maxNamed {
			fmt.Fprintf(&text, "\n  shard %d/%d: %s, %s, for %s", b.shard+1, of, b.desc.Digest, size(b.desc.Size), b.image)
		}
	}
	if n := len(blobs) - maxNamed; n > 0 {
		fmt.Fprintf(&text, "\n  and %d more", n)
	}
	var again []string
	for i, n := range counts {
		if n > 0 {
			again = append(again, fmt.Sprintf("%d/%d", i+1, of))
		}
	}
	return problem.New(problem.Partial, "look why these shards have stopped and run them again: "+strings.Join(again, ", ")+"; then this one",
		"%w for %s: %d are missing:%s", ErrShardsMissing, w.limit, len(blobs), text.String())
}
