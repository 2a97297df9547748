package cli

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/internal/buildinfo"
)

// build is what sealift version says.
type build struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (a *app) version() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Example: `  sealift version
  sealift version -o json | jq -r .platform`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build{Version: buildinfo.Version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
			return out.print(a.Out, b, func(w io.Writer) { fmt.Fprintf(w, "%s version %s\n", cmd.Root().DisplayName(), b.Version) })
		},
	}
	out.addTo(cmd, "text", "json")
	return cmd
}
