package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/installer/release"
)

type preflightFlags struct {
	site   siteFlags
	bundle string
	trust  trust
	out    output
	opts   preflight.Options
}

func (a *app) preflight() *cobra.Command {
	var f preflightFlags
	cmd := &cobra.Command{
		Use: "preflight -f site.yaml [--bundle FILE --key PUB]", SuggestFor: []string{"check"},
		Short: "Check a site before anything is installed there; changes nothing",
		Long: `Looks at vCenter, network, name servers, clocks, registry and this host, at everything beside each other, and says of each check what
was found and, where something is wrong, what to do. With --bundle, also whether everything that the installation will pull is in
the registry or in the bundle. Nothing is changed. When a check fails, the exit code is 4.

A password is tried once. ARP, by which also silent hosts show, needs root and a host in the nodes' network.`,
		Example: `  sealift preflight -f site.yaml
  sealift preflight -f site.yaml --bundle enterprise.tar --key cosign.pub
  sealift preflight -f site.yaml -o json | jq '.checks[] | select(.state == "failed")'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runPreflight(cmd.Context(), &f) },
	}
	fl := cmd.Flags()
	f.site.addTo(cmd)
	fl.StringVar(&f.bundle, "bundle", "", "the bundle `FILE` that will be installed")
	fl.DurationVar(&f.opts.Timeout, "timeout", 0, "`how long` one check may take (default 8s)")
	f.trust.addTo(cmd)
	f.out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

func (a *app) runPreflight(ctx context.Context, f *preflightFlags) error {
	s, err := f.site.load()
	if err != nil {
		return err
	}
	f.opts.Dir = f.site.dir
	f.opts.Login = a.loginOptions(ctx)
	if f.opts.Bundle, err = f.openBundle(ctx); err != nil {
		return err
	}
	if f.opts.Bundle != nil {
		defer f.opts.Bundle.Close() //nolint:errcheck // opened for reading
		if f.opts.Release, err = releaseOf(ctx, f.opts.Bundle); err != nil {
			return err
		}
	}
	reporter, wait := a.progress()
	f.opts.Progress = reporter
	report, err := preflight.Run(ctx, s, f.opts)
	wait()
	if err != nil {
		return err
	}
	return errors.Join(report.Err(), f.out.print(a.Out, report, func(w io.Writer) { preflightTable(w, report) }))
}

// openBundle opens the bundle that was named; nil when none was.
func (f *preflightFlags) openBundle(ctx context.Context) (*archive.Reader, error) {
	if f.bundle == "" {
		return nil, nil //nolint:nilnil // no bundle is no error
	}
	open, err := f.trust.open(ctx)
	if err != nil {
		return nil, err
	}
	return bundles.Open(ctx, f.bundle, open)
}

// releaseOf returns what the checks need to know of a bundle's release; that a
// bundle has none is for a check to say, beside all others.
func releaseOf(ctx context.Context, bundle *archive.Reader) (preflight.Release, error) {
	content, err := release.Open(ctx, bundle)
	if errors.Is(err, release.ErrNoRelease) {
		return preflight.Release{Err: err}, nil
	}
	if err != nil {
		return preflight.Release{}, err
	}
	return toCheck(content), nil
}

func toCheck(content *release.Content) preflight.Release {
	return preflight.Release{KubernetesVersion: content.Spec.KubernetesVersion, Template: content.Spec.Template.Name, Missing: content.Missing(), Requests: content.Requests}
}

func preflightTable(w io.Writer, r *preflight.Report) {
	rows := [][]string{{"STATE", "CHECK", "EVIDENCE"}}
	for _, c := range r.Checks {
		rows = append(rows, []string{string(c.State), c.Name, c.Evidence})
	}
	table(w, rows)
	for _, c := range r.Checks {
		if c.Remedy != "" && (c.State == preflight.Failed || c.State == preflight.Warning) {
			fmt.Fprintf(w, "\n%s (%s)\n  remedy: %s\n", c.Name, c.State, c.Remedy)
		}
	}
	fmt.Fprintf(w, "\n%s: %d ok, %d with a warning, %d failed, %d skipped\n", plural(len(r.Checks), "check"),
		r.Count(preflight.OK), r.Count(preflight.Warning), r.Count(preflight.Failed), r.Count(preflight.Skipped))
}
