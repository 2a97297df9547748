package cli

import (
	"fmt"
	"io"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/tenant"
)

func (a *app) tenantUser(c *consoleClient) *cobra.Command {
	return group("user", "The users of a tenant",
		a.tenantUserList(c), a.tenantUserInvite(c), a.tenantUserRole(c), a.tenantUserReset(c),
		a.tenantUserState(c, "disable", "Keep a user out"), a.tenantUserState(c, "enable", "Let a user in again, and end a lock"),
		a.tenantUserDelete(c))
}

// userAt is the path of a tenant's user in the API.
func userAt(name, user string, more ...string) string {
	return tenantAt(name, append([]string{"users", url.PathEscape(user)}, more...)...)
}

func (a *app) tenantUserList(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list TENANT", Short: "List the users of a tenant",
		Example: `  sealift tenant user list example-inc`,
		Args:    cobra.ExactArgs(1),
	}
	return show(a, cmd, func(cmd *cobra.Command, args []string) ([]systemconsole.TenantUser, error) {
		return pages(cmd, c, tenantAt(args[0], "users"), func(p systemconsole.TenantUserList) ([]systemconsole.TenantUser, string) { return p.Users, p.Continue })
	}, func(w io.Writer, all []systemconsole.TenantUser) {
		rows := [][]string{{"USER", "NAME", "E-MAIL", "ROLE", "STATE"}}
		for _, u := range all {
			rows = append(rows, []string{u.Name, u.FirstName + " " + u.LastName, u.Email, string(u.Role), userState(u)})
		}
		table(w, rows)
	})
}

func userState(u systemconsole.TenantUser) string {
	switch {
	case u.Disabled:
		return "disabled"
	case u.Locked:
		return "locked"
	case u.Invited:
		return "invited"
	default:
		return "active"
	}
}

func (a *app) tenantUserInvite(c *consoleClient) *cobra.Command {
	var d tenant.UserDraft
	cmd := &cobra.Command{
		Use: "invite TENANT", Short: "Invite a user, and print the link to set a password with",
		Example: `  sealift tenant user invite example-inc --first-name Grace --last-name Hopper --email grace@example.com`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var made systemconsole.Invitation
			if err := call(cmd, c, "POST", tenantAt(args[0], "users"), d, &made); err != nil {
				return err
			}
			a.note("the user is %s", made.User)
			return a.printLink(made.Link)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&d.FirstName, "first-name", "", "first `name`")
	fl.StringVar(&d.LastName, "last-name", "", "last `name`")
	fl.StringVar(&d.Email, "email", "", "e-mail `address`")
	fl.StringVar((*string)(&d.Role), "role", string(tenant.Member), "administrator or member")
	return cmd
}

func (a *app) tenantUserRole(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "role TENANT USER ROLE", Short: "Set what a user may do within the tenant: administrator or member",
		Example: `  sealift tenant user role example-inc grace administrator`,
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, c, "PUT", userAt(args[0], args[1], "role"), systemconsole.UserRole{Role: tenant.UserRole(args[2])}, nil)
		},
	}
}

func (a *app) tenantUserReset(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "reset TENANT USER", Short: "Print a link with which a user sets a new password",
		Example: `  sealift tenant user reset example-inc grace`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var l systemconsole.Link
			if err := call(cmd, c, "POST", userAt(args[0], args[1], "reset"), nil, &l); err != nil {
				return err
			}
			return a.printLink(l)
		},
	}
}

func (a *app) tenantUserState(c *consoleClient, verb, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " TENANT USER", Short: short,
		Example: "  sealift tenant user " + verb + " example-inc grace",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, c, "POST", userAt(args[0], args[1], verb), nil, nil)
		},
	}
}

func (a *app) tenantUserDelete(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "delete TENANT USER", Short: "Delete a user of a tenant",
		Example: `  sealift tenant user delete example-inc grace`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := call(cmd, c, "DELETE", userAt(args[0], args[1]), nil, nil); err != nil {
				return err
			}
			_, err := fmt.Fprintln(a.Out, "deleted:", args[1])
			return err
		},
	}
}

func (a *app) tenantUsage(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "usage NAME", Short: "Show what a tenant uses of its limits",
		Example: `  sealift tenant usage example-inc`,
		Args:    cobra.ExactArgs(1),
	}
	return show(a, cmd, func(cmd *cobra.Command, args []string) (tenant.Usage, error) {
		return get[tenant.Usage](cmd, c, tenantAt(args[0], "usage"))
	}, func(w io.Writer, u tenant.Usage) {
		rows := [][]string{{"users", fmt.Sprint(u.Users)}}
		if u.Measured {
			rows = append(rows, []string{"CPU cores", fmt.Sprint(u.CPU)}, []string{"memory", fmt.Sprint(u.MemoryGiB, " GiB")},
				[]string{"storage", fmt.Sprint(u.StorageGiB, " GiB")}, []string{"pods", fmt.Sprint(u.Pods)})
		}
		table(w, rows)
	})
}
