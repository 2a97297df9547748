package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/mirror/serve"
)

func (a *app) registryGC() *cobra.Command {
	var data string
	var dryRun bool
	var out output
	cmd := &cobra.Command{
		Use: "gc --data DIR", SuggestFor: []string{"garbage-collect", "prune", "clean"},
		Short: "Free the space of what nothing in a registry's folder needs",
		Long: `Removes what sealift registry serve keeps and nothing needs: blobs that no manifest names any more, as after sealift mirror
prune, uploads that were cut off, and repositories without a manifest. Manifests stay, with a tag and without.

The registry must not run meanwhile. A run that was cut off is simply repeated, as is a push whose blobs had
arrived before their manifests.`,
		Example: `  sealift registry gc --data /srv/registry --dry-run`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.note("looking through %s", data)
			done, err := serve.Collect(cmd.Context(), data, dryRun)
			if err != nil {
				return err
			}
			if done.Unused {
				a.note("nothing was ever pushed into %s", data)
			}
			return out.print(a.Out, done, func(w io.Writer) { collectedText(w, done) })
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&data, "data", "registry", "`folder` of the registry")
	fl.BoolVar(&dryRun, "dry-run", false, "only count what would be removed")
	out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

func collectedText(w io.Writer, c *serve.Collected) {
	removed := "removed"
	if c.DryRun {
		removed = "would be removed"
	}
	for _, name := range c.Repositories {
		fmt.Fprintf(w, "repository %s %s: it has no manifest\n", name, removed)
	}
	fmt.Fprintf(w, "%s and %s %s: %s\n", plural(c.Blobs, "blob"), plural(c.Uploads, "upload"), removed, size(c.Bytes))
}
