package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/client"
	"github.com/sealift/sealift/systemconsole/registries"
)

func (a *app) adminRegistry(c *consoleClient) *cobra.Command {
	return group("registry", "The registries of a console, and bundles on their way there",
		a.registryList(c), a.registryAdd(c), a.registryAddSite(c), a.registryRemove(c), a.registryUpload(c), a.registryUploads(c), a.registryRemoveUpload(c))
}

func (a *app) registryList(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the registries, and whether they answered",
		Example: `  sealift admin registry list`,
		Args:    cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) ([]systemconsole.Registry, error) {
		list, err := get[systemconsole.RegistryList](cmd, c, "registries")
		return list.Registries, err
	}, registryTable)
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

func (a *app) registryAdd(c *consoleClient) *cobra.Command {
	var d registries.Draft
	cmd := &cobra.Command{
		Use: "add NAME --endpoint HOST[:PORT]", Short: "Add a registry, and ask it whether it answers",
		Example: `  sealift admin registry add site --endpoint registry.site:5000 --ca ca.crt --key cosign.pub`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d.Name = args[0]
			d.Password = strings.TrimRight(d.Password, "\r\n")
			return a.addRegistry(cmd, c, "registries", d)
		},
	}
	fl := cmd.Flags()
	fl.StringVar((*string)(&d.Type), "type", string(registries.OCI), "what it holds: oci, helm or packs")
	fl.StringVar(&d.Endpoint, "endpoint", "", "`HOST[:PORT]`, or the https:// address of a repository of charts")
	fl.StringVar(&d.Prefix, "prefix", "", "`path` below which the console works")
	fl.StringVar(&d.Username, "username", "", "`name` to log in with")
	fl.Var((*fileText)(&d.Password), "password-file", "`file` with the password")
	fl.Var((*fileText)(&d.CA), "ca", "PEM `file` of the registry's authority")
	fl.Var((*fileText)(&d.Key), "key", "PEM `file` of the key that bundles for it are signed with")
	complete(cmd, "type", string(registries.OCI), string(registries.Helm), string(registries.Packs))
	return cmd
}

func (a *app) registryAddSite(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "add-site", Short: "Add the registry that the cluster was installed from, with the installation's login, as site",
		Example: `  sealift admin registry add-site`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.addRegistry(cmd, c, "site-registry", nil) },
	}
}

// addRegistry asks for a registry, and tells when it does not answer.
func (a *app) addRegistry(cmd *cobra.Command, c *consoleClient, path string, in any) error {
	var r systemconsole.Registry
	err := call(cmd, c, "POST", path, in, &r)
	if err == nil && r.Failure != "" {
		a.note("it is kept, and does not answer: %s", r.Failure)
	}
	return err
}

func (a *app) registryRemove(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "Forget a registry; what it holds stays there",
		Example: `  sealift admin registry remove site`,
		Args:    cobra.ExactArgs(1),
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
			state, err := a.upload(cmd, c, args[0], args[1])
			if err != nil {
				return err
			}
			return out.print(a.Out, state, func(w io.Writer) {
				fmt.Fprintf(w, "%s %s: %d images in registry %s, %d of them new; %s sent\n", state.Bundle, state.Version, state.Images, state.Registry, state.New, size(state.Sent))
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
	cmd := &cobra.Command{
		Use: "uploads", Short: "List the bundles that were uploaded and still take room",
		Example: `  sealift admin registry uploads`,
		Args:    cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) ([]registries.Upload, error) {
		list, err := get[systemconsole.UploadList](cmd, c, "uploads")
		return list.Uploads, err
	}, uploadTable)
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
		Use: "remove-upload ID...", Short: "Remove uploads that nobody needs",
		Example: `  sealift admin registry remove-upload ID`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var failures []error
			for _, id := range args {
				failures = append(failures, call(cmd, c, "DELETE", "uploads/"+url.PathEscape(id), nil, nil))
			}
			return errors.Join(failures...)
		},
	}
}
