package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
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
	rows, belonging := [][]string{{"CHANGE", "KIND", "REFERENCE", "OLD", "NEW"}}, 0
	add := func(what string, changes []bundles.Change) {
		for _, c := range changes {
			if c.Kind == archive.RootReferrer || c.Kind == archive.RootValues {
				belonging++
				continue
			}
			repository, _ := bundles.SplitReference(c.Reference)
			rows = append(rows, []string{what, c.Kind, repository, side(cmp.Or(c.OldReference, c.Reference), c.OldDigest, c.OldPlatforms, c),
				side(c.Reference, c.NewDigest, c.NewPlatforms, c)})
		}
	}
	add("added", d.Added)
	add("removed", d.Removed)
	add("changed", d.Changed)
	switch {
	case len(rows) > 1:
		table(w, rows)
	case belonging == 0:
		fmt.Fprintln(w, "Both hold the same.")
	}
	if belonging > 0 {
		fmt.Fprintf(w, "with them: %s, signatures, attestations, values and the like (-o json lists them)\n", plural(belonging, "artifact"))
	}
	fmt.Fprintf(w, "\nTo carry: %s in %s. Both hold: %s.\n", size(d.Carry.Bytes), plural(d.Carry.Blobs, "blob"), size(d.Carry.Shared))
}

// side is what one of the bundles has: tag, digest, and the platforms where the
// two differ in them.
func side(reference, digest string, has []string, c bundles.Change) string {
	if digest == "" {
		return "-"
	}
	_, tag := bundles.SplitReference(reference)
	text := strings.TrimSpace(tag + " " + shortName(digest))
	if c.OldDigest != "" && c.NewDigest != "" && !slices.Equal(c.OldPlatforms, c.NewPlatforms) {
		text += " " + platforms(has, nil)
	}
	return text
}
