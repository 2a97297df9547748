package cli

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/upgrades"
)

func (a *app) clusterBundles(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "bundles", Short: "List the bundles that an upgrade can be made of",
		Example: `  sealift cluster upgrade bundles`,
		Args:    cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) ([]upgrade.Bundle, error) {
		list, err := get[systemconsole.BundleList](cmd, c, "cluster/bundles")
		return list.Bundles, err
	}, func(w io.Writer, all []upgrade.Bundle) {
		rows := [][]string{{"BUNDLE", "NAME", "VERSION", "FROM", "STATEMENT"}}
		for _, b := range all {
			rows = append(rows, []string{b.ID, b.Name, b.Version, b.From, b.Statement})
		}
		table(w, rows)
	})
}

// bundleAt asks for the bundles and returns the path of the one that is meant
// in the API: by its id or its version.
func bundleAt(cmd *cobra.Command, c *consoleClient, name, what string) (string, error) {
	list, err := get[systemconsole.BundleList](cmd, c, "cluster/bundles")
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list.Bundles, func(b upgrade.Bundle) bool { return b.ID == name })
	if i < 0 {
		i = slices.IndexFunc(list.Bundles, func(b upgrade.Bundle) bool { return b.Version == name })
	}
	if i < 0 {
		return "", problem.New(problem.Usage, "sealift cluster upgrade bundles lists them; sealift mirror push brings one into the registry", "there is no bundle %.80q", name)
	}
	return "cluster/bundles/" + url.PathEscape(list.Bundles[i].ID) + "/" + what, nil
}

// completeBundles offers the bundles to the shell.
func completeBundles(c *consoleClient) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) (ids []string, _ cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, _ := get[systemconsole.BundleList](cmd, c, "cluster/bundles") // a shell has no place for the reason
		for _, b := range list.Bundles {
			ids = append(ids, b.ID+"\t"+b.Name+" "+b.Version)
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}

// keepOrTake is what has to be done about a conflict before an upgrade begins.
const keepOrTake = "choose: --keep PATH as it is set, or --take PATH of the release"

func (a *app) clusterPlan(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "plan BUNDLE", Short: "Show what an upgrade to a bundle would change; changes nothing",
		Long: `Shows versions, what the registry lacks, values that the release or an administrator changed, machines that are replaced in their
order, and each object with its differences. BUNDLE is the id or the version of one that sealift cluster upgrade bundles lists.`,
		Example: `  sealift cluster upgrade plan 1.1.0
  sealift cluster upgrade plan 1.1.0 -o json | jq -r '.values[] | select(.outcome == "conflict").path'`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: completeBundles(c),
	}
	return show(a, cmd, func(cmd *cobra.Command, args []string) (p upgrade.Plan, err error) {
		path, err := bundleAt(cmd, c, args[0], "plan")
		if err != nil {
			return p, err
		}
		return get[upgrade.Plan](cmd, c, path)
	}, func(w io.Writer, p upgrade.Plan) { upgradeTable(w, &p, keepOrTake) })
}

func (a *app) clusterBegin(c *consoleClient) *cobra.Command {
	var w waiting
	var keep, take []string
	var in systemconsole.UpgradeRequest
	cmd := &cobra.Command{
		Use: "begin BUNDLE --confirm CLUSTER", Short: "Upgrade the cluster to a bundle",
		Long: `Begins the upgrade that sealift cluster upgrade plan shows. The console carries it out, and goes on with it when it is itself replaced
by the upgrade. It refuses to begin while the registry lacks something, machines are being replaced, or a value that was changed in
the cluster and in the release has no choice.`,
		Example: `  sealift cluster upgrade begin 1.1.0 --confirm enterprise --keep /console/resources/limits/memory --wait`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: completeBundles(c),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if in.Choices, err = choices(keep, take); err != nil {
				return err
			}
			path, err := bundleAt(cmd, c, args[0], "upgrade")
			if err != nil {
				return err
			}
			if err := call(cmd, c, "POST", path, in, nil); err != nil {
				return err
			}
			return a.begun(cmd, c, &w)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&in.Confirm, "confirm", "", "the cluster's `name`")
	fl.StringArrayVar(&keep, "keep", nil, "`PATH` of a value that was changed on both sides: it stays as it is set; may be repeated")
	fl.StringArrayVar(&take, "take", nil, "`PATH` of a value that was changed on both sides: the release's is taken; may be repeated")
	w.addTo(cmd)
	return cmd
}

