package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
)

func (a *app) clusterNodes(c *consoleClient) *cobra.Command {
	var out output
	var pool string
	var ailing bool
	cmd := &cobra.Command{
		Use: "nodes [NAME]", Short: "List the nodes, or show one with its conditions",
		Example: `  sealift cluster nodes --pool control-plane
  sealift cluster nodes --attention
  sealift cluster nodes enterprise-default-1`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := overview(cmd, c)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.printNode(o, args[0], &out)
			}
			if pool != "" {
				p, err := poolNamed(o, pool)
				if err != nil {
					return err
				}
				pool = p.Name
			}
			nodes := selectNodes(o, pool, ailing)
			return out.print(a.Out, nodes, func(w io.Writer) { nodeTable(w, nodes) })
		},
	}
	cmd.Flags().StringVar(&pool, "pool", "", "only those of the pool of this `name`")
	cmd.Flags().BoolVar(&ailing, "attention", false, "only those that need attention")
	completeWith(cmd, "pool", completePools(c))
	out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

// selectNodes returns the nodes of a pool, or of all when it is empty; only
// those that need attention when ailing.
func selectNodes(o *enterprise.Overview, pool string, ailing bool) []enterprise.Node {
	out := []enterprise.Node{}
	for n := range o.Nodes() {
		if (pool == "" || n.Pool == pool) && (!ailing || needsAttention(n.Status)) {
			out = append(out, *n)
		}
	}
	return out
}

func nodeTable(w io.Writer, nodes []enterprise.Node) {
	rows := [][]string{{"NODE", "POOL", "STATUS", "VERSION", "ADDRESS", "HEARTBEAT", "MADE"}}
	for _, n := range nodes {
		rows = append(rows, []string{n.Name, n.Pool, n.Status.Text, n.Version, strings.Join(n.Addresses, ","), ago(n.Heartbeat), ago(n.Created)})
	}
	table(w, rows)
}

// ago is such as "3 seconds ago"; nothing for what never was.
func ago(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return humanize.Time(t)
}

func (a *app) printNode(o *enterprise.Overview, name string, out *output) error {
	n, ok := o.Node(name)
	if !ok {
		return problem.New(problem.Usage, "sealift cluster nodes lists them", "there is no node %.80q", name)
	}
	return out.print(a.Out, n, func(w io.Writer) {
		table(w, [][]string{{"node", n.Name}, {"machine", n.Machine}, {"pool", n.Pool}, {"status", n.Status.Text}, {"phase of the machine", n.Phase},
			{"Kubernetes", n.Version}, {"addresses", strings.Join(n.Addresses, ", ")}, {"system", n.System}, {"kernel", n.Kernel},
			{"runtime", n.Runtime}, {"provider's ID", n.ProviderID}, {"heartbeat", ago(n.Heartbeat)}, {"made", ago(n.Created)}})
		fmt.Fprintln(w)
		rows := [][]string{{"CONDITION", "IS", "SINCE", "REASON", "MESSAGE"}}
		for _, v := range n.Conditions {
			rows = append(rows, []string{v.Type, v.Status.Text, ago(v.Since), v.Reason, oneLine(v.Message)})
		}
		table(w, rows)
	})
}

func (a *app) clusterEvents(c *consoleClient) *cobra.Command {
	var warnings bool
	limit := 50
	cmd := &cobra.Command{
		Use: "events", Short: "List the newest events of the cluster, the oldest of them first",
		Example: `  sealift cluster events --warnings --limit 1000`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&warnings, "warnings", false, "only warnings")
	cmd.Flags().IntVar(&limit, "limit", limit, "most `events`, 1000 at most")
	return show(a, cmd, func(cmd *cobra.Command, _ []string) ([]enterprise.Event, error) {
		if limit < 1 {
			return nil, problem.New(problem.Usage, "", "--limit %d is less than 1", limit)
		}
		list, err := get[systemconsole.EventList](cmd, c, "cluster/events")
		events := slices.DeleteFunc(list.Events, func(e enterprise.Event) bool { return warnings && e.State == enterprise.Good })
		events = events[:min(limit, len(events))]
		slices.Reverse(events)
		return events, err
	}, eventTable)
}

func eventTable(w io.Writer, events []enterprise.Event) {
	rows := [][]string{{"TIME", "", "REASON", "OF", "TIMES", "MESSAGE"}}
	for _, e := range events {
		mark := ""
		if e.State != enterprise.Good {
			mark = "warning"
		}
		rows = append(rows, []string{e.When.Local().Format(time.DateTime), mark, e.Reason, e.Object, strconv.Itoa(e.Count), oneLine(e.Message)})
	}
	table(w, rows)
}

func (a *app) clusterCertificates(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "certificates", Short: "List the certificates that the cluster depends on, the first to expire first",
		Example: `  sealift cluster certificates`,
		Args:    cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) ([]enterprise.Certificate, error) {
		o, err := overview(cmd, c)
		return o.Certificates, err
	}, func(w io.Writer, all []enterprise.Certificate) {
		rows := [][]string{{"CERTIFICATE", "IN", "EXPIRES", "STATUS"}}
		for _, v := range all {
			rows = append(rows, []string{v.Name, v.Holder, v.Expires.Format(time.DateOnly), v.Status.Text})
		}
		table(w, rows)
	})
}

func (a *app) clusterComponents(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "components", Short: "List what is installed: versions, digests, the bundle, and the key that it is signed with",
		Example: `  sealift cluster components
  sealift cluster components -o json | jq -r '.components[].digest'`,
		Args: cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) (upgrade.Installed, error) {
		return get[upgrade.Installed](cmd, c, "cluster/components")
	}, componentTable)
}

func componentTable(w io.Writer, i upgrade.Installed) {
	table(w, [][]string{{"release", i.Release}, {"bundle", i.Bundle.Name + " " + i.Bundle.Version + " from " + i.Bundle.From}, {"statement", i.Bundle.Statement},
		{"signed with", i.Key}, {"checked", i.Verified.Local().Format(time.DateTime)}})
	fmt.Fprintln(w)
	rows := [][]string{{"COMPONENT", "KIND", "VERSION", "DIGEST"}}
	for _, v := range i.Components {
		rows = append(rows, []string{v.Name, v.Kind, v.Version, v.Digest})
	}
	table(w, rows)
}
