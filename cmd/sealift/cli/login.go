package cli

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/sealift/sealift/installer/site"
)

// loginOptions lets credentials be asked for where there is a terminal.
func (a *app) loginOptions() site.LoginOptions {
	in, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return site.LoginOptions{}
	}
	lines := bufio.NewReader(in)
	return site.LoginOptions{Prompt: func(what string) (site.Login, error) {
		fmt.Fprintf(a.Err, "user name at %s: ", what)
		name, err := lines.ReadString('\n')
		if err != nil {
			return site.Login{}, fmt.Errorf("reading the user name: %w", err)
		}
		fmt.Fprintf(a.Err, "password: ")
		password, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(a.Err)
		if err != nil {
			return site.Login{}, fmt.Errorf("reading the password: %w", err)
		}
		return site.Login{Username: strings.TrimSpace(name), Password: site.NewSecret(string(password))}, nil
	}}
}
