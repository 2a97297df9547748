package cli

import (
	"fmt"
	"io"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/tenant"
)

func (a *app) tenant() *cobra.Command {
	var c consoleClient
	cmd := group("tenant", "The tenants of a console",
		a.tenantList(&c), a.tenantShow(&c), a.tenantCreate(&c), a.tenantActivate(&c),
		a.tenantState(&c, "disable", "Keep everybody of a tenant out"), a.tenantState(&c, "enable", "Let a disabled tenant in again"),
		a.tenantLimits(&c), a.tenantUsage(&c), a.tenantUser(&c), a.tenantDelete(&c))
	c.addTo(cmd)
	return cmd
}

// tenantAt is the path of a tenant in the API.
func tenantAt(name string, more ...string) string {
	path := "tenants/" + url.PathEscape(name)
	for _, m := range more {
		path += "/" + m
	}
	return path
}

func (a *app) tenantList(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the tenants",
		Example: `  sealift tenant list`,
		Args:    cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) ([]systemconsole.Tenant, error) {
		return pages(cmd, c, "tenants", func(p systemconsole.TenantList) ([]systemconsole.Tenant, string) { return p.Tenants, p.Continue })
	}, tenantTable)
}

func tenantTable(w io.Writer, all []systemconsole.Tenant) {
	rows := [][]string{{"NAME", "ORGANIZATION", "STATE", "CREATED"}}
	for _, t := range all {
		rows = append(rows, []string{t.Name, t.Organization, string(t.State), t.Created.Format("2006-01-02")})
	}
	table(w, rows)
}

func (a *app) tenantShow(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a tenant",
		Example: `  sealift tenant show example-inc`,
		Args:    cobra.ExactArgs(1),
	}
	return show(a, cmd, func(cmd *cobra.Command, args []string) (systemconsole.Tenant, error) {
		return get[systemconsole.Tenant](cmd, c, tenantAt(args[0]))
	}, func(w io.Writer, t systemconsole.Tenant) {
		rows := [][]string{{"name", t.Name}, {"organization", t.Organization}, {"state", string(t.State)}}
		for _, l := range limitsOf(&t.Limits) {
			rows = append(rows, []string{"limit of " + l.what, strconv.Itoa(*l.value)})
		}
		table(w, rows)
	})
}

func (a *app) tenantCreate(c *consoleClient) *cobra.Command {
	var d tenant.Draft
	cmd := &cobra.Command{
		Use: "create", Short: "Create a tenant, and print its name",
		Example: `  sealift tenant create --organization "Example Inc." --first-name Ada --last-name Lovelace --email ada@example.com`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var t systemconsole.Tenant
			if err := call(cmd, c, "POST", "tenants", d, &t); err != nil {
				return err
			}
			fmt.Fprintln(a.Out, t.Name)
			a.note("activate it with sealift tenant activate %s", t.Name)
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&d.Organization, "organization", "", "`name` of the organization")
	fl.StringVar(&d.FirstName, "first-name", "", "first `name` of the first administrator")
	fl.StringVar(&d.LastName, "last-name", "", "last `name` of the first administrator")
	fl.StringVar(&d.Email, "email", "", "e-mail `address` of the first administrator")
	return cmd
}

func (a *app) tenantActivate(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "activate NAME", Short: "Activate a tenant, and print the link for its first administrator",
		Example: `  sealift tenant activate example-inc`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var l systemconsole.Link
			if err := call(cmd, c, "POST", tenantAt(args[0], "activate"), nil, &l); err != nil {
				return err
			}
			return a.printLink(l)
		},
	}
}

// printLink prints a link; what is to be known of it is for the person.
func (a *app) printLink(l systemconsole.Link) error {
	if l.SentTo != "" {
		a.note("the link was mailed to %s; it works once, until %s", l.SentTo, l.Expires.Local().Format("2006-01-02 15:04"))
		return nil
	}
	if l.Failure != "" {
		a.note("the link could not be mailed: %s", l.Failure)
	}
	_, err := fmt.Fprintln(a.Out, l.URL)
	a.note("the link works once, until %s", l.Expires.Local().Format("2006-01-02 15:04"))
	return err
}

func (a *app) tenantState(c *consoleClient, verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short,
		Example: "  sealift tenant " + verb + " example-inc",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, c, "POST", tenantAt(args[0], verb), nil, nil)
		},
	}
}

// limit is one of a tenant's limits.
type limit struct {
	flag, what string
	value      *int
}

func limitsOf(l *tenant.Limits) []limit {
	return []limit{{"users", "users", &l.Users}, {"cpu", "CPU cores", &l.CPU}, {"memory", "memory in GiB", &l.MemoryGiB},
		{"storage", "storage in GiB", &l.StorageGiB}, {"pods", "pods", &l.Pods}}
}

func (a *app) tenantLimits(c *consoleClient) *cobra.Command {
	var l tenant.Limits
	cmd := &cobra.Command{
		Use: "limits NAME", Short: "Limit what a tenant may use; what is not given stays as it is",
		Example: `  sealift tenant limits example-inc --users 50 --cpu 64 --memory 256`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := get[systemconsole.Tenant](cmd, c, tenantAt(args[0]))
			if err != nil {
				return err
			}
			given, current := limitsOf(&l), limitsOf(&t.Limits)
			for i := range given {
				if cmd.Flags().Changed(given[i].flag) {
					*current[i].value = *given[i].value
				}
			}
			return call(cmd, c, "PUT", tenantAt(args[0], "limits"), t.Limits, nil)
		},
	}
	for _, f := range limitsOf(&l) {
		cmd.Flags().IntVar(f.value, f.flag, 0, "most `number` of "+f.what+"; 0 is no limit")
	}
	return cmd
}

func (a *app) tenantDelete(c *consoleClient) *cobra.Command {
	var in systemconsole.Removal
	var out output
	cmd := &cobra.Command{
		Use: "delete NAME --confirm NAME", Short: "Delete a tenant with all that it has, and list what was removed",
		Example: `  sealift tenant delete example-inc --confirm example-inc`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var d tenant.Deletion
			if err := call(cmd, c, "POST", tenantAt(args[0], "delete"), in, &d); err != nil {
				return err
			}
			return out.print(a.Out, d, func(w io.Writer) {
				for _, what := range d.Removed {
					fmt.Fprintln(w, "removed:", what)
				}
				for _, what := range d.Left {
					fmt.Fprintln(w, "left:", what)
				}
			})
		},
	}
	cmd.Flags().StringVar(&in.Confirm, "confirm", "", "the tenant's `name`, once more")
	cmd.Flags().BoolVar(&in.Force, "force", false, "go on when something cannot be removed")
	out.addTo(cmd, "text", "json", "yaml")
	return cmd
}
