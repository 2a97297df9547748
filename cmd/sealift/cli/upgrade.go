package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/steps"
	"github.com/sealift/sealift/internal/upgrade"
)

type upgradeFlags struct {
	installFlags
	yes  bool
	take []string
}

func (a *app) upgrade() *cobra.Command {
	var f upgradeFlags
	cmd := &cobra.Command{
		Use:   "upgrade -f site.yaml --bundle NEW --key PUB",
		Short: "Bring an installed cluster to a newer bundle",
		Long: `Shows what would change - versions, images, objects with their differences, machines that are replaced - and asks for the cluster's
name. Then fills the registry, imports the node template, brings Cluster API to its new version, replaces the machines of the
control plane and of each pool one at a time, the new one first, and applies the addons.

It refuses to skip a minor version of Kubernetes, and to go back. A run that was killed or failed is simply repeated, also with
a mended bundle: what was there before is removed by nobody but Cluster API, each machine after its successor is ready.`,
		Example: `  sealift upgrade -f site.yaml --bundle enterprise-2.tar --key cosign.pub --dry-run
  sealift upgrade -f site.yaml --bundle enterprise-2.tar --key cosign.pub --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runUpgrade(cmd.Context(), &f) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.site, "file", "f", "site.yaml", "the `site`")
	fl.StringVar(&f.bundle, "bundle", "", "the newer enterprise bundle `FILE`")
	fl.StringVar(&f.dir, "dir", "", "`folder` of the installation on this host (default ~/.local/state/sealift/SITE)")
	fl.BoolVar(&f.dryRun, "dry-run", false, "only show what would change")
	fl.StringArrayVar(&f.take, "take", nil, "`PATH` of a value that was changed in the cluster and in the release: take the release's; may be repeated")
	fl.BoolVar(&f.yes, "yes", false, "do not ask")
	f.trust.addTo(cmd)
	f.out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

func (a *app) runUpgrade(ctx context.Context, f *upgradeFlags) (err error) {
	opts, err := a.openInstall(ctx, &f.installFlags)
	if err != nil {
		return err
	}
	defer opts.Bundle.Close() //nolint:errcheck // opened for reading
	if err := a.connect(ctx, &opts); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opts.VCenter.Close(ctx)) }()
	return a.upgradeSteps(ctx, f, opts)
}

// upgraded is the result of an upgrade.
type upgraded struct {
	*upgrade.Plan
	Steps []step.Result `json:"steps,omitempty"` // none with --dry-run
}

func (a *app) upgradeSteps(ctx context.Context, f *upgradeFlags, opts steps.Options) (err error) {
	late := &lateReporter{}
	opts.Progress, opts.Choices = late, upgrade.Choices{}
	for _, path := range f.take {
		opts.Choices[path] = upgrade.After
	}
	in, err := steps.New(ctx, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close(ctx)) }()
	plan, err := in.PlanUpgrade(ctx)
	if err != nil {
		return err
	}
	plan.Warnings = append(plan.Warnings, untaken(plan.Values, f.take)...)
	done := upgraded{Plan: plan}
	if f.dryRun {
		return f.out.print(a.Out, done, func(w io.Writer) { upgradeTable(w, plan, takeOrStay) })
	}
	if err := a.agree(ctx, f, plan); err != nil {
		return err
	}
	if err := in.Hold(); err != nil {
		return err
	}
	list, err := in.UpgradeSteps(ctx)
	if err != nil {
		return err
	}
	if done.Steps, err = a.runSteps(ctx, list, late); err != nil {
		return err
	}
	return f.out.print(a.Out, done, func(w io.Writer) {
		installedTable(w, installed{Address: in.Address(), Kubeconfig: in.Kubeconfig(), Steps: done.Steps})
	})
}

// agree shows the plan and asks for the cluster's name. With --yes it tells the
// warnings alone.
func (a *app) agree(ctx context.Context, f *upgradeFlags, plan *upgrade.Plan) error {
	if !f.yes {
		upgradeTable(a.Err, plan, takeOrStay)
		return a.confirm(ctx, plan.Cluster, "upgrade it")
	}
	for _, text := range plan.Warnings {
		a.note("warning: %s", text)
	}
	return nil
}

// untaken says which values were named to be taken, and are none that differ.
func untaken(values []upgrade.Setting, take []string) (out []string) {
	for _, path := range take {
		if !slices.ContainsFunc(values, func(s upgrade.Setting) bool { return s.Path == path }) {
			out = append(out, fmt.Sprintf("--take %s names no value that was changed: see the list of values for the paths", path))
		}
	}
	return out
}

// takeOrStay is what becomes of a conflict here.
const takeOrStay = "stays as it is set; --take PATH takes the release's"

// upgradeTable shows a plan; conflict says what becomes of a value that was
// changed in the cluster and in the release.
func upgradeTable(w io.Writer, p *upgrade.Plan, conflict string) {
	fmt.Fprintf(w, "cluster %s to release %s\n\n", p.Cluster, p.Release)
	rows := [][]string{{"PART", "NOW", "AFTER"}}
	for _, v := range p.Versions {
		after := v.To
		if v.From == v.To {
			after = "stays"
		}
		rows = append(rows, []string{v.Name, v.From, after})
	}
	table(w, rows)
	if missing := p.Missing(); len(missing) > 0 {
		list(w, "missing in the registry: push the bundle first", missing)
	} else {
		list(w, "images that the registry gets", p.Images)
	}
	valuesTable(w, p.Values, conflict)
	list(w, "machines that are replaced, one at a time", p.Machines)
	for _, o := range p.Objects {
		if o.New {
			fmt.Fprintf(w, "\n%s is new\n", o.Object)
			continue
		}
		fmt.Fprintf(w, "\n%s changes:\n%s", o.Object, strings.ReplaceAll(o.Diff, "\x1b", " "))
	}
	for _, text := range p.Warnings {
		fmt.Fprintf(w, "\nwarning: %s\n", text)
	}
	if !p.Changes() {
		fmt.Fprintln(w, "\nnothing changes")
	}
}

// valuesTable shows what becomes of values that are not the same everywhere.
func valuesTable(w io.Writer, settings []upgrade.Setting, conflict string) {
	rows := [][]string{{"VALUE", "WAS", "IS SET", "RELEASE", ""}}
	for _, s := range settings {
		if s.Outcome != upgrade.Agreed {
			rows = append(rows, []string{s.Path, s.Before, s.Live, s.After, outcome(s.Outcome, conflict)})
		}
	}
	if len(rows) > 1 {
		fmt.Fprintln(w)
		table(w, rows)
	}
}

func outcome(o upgrade.Outcome, conflict string) string {
	switch o {
	case upgrade.Kept:
		return "stays as it is set"
	case upgrade.Taken:
		return "the release's"
	default:
		return conflict
	}
}

func list(w io.Writer, heading string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", heading)
	for _, i := range items {
		fmt.Fprintf(w, "  %s\n", strings.Map(printable, i))
	}
}
