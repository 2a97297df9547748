// Package step runs long work as an ordered list of steps, each of which knows
// whether it is done.
//
// There is no file that says how far the work is: every run asks each step in
// order, goes past what is done and does the rest, so that a run which was
// killed goes on where it stood, and a run after the last changes nothing.
package step

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
)

// Step is one part of the work.
type Step interface {
	// Name says what the step does, as an imperative: "fill the registry".
	Name() string
	// Check looks whether anything is left to do, and changes nothing. A step
	// whose surroundings do not exist yet is not done.
	Check(ctx context.Context) (Status, error)
	// Apply does what is left. It is called again after it failed or was
	// killed half way, and goes on from there.
	Apply(ctx context.Context, say Say) error
}

// Planner is a step that can tell beforehand what it would make.
type Planner interface {
	// Plan returns what Apply would make or change, one object or action a
	// line, and the objects as YAML where there are any. It reaches nothing.
	Plan(ctx context.Context) (Plan, error)
}

// Status is what a look at the site says about a step.
type Status struct {
	Done   bool
	Detail string // what was seen, such as "412 blobs, all there"
}

// Plan is what a step would do.
type Plan struct {
	Actions []string `json:"actions,omitempty"` // imperatives: "clone 3 machines from node-1.34"
	Objects string   `json:"objects,omitempty"` // YAML documents
}

// Say tells where the step stands: a condition and its message, in the words of
// the object concerned. The last one said is what a reader sees.
type Say func(format string, args ...any)

// Outcome is how a step ended.
type Outcome string

// The outcomes.
const (
	Skipped Outcome = "skipped" // it was done before
	Applied Outcome = "applied"
	Failed  Outcome = "failed"
)

// Observer is told how the run goes. Its methods are called in order, Said from
// the goroutines of the step.
type Observer interface {
	Began(i int, name string)
	Said(i int, text string)
	Ended(i int, r Result)
}

// Result is how one step went.
type Result struct {
	Name    string        `json:"name"`
	Outcome Outcome       `json:"outcome"`
	Detail  string        `json:"detail,omitempty"`
	Took    time.Duration `json:"nanoseconds"`
	Err     error         `json:"-"`
}

// Options is how a run goes. The zero value tells nobody, and waits for nothing.
type Options struct {
	Observer Observer
	// Passing tells whether what a step failed with may be gone soon, such as an
	// API server whose machine is being replaced: the step is begun again then.
	// Nil means never.
	Passing func(error) bool
	// Patience is how long a step that does not get on is begun again; 0 means
	// retry.LongAbsence.
	Patience time.Duration
	// Remedy says how a run that failed goes on; empty means the same command.
	Remedy string
}

// defaultRemedy is for commands.
const defaultRemedy = "then run the same command again: it goes on with this step"

// Run takes the steps in order and returns how each went, as far as it came. The
// error of a step that failed has the kind problem.Partial, unless the step gave
// it another, when steps before it are done.
func Run(ctx context.Context, steps []Step, opts Options) ([]Result, error) {
	var results []Result
	observer := cmp.Or[Observer](opts.Observer, nobody{})
	for i, s := range steps {
		if err := ctx.Err(); err != nil {
			return results, err
		}
		observer.Began(i, s.Name())
		r := one(ctx, s, func(format string, args ...any) { observer.Said(i, fmt.Sprintf(format, args...)) }, opts)
		observer.Ended(i, r)
		results = append(results, r)
		if r.Err != nil {
			return results, failed(ctx, i, s.Name(), r.Err, cmp.Or(opts.Remedy, defaultRemedy))
		}
	}
	return results, nil
}

// one takes a step, again and again while what it fails with may pass.
func one(ctx context.Context, s Step, say Say, opts Options) Result {
	start, r := time.Now(), Result{Name: s.Name(), Outcome: Skipped}
	p := retry.Patience{Away: opts.Passing, Limit: opts.Patience, Say: func(_ time.Time, err error) { say("%v; trying again", err) }}
	_, r.Err = p.Do(ctx, func(ctx context.Context) error {
		worked, status, err := attempt(ctx, s, say)
		if r.Detail = status.Detail; worked {
			r.Outcome = Applied
		}
		return err
	})
	r.Took = time.Since(start)
	if r.Err != nil {
		r.Outcome = Failed
	}
	return r
}

// attempt looks, and works if there is something left.
func attempt(ctx context.Context, s Step, say Say) (worked bool, status Status, err error) {
	if status, err = s.Check(ctx); err != nil || status.Done {
		return false, status, err
	}
	if err = s.Apply(ctx, say); err == nil {
		status, err = s.Check(ctx)
	}
	if err == nil && !status.Done {
		err = fmt.Errorf("it ended, but is not done: %s", status.Detail)
	}
	return true, status, err
}

// failed says in which step it was, and that the next run goes on there.
func failed(ctx context.Context, i int, name string, err error, remedy string) error {
	err = fmt.Errorf("%s: %w", name, err)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return err
	}
	if problem.KindOf(err) != problem.Failed || i == 0 {
		return err
	}
	return problem.New(problem.Partial, remedy, "%w", err)
}

type nobody struct{}

// Began implements Observer.
func (nobody) Began(int, string) {}

// Said implements Observer.
func (nobody) Said(int, string) {}

// Ended implements Observer.
func (nobody) Ended(int, Result) {}
