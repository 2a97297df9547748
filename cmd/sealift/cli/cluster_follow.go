package cli

import (
	"context"
	"errors"
	"time"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/upgrades"
)

// followed shows the steps of an upgrade that the console carries out, as those
// of a run on this host are shown.
type followed struct {
	app      *app
	observer step.Observer // nil before the steps are known
	end      func()
	steps    []followedStep
}

type followedStep struct {
	began time.Time
	ended bool
}

// follow shows the upgrade until it has ended, and returns it.
func (a *app) follow(ctx context.Context, c *consoleClient, w *waiting) (*upgrades.Upgrade, error) {
	console, err := c.open()
	if err != nil {
		return nil, err
	}
	f := &followed{app: a, end: func() {}}
	defer func() { f.end() }()
	var last *upgrades.Upgrade
	err = w.until(ctx, func(ctx context.Context) (bool, error) {
		var s systemconsole.UpgradeState
		if err := console.Call(ctx, "GET", "cluster/upgrade", nil, &s); err != nil {
			return false, err
		}
		if last = s.Upgrade; last == nil {
			return true, nil // its record was removed, as by a restore
		}
		f.show(last)
		return last.State != enterprise.Running, nil
	}, f.silent)
	return last, err
}

// show tells what has changed since the last time.
func (f *followed) show(u *upgrades.Upgrade) {
	if f.observer == nil {
		if len(u.Steps) == 0 {
			return
		}
		names := make([]string, len(u.Steps))
		for i, s := range u.Steps {
			names[i] = s.Name
		}
		f.observer, _, f.end = f.app.steps(names)
		f.steps = make([]followedStep, len(names))
	}
	for i, s := range u.Steps[:min(len(u.Steps), len(f.steps))] {
		f.step(i, s)
	}
}

func (f *followed) step(i int, s upgrades.Step) {
	seen := &f.steps[i]
	if s.State == upgrade.Waiting || seen.ended {
		return
	}
	if seen.began.IsZero() {
		seen.began = time.Now()
		f.observer.Began(i, s.Name)
	}
	r := step.Result{Name: s.Name, Outcome: step.Applied, Detail: s.Text, Took: time.Since(seen.began)}
	switch s.State {
	case upgrade.Running:
		if s.Text != "" {
			f.observer.Said(i, s.Text)
		}
		return
	case upgrade.Before:
		r.Outcome = step.Skipped
	case upgrade.Failed:
		r.Outcome, r.Err = step.Failed, errors.New(s.Text)
	}
	seen.ended = true
	f.observer.Ended(i, r)
}

// silent says why the console gives no answer, below the step under way.
func (f *followed) silent(err error) {
	for i, s := range f.steps {
		if !s.began.IsZero() && !s.ended {
			f.observer.Said(i, err.Error())
			return
		}
	}
}
