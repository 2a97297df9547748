package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/upgrades"
)

func (a *app) cluster() *cobra.Command {
	var c consoleClient
	cmd := group("cluster", "The enterprise cluster of a console: how it is, its pools of machines, its upgrade",
		a.clusterStatus(&c), a.clusterNodes(&c), a.clusterPools(&c), a.clusterEvents(&c), a.clusterCertificates(&c), a.clusterComponents(&c),
		a.clusterScale(&c),
		group("pool", "Pools of machines", a.poolAdd(&c), a.poolRemove(&c), a.poolResize(&c)),
		group("upgrade", "Bring the cluster to the release of a newer bundle", a.clusterBundles(&c), a.clusterPlan(&c), a.clusterBegin(&c),
			a.clusterUpgradeStatus(&c), a.clusterResume(&c)))
	c.addTo(cmd)
	return cmd
}

// overview asks for the cluster as it is.
func overview(cmd *cobra.Command, c *consoleClient) (*enterprise.Overview, error) {
	o, err := get[enterprise.Overview](cmd, c, "cluster")
	return &o, err
}

// controlPlaneName means the control plane of every cluster, whatever the name
// of its pool.
const controlPlaneName = "control-plane"

// poolNamed finds a pool.
func poolNamed(o *enterprise.Overview, name string) (enterprise.Pool, error) {
	if p, ok := o.Pool(name); ok {
		return p, nil
	}
	var names []string
	for _, p := range o.Pools {
		if p.ControlPlane && name == controlPlaneName {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return enterprise.Pool{}, problem.New(problem.Usage, "the pools are "+strings.Join(names, ", "), "there is no pool %.60q", name)
}

// completePools offers the names of pools to the shell for the first argument.
func completePools(c *consoleClient) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		o, err := overview(cmd, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp // a shell has no place for the reason
		}
		names := []string{controlPlaneName}
		for _, p := range o.Pools {
			if !p.ControlPlane {
				names = append(names, p.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// clusterState is the cluster and the upgrade that runs or ran last.
type clusterState struct {
	*enterprise.Overview
	Upgrade *upgrades.Upgrade `json:"upgrade,omitempty"`
}

func (a *app) clusterStatus(c *consoleClient) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "status", Short: "Say how the cluster is; fails when something needs attention",
		Long: `Shows the pools, an upgrade that runs, and what needs attention: nodes, pools and certificates. The exit code is 0 when all is
well or machines are being made, replaced or removed as they were asked for, else 1.`,
		Example: `  sealift cluster status
  sealift cluster status -o json | jq -r .status.text`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := overview(cmd, c)
			if err != nil {
				return err
			}
			u, err := get[systemconsole.UpgradeState](cmd, c, "cluster/upgrade")
			if err != nil {
				return err
			}
			if err := out.print(a.Out, clusterState{o, u.Upgrade}, func(w io.Writer) { clusterTable(w, o, u.Upgrade) }); err != nil {
				return err
			}
			if len(attention(o)) > 0 {
				return problem.New(problem.Failed, "sealift cluster nodes, events and certificates say more", "cluster %s: %w", o.Name, errUnwell)
			}
			return nil
		},
	}
	out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

func clusterTable(w io.Writer, o *enterprise.Overview, u *upgrades.Upgrade) {
	table(w, [][]string{{fmt.Sprintf("cluster %s: %s", o.Name, o.Status.Text)}, {fmt.Sprintf("Kubernetes %s at https://%s", o.Version, o.Endpoint)}})
	if u != nil && u.State == enterprise.Running {
		table(w, [][]string{{fmt.Sprintf("an upgrade to %s %s is under way: sealift cluster upgrade status", u.Bundle.Name, u.Bundle.Version)}})
	}
	fmt.Fprintln(w)
	poolTable(w, o.Pools)
	for i, text := range attention(o) {
		if i == 0 {
			fmt.Fprint(w, "\nneeds attention:\n")
		}
		table(w, [][]string{{"  " + text}})
	}
}

// attention is what somebody has to look at, a line each.
func attention(o *enterprise.Overview) []string {
	var out []string
	add := func(what, name string, s enterprise.Status) {
		if needsAttention(s) {
			out = append(out, what+" "+name+": "+s.Text)
		}
	}
	for _, p := range o.Pools {
		add("pool", p.Name, p.Status)
	}
	for n := range o.Nodes() {
		add("node", n.Name, n.Status)
	}
	for _, cert := range o.Certificates {
		add("certificate", cert.Name, cert.Status)
	}
	return out
}

func needsAttention(s enterprise.Status) bool {
	return s.State == enterprise.Warn || s.State == enterprise.Bad
}

func (a *app) clusterPools(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "pools", Short: "List the pools, and why their machines are being replaced",
		Example: `  sealift cluster pools`,
		Args:    cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) ([]enterprise.Pool, error) {
		o, err := overview(cmd, c)
		return o.Pools, err
	}, poolTable)
}

func poolTable(w io.Writer, pools []enterprise.Pool) {
	rows := [][]string{{"POOL", "OF", "MACHINES", "READY", "UP TO DATE", "VERSION", "SIZE OF EACH", "STATUS"}}
	for _, p := range pools {
		of := "workers"
		if p.ControlPlane {
			of = "control plane"
		}
		machines := strconv.Itoa(p.Present)
		if p.Present != p.Desired {
			machines += " of " + strconv.Itoa(p.Desired)
		}
		rows = append(rows, []string{p.Name, of, machines, strconv.Itoa(p.Ready), strconv.Itoa(p.UpToDate), p.Version, p.Size.String(), p.Status.Text})
	}
	table(w, rows)
	for _, p := range pools {
		if p.Replacing != "" {
			table(w, [][]string{{fmt.Sprintf("%s replaces machines: %s", p.Name, oneLine(p.Replacing))}})
		}
	}
}
