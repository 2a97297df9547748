package cli

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/sealift/sealift/internal/progress"
)

// bars shows a live bar for the whole and one for each item under way.
type bars struct {
	p *mpb.Progress
	// passing lets the bar of the whole go when it is full: something else says
	// that it is done.
	passing bool
}

func newBars(w io.Writer) *bars {
	return &bars{p: mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithRefreshRate(120*time.Millisecond))}
}

// wait returns when the last state of every bar is on the screen.
func (b *bars) wait() { b.p.Wait() }

// wholePriority puts the bar of the whole below those of the items.
const wholePriority = 1 << 30

// Start implements progress.Reporter.
func (b *bars) Start(name string, total int64) progress.Phase {
	if total == 0 {
		return progress.None{} // nothing has to move: there is nothing to see
	}
	style := mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]")
	bar := b.p.New(total, style,
		mpb.BarPriority(wholePriority), mpb.BarOptional(mpb.BarRemoveOnComplete(), b.passing),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-22s", name))),
		mpb.AppendDecorators(
			decor.CountersKibiByte("% .1f / % .1f"), decor.Name("  "),
			decor.AverageSpeed(decor.SizeB1024(0), "% .1f"), decor.Name("  "),
			decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), "done")))
	return &barPhase{bars: b, bar: bar, total: total}
}

// Count implements progress.Reporter.
func (b *bars) Count(name string, items int) progress.Phase {
	bar := b.p.New(int64(items), mpb.BarStyle().Lbound("[").Filler("=").Tip(">").Padding(" ").Rbound("]"),
		mpb.BarPriority(wholePriority),
		mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-22s", name))),
		mpb.AppendDecorators(decor.CountersNoUnit("%d / %d"), decor.Name("  "), decor.OnComplete(decor.Elapsed(decor.ET_STYLE_GO), "done")))
	return &barPhase{bars: b, bar: bar, total: int64(items), items: true}
}

type barPhase struct {
	*bars
	bar   *mpb.Bar
	total int64
	items bool // it counts items, not bytes
}

// Skip implements progress.Phase.
func (b *barPhase) Skip(n int64) { b.bar.IncrInt64(n) }

// Done implements progress.Phase.
func (b *barPhase) Done() {
	if b.bar.Current() < b.total {
		b.bar.Abort(b.passing)
	}
}

// smallTask is the size below which an item gets no bar of its own: it would
// be gone before it could be read.
const smallTask = 4 << 20

// Task implements progress.Phase.
func (b *barPhase) Task(name string, size int64) progress.Task {
	if b.items {
		return itemTask{b}
	}
	if size < smallTask {
		return &barTask{whole: b.bar}
	}
	bar := b.p.New(size, mpb.BarStyle().Lbound(" ").Filler("-").Tip("-").Padding(" ").Rbound(" "),
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name("  "+fmt.Sprintf("%-20s", shortName(name)))),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f")))
	return &barTask{whole: b.bar, own: bar}
}

// shortName shortens a digest to what a person compares.
func shortName(name string) string {
	const keep = len("sha256:") + 12
	if len(name) > keep {
		return name[:keep]
	}
	return name
}

// itemTask counts as one item when it is done.
type itemTask struct{ phase progress.Phase }

// Add implements progress.Task.
func (itemTask) Add(int64) {}

// Done implements progress.Task.
func (t itemTask) Done() { t.phase.Skip(1) }

type barTask struct {
	whole, own *mpb.Bar
}

// Add implements progress.Task.
func (b *barTask) Add(n int64) {
	b.whole.IncrInt64(n)
	if b.own != nil {
		b.own.IncrInt64(n)
	}
}

// Done implements progress.Task.
func (b *barTask) Done() {
	if b.own != nil {
		b.own.Abort(true)
	}
}

// lines prints a line now and then, where no terminal can show a bar.
type lines struct {
	print printLine
}

