package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
)

func (a *app) bundleInspect() *cobra.Command {
	var t trust
	var out output
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Show what is inside a bundle",
		Long: `Shows the images of a bundle, their platforms, sizes and where they came from. Only the head of the file is
read, whatever its size. Without --key the signature is not checked, and the output says so.`,
		Example: `  sealift bundle inspect management-plane.tar
  sealift bundle inspect management-plane.tar -o json | jq -r '.images[].reference'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			open, err := t.openAny(cmd.Context())
			if err != nil {
				return err
			}
			r, err := bundles.Open(cmd.Context(), args[0], open)
			if err != nil {
				return err
			}
			defer r.Close() //nolint:errcheck // opened for reading
			i := bundles.Inspect(r, t.key != "")
			return out.print(a.Out, i, func(w io.Writer) { inspectionTable(w, i) })
		},
	}
	t.addTo(cmd)
	out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

func inspectionTable(w io.Writer, i *bundles.Inspection) {
	signature := "NOT CHECKED (give --key to check it)"
	if i.Verified {
		signature = "good"
	}
	table(w, [][]string{{"bundle:", i.Name + " " + i.Version}, {"size:", size(i.Size) + " in " + plural(i.Blobs, "blob")},
		{"statement:", i.Statement}, {"signature:", signature}})
	fmt.Fprintln(w)
	rows := [][]string{{"IMAGE", "PLATFORMS", "SIZE", "DIGEST"}}
	for _, img := range i.Images {
		rows = append(rows, []string{img.Reference, platforms(img.Platforms, img.Absent), size(img.Size), shortName(img.Digest)})
	}
	table(w, rows)
	fmt.Fprintln(w, "\nSizes count layers that images share once for each of them. Full digests and sources: -o json")
}

func platforms(here, absent []string) string {
	text := strings.Join(here, ",")
	if text == "" {
		text = "-"
	}
	if len(absent) > 0 {
		text += " (left out: " + strings.Join(absent, ",") + ")"
	}
	return text
}
