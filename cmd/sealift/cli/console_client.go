package cli

import (
	"cmp"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/systemconsole/client"
)

// consoleClient says which console a command calls, and with which token.
type consoleClient struct {
	url, tokenFile, ca string
}

func (f *consoleClient) addTo(cmd *cobra.Command) {
	fl := cmd.PersistentFlags()
	fl.StringVar(&f.url, "console", "", "https:// `address` of the console (default SEALIFT_CONSOLE)")
	fl.StringVar(&f.tokenFile, "token-file", "", "`file` with a token of the page My account (default the token in SEALIFT_TOKEN)")
	fl.StringVar(&f.ca, "console-ca", "", "PEM `file` of the console's authority, or of its own certificate")
}

// open returns the client. The token never stands on a command line.
func (f *consoleClient) open() (*client.Client, error) {
	token := os.Getenv("SEALIFT_TOKEN")
	if f.tokenFile != "" {
		data, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("reading the token: %w", err)
		}
		token = string(data)
	}
	return client.New(client.Options{URL: cmp.Or(f.url, os.Getenv("SEALIFT_CONSOLE")), Token: strings.TrimSpace(token), CA: f.ca})
}
