package site

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/cache"
	"github.com/sealift/sealift/test/lab/engine"
)

// all returns the steps in the order in which they are made. The engine's
// packages are there only where no engine runs.
func (l *Lab) all(ctx context.Context) []*cache.Step {
	out := append([]*cache.Step{}, l.steps.modules...)
	if _, err := l.findEngine(ctx); err != nil {
		out = append(out, l.steps.engine)
	}
	out = append(out, l.steps.rootfs, l.steps.images, l.steps.clusterAPI, l.steps.upstream, l.steps.node)
	if l.steps.bootable != nil {
		out = append(out, l.steps.bootable)
	}
	return append(out, l.steps.ova)
}

// Build makes what is not made yet.
func (l *Lab) Build(ctx context.Context) error {
	release, err := l.cache.Lock()
	if err != nil {
		return err
	}
	return errors.Join(l.build(ctx), release())
}

func (l *Lab) build(ctx context.Context) error {
	missing := l.missing(ctx)
	if len(missing) == 0 {
		l.opts.Log("the lab is built")
		return nil
	}
	if err := checkMachine(l.dir, building()); err != nil {
		return err
	}
	for _, s := range missing {
		l.opts.Log("%s ...", s.Name)
		r, err := l.cache.Make(ctx, s)
		if err != nil {
			return problem.WithRemedy(err, "run it again when that is mended: what is done stays done")
		}
		l.opts.Log("%s: %s, %s", s.Name, seconds(r), humanize.IBytes(uint64(r.Bytes)))
	}
	return nil
}

// missing returns the steps that are not done.
func (l *Lab) missing(ctx context.Context) []*cache.Step {
	var out []*cache.Step
	for _, s := range l.all(ctx) {
		if _, ok := l.cache.Done(s); !ok {
			out = append(out, s)
		}
	}
	return out
}

// ErrNotBuilt means: a step of the lab's build is not done.
var ErrNotBuilt = errors.New("the lab is not built")

// Ready fails when the lab cannot be brought up as it is: with ErrNotBuilt, or
// with what the machine lacks.
func (l *Lab) Ready(ctx context.Context) error {
	if missing := l.missing(ctx); len(missing) > 0 {
		names := ""
		for _, s := range missing {
			names += " " + s.Name
		}
		return problem.New(problem.Preflight, "make lab-build", "%w: not done:%s", ErrNotBuilt, names)
	}
	version, err := l.Kubernetes()
	if err != nil {
		return err
	}
	if err := errors.Join(checkMachine(l.dir, running()), checkCgroups(cgroups, version)); err != nil {
		return err
	}
	if _, err := l.findEngine(ctx); err != nil {
		if errors.Is(err, engine.ErrNone) {
			return engine.Possible()
		}
		return err
	}
	return nil
}

// Status describes each step of the build, and what is up.
func (l *Lab) Status(ctx context.Context) []string {
	var out []string
	for _, s := range l.all(ctx) {
		line := fmt.Sprintf("%-20s not done", s.Name)
		if r, ok := l.cache.Done(s); ok {
			line = fmt.Sprintf("%-20s %8s %10s", s.Name, seconds(r), humanize.IBytes(uint64(r.Bytes)))
		}
		out = append(out, line)
	}
	return append(out, l.whatIsUp(ctx)...)
}

func seconds(r cache.Record) string {
	return time.Duration(r.Seconds * float64(time.Second)).Round(time.Second).String()
}

// Make makes a step that reads the lab's results, unless it is done, and
// returns its folder. It needs the lab's own steps done, but no engine: else it
// fails with ErrNotBuilt.
func (l *Lab) Make(ctx context.Context, s *cache.Step) (dir string, err error) {
	if _, ok := l.cache.Done(s); ok {
		return l.cache.Path(s), nil
	}
	for _, missing := range l.missing(ctx) {
		if missing != l.steps.engine {
			return "", problem.New(problem.Preflight, "make lab-build", "%w: %s is not done", ErrNotBuilt, missing.Name)
		}
	}
	release, err := l.cache.Lock()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, release()) }()
	r, err := l.cache.Make(ctx, s)
	if err != nil {
		return "", err
	}
	l.opts.Log("%s: %s, %s", s.Name, seconds(r), humanize.IBytes(uint64(r.Bytes)))
	return l.cache.Path(s), nil
}