// choices settles conflicts of values.
func choices(keep, take []string) (map[string]upgrade.Side, error) {
	out := map[string]upgrade.Side{}
	for _, path := range keep {
		out[path] = upgrade.Live
	}
	for _, path := range take {
		if out[path] != "" {
			return nil, problem.New(problem.Usage, "choose one of them", "--keep and --take %s", path)
		}
		out[path] = upgrade.After
	}
	return out, nil
}

// begun waits for the end of an upgrade that was accepted, if that is wanted.
func (a *app) begun(cmd *cobra.Command, c *consoleClient, w *waiting) error {
	if !w.wait {
		a.note("the upgrade has begun; sealift cluster upgrade status shows how far it is")
		return nil
	}
	u, err := a.follow(cmd.Context(), c, w)
	if err != nil {
		return err
	}
	return upgradeFailure(u)
}

func (a *app) clusterResume(c *consoleClient) *cobra.Command {
	var w waiting
	cmd := &cobra.Command{
		Use: "resume", Short: "Go on with an upgrade that stopped",
		Example: `  sealift cluster upgrade resume --wait`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := call(cmd, c, "POST", "cluster/upgrade/resume", nil, nil); err != nil {
				return err
			}
			return a.begun(cmd, c, &w)
		},
	}
	w.addTo(cmd)
	return cmd
}

func (a *app) clusterUpgradeStatus(c *consoleClient) *cobra.Command {
	var w waiting
	var out output
	cmd := &cobra.Command{
		Use: "status", Short: "Show the upgrade that is under way, or the last one; fails when it stopped",
		Example: `  sealift cluster upgrade status --wait`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := get[systemconsole.UpgradeState](cmd, c, "cluster/upgrade")
			if err != nil {
				return err
			}
			if w.wait && s.Upgrade != nil && s.Upgrade.State == enterprise.Running {
				if s.Upgrade, err = a.follow(cmd.Context(), c, &w); err != nil {
					return err
				}
			}
			if err := out.print(a.Out, s, func(w io.Writer) { lastUpgradeTable(w, s.Upgrade) }); err != nil {
				return err
			}
			return upgradeFailure(s.Upgrade)
		},
	}
	w.addTo(cmd)
	out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

// upgradeFailure is why an upgrade stopped; nil for one that did not.
func upgradeFailure(u *upgrades.Upgrade) error {
	if u == nil || u.State != enterprise.Stopped {
		return nil
	}
	return problem.New(problem.Partial, "then go on with sealift cluster upgrade resume", "the upgrade to %s %s stopped: %s", u.Bundle.Name, u.Bundle.Version, u.Failure)
}

func lastUpgradeTable(w io.Writer, u *upgrades.Upgrade) {
	if u == nil {
		fmt.Fprintln(w, "there was no upgrade yet")
		return
	}
	words := map[enterprise.State]string{enterprise.Running: "is under way", enterprise.Stopped: "stopped", enterprise.Done: "is done"}[u.State]
	table(w, [][]string{{fmt.Sprintf("the upgrade to %s %s %s", u.Bundle.Name, u.Bundle.Version, words)}, {"begun " + u.Began.Local().Format(time.DateTime) + " by " + u.By}})
	if !u.Ended.IsZero() {
		table(w, [][]string{{"ended " + u.Ended.Local().Format(time.DateTime)}})
	}
	fmt.Fprintln(w)
	rows := [][]string{{"STEP", "", "SEEN"}}
	for _, s := range u.Steps {
		state := string(s.State)
		if s.State == upgrade.Before {
			state = "done before"
		}
		rows = append(rows, []string{s.Name, state, strings.TrimSpace(s.Text)})
	}
	table(w, rows)
}
