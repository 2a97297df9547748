package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// check is one thing to look at.
type check struct {
	name string
	// needs are checks that must not have failed, else this one is skipped.
	needs []string
	// follows are checks that must be over, however they ended.
	follows []string
	timeout time.Duration // 0 means that of the options
	run     func(context.Context) finding
}

// finding is how a check ended.
type finding struct {
	state            State
	evidence, remedy string
}

func ok(format string, args ...any) finding { return finding{OK, fmt.Sprintf(format, args...), ""} }

func skipped(format string, args ...any) finding {
	return finding{Skipped, fmt.Sprintf(format, args...), ""}
}

func warning(remedy, format string, args ...any) finding {
	return finding{Warning, fmt.Sprintf(format, args...), remedy}
}

func failed(remedy, format string, args ...any) finding {
	return finding{Failed, fmt.Sprintf(format, args...), remedy}
}

// failedWith takes evidence and remedies from an error.
func failedWith(err error) finding {
	return finding{Failed, err.Error(), strings.Join(problem.Remedies(err), "; ")}
}

// orWarning makes a warning of a failure.
func (f finding) orWarning() finding {
	if f.state == Failed {
		f.state = Warning
	}
	return f
}

// run makes the checks beside each other, each as soon as those that it needs
// are over, and returns their results in the order of the checks.
func run(ctx context.Context, checks []check, options Options) []Result {
	phase := progress.OrNone(options.Progress).Count("preflight", len(checks))
	defer phase.Done()
	results := make([]Result, len(checks))
	over := make(map[string]chan struct{}, len(checks))
	at := make(map[string]int, len(checks))
	for i, c := range checks {
		over[c.name], at[c.name] = make(chan struct{}), i
	}
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() {
			defer close(over[c.name])
			task := phase.Task(c.name, 0)
			defer task.Done()
			for _, name := range slices.Concat(c.needs, c.follows) {
				<-over[name]
			}
			f := c.blocked(func(name string) State { return results[at[name]].State })
			if f.state == "" {
				f = c.look(ctx, options.Timeout)
			}
			results[i] = Result{c.name, f.state, f.evidence, f.remedy}
		})
	}
	all.Wait()
	return results
}

// blocked returns why a check cannot be made; the zero value when it can.
func (c check) blocked(state func(name string) State) finding {
	var because []string
	for _, name := range c.needs {
		if s := state(name); s == Failed || s == Skipped {
			because = append(because, name)
		}
	}
	if len(because) == 0 {
		return finding{}
	}
	return skipped("because of %s", strings.Join(because, ", "))
}

// look makes the check within its time.
func (c check) look(ctx context.Context, timeout time.Duration) finding {
	if c.timeout > 0 {
		timeout = c.timeout
	}
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	f := c.run(limited)
	if f.state == Failed && errors.Is(limited.Err(), context.DeadlineExceeded) {
		f.evidence = fmt.Sprintf("no answer within %s: %s", timeout, f.evidence)
		if f.remedy == "" {
			f.remedy = "look whether it is overloaded, or a firewall drops packets on the way; --timeout allows more"
		}
	}
	return f
}
