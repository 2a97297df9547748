package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
)

func (a *app) bundleExtract() *cobra.Command {
	var t trust
	var out output
	var dir string
	var opts bundles.ExtractOptions
	var bases []string
	cmd := &cobra.Command{
		Use:   "extract FILE [NAME...] --key PUB",
		Short: "Take files, charts, packs and manifests out of a bundle",
		Long: `Writes what a bundle carries to a folder: without names every file (machine images, installers, programs), else the files,
charts, packs, manifests and values that are named, by their reference or its last part. The signature is checked first, and every byte while
it is written; a file has its name only when it is whole. What a delta leaves out is taken from the bundles of --base.`,
		Example: `  sealift bundle extract management-plane.tar --key cosign.pub -o files
  sealift bundle extract management-plane.tar console cni-calico:3.29.1 --key cosign.pub
  sealift bundle extract delta.tar --base management-plane.tar --key cosign.pub -o files`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			open, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			w, closeAll, err := openWhole(cmd.Context(), args[0], bases, open)
			if err != nil {
				return err
			}
			defer closeAll()
			reporter, wait := a.progress()
			opts.Progress = reporter
			files, err := bundles.Extract(cmd.Context(), w, args[1:], dir, opts)
			wait()
			if err != nil {
				return err
			}
			return out.print(a.Out, files, func(w io.Writer) { extractedTable(w, files) })
		},
	}
	t.addTo(cmd)
	cmd.Flags().StringVarP(&dir, "output", "o", ".", "the `folder` to write to")
	baseFlag(cmd, &bases)
	cmd.Flags().BoolVar(&opts.Overwrite, "overwrite", false, "replace files that are there")
	out.addNamed(cmd, "result", "table", "json", "yaml")
	return cmd
}

func extractedTable(w io.Writer, files []bundles.Extracted) {
	rows := [][]string{{"FILE", "SIZE", "OF"}}
	for _, f := range files {
		rows = append(rows, []string{f.Path, size(f.Size), f.Reference})
	}
	table(w, rows)
}

// baseFlag names the bases of a delta.
func baseFlag(cmd *cobra.Command, bases *[]string) {
	cmd.Flags().StringArrayVar(bases, "base", nil, "`bundle` that has what a delta leaves out; may be repeated")
}

// openWhole opens a bundle and its bases.
func openWhole(ctx context.Context, path string, bases []string, open bundles.OpenOptions) (w bundles.Whole, closeAll func(), err error) {
	r, err := bundles.Open(ctx, path, open)
	if err != nil {
		return w, nil, err
	}
	open.MinVersion = "" // bases are older
	older, closeBases, err := openAll(ctx, bases, open)
	if err != nil {
		_ = r.Close() // opened for reading
		return w, nil, err
	}
	return bundles.Whole{Reader: r, Bases: older}, func() { closeBases(); _ = r.Close() }, nil
}
