package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
)

func (a *app) bundleDiff() *cobra.Command {
	var out output
	var source sourceFlags
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what changed from one bundle to another",
		Long: `Compares the heads of two bundles: what came, went or changed, and how much a site that has the old
bundle lacks of the new one. Signatures are not checked: use "sealift bundle verify" for that.`,
		Example: `  sealift bundle diff plane-1.3.0.tar plane-1.4.0.tar`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			opts, err := source.options()
			if err != nil {
				return err
			}
			open := bundles.OpenOptions{Unsigned: true, Location: opts}
			older, err := bundles.Open(cmd.Context(), args[0], open)
			if err != nil {
				return err
			}
			defer older.Close() //nolint:errcheck // opened for reading
			newer, err := bundles.Open(cmd.Context(), args[1], open)
			if err != nil {
				return err
			}
			defer newer.Close() //nolint:errcheck // opened for reading
			d := bundles.Diff(older, newer)
			return out.print(a.Out, d, func(w io.Writer) { differenceTable(w, d) })
		},
	}
	out.addTo(cmd, "table", "json", "yaml")
	source.addTo(cmd)
	return cmd
}

func differenceTable(w io.Writer, d *bundles.Difference) {
	fmt.Fprintf(w, "%s %s -> %s %s\n\n", d.Old.Name, d.Old.Version, d.New.Name, d.New.Version)
	rows := [][]string{{"CHANGE", "REFERENCE", "OLD", "NEW"}}
	for _, c := range d.Added {
		rows = append(rows, []string{"added", c.Reference, "-", shortName(c.NewDigest)})
	}
	for _, c := range d.Removed {
		rows = append(rows, []string{"removed", c.Reference, shortName(c.OldDigest), "-"})
	}
	for _, c := range d.Changed {
		rows = append(rows, []string{"changed", c.Reference,
			shortName(c.OldDigest) + " " + platforms(c.OldPlatforms, nil), shortName(c.NewDigest) + " " + platforms(c.NewPlatforms, nil)})
	}
	if len(rows) > 1 {
		table(w, rows)
	} else {
		fmt.Fprintln(w, "Both hold the same.")
	}
	fmt.Fprintf(w, "\nTo carry: %s in %s. Both hold: %s.\n", size(d.Carry.Bytes), plural(d.Carry.Blobs, "blob"), size(d.Carry.Shared))
}
