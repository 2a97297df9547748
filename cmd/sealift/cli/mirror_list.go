package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/mirror"
)

func (a *app) mirrorList() *cobra.Command {
	var flags registryFlags
	var prefixes []string
	var out output
	cmd := &cobra.Command{
		Use: "list REGISTRY[/PREFIX]", SuggestFor: []string{"ls", "bundles"},
		Short: "List the enterprise bundles that a registry holds",
		Long: `Lists the bundles that clusters are installed from and upgraded to, by the heads that mirror push left in the registry. Give
--prefix as mirror push got it. Nothing is verified here: whatever reads such a bundle checks its signature.`,
		Example: `  sealift mirror list registry.site:5000/mirror --registry-ca ca.crt`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			host, base, err := splitTarget(args[0])
			if err != nil {
				return err
			}
			m, err := mirror.ParseMapping(base, prefixes)
			if err != nil {
				return err
			}
			client, err := flags.client(host)
			if err != nil {
				return err
			}
			found, err := mirror.Pushed(cmd.Context(), client, host, m)
			if err != nil {
				return err
			}
			if found == nil {
				found = []mirror.PushedBundle{} // an empty list, also as JSON
			}
			return out.print(a.Out, found, func(w io.Writer) { pushedTable(w, args[0], found) })
		},
	}
	flags.addTo(cmd)
	out.addTo(cmd, "table", "json", "yaml")
	cmd.Flags().StringArrayVar(&prefixes, "prefix", nil, "as mirror push got it: `SOURCE=TARGET`, such as quay.io=quay; may be repeated")
	return cmd
}

func pushedTable(w io.Writer, registry string, found []mirror.PushedBundle) {
	if len(found) == 0 {
		fmt.Fprintf(w, "%s holds no enterprise bundle\n", registry)
		return
	}
	rows := [][]string{{"NAME", "VERSION", "STATEMENT", "IN COMMANDS"}}
	for _, b := range found {
		rows = append(rows, []string{b.Name, b.Version, shortName(b.Statement.String()), pushedPrefix + b.Tag})
	}
	table(w, rows)
}
