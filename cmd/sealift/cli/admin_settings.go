package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/schema"
	"github.com/sealift/sealift/systemconsole/settings"
)

// settingsPart is one part of a console's settings.
type settingsPart struct {
	name string
	keys *schema.Schema // what can be set
}

func settingsParts() []settingsPart {
	return []settingsPart{{"general", schema.Of(settings.General{})}, {"security", schema.Of(auth.Policy{})}, {"mail", schema.Of(systemconsole.MailChange{})},
		{"proxy", schema.Of(settings.Proxy{})}, {"backup", schema.Of(settings.Backup{})}}
}

// settingsPartOf finds a part by its name.
func settingsPartOf(name string) (settingsPart, error) {
	all := settingsParts()
	names := make([]string, len(all))
	for i, p := range all {
		if names[i] = p.name; p.name == name {
			return p, nil
		}
	}
	return settingsPart{}, problem.New(problem.Usage, "", "%q is none of %s", name, strings.Join(names, ", "))
}

func (a *app) settingsShow(c *consoleClient) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "show PART", Short: "Show a part of the settings: general, security, mail, proxy or backup; never their secrets",
		Example: `  sealift admin settings show security`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			part, err := settingsPartOf(args[0])
			if err != nil {
				return err
			}
			current := map[string]any{}
			if err := call(cmd, c, "GET", "settings/"+part.name, nil, &current); err != nil {
				return err
			}
			return out.print(a.Out, current, nil)
		},
	}
	out.addTo(cmd, "yaml", "json")
	return cmd
}

func (a *app) settingsSet(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "set PART KEY=VALUE...", Short: "Change a part of the settings; what is not named stays as it is",
		Long: `Changes a part of the settings: general, security, mail, proxy or backup. KEY is one of those that show prints; a dot leads into
a part of it. VALUE is a text or a number, or @FILE for what a file holds. Secrets are taken from files only.`,
		Example: `  sealift admin settings set security length=16 idleMinutes=30
  sealift admin settings set mail host=mail.north.example port=587 security=starttls from=console@north.example \
      username=console password=@mail.password url=https://console.north.example test=admin@north.example
  sealift admin settings set backup s3.endpoint=https://s3.north.example s3.bucket=backups s3.accessKey=AK s3.secretKey=@s3.key hours=24`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			part, err := settingsPartOf(args[0])
			if err != nil {
				return err
			}
			current := map[string]any{}
			if err := call(cmd, c, "GET", "settings/"+part.name, nil, &current); err != nil {
				return err
			}
			for _, arg := range args[1:] {
				if err := assign(current, part.keys, arg); err != nil {
					return err
				}
			}
			return call(cmd, c, "PUT", "settings/"+part.name, current, nil)
		},
	}
}

// assign sets KEY=VALUE in a document.
func assign(doc map[string]any, keys *schema.Schema, arg string) error {
	key, value, ok := strings.Cut(arg, "=")
	if !ok {
		return problem.New(problem.Usage, "write it as KEY=VALUE", "%.60q", arg)
	}
	path := strings.Split(key, ".")
	for i, name := range path {
		below, known := keys.Properties[name]
		last := i == len(path)-1
		if !known || last == (below.Type == "object") {
			return problem.New(problem.Usage, "see what sealift admin settings show prints", "there is no setting %.60q", key)
		}
		if last {
			v, err := settingValue(below, name, value)
			doc[name] = v
			return err
		}
		next, ok := doc[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			doc[name] = next
		}
		doc, keys = next, below
	}
	return nil
}

// settingValue reads a value as its setting has it.
func settingValue(s *schema.Schema, name, text string) (any, error) {
	file, fromFile := strings.CutPrefix(text, "@")
	if !fromFile && text != "" && slices.Contains([]string{"password", "secretKey"}, name) {
		return nil, problem.New(problem.Usage, "write it into a file and give "+name+"=@FILE", "a secret on the command line is seen by everybody on this host")
	}
	if fromFile {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		text = strings.TrimRight(string(data), "\r\n")
	}
	if s.Type != "integer" {
		return text, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil, problem.New(problem.Usage, "give a whole number", "%s=%.40s", name, text)
	}
	return n, nil
}

func (a *app) certificateShow(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show", Short: "Show the console's certificate",
		Example: `  sealift admin certificate show`,
		Args:    cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) (systemconsole.Certificate, error) {
		return get[systemconsole.Certificate](cmd, c, "settings/certificate")
	}, func(w io.Writer, v systemconsole.Certificate) {
		table(w, [][]string{{"SUBJECT", "FOR", "EXPIRES"}, {v.Subject, strings.Join(v.Hosts, ","), v.Expires.Format("2006-01-02")}})
	})
}

func (a *app) certificateSet(c *consoleClient) *cobra.Command {
	var change systemconsole.CertificateChange
	cmd := &cobra.Command{
		Use: "set --host HOST --cert FILE --key FILE", Short: "Change the console's certificate, checked together with its key and the address",
		Example: `  sealift admin certificate set --host console.north.example --cert tls.crt --key tls.key`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return call(cmd, c, "PUT", "settings/certificate", change, nil)
		},
	}
	cmd.Flags().StringVar(&change.Host, "host", "", "`name` or address that people reach the console at")
	cmd.Flags().Var((*fileText)(&change.Certificate), "cert", "PEM `file` of the certificate, with the authorities between it and the root")
	cmd.Flags().Var((*fileText)(&change.Key), "key", "PEM `file` of its key")
	return cmd
}
