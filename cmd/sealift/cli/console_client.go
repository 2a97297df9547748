package cli

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
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

// call calls the console that the flags name.
func call(cmd *cobra.Command, c *consoleClient, method, path string, in, out any) error {
	console, err := c.open()
	if err != nil {
		return err
	}
	return console.Call(cmd.Context(), method, path, in, out)
}

// get asks the console for a T.
func get[T any](cmd *cobra.Command, c *consoleClient, path string) (v T, err error) {
	err = call(cmd, c, "GET", path, nil, &v)
	return v, err
}

// pages asks for the pages of a list until there is none, and returns what is on
// all of them, which of finds on one.
func pages[P, T any](cmd *cobra.Command, c *consoleClient, path string, of func(P) (on []T, next string)) ([]T, error) {
	all := []T{}
	for next := ""; ; {
		page, err := get[P](cmd, c, path+"?continue="+url.QueryEscape(next))
		if err != nil {
			return nil, err
		}
		on, following := of(page)
		all = append(all, on...)
		if following == "" {
			return all, nil
		}
		next = following
	}
}

// fileText is a flag that names a file, and keeps the file's text.
type fileText string

// Set implements pflag.Value.
func (f *fileText) Set(path string) error {
	data, err := os.ReadFile(path)
	*f = fileText(data)
	return err
}

// String implements pflag.Value; a text may be a secret, and has no default.
func (*fileText) String() string { return "" }

// Type implements pflag.Value.
func (*fileText) Type() string { return "file" }

// show completes a command that asks for something and prints it: as text, or
// as it is for a program.
func show[T any](a *app, cmd *cobra.Command, ask func(cmd *cobra.Command, args []string) (T, error), text func(io.Writer, T)) *cobra.Command {
	var out output
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		v, err := ask(cmd, args)
		if err != nil {
			return err
		}
		return out.print(a.Out, v, func(w io.Writer) { text(w, v) })
	}
	out.addTo(cmd, "table", "json", "yaml")
	return cmd
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
