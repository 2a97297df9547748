package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
	"github.com/sealift/sealift/systemconsole/client"
	"github.com/sealift/sealift/systemconsole/enterprise"
)

// waiting says whether a command waits for the end of what it began.
type waiting struct {
	wait    bool
	timeout time.Duration
}

func (w *waiting) addTo(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.wait, "wait", false, "wait until it is done, and show how far it is")
	cmd.Flags().DurationVar(&w.timeout, "timeout", time.Hour, "longest `time` to wait; it goes on all the same")
}

// How often the console is asked, and for how long it may give no answer before
// waiting ends: what is waited for may replace the console, or the machine that
// it runs on.
const (
	askEvery  = 2 * time.Second
	notAnswer = 5 * time.Minute
)

// until asks again and again until ask says that it is done. silent is told why
// there was no answer.
func (w *waiting) until(ctx context.Context, ask func(context.Context) (done bool, err error), silent func(error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, w.timeout, errWaited)
	defer cancel()
	for answered := time.Now(); ; {
		done, err := ask(ctx)
		switch {
		case err == nil && done:
			return nil
		case errors.Is(context.Cause(ctx), errWaited):
			return problem.New(problem.Failed, "it goes on all the same: sealift cluster status shows how far it is", "after %s: %w", w.timeout, errWaited)
		case err == nil:
			answered = time.Now()
		case ctx.Err() != nil || !errors.Is(err, client.ErrUnavailable) || time.Since(answered) > notAnswer:
			return err
		default:
			silent(err)
		}
		_ = retry.Sleep(ctx, askEvery) // what ended it early is looked at above
	}
}

// errWaited means that the time to wait is over.
var errWaited = errors.New("it is not done yet")

// goal tells whether the cluster is as a change asked for, and in words how far
// it is.
type goal func(*enterprise.Overview) (done bool, text string)

// changed waits for the end of a change that was accepted, if that is wanted.
func (a *app) changed(ctx context.Context, c *consoleClient, w *waiting, name string, g goal) error {
	if !w.wait {
		a.note("accepted: %s; sealift cluster pools shows how far it is", name)
		return nil
	}
	console, err := c.open()
	if err != nil {
		return err
	}
	observer, _, end := a.steps([]string{name})
	observer.Began(0, name)
	begun := time.Now()
	r := step.Result{Name: name, Outcome: step.Applied}
	r.Err = w.until(ctx, func(ctx context.Context) (bool, error) {
		var o enterprise.Overview
		if err := console.Call(ctx, "GET", "cluster", nil, &o); err != nil {
			return false, err
		}
		var done bool
		if done, r.Detail = g(&o); !done {
			observer.Said(0, r.Detail)
		}
		return done, nil
	}, func(err error) { observer.Said(0, err.Error()) })
	if r.Took = time.Since(begun); r.Err != nil {
		r.Outcome = step.Failed
	}
	observer.Ended(0, r)
	end()
	if r.Err != nil {
		return fmt.Errorf("waiting to %s: %w", name, r.Err)
	}
	return nil
}

// scaled means: a pool has so many machines, and all are well.
func scaled(pool string, machines int) goal {
	return func(o *enterprise.Overview) (bool, string) {
		p, ok := o.Pool(pool)
		if !ok {
			return false, "the pool is not there yet"
		}
		if p.Desired == machines && p.Settled() {
			return true, plural(machines, "machine") + " ready"
		}
		return false, poolWords(p)
	}
}

// removed means: a pool is gone.
func removed(pool string) goal {
	return func(o *enterprise.Overview) (bool, string) {
		p, ok := o.Pool(pool)
		if !ok {
			return true, "its machines are deleted"
		}
		return false, plural(len(p.Nodes), "machine") + " left"
	}
}

// replaced means: none of the machines that a pool has now is left, and those
// that took their places are well.
func replaced(before enterprise.Pool) goal {
	type machine struct {
		name string
		made time.Time
	}
	old := map[machine]bool{}
	for _, n := range before.Nodes {
		old[machine{n.Machine, n.Created}] = true
	}
	return func(o *enterprise.Overview) (bool, string) {
		p, ok := o.Pool(before.Name)
		if !ok {
			return false, "the pool is not there"
		}
		left := 0
		for _, n := range p.Nodes {
			if old[machine{n.Machine, n.Created}] {
				left++
			}
		}
		if left == 0 && p.Settled() {
			return true, "each machine has " + p.Size.String()
		}
		return false, fmt.Sprintf("%d of %d replaced; %s", len(old)-left, len(old), poolWords(p))
	}
}

// poolWords is how a pool is, with what is not ready of it.
func poolWords(p enterprise.Pool) string {
	words := []string{p.Status.Text}
	for _, n := range p.Nodes {
		if n.Status.State != enterprise.Good {
			words = append(words, n.Name+": "+n.Status.Text)
		}
	}
	return strings.Join(words, "; ")
}
