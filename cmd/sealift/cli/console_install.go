package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/steps"
	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/systemconsole/enterprise"
)

// consoleInstallation installs the enterprise cluster for the console, with the
// same steps as the command install. Its folder has the site that was entered,
// the note of how far a person has asked to go, and the folder of the steps.
// How far the work is, the steps ask the site itself.
type consoleInstallation struct {
	app    *app
	ctx    context.Context //nolint:containedctx // of the console: it ends what pages began
	dir    string
	bundle string
	trust  trust
	run    sync.WaitGroup

	mu       sync.Mutex
	progress enterprise.Progress
}

var _ enterprise.Installation = (*consoleInstallation)(nil)

// newInstallation returns the installation that a folder holds. One that was
// under way when the console ended goes on.
func (a *app) newInstallation(ctx context.Context, dir, bundle string, t trust) (*consoleInstallation, error) {
	i := &consoleInstallation{app: a, ctx: ctx, dir: dir, bundle: bundle, trust: t}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the installation: %w", err)
	}
	note, err := os.ReadFile(i.notePath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading how far the installation was: %w", err)
	}
	i.progress.State = enterprise.State(note)
	if i.progress.State != enterprise.Running {
		return i, nil
	}
	text, err := i.Site(ctx)
	if err == nil {
		err = i.Start(ctx, text)
	}
	if err != nil { // such as a variable that the console was started without
		i.end(err)
	}
	return i, nil
}

func (i *consoleInstallation) notePath() string { return filepath.Join(i.dir, "state") }
func (i *consoleInstallation) sitePath() string { return filepath.Join(i.dir, "site.yaml") }

// Kubeconfig is the way to the cluster once it is installed.
func (i *consoleInstallation) Kubeconfig() string {
	return filepath.Join(i.dir, "steps", "kubeconfig")
}

// Site implements enterprise.Installation.
func (i *consoleInstallation) Site(context.Context) (string, error) {
	text, err := os.ReadFile(i.sitePath())
	if errors.Is(err, fs.ErrNotExist) {
		return string(site.Example()), nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the site: %w", err)
	}
	return string(text), nil
}

// parse checks a site, and returns it with the text that is kept. A secret in it
// is refused by its schema.
func (i *consoleInstallation) parse(text string) (*site.Site, []byte, error) {
	data := []byte(strings.ReplaceAll(text, "\r\n", "\n")) // which forms send
	s, err := site.Parse(data, i.dir)
	return s, data, problem.As(problem.Usage, err)
}

// keep keeps a site; mu is held.
func (i *consoleInstallation) keep(text []byte) error {
	if err := durable.WriteFile(i.sitePath(), text, 0o600); err != nil {
		return fmt.Errorf("keeping the site: %w", err)
	}
	return nil
}

// startable fails while an installation is under way and when it is done: the
// site that is kept is that of its cluster, which upgrades start from. mu is held.
func (i *consoleInstallation) startable() error {
	switch {
	case i.progress.State == enterprise.Running && i.progress.Steps != nil:
		return problem.New(problem.Usage, "wait until it ends", "the installation is under way")
	case i.progress.State == enterprise.Done:
		return problem.New(problem.Usage, "change it on the pages of the enterprise cluster; for another cluster, start a console with another --data", "the cluster is installed")
	default:
		return nil
	}
}

// Preflight implements enterprise.Installation. Before an installation has begun
// the site is kept, for those who go on later.
func (i *consoleInstallation) Preflight(ctx context.Context, text string) ([]enterprise.Check, error) {
	s, data, err := i.parse(text)
	if err != nil {
		return nil, err
	}
	if err := i.checked(data); err != nil {
		return nil, err
	}
	bundle, err := i.open(ctx)
	if err != nil {
		return nil, err
	}
	defer bundle.Close() //nolint:errcheck // opened for reading
	content, err := release.Open(ctx, bundle)
	if err != nil {
		return nil, err
	}
	report, err := preflight.Run(ctx, s, preflight.Options{Dir: i.dir, Bundle: bundle, Release: toCheck(content)})
	if err != nil {
		return nil, err
	}
	checks := make([]enterprise.Check, 0, len(report.Checks))
	for _, c := range report.Checks {
		checks = append(checks, enterprise.Check{Name: c.Name, Status: checkStatus(c.State), Evidence: c.Evidence, Remedy: c.Remedy})
	}
	return checks, nil
}

// checked keeps a site that is checked, unless it could not be installed or
// an installation of another has begun.
func (i *consoleInstallation) checked(text []byte) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.startable(); err != nil || i.progress.State != enterprise.NotStarted {
		return err
	}
	return i.keep(text)
}

func checkStatus(s preflight.State) enterprise.Status {
	switch s {
	case preflight.OK:
		return enterprise.Status{State: enterprise.Good, Text: "Passed"}
	case preflight.Warning:
		return enterprise.Status{State: enterprise.Warn, Text: "Warning"}
	case preflight.Failed:
		return enterprise.Status{State: enterprise.Bad, Text: "Failed"}
	default:
		return enterprise.Status{Text: "Skipped"}
	}
}

func (i *consoleInstallation) open(ctx context.Context) (*archive.Reader, error) {
	open, err := i.trust.open(ctx)
	if err != nil {
		return nil, err
	}
	return bundles.Open(ctx, i.bundle, open)
}

