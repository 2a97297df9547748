package cli

import (
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
)

func (a *app) admin() *cobra.Command {
	var c consoleClient
	cmd := group("admin", "Accounts, tokens, settings, registries, backups and the audit record of a console",
		group("account", "The accounts of those who run the platform", a.accountList(&c), a.accountCreate(&c), a.accountReset(&c),
			a.accountVerb(&c, "disable", "POST", "Keep the owner of an account out"), a.accountVerb(&c, "enable", "POST", "Let in again, and end a lock"),
			a.accountVerb(&c, "delete", "DELETE", "Delete an account")),
		group("token", "The tokens of the own account", a.tokenList(&c), a.tokenCreate(&c), a.tokenRevoke(&c)),
		group("settings", "What is set for the whole console", a.settingsShow(&c), a.settingsSet(&c)),
		group("certificate", "What the console shows to browsers", a.certificateShow(&c), a.certificateSet(&c)),
		a.adminRegistry(&c),
		group("backup", "The backups of a console", a.backupList(&c), a.backupCreate(&c), a.backupDownload(&c), a.backupRestore(&c)),
		group("audit", "The record of changes", a.auditList(&c), a.auditExport(&c), a.auditVerify(&c)),
		a.rotateMasterKey(&c))
	c.addTo(cmd)
	return cmd
}

func (a *app) rotateMasterKey(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "rotate-master-key", Short: "Make another master key, and wrap everything with it",
		Example: `  sealift admin rotate-master-key`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var done systemconsole.Rotation
			if err := call(cmd, c, "POST", "master-key/rotate", nil, &done); err != nil {
				return err
			}
			_, err := fmt.Fprintln(a.Out, "wrapped anew:", done.Rewrapped)
			a.note("keep a copy of the new master key apart from the backups")
			return err
		},
	}
}

func (a *app) accountList(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the accounts",
		Example: `  sealift admin account list`,
		Args:    cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) ([]systemconsole.Account, error) {
		return pages(cmd, c, "accounts", func(p systemconsole.AccountList) ([]systemconsole.Account, string) { return p.Accounts, p.Continue })
	}, accountTable)
}

func accountTable(w io.Writer, all []systemconsole.Account) {
	rows := [][]string{{"NAME", "ROLE", "STATE", "SECOND FACTOR", "FULL NAME"}}
	for _, v := range all {
		state := "active"
		switch {
		case v.Disabled:
			state = "disabled"
		case v.Locked:
			state = "locked"
		case !v.HasPassword:
			state = "not active yet"
		}
		rows = append(rows, []string{v.Name, string(v.Role), state, map[bool]string{true: "on", false: "off"}[v.SecondFactor], v.FullName})
	}
	table(w, rows)
}

func (a *app) accountCreate(c *consoleClient) *cobra.Command {
	var d auth.Draft
	cmd := &cobra.Command{
		Use: "create NAME --role ROLE", Short: "Create an account, and print the link for its owner",
		Example: `  sealift admin account create ada --role operations --full-name "Ada Lovelace" --email ada@north.example`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.Name = args[0]
			var l systemconsole.Link
			if err := call(cmd, c, "POST", "accounts", d, &l); err != nil {
				return err
			}
			return a.printLink(l)
		},
	}
	cmd.Flags().StringVar((*string)(&d.Role), "role", string(auth.Operations), "`role`: root, operations or account-administrator")
	cmd.Flags().StringVar(&d.FullName, "full-name", "", "full `name` of the owner")
	cmd.Flags().StringVar(&d.Email, "email", "", "e-mail `address` of the owner")
	complete(cmd, "role", string(auth.Root), string(auth.Operations), string(auth.AccountAdmin))
	return cmd
}

func (a *app) accountReset(c *consoleClient) *cobra.Command {
	var in systemconsole.Reset
	cmd := &cobra.Command{
		Use: "reset NAME", Short: "Print a link with which the owner sets a new password",
		Example: `  sealift admin account reset ada`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var l systemconsole.Link
			if err := call(cmd, c, "POST", "accounts/"+url.PathEscape(args[0])+"/reset", in, &l); err != nil {
				return err
			}
			return a.printLink(l)
		},
	}
	cmd.Flags().BoolVar(&in.SecondFactor, "second-factor", false, "turn the second factor off as well: the authenticator is lost")
	return cmd
}

