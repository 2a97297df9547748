package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/steps"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

type installFlags struct {
	site, bundle, dir string
	dryRun            bool
	ignore            []string
	trust             trust
	out               output
}

func (a *app) install() *cobra.Command {
	var f installFlags
	cmd := &cobra.Command{
		Use:   "install -f site.yaml --bundle FILE --key PUB",
		Short: "Install the enterprise cluster on vSphere",
		Long: `Checks the site as preflight does, fills the registry, imports the node template, builds the cluster from a control plane on
this host, and hands it over to itself. It ends with the addresses of the cluster and of its console, and says how to log in first.

Every step looks at the site to know whether it is done. A run that was killed is simply repeated and goes on where it stood;
a run after the last changes nothing. The exit code 5 says that part of the work is done.

--dry-run shows every step and every object, and changes nothing.`,
		Example: `  sealift install -f site.yaml --bundle enterprise.tar --key cosign.pub
  sealift install -f site.yaml --bundle enterprise.tar --key cosign.pub --dry-run > plan.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runInstall(cmd.Context(), &f) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.site, "file", "f", "site.yaml", "the `site`")
	fl.StringVar(&f.bundle, "bundle", "", "the enterprise bundle `FILE`")
	fl.StringVar(&f.dir, "dir", "", "`folder` for the bootstrap control plane and the kubeconfig (default ~/.local/state/sealift/SITE)")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only show every step and every object")
	fl.StringSliceVar(&f.ignore, "ignore", nil, "`check` of preflight whose failure does not stop; may be repeated")
	f.trust.addTo(cmd)
	f.out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

func (a *app) runInstall(ctx context.Context, f *installFlags) error {
	opts, err := a.openInstall(ctx, f)
	if err != nil {
		return err
	}
	defer opts.Bundle.Close() //nolint:errcheck // opened for reading
	if err := a.preflightInstall(ctx, f, opts); err != nil {
		return err
	}
	return a.installSteps(ctx, f, opts)
}

// openInstall reads the site, opens the bundle with its release, and gets the
// logins. The caller closes the bundle.
func (a *app) openInstall(ctx context.Context, f *installFlags) (opts steps.Options, err error) {
	if f.bundle == "" {
		return opts, problem.New(problem.Usage, "add --bundle FILE", "no bundle is given")
	}
	s, err := site.Load(f.site)
	if err != nil {
		return opts, err
	}
	if f.dir == "" {
		if f.dir, err = stateDir(s.Metadata.Name); err != nil {
			return opts, err
		}
	}
	open, err := f.trust.open(ctx)
	if err != nil {
		return opts, err
	}
	opts = steps.Options{Site: s, Dir: f.dir, Signed: signature(open)}
	if opts.Bundle, err = bundles.Open(ctx, f.bundle, open); err != nil {
		return opts, err
	}
	if opts.Release, err = wholeRelease(ctx, opts.Bundle); err == nil {
		err = logIn(&opts, a.loginOptions(ctx))
	}
	if err != nil {
		_ = opts.Bundle.Close() // opened for reading
	}
	return opts, err
}

// signature says by which key a bundle that opens is signed.
func signature(open bundles.OpenOptions) steps.Signature {
	v, ok := open.Verifier.(*sign.Verifier)
	if !ok {
		return steps.Signature{}
	}
	return steps.Signature{Key: v.PublicKey(), Fingerprint: v.Fingerprint(), Verified: time.Now()}
}

// wholeRelease opens the release of a bundle that has everything that it names.
// It is asked also of a run that goes on, whose site is not checked again.
func wholeRelease(ctx context.Context, bundle *archive.Reader) (*release.Content, error) {
	content, err := release.Open(ctx, bundle)
	if err != nil {
		return nil, err
	}
	if missing := content.Missing(); len(missing) > 0 {
		return nil, problem.New(problem.Preflight, "make the bundle again from its release, and carry that over", "the bundle lacks what its release needs:\n%w", errors.Join(missing...))
	}
	return content, nil
}

// logIn gets the logins that the site names.
func logIn(opts *steps.Options, from site.LoginOptions) (err error) {
	if opts.VCenterLogin, err = opts.Site.VCenterLogin(from); err != nil {
		return err
	}
	opts.RegistryLogin, err = opts.Site.RegistryLogin(from)
	return err
}

// stateDir is the folder of a site on this host, as XDG has it.
func stateDir(site string) (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", problem.New(problem.Usage, "give --dir", "there is no home folder: %w", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "sealift", site), nil
}

// preflightInstall checks the site before the first step. Once the installation
// has begun, its own machines answer at the addresses that have to be free: then
// every step looks for itself.
func (a *app) preflightInstall(ctx context.Context, f *installFlags, opts steps.Options) error {
	if steps.Begun(opts) {
		a.note("the installation in %s goes on", opts.Dir)
		return nil
	}
	reporter, wait := a.progress()
	report, err := preflight.Run(ctx, opts.Site, preflight.Options{
		Login: known(opts), Dir: opts.Dir, Bundle: opts.Bundle, Progress: reporter,
		Release: toCheck(opts.Release),
	})
	wait()
	if err != nil {
		return err
	}
	if err := ignore(report, f.ignore); err != nil {
		return err
	}
	if report.Count(preflight.Failed)+report.Count(preflight.Warning) > 0 && !a.quiet {
		preflightTable(a.Err, report)
	}
	return report.Err()
}

// ignore makes warnings of the failures of checks, and refuses names of none.
func ignore(report *preflight.Report, names []string) error {
	for _, name := range names {
		at := slices.IndexFunc(report.Checks, func(c preflight.Result) bool { return c.Name == name })
		if at < 0 {
			return problem.New(problem.Usage, "sealift preflight names them", "--ignore %q: there is no such check", name)
		}
		if c := &report.Checks[at]; c.State == preflight.Failed {
			c.State = preflight.Warning
		}
	}
	return nil
}

// known answers with the logins that were asked for already.
func known(opts steps.Options) site.LoginOptions {
	return site.LoginOptions{Prompt: func(what string) (site.Login, error) {
		if strings.HasPrefix(what, "vCenter") {
			return opts.VCenterLogin, nil
		}
		return opts.RegistryLogin, nil
	}}
}

func (a *app) installSteps(ctx context.Context, f *installFlags, opts steps.Options) (err error) {
	if err := a.connect(ctx, &opts); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opts.VCenter.Close(ctx)) }()
	late := &lateReporter{}
	opts.Progress = late
	installation, err := steps.New(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, installation.Close(ctx)) }()
	list := installation.Steps()
	if f.dryRun {
		return a.printPlan(ctx, f, list)
	}
	if err := installation.Hold(); err != nil {
		return err
	}
	results, err := a.runSteps(ctx, list, late)
	if err != nil {
		return err
	}
	done := installed{Console: installation.ConsoleURL(), Address: installation.Address(), Kubeconfig: installation.Kubeconfig(), Steps: results}
	return f.out.print(a.Out, done, func(w io.Writer) { installedTable(w, done) })
}

// lateReporter is chosen once the list of steps is on the screen.
type lateReporter struct{ progress.Reporter }

// runSteps takes steps, shown as a list; reporter gets the bytes that they move.
func (a *app) runSteps(ctx context.Context, list []step.Step, reporter *lateReporter) ([]step.Result, error) {
	observer, bytes, wait := a.steps(stepNames(list))
	reporter.Reporter = bytes
	results, err := step.Run(ctx, list, step.Options{Observer: observer, Passing: clusterapi.Passing})
	wait()
	return results, err
}

// connect logs in to vCenter and registry.
func (a *app) connect(ctx context.Context, opts *steps.Options) error {
	var err error
	if opts.Registry, err = registryClient(opts.Site, opts.RegistryLogin); err != nil {
		return err
	}
	opts.VCenter, err = vcenterClient(ctx, opts.Site, opts.VCenterLogin)
	return err
}

// installed is the result of an installation.
type installed struct {
	Console    string        `json:"console,omitempty"`
	Address    string        `json:"address"`
	Kubeconfig string        `json:"kubeconfig"`
	Steps      []step.Result `json:"steps"`
}

func installedTable(w io.Writer, done installed) {
	rows := [][]string{{"STEP", "", "TIME", "SEEN"}}
	for _, r := range done.Steps {
		rows = append(rows, []string{r.Name, string(r.Outcome), short(r.Took), r.Detail})
	}
	table(w, rows)
	fmt.Fprintf(w, "\nAPI server   %s\nkubeconfig   %s\n", done.Address, done.Kubeconfig)
	if done.Console != "" {
		fmt.Fprintf(w, "console      %s\n             the first login is admin with the password admin; a new password is asked for at once\n", done.Console)
	}
}

// planned is a step with what it would do.
type planned struct {
	Name string `json:"name"`
	step.Plan
}

// printPlan shows what each step would do. In the table, objects are YAML and
// everything else a comment, so that the output can be kept as a file.
func (a *app) printPlan(ctx context.Context, f *installFlags, list []step.Step) error {
	var plans []planned
	for _, s := range list {
		p := planned{Name: s.Name()}
		if planner, ok := s.(step.Planner); ok {
			var err error
			if p.Plan, err = planner.Plan(ctx); err != nil {
				return fmt.Errorf("planning to %s: %w", s.Name(), err)
			}
		}
		plans = append(plans, p)
	}
	return f.out.print(a.Out, plans, func(w io.Writer) {
		for i, p := range plans {
			fmt.Fprintf(w, "# %d. %s\n", i+1, p.Name)
			for _, action := range p.Actions {
				fmt.Fprintf(w, "#    %s\n", action)
			}
			fmt.Fprint(w, p.Objects)
		}
	})
}
