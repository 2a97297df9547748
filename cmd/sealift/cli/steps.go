package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/progress"
)

// steps returns how this run shows a list of steps of these names and the bytes
// that one of them moves, and what to call at its end. A terminal that is too low
// for the list gets lines, as a file does: what is drawn again and again must not
// scroll.
func (a *app) steps(names []string) (step.Observer, progress.Reporter, func()) {
	switch {
	case a.quiet:
		return &stepLines{print: func(stepReport) {}}, progress.None{}, func() {}
	case a.logFormat == "json":
		return &stepLines{print: jsonSteps(a.logger())}, newLines(jsonLines(a.logger())), func() {}
	case isTerminal(a.Err) && rows(a.Err) > len(names)+maxWords:
		b := newBars(a.Err)
		b.passing = true
		s := newStepBars(b, names)
		return s, b, s.wait
	default:
		return &stepLines{print: textSteps(a.Err)}, newLines(textLines(a.Err)), func() {}
	}
}

// stepNames are the names of a list of steps.
func stepNames(list []step.Step) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = s.Name()
	}
	return out
}

// stepBars is a live list: every step has its line from the beginning, and
// below the one under way stands what the object that is waited for says.
type stepBars struct {
	bars  *bars
	lines []*stepLine
}

type stepLine struct {
	mu      sync.Mutex
	name    string
	text    string // said last, or the detail of the result
	began   time.Time
	result  *step.Result
	bar     *mpb.Bar
	spinner int
	column  int // width of the names of the list
}

func newStepBars(b *bars, names []string) *stepBars {
	s := &stepBars{bars: b}
	column := 0
	for _, name := range names {
		column = max(column, runewidth.StringWidth(name))
	}
	for i, name := range names {
		l := &stepLine{name: name, column: column}
		l.bar = b.p.New(1, nil, mpb.BarPriority(i), mpb.BarFillerTrim(), mpb.PrependDecorators(decor.Any(l.draw)),
			mpb.BarExtender(mpb.BarFillerFunc(l.words), false))
		s.lines = append(s.lines, l)
	}
	return s
}

// Began implements step.Observer.
func (s *stepBars) Began(i int, _ string) { s.lines[i].set(func(l *stepLine) { l.began = time.Now() }) }

// Said implements step.Observer.
func (s *stepBars) Said(i int, text string) {
	s.lines[i].set(func(l *stepLine) { l.text = oneLine(text) })
}

// Ended implements step.Observer. After a failure, what was said last stays to
// be read.
func (s *stepBars) Ended(i int, r step.Result) {
	s.lines[i].set(func(l *stepLine) {
		if l.result = &r; r.Err == nil {
			l.text = oneLine(r.Detail)
		}
	})
	s.lines[i].bar.SetCurrent(1)
}

// wait ends the lines of the steps that were not reached, and returns when the
// last state of every line is on the screen.
func (s *stepBars) wait() {
	for _, l := range s.lines {
		l.bar.Abort(false)
	}
	s.bars.wait()
}

func (l *stepLine) set(change func(*stepLine)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
}

// oneLine makes one line of a condition's message, without what would move the cursor.
func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.Map(printable, text)), " ")
}

// Widths of a line of the list, in columns.
const (
	timeWidth  = 7
	fixedWidth = 2 + 1 + timeWidth // mark, name, time
	minDetail  = 12                // of a detail that is worth to be shown
)

// draw is one line of the list. In a narrow terminal the name is cut, and not
// the time; a detail is shown where there is room.
func (l *stepLine) draw(s decor.Statistics) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	column := max(1, min(l.column, s.AvailableWidth-fixedWidth))
	name := runewidth.FillRight(runewidth.Truncate(l.name, column, "..."), column)
	line := fmt.Sprintf("%s %s %*s", l.mark(), name, timeWidth, l.took())
	if room := s.AvailableWidth - fixedWidth - column - 2; l.ended() && room >= minDetail {
		line += "  " + runewidth.Truncate(l.text, room, "...")
	}
	return line
}

// ended tells whether the step is done: then its text is what was seen.
func (l *stepLine) ended() bool { return l.result != nil && l.result.Err == nil }

// maxWords is how many lines what a step says may take.
const maxWords = 3

// words writes what the step says now, below its line and as wide as the terminal.
func (l *stepLine) words(w io.Writer, s decor.Statistics) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	const indent = "    "
	if l.text == "" || l.ended() || s.AvailableWidth <= 2*len(indent) {
		return nil
	}
	lines := strings.Split(ansi.Wrap(l.text, s.AvailableWidth-len(indent), "/"), "\n")
	if len(lines) > maxWords {
		lines = append(lines[:maxWords-1], runewidth.Truncate(lines[maxWords-1]+" ...", s.AvailableWidth-len(indent), "..."))
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(w, "%s%s\n", indent, strings.TrimSpace(line)); err != nil {
			return err
		}
	}
	return nil
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
	text = oneLine(text)
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