func (a *app) accountVerb(c *consoleClient, verb, method, short string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short,
		Example: "  sealift admin account " + verb + " ada",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "accounts/" + url.PathEscape(args[0])
			if method == "POST" {
				path += "/" + verb
			}
			return call(cmd, c, method, path, nil, nil)
		},
	}
}

func (a *app) tokenList(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the tokens",
		Example: `  sealift admin token list`,
		Args:    cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) ([]systemconsole.Token, error) {
		list, err := get[systemconsole.TokenList](cmd, c, "tokens")
		return list.Tokens, err
	}, func(w io.Writer, all []systemconsole.Token) {
		rows := [][]string{{"NAME", "FOR", "MAY", "EXPIRES"}}
		for _, t := range all {
			rows = append(rows, []string{t.Name, t.Label, permissions(t.Scopes), t.Expires.Format("2006-01-02")})
		}
		table(w, rows)
	})
}

func permissions(all []auth.Permission) string {
	out := make([]string, len(all))
	for i, p := range all {
		out[i] = string(p)
	}
	return strings.Join(out, ",")
}

func (a *app) tokenCreate(c *consoleClient) *cobra.Command {
	var n auth.NewToken
	var scopes []string
	cmd := &cobra.Command{
		Use: "create LABEL --scope PERMISSION", Short: "Make a token, and print it: it is not shown again",
		Example: `  sealift admin token create reports --scope tenants.read`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Label = args[0]
			for _, s := range scopes {
				n.Scopes = append(n.Scopes, auth.Permission(s))
			}
			var t systemconsole.Token
			if err := call(cmd, c, "POST", "tokens", n, &t); err != nil {
				return err
			}
			_, err := fmt.Fprintln(a.Out, t.Token)
			return err
		},
	}
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "`permissions` of the token, such as tenants.read; may be repeated")
	cmd.Flags().IntVar(&n.Days, "days", 90, "`days` until it expires, 365 at most; it ends with the token that makes it in any case")
	var names []string
	for _, p := range auth.Permissions() {
		names = append(names, string(p))
	}
	complete(cmd, "scope", names...)
	return cmd
}

func (a *app) tokenRevoke(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "revoke NAME", Short: "End a token",
		Example: `  sealift admin token revoke NAME`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, c, "DELETE", "tokens/"+url.PathEscape(args[0]), nil, nil)
		},
	}
}

func (a *app) auditList(c *consoleClient) *cobra.Command {
	limit := 50
	cmd := &cobra.Command{
		Use: "list", Short: "List the newest changes, the oldest of them first",
		Example: `  sealift admin audit list --limit 500`,
		Args:    cobra.NoArgs,
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "most `records`, 500 at most")
	return show(a, cmd, func(cmd *cobra.Command, _ []string) ([]audit.Record, error) {
		list, err := get[systemconsole.AuditList](cmd, c, "audit?limit="+strconv.Itoa(limit))
		slices.Reverse(list.Records)
		return list.Records, err
	}, func(w io.Writer, all []audit.Record) {
		rows := [][]string{{"NUMBER", "TIME", "WHO", "FROM", "ACTION", "WHAT"}}
		for _, r := range all {
			rows = append(rows, []string{strconv.FormatUint(r.Number, 10), r.Time.Format("2006-01-02 15:04:05"), r.Actor, r.Source, r.Action, r.Object})
		}
		table(w, rows)
	})
}

func (a *app) auditExport(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Print the whole record as CSV", Args: cobra.NoArgs,
		Example: `  sealift admin audit export > audit.csv`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			console, err := c.open()
			if err != nil {
				return err
			}
			return console.Copy(cmd.Context(), "audit.csv", a.Out)
		},
	}
}

func (a *app) auditVerify(c *consoleClient) *cobra.Command {
	var known string
	var out output
	cmd := &cobra.Command{
		Use: "verify", Short: "Check that no record was altered or removed; fails with exit code 3",
		Long: `Reads the whole chain of records. Note the hash that it prints, and give it with --known the next time: a record that was
cut short since then tells too.`,
		Example: `  sealift admin audit verify --known HASH`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var s audit.Summary
			if err := call(cmd, c, "GET", "audit/verify?known="+url.QueryEscape(known), nil, &s); err != nil {
				return err
			}
			return out.print(a.Out, s, func(w io.Writer) { fmt.Fprintf(w, "%d records, the newest has the hash\n%s\n", s.Records, s.Head) })
		},
	}
	cmd.Flags().StringVar(&known, "known", "", "`hash` of a record that must still be there")
	out.addTo(cmd, "text", "json", "yaml")
	return cmd
}