// Start implements enterprise.Installation. The logins are read from where the
// site names them, and are in this process' memory alone.
func (i *consoleInstallation) Start(_ context.Context, text string) error {
	s, data, err := i.parse(text)
	if err != nil {
		return err
	}
	opts := steps.Options{Site: s, Dir: filepath.Join(i.dir, "steps"), Progress: progress.None{}}
	if err := logIn(&opts, site.LoginOptions{}); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if err := i.startable(); err != nil {
		return err
	}
	if err := i.keep(data); err != nil {
		return err
	}
	if err := durable.WriteFile(i.notePath(), []byte(enterprise.Running), 0o600); err != nil {
		return fmt.Errorf("noting that the installation was begun: %w", err)
	}
	i.progress = enterprise.Progress{State: enterprise.Running, Steps: []enterprise.Step{}, Log: []string{"connecting to " + s.Spec.VCenter.Server + " and " + s.Spec.Registry.Endpoint}}
	i.run.Go(func() { i.end(i.install(i.ctx, opts)) })
	return nil
}

// install takes the steps.
func (i *consoleInstallation) install(ctx context.Context, opts steps.Options) (err error) {
	open, err := i.trust.open(ctx)
	if err != nil {
		return err
	}
	if opts.Bundle, err = bundles.Open(ctx, i.bundle, open); err != nil {
		return err
	}
	opts.Signed = signature(open)
	defer opts.Bundle.Close() //nolint:errcheck // opened for reading
	if opts.Release, err = wholeRelease(ctx, opts.Bundle); err != nil {
		return err
	}
	if err := i.app.connect(ctx, &opts); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opts.VCenter.Close(context.WithoutCancel(ctx))) }()
	installation, err := steps.New(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, installation.Close(ctx)) }()
	if err := installation.Hold(); err != nil {
		return err
	}
	list := installation.Steps()
	i.change(func(p *enterprise.Progress) {
		for _, s := range list {
			p.Steps = append(p.Steps, enterprise.Step{Name: s.Name(), Status: enterprise.Status{Text: "Waiting"}})
		}
	})
	_, err = step.Run(ctx, list, step.Options{Observer: (*consoleObserver)(i), Passing: clusterapi.Passing, Remedy: "then begin it again: it goes on with this step"})
	return err
}

// end says how the run ended. When the console itself ends, the note stays at
// running: the next one goes on.
func (i *consoleInstallation) end(err error) {
	if err != nil && i.ctx.Err() != nil {
		return
	}
	state := enterprise.Done
	if err != nil {
		state = enterprise.Stopped
	}
	if noted := durable.WriteFile(i.notePath(), []byte(state), 0o600); noted != nil {
		err = errors.Join(err, noted)
	}
	i.change(func(p *enterprise.Progress) {
		p.State = state
		if err != nil {
			p.Error = strings.Join(append([]string{err.Error()}, problem.Remedies(err)...), "; ")
		}
	})
}

// Progress implements enterprise.Installation.
func (i *consoleInstallation) Progress(context.Context) (enterprise.Progress, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.progress
	p.Steps, p.Log = append([]enterprise.Step(nil), p.Steps...), append([]string(nil), p.Log...)
	return p, nil
}

func (i *consoleInstallation) change(f func(*enterprise.Progress)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f(&i.progress)
}

// cluster finds the cluster that was installed; enterprise.ErrNotFound before
// the installation is done.
func (i *consoleInstallation) cluster(ctx context.Context) (enterprise.Source, error) {
	if p, _ := i.Progress(ctx); p.State != enterprise.Done {
		return nil, enterprise.ErrNotFound
	}
	config, err := clientcmd.BuildConfigFromFlags("", i.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}
	return enterprise.Connect(ctx, config, enterprise.Options{})
}

// consoleObserver shows the steps on the console's page.
type consoleObserver consoleInstallation

var _ step.Observer = (*consoleObserver)(nil)

// logLines is how many lines of the log the page has.
const logLines = 500

func (o *consoleObserver) show(n int, status enterprise.Status, line string) {
	(*consoleInstallation)(o).change(func(p *enterprise.Progress) {
		p.Steps[n].Status = status
		line = p.Steps[n].Name + ": " + line
		if len(p.Log) > 0 && p.Log[len(p.Log)-1] == line {
			return
		}
		p.Log = append(p.Log, line)
		p.Log = p.Log[max(0, len(p.Log)-logLines):]
	})
}

// Began implements step.Observer.
func (o *consoleObserver) Began(n int, _ string) {
	o.show(n, enterprise.Status{State: enterprise.Busy, Text: "Running"}, "began")
}

// Said implements step.Observer.
func (o *consoleObserver) Said(n int, text string) {
	o.show(n, enterprise.Status{State: enterprise.Busy, Text: "Running"}, text)
}

// Ended implements step.Observer.
func (o *consoleObserver) Ended(n int, r step.Result) {
	switch r.Outcome {
	case step.Failed:
		o.show(n, enterprise.Status{State: enterprise.Bad, Text: "Failed"}, r.Err.Error())
	case step.Skipped:
		o.show(n, enterprise.Status{State: enterprise.Good, Text: "Done before"}, r.Detail)
	default:
		o.show(n, enterprise.Status{State: enterprise.Good, Text: "Done in " + short(r.Took)}, r.Detail)
	}
}
