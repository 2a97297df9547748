package cli

import (
	"fmt"
	"io"
	"strconv"
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
		Long: `Shows what a bundle carries: images, charts, packs, manifests and files, with platforms, sizes and where they came from. Only the head of the file is
read, whatever its size. Without --key the signature is not checked, and the output says so.`,
		Example: `  sealift bundle inspect management-plane.tar
  sealift bundle inspect management-plane.tar -o json | jq -r '.contents[] | select(.kind == "image") | .reference'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
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
	for _, b := range i.Bases {
		fmt.Fprintf(w, "delta of:    %s %s (statement %s)\n", b.Name, b.Version, b.Statement)
	}
	if n := i.FromBase.Blobs; n > 0 {
		fmt.Fprintf(w, "left out:    %s, %s, which the site must have\n", plural(n, "blob"), size(i.FromBase.Bytes))
	}
	fmt.Fprintln(w)
	contentsTable(w, i.Contents)
	for _, a := range i.AllowMissing {
		fmt.Fprintf(w, "may be missing: %s %s\n", a.Match, a.Reason)
	}
	fmt.Fprintln(w, "\nSizes count layers that images share once for each of them. WITH IT counts signatures, attestations, values and the like. All of it: -o json")
}

// contentsTable lists what a bundle holds.
func contentsTable(w io.Writer, contents []bundles.InspectedRoot) {
	belongs := map[string]int{} // how many referrers and values belong to a digest
	for _, root := range contents {
		if root.Subject != "" {
			belongs[root.Subject]++
		}
	}
	rows := [][]string{{"KIND", "REFERENCE", "PLATFORMS", "SIZE", "WITH IT", "DIGEST"}}
	for _, root := range contents {
		if root.Subject == "" {
			rows = append(rows, []string{root.Kind, root.Reference, platforms(root.Platforms, root.Absent), size(root.Size), dash(belongs[root.Digest]), shortName(root.Digest)})
		}
	}
	table(w, rows)
}

func dash(n int) string {
	if n == 0 {
		return "-"
	}
	return strconv.Itoa(n)
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
