// Command run runs the end-to-end tests in a lab that is built, several at a
// time where the memory allows, and says what each step costs.
//
// A lane is a list of suites that run one after another; lanes run side by
// side. Each test has a dark network of its own, so that they share nothing but
// the engine. A test says what a part of it took in a line "took 1.2s: part".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/site"
)

// suite is some tests of a package.
type suite struct {
	dir       string // of the package, below the repository
	run, skip string // patterns of tests; "" is all, and none
}

// longest is the lane that the others yield to: what they take from it, all
// wait for in the end.
const longest = "kind"

// yielding is how nice the programs of the other lanes are.
const yielding = 10

// lanes are the suites by the name of their lane.
func lanes(long bool) map[string][]suite {
	out := map[string][]suite{
		longest: {{dir: "test/e2e", run: "^TestInstallKind$"}},
		"local": {{dir: "test/e2e", run: "^TestInstall$"}},
		"nodes": {{dir: "test/e2e", skip: "^Test(Install|Stand)|Kind$"}, {dir: "test/lab/clusterapi"}},
	}
	if long {
		out["nodes"] = append(out["nodes"], suite{dir: "test/e2e", run: "^TestGivenUpWithKind$"}, suite{dir: "test/lab/site"})
	}
	return out
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	one := flag.Bool("one-at-a-time", false, "run one lane after another, whatever memory there is")
	long := flag.Bool("long", false, "three control planes in lane local too, let the console replace every machine, give up an installation with kind, and try the lab's machines: some minutes more")
	flag.Parse()
	err := run(ctx, *one, *long)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "e2e:", err)
	for _, remedy := range problem.Remedies(err) {
		fmt.Fprintln(os.Stderr, "  remedy:", remedy)
	}
	os.Exit(1)
}

func run(ctx context.Context, one, long bool) error {
	costs := newCosts()
	lab, err := site.Open(ctx, ".", site.Environment(costs.say))
	if err != nil {
		return err
	}
	restore, err := site.RaiseWatches()
	if err != nil {
		return err
	}
	defer restore() //nolint:errcheck // the higher limit harms nobody
	var group errgroup.Group
	r := &runner{logs: lab.Logs(), long: long, costs: costs}
	group.Go(func() error {
		return costs.time("compile the tests", func() error { return compile(ctx, lanes(long)) })
	})
	group.Go(func() error { return costs.time("engine", func() error { return ready(ctx, lab) }) })
	if err := group.Wait(); err != nil {
		return err
	}
	if err := os.MkdirAll(r.logs, 0o755); err != nil {
		return err
	}
	if one || !roomy(costs.say) {
		all := lanes(long)
		for _, name := range slices.Sorted(maps.Keys(all)) {
			err = errors.Join(err, r.lane(ctx, name, all[name]))
		}
	} else {
		err = r.all(ctx)
	}
	costs.print(os.Stdout)
	return err
}

// ready brings up what all tests share.
func ready(ctx context.Context, lab *site.Lab) error {
	if err := lab.Ready(ctx); err != nil {
		return err
	}
	_, err := lab.Engine(ctx)
	return err
}

// runner runs lanes.
type runner struct {
	logs  string // folder
	long  bool
	costs *costs
}

// program is that of a package's tests. It is kept, below the repository, so
// that Go links it anew only when something changed.
func program(dir string) string {
	return filepath.Join(".cache", filepath.Base(dir)+".test")
}

// compile makes the programs of all suites.
func compile(ctx context.Context, lanes map[string][]suite) error {
	done := map[string]bool{}
	for _, s := range slices.Concat(slices.Collect(maps.Values(lanes))...) {
		if done[s.dir] {
			continue
		}
		done[s.dir] = true
		// Nobody debugs it: without symbols it is linked in half the time.
		cmd := exec.CommandContext(ctx, "go", "test", "-c", "-tags", "e2e", "-ldflags", "-s -w", "-o", program(s.dir), "./"+s.dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("compiling the tests of %s: %w\n%s", s.dir, err, out)
		}
	}
	return nil
}

// all runs the lanes side by side.
func (r *runner) all(ctx context.Context) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for name, suites := range lanes(r.long) {
		wg.Go(func() {
			err := r.lane(ctx, name, suites)
			mu.Lock()
			failed = errors.Join(failed, err)
			mu.Unlock()
		})
	}
	wg.Wait()
	return failed
}

// lane runs suites one after another; one that fails does not keep the next.
func (r *runner) lane(ctx context.Context, name string, suites []suite) error {
	log, err := os.Create(filepath.Join(r.logs, "e2e-"+name+".log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // a log
	var failed error
	for _, s := range suites {
		if ctx.Err() != nil {
			return errors.Join(failed, ctx.Err())
		}
		failed = errors.Join(failed, r.suite(ctx, name, s, log))
	}
	return failed
}

// timeout is of one suite.
const timeout = 40 * time.Minute

func (r *runner) suite(ctx context.Context, lane string, s suite, log *os.File) error {
	binary, err := filepath.Abs(program(s.dir))
	if err != nil {
		return err
	}
	args := []string{"-test.v=test2json", "-test.count=1", "-test.timeout=" + timeout.String()}
	if s.run != "" {
		args = append(args, "-test.run="+s.run)
	}
	if r.long && s.dir == "test/e2e" {
		args = append(args, "-long")
	}
	if s.skip != "" {
		args = append(args, "-test.skip="+s.skip)
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool", "test2json", "-t", binary}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stderr = s.dir, append(os.Environ(), "LAB_TEST=1"), log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the tests, and what they run, end with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if lane != longest {
		if err := syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, yielding); err != nil {
			return errors.Join(fmt.Errorf("letting lane %s yield: %w", lane, err), cmd.Cancel(), cmd.Wait())
		}
	}
	failed := r.costs.read(lane, out, log)
	if err := cmd.Wait(); err != nil && len(failed) == 0 {
		return fmt.Errorf("the tests of %s: %w; %s has what they said", s.dir, err, log.Name())
	}
	if len(failed) > 0 {
		return problem.New(problem.Failed, "read what they said in "+log.Name(), "failed: %v", failed)
	}
	return nil
}
