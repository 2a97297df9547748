package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/progress"
)

// steps returns how this run shows a list of steps and the bytes that one of
// them moves, and what to call at its end.
func (a *app) steps(list []step.Step) (step.Observer, progress.Reporter, func()) {
	switch {
	case a.quiet:
		return nil, progress.None{}, func() {}
	case a.logFormat == "json":
		return &stepLines{print: jsonSteps(a.logger())}, newLines(jsonLines(a.logger())), func() {}
	case isTerminal(a.Err):
		b := newBars(a.Err)
		return newStepBars(b, list), b, b.wait
	default:
		return &stepLines{print: textSteps(a.Err)}, newLines(textLines(a.Err)), func() {}
	}
}

// stepBars is a live list: every step has its line from the beginning.
type stepBars struct {
	lines []*stepLine
}

type stepLine struct {
	mu      sync.Mutex
	name    string
	text    string
	began   time.Time
	result  *step.Result
	bar     *mpb.Bar
	spinner int
}

func newStepBars(b *bars, list []step.Step) *stepBars {
	s := &stepBars{}
	for i, one := range list {
		l := &stepLine{name: one.Name()}
		l.bar = b.p.New(1, nil, mpb.BarPriority(i), mpb.BarFillerTrim(), mpb.PrependDecorators(decor.Any(l.draw)))
		s.lines = append(s.lines, l)
	}
	return s
}

// Began implements step.Observer.
func (s *stepBars) Began(i int, _ string) { s.lines[i].set(func(l *stepLine) { l.began = time.Now() }) }

// Said implements step.Observer.
func (s *stepBars) Said(i int, text string) { s.lines[i].set(func(l *stepLine) { l.text = text }) }

// Ended implements step.Observer. After a failure the lines of the steps that
// were not reached end, too, so that the list can be left.
func (s *stepBars) Ended(i int, r step.Result) {
	s.lines[i].set(func(l *stepLine) { l.result, l.text = &r, r.Detail })
	s.lines[i].bar.SetTotal(1, true)
	if r.Err == nil {
		return
	}
	for _, l := range s.lines[i+1:] {
		l.bar.Abort(false)
	}
}

func (l *stepLine) set(change func(*stepLine)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// stepName is the width of the column of names.
const stepName = 38

// draw is one line of the list, cut to the terminal's width.
func (l *stepLine) draw(s decor.Statistics) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := fmt.Sprintf("%s %-*s %7s  %s", l.mark(), stepName, l.name, l.took(), strings.Map(printable, l.text))
	return runewidth.Truncate(line, s.AvailableWidth, "...")
}

func (l *stepLine) mark() string {
	switch {
	case l.result == nil && l.began.IsZero():
		return " "
	case l.result == nil:
		l.spinner++
		return string(`|/-\`[l.spinner%4])
	case l.result.Outcome == step.Failed:
		return "x"
	case l.result.Outcome == step.Skipped:
		return "="
	default:
		return "+"
	}
}

func (l *stepLine) took() string {
	switch {
	case l.result != nil:
		return short(l.result.Took)
	case !l.began.IsZero():
		return short(time.Since(l.began))
	default:
		return ""
	}
}

// short is a time as people write it: 0.3s, 12s, 4m05s.
func short(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Seconds())
	default:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	}
}

// stepLines prints a line when a step begins and ends, and what it says when
// that changes, where no terminal can show a list.
type stepLines struct {
	mu    sync.Mutex
	print printStep
	name  string
	said  string
}

// stepReport is a step at one moment.
type stepReport struct {
	name, said string
	result     *step.Result // nil while it works
}

type printStep func(stepReport)

func textSteps(w io.Writer) printStep {
	return func(r stepReport) {
		switch {
		case r.result != nil && r.result.Err != nil:
			fmt.Fprintf(w, "%s: failed after %s\n", r.name, short(r.result.Took))
		case r.result != nil && r.result.Outcome == step.Skipped:
			fmt.Fprintf(w, "%s: done before: %s\n", r.name, r.result.Detail)
		case r.result != nil:
			fmt.Fprintf(w, "%s: done in %s: %s\n", r.name, short(r.result.Took), r.result.Detail)
		case r.said != "":
			fmt.Fprintf(w, "%s: %s\n", r.name, r.said)
		default:
			fmt.Fprintf(w, "%s ...\n", r.name)
		}
	}
}

func jsonSteps(l *slog.Logger) printStep {
	return func(r stepReport) {
		if r.result != nil {
			l.Info("step", "name", r.name, "outcome", r.result.Outcome, "detail", r.result.Detail, "seconds", r.result.Took.Seconds())
			return
		}
		l.Info("step", "name", r.name, "said", r.said)
	}
}

// Began implements step.Observer.
func (s *stepLines) Began(_ int, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.name, s.said = name, ""
	s.print(stepReport{name: name})
}

// Said implements step.Observer.
func (s *stepLines) Said(_ int, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text = strings.Join(strings.Fields(text), " ") // conditions have several lines
	if text == s.said {
		return
	}
	s.said = text
	s.print(stepReport{name: s.name, said: text})
}

// Ended implements step.Observer.
func (s *stepLines) Ended(_ int, r step.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.print(stepReport{name: r.Name, result: &r})
}
