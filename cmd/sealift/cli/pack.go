package cli

import "github.com/spf13/cobra"

func (a *app) pack() *cobra.Command {
	return group("pack", "Check packs, build archives of them and push them", a.packLint(), a.packBuild(), a.packPush())
}
