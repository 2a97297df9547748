package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/installer/status"
	"github.com/sealift/sealift/internal/problem"
)

func (a *app) status() *cobra.Command {
	var f siteFlags
	var out output
	cmd := &cobra.Command{
		Use:   "status -f site.yaml",
		Short: "Say how an installation stands; changes nothing",
		Long: `Asks the registry, vCenter, the control plane on this host while there is one, and the cluster: which parts of the installation are
done, machines and nodes with what they say of themselves, versions, and when certificates end. No bundle is needed.

The exit code is 0 when the cluster manages itself and all is well, else 1; what is wrong is listed.`,
		Example: `  sealift status -f site.yaml
  sealift status -f site.yaml -o json | jq -r '.problems[]'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runStatus(cmd.Context(), &f, &out) },
	}
	f.addTo(cmd)
	out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

func (a *app) runStatus(ctx context.Context, f *siteFlags, out *output) (err error) {
	s, err := f.load()
	if err != nil {
		return err
	}
	p := a.reach(ctx, s)
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	r, err := status.Look(ctx, status.Options{Site: s, Dir: f.dir, Registry: p.registry, RegistryErr: p.registryErr, VCenter: p.vcenter, VCenterErr: p.vcenterErr})
	if err != nil {
		return err
	}
	if err := out.print(a.Out, r, func(w io.Writer) { statusTable(w, r) }); err != nil {
		return err
	}
	if !r.Well {
		return problem.New(problem.Failed, statusRemedy(r.Phase), "site %s, %s: %w", r.Site, r.Phase, errUnwell)
	}
	return nil
}

// statusRemedy is what helps in a phase.
func statusRemedy(p status.Phase) string {
	switch p {
	case status.NotKnown:
		return "reach vCenter first: it knows whether there are machines, also of an installation from another host; --dir names the folder of an installation on this one"
	case status.NotInstalled:
		return "sealift install installs it"
	case status.Elsewhere:
		return "ask on the host where it was installed, or name with --dir the folder of the installation, such as that of sealift console, or a copy of it: its kubeconfig is enough"
	case status.Interrupted:
		return "run sealift install again: it goes on where it stood"
	case status.Installing:
		return "wait for sealift install to end"
	case status.Unreachable:
		return "look at the machines in vCenter; sealift support-bundle collects what can be had"
	default:
		return "the problems above say what; docs/troubleshoot.md has more, sealift support-bundle collects everything"
	}
}

func statusTable(w io.Writer, r *status.Report) {
	fmt.Fprintf(w, "site %s, cluster %s: %s\n\n", r.Site, r.Cluster, r.Phase)
	rows := [][]string{{"PART", "", "SEEN"}}
	for _, s := range r.Steps {
		rows = append(rows, []string{s.Name, string(s.State), s.Detail})
	}
	table(w, rows)
	if len(r.Objects) > 0 {
		fmt.Fprintln(w)
		objectsTable(w, r.Objects)
	}
	if len(r.Nodes) > 0 {
		fmt.Fprintln(w)
		nodesTable(w, r.Nodes)
	}
	if len(r.Versions)+len(r.Certificates) > 0 {
		fmt.Fprintln(w)
		rows = [][]string{{"OF", "VERSION, OR END"}}
		for _, v := range r.Versions {
			rows = append(rows, []string{v.Name, v.Version})
		}
		for _, c := range r.Certificates {
			rows = append(rows, []string{"certificate of " + c.Of, "until " + c.Expires.Format(time.DateOnly)})
		}
		table(w, rows)
	}
	for i, text := range r.Problems {
		if i == 0 {
			fmt.Fprintf(w, "\n%s:\n", plural(len(r.Problems), "problem"))
		}
		table(w, [][]string{{"  " + text}})
	}
}

func objectsTable(w io.Writer, objects []status.Object) {
	rows := [][]string{{"KIND", "NAME", "PHASE", "AVAILABLE", "VERSION", "SAYS"}}
	for _, o := range objects {
		available, says := "", "well"
		if o.Want > 0 {
			available = fmt.Sprintf("%d/%d", o.Ready, o.Want)
		}
		if len(o.Troubles) > 0 {
			says = o.Troubles[0]
		}
		rows = append(rows, []string{o.Kind, o.Name, o.Phase, available, o.Version, says})
	}
	table(w, rows)
}

func nodesTable(w io.Writer, nodes []status.Node) {
	rows := [][]string{{"NODE", "ADDRESS", "READY", "VERSION"}}
	for _, n := range nodes {
		ready := "yes"
		if !n.Ready {
			ready = "no: " + n.Message
		}
		rows = append(rows, []string{n.Name, n.Address, ready, n.Version})
	}
	table(w, rows)
}
