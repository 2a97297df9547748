package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/installer/release"
)

func (a *app) bundleInit() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Write what an enterprise bundle is made of",
		Long: `Writes the definition of the enterprise bundle, bundle.yaml, with release.yaml, which says what sealift install installs, and the
manifests that both name into DIR. They belong to this sealift: its installer is tested with these versions. Put the machine
image there as node.ova, then make the bundle with sealift bundle create. Nothing that is there is replaced.`,
		Example: `  sealift bundle init enterprise
  cp /media/build/node-v1.34.4.ova enterprise/node.ova
  sealift bundle create -f enterprise/bundle.yaml -o enterprise.tar --key cosign.key`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			files, err := release.Write(args[0])
			if err != nil {
				return err
			}
			for _, f := range files {
				fmt.Fprintln(a.Out, f)
			}
			a.note("put the machine image there as node.ova; next: sealift bundle create -f %s -o FILE --key KEY", filepath.Join(args[0], "bundle.yaml"))
			return nil
		},
	}
}
