package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/uninstall"
)

type uninstallFlags struct {
	site        siteFlags
	yes, dryRun bool
	out         output
}

func (a *app) uninstall() *cobra.Command {
	var f uninstallFlags
	cmd := &cobra.Command{
		Use:   "uninstall -f site.yaml",
		Short: "Remove what sealift install made",
		Long: `Lists what it would remove - the cluster's machines, the node template, the control plane and the kubeconfig on this host - and what
stays, and asks for the cluster's name. Only machines with the cluster's mark in vCenter are removed, or those that its own
objects name; a cluster that no longer answers is removed all the same. What is in the registry stays.

A run that was killed is simply repeated.`,
		Example: `  sealift uninstall -f site.yaml --dry-run
  sealift uninstall -f site.yaml --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runUninstall(cmd.Context(), &f) },
	}
	f.site.addTo(cmd)
	fl := cmd.Flags()
	fl.BoolVar(&f.dryRun, "dry-run", false, "only list what would be removed")
	fl.BoolVar(&f.yes, "yes", false, "do not ask")
	f.out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

// uninstalled is the result of an uninstallation.
type uninstalled struct {
	*uninstall.Plan
	Steps []step.Result `json:"steps,omitempty"` // none with --dry-run
}

func (a *app) runUninstall(ctx context.Context, f *uninstallFlags) (err error) {
	s, err := f.site.load()
	if err != nil {
		return err
	}
	login, err := s.VCenterLogin(a.loginOptions(ctx))
	if err != nil {
		return err
	}
	vcenter, err := vcenterClient(ctx, s, login)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, vcenter.Close(ctx)) }()
	u, err := uninstall.New(ctx, uninstall.Options{Site: s, VCenter: vcenter, Dir: f.site.dir})
	if err != nil {
		return err
	}
	plan, err := u.Plan(ctx)
	if err != nil {
		return err
	}
	done := uninstalled{Plan: plan}
	if f.dryRun || len(plan.Removed) == 0 {
		return f.out.print(a.Out, done, func(w io.Writer) { uninstallTable(w, plan) })
	}
	if !a.quiet || !f.yes {
		uninstallTable(a.Err, plan)
	}
	if !f.yes {
		if err := a.confirm(ctx, plan.Cluster, "remove all this"); err != nil {
			return err
		}
	}
	release, err := u.Hold()
	if err != nil {
		return err
	}
	defer release()
	if done.Steps, err = a.runSteps(ctx, u.Steps(), &lateReporter{}); err != nil {
		return err
	}
	return f.out.print(a.Out, done, func(w io.Writer) { fmt.Fprintf(w, "cluster %s is removed\n", plan.Cluster) })
}

func uninstallTable(w io.Writer, p *uninstall.Plan) {
	rows := [][]string{{"", "KIND", "NAME", "WHY"}}
	for _, i := range p.Removed {
		rows = append(rows, []string{"remove", i.Kind, i.Name, i.Why})
	}
	for _, i := range p.Kept {
		rows = append(rows, []string{"keep", i.Kind, i.Name, i.Why})
	}
	table(w, rows)
	for _, text := range p.Warnings {
		fmt.Fprintf(w, "warning: %s\n", strings.Map(printable, text))
	}
	if len(p.Removed) == 0 {
		fmt.Fprintln(w, "nothing is left to remove")
	}
}
