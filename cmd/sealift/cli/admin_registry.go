package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/client"
	"github.com/sealift/sealift/systemconsole/registries"
)

func (a *app) adminRegistry(c *consoleClient) *cobra.Command {
	return group("registry", "The registries of a console, and bundles on their way there",
		a.registryList(c), a.registryAdd(c), a.registryRemove(c), a.registryUpload(c), a.registryUploads(c), a.registryRemoveUpload(c))
}

func (a *app) registryList(c *consoleClient) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "list", Short: "List the registries, and whether they answered", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			var list systemconsole.RegistryList
			if err := call(cmd, c, "GET", "registries", nil, &list); err != nil {
				return err
			}
			return out.print(a.Out, list.Registries, func(w io.Writer) { registryTable(w, list.Registries) })
		},
	}
	out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

func registryTable(w io.Writer, all []systemconsole.Registry) {
	rows := [][]string{{"NAME", "TYPE", "ADDRESS", "LAST BUNDLE", "STATE"}}
	for _, r := range all {
		last := "none"
		if r.Last != nil {
			last = r.Last.Bundle + " " + r.Last.Version
		}
		rows = append(rows, []string{r.Name, string(r.Type), strings.TrimSuffix(r.Endpoint+"/"+r.Prefix, "/"), last, cmp.Or(r.Failure, r.Found)})
	}
	table(w, rows)
}

// registryFiles are the texts of a registry that come from files.
type registryFiles struct{ password, ca, key string }

func (f registryFiles) read(d *registries.Draft) error {
	for path, to := range map[*string]*string{&f.password: &d.Password, &f.ca: &d.CA, &f.key: &d.Key} {
		if *path == "" {
			continue
		}
		data, err := os.ReadFile(*path)
		if err != nil {
			return fmt.Errorf("reading what belongs to the registry: %w", err)
		}
		*to = string(data)
	}
	d.Password = strings.TrimRight(d.Password, "\r\n")
	return nil
}

func (a *app) registryAdd(c *consoleClient) *cobra.Command {
	var d registries.Draft
	var files registryFiles
	cmd := &cobra.Command{
		Use: "add NAME --endpoint HOST[:PORT]", Short: "Add a registry, and ask it whether it answers",
		Example: `  sealift admin registry add site --endpoint registry.site:5000 --ca ca.crt --key cosign.pub`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.Name = args[0]
			if err := files.read(&d); err != nil {
				return err
			}
			var r systemconsole.Registry
			if err := call(cmd, c, "POST", "registries", d, &r); err != nil {
				return err
			}
			if r.Failure != "" {
				a.note("it is kept, and does not answer: %s", r.Failure)
			}
			return nil
		},
	}
	fl := cmd.Flags()
	fl.StringVar((*string)(&d.Type), "type", string(registries.OCI), "what it holds: oci, helm or packs")
	fl.StringVar(&d.Endpoint, "endpoint", "", "`HOST[:PORT]`, or the https:// address of a repository of charts")
	fl.StringVar(&d.Prefix, "prefix", "", "`path` below which the console works")
	fl.StringVar(&d.Username, "username", "", "`name` to log in with")
	fl.StringVar(&files.password, "password-file", "", "`file` with the password")
	fl.StringVar(&files.ca, "ca", "", "PEM `file` of the registry's authority")
	fl.StringVar(&files.key, "key", "", "PEM `file` of the key that bundles for it are signed with")
	complete(cmd, "type", string(registries.OCI), string(registries.Helm), string(registries.Packs))
	return cmd
}

func (a *app) registryRemove(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Forget a registry; what it holds stays there", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, c, "DELETE", "registries/"+url.PathEscape(args[0]), nil, nil)
		},
	}
}

func (a *app) registryUpload(c *consoleClient) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "upload FILE REGISTRY", Short: "Send a bundle to the console, which verifies it and pushes it into one of its registries",
		Long: `Sends the file in chunks. A run that was cut off is repeated, and goes on where it stopped. Then the console checks every byte
and the signature against the key of the registry before anything is pushed; a bundle that is damaged or signed with another key is
refused with exit code 3 and removed there.

Where the registry can be reached from here, sealift mirror push does the same without the way through the console.`,
		Example: `  sealift admin registry upload platform.tar site`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			state, err := a.upload(cmd, c, args[0], args[1])
			if err != nil {
				return err
			}
			return out.print(a.Out, state, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s: %d images in registry %s, %s sent\n", state.Bundle, state.Version, state.Images, state.Registry, size(state.Sent))
			})
		},
	}
	out.addTo(cmd, "text", "json", "yaml")
	return cmd
}

// upload sends a file and follows its way into a registry.
func (a *app) upload(cmd *cobra.Command, c *consoleClient, file, registry string) (registries.JobState, error) {
	console, err := c.open()
	if err != nil {
		return registries.JobState{}, err
	}
	if err := console.CheckRegistry(cmd.Context(), registry); err != nil {
		return registries.JobState{}, err
	}
	reporter, wait := a.progress()
	defer wait()
	id, err := console.Upload(cmd.Context(), file, client.UploadOptions{Progress: reporter})
	if err != nil {
		return registries.JobState{}, err
	}
	return console.Push(cmd.Context(), id, registry, reporter)
}

func (a *app) registryUploads(c *consoleClient) *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "uploads", Short: "List the bundles that were uploaded and still take room", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := out.check(); err != nil {
				return err
			}
			var list systemconsole.UploadList
			if err := call(cmd, c, "GET", "uploads", nil, &list); err != nil {
				return err
			}
			return out.print(a.Out, list.Uploads, func(w io.Writer) { uploadTable(w, list.Uploads) })
		},
	}
	out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

func uploadTable(w io.Writer, all []registries.Upload) {
	rows := [][]string{{"ID", "FILE", "RECEIVED", "SIZE", "STATE"}}
	for _, u := range all {
		rows = append(rows, []string{u.ID, u.Name, size(u.Received), size(u.Size), uploadState(u)})
	}
	table(w, rows)
}

func uploadState(u registries.Upload) string {
	switch {
	case u.Job != nil && u.Job.Finished:
		return cmp.Or(u.Job.Failure, "pushed")
	case u.Job != nil:
		return u.Job.Phase
	case u.Received < u.Size:
		return "not complete"
	default:
		return "complete"
	}
}

func (a *app) registryRemoveUpload(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "remove-upload ID...", Short: "Remove uploads that nobody needs", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var failures []error
			for _, id := range args {
				failures = append(failures, call(cmd, c, "DELETE", "uploads/"+url.PathEscape(id), nil, nil))
			}
			return errors.Join(failures...)
		},
	}
}