// report is the state of a phase at one moment.
type report struct {
	name        string
	done, total int64 // bytes
	skipped     int64 // bytes of done that did not have to move
	rate        float64
	left        time.Duration
	items       bool // done and total are items, not bytes
	ended       bool
	took        time.Duration
}

type printLine func(report)

func newLines(p printLine) *lines { return &lines{print: p} }

func textLines(w io.Writer) printLine {
	return func(r report) {
		if r.items {
			fmt.Fprintf(w, "%s: %d of %d in %s\n", r.name, r.done, r.total, r.took.Round(100*time.Millisecond))
			return
		}
		if r.ended {
			there := ""
			if r.skipped > 0 {
				there = ", " + size(r.skipped) + " there already"
			}
			fmt.Fprintf(w, "%s: %s in %s (%s/s)%s\n", r.name, size(r.done-r.skipped), r.took.Round(100*time.Millisecond), size(int64(r.rate)), there)
			return
		}
		left := "waiting for the first bytes"
		if r.rate > 0 {
			left = fmt.Sprintf("%s/s, %s left", size(int64(r.rate)), r.left.Round(time.Second))
		}
		fmt.Fprintf(w, "%s: %s of %s (%d%%), %s\n", r.name, size(r.done), size(r.total), 100*r.done/max(r.total, 1), left)
	}
}

func jsonLines(l *slog.Logger) printLine {
	return func(r report) {
		if r.items {
			l.Info("progress", "phase", r.name, "items", r.done, "total", r.total, "ended", r.ended)
			return
		}
		l.Info("progress", "phase", r.name, "bytes", r.done, "total", r.total, "bytesPerSecond", int64(r.rate),
			"secondsLeft", int64(r.left.Seconds()), "ended", r.ended)
	}
}

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// lineEvery is how often a phase prints.
const lineEvery = 5 * time.Second

// Start implements progress.Reporter.
func (l *lines) Start(name string, total int64) progress.Phase {
	if total == 0 {
		return progress.None{}
	}
	return l.phase(&linePhase{name: name, total: total})
}

// Count implements progress.Reporter.
func (l *lines) Count(name string, items int) progress.Phase {
	return l.phase(&linePhase{name: name, total: int64(items), items: true})
}

func (l *lines) phase(p *linePhase) progress.Phase {
	p.print, p.start, p.stop = l.print, time.Now(), make(chan struct{})
	p.stopped.Add(1)
	go p.run()
	return p
}

type linePhase struct {
	name        string
	total       int64
	items       bool
	print       printLine
	start       time.Time
	done, moved atomic.Int64
	stop        chan struct{}
	stopped     sync.WaitGroup
}

func (p *linePhase) run() {
	defer p.stopped.Done()
	tick := time.NewTicker(lineEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.print(p.report(false))
		}
	}
}

func (p *linePhase) report(ended bool) report {
	took := time.Since(p.start)
	r := report{name: p.name, done: p.done.Load(), total: p.total, items: p.items, ended: ended, took: took}
	r.skipped = r.done - p.moved.Load()
	r.rate = float64(p.moved.Load()) / max(took.Seconds(), 0.001)
	if r.rate > 0 {
		r.left = time.Duration(float64(p.total-r.done) / r.rate * float64(time.Second))
	}
	return r
}

// Skip implements progress.Phase.
func (p *linePhase) Skip(n int64) { p.done.Add(n) }

// Task implements progress.Phase.
func (p *linePhase) Task(string, int64) progress.Task {
	if p.items {
		return itemTask{p}
	}
	return lineTask{p}
}

// Done implements progress.Phase.
func (p *linePhase) Done() {
	close(p.stop)
	p.stopped.Wait()
	if !p.items || time.Since(p.start) > time.Second { // what is over at once needs no word
		p.print(p.report(true))
	}
}

type lineTask struct{ p *linePhase }

// Add implements progress.Task.
func (t lineTask) Add(n int64) {
	t.p.done.Add(n)
	t.p.moved.Add(n)
}

// Done implements progress.Task.
func (lineTask) Done() {}
