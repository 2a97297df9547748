package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/installer/interview"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

func (a *app) site() *cobra.Command {
	return group("site", "The description of a dark site: write it, check it", a.siteInit(), a.siteValidate(), a.schema("site", "site", site.Schema))
}

func (a *app) siteValidate() *cobra.Command {
	var file string
	var out output
	cmd := &cobra.Command{
		Use: "validate -f site.yaml", SuggestFor: []string{"check", "verify", "lint"},
		Short: "Check a site without asking anything of it",
		Long: `Reads the file and names every problem with its line and field. Files that it names have to be there. -o yaml and -o json print the site with every default filled in.
Whether the site is as the file says is for sealift preflight.`,
		Example: `  sealift site validate -f site.yaml
  sealift site validate -f site.yaml -o yaml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := site.Load(file)
			if err != nil {
				return err
			}
			if err := out.print(a.Out, s, func(w io.Writer) { siteSummary(w, s) }); err != nil {
				return err
			}
			return s.CheckFiles()
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "site.yaml", "the `site`")
	out.addTo(cmd, "table", "json", "yaml")
	return cmd
}

func siteSummary(w io.Writer, s *site.Site) {
	c := s.Spec.Cluster
	addresses := "dhcp"
	if all := s.Spec.Network.Addresses.All(); len(all) > 0 {
		addresses = fmt.Sprintf("%s (%d, needed %d)", s.Spec.Network.Addresses.Range, len(all), c.AddressesNeeded())
	}
	rows := [][]string{
		{"SITE", s.Metadata.Name},
		{"bootstrap", string(s.Spec.Bootstrap)},
		{"registry", s.Spec.Registry.Endpoint},
		{"vcenter", s.Spec.VCenter.Server + " " + s.Spec.VCenter.Datacenter + " " + s.Spec.VCenter.Cluster},
		{"addresses", addresses},
		{"endpoint", s.Spec.Network.ControlPlaneEndpoint},
		{"control plane", sized(c.ControlPlane.Replicas, c.ControlPlane.Size)},
	}
	for _, p := range c.Workers {
		rows = append(rows, []string{"workers " + p.Name, sized(p.Replicas, p.Size)})
	}
	table(w, rows)
}

func sized(n int, s site.Size) string {
	return fmt.Sprintf("%d x %d CPUs, %d GiB, disk %d GiB", n, s.CPUs, s.MemoryGiB, s.DiskGiB)
}

func (a *app) siteInit() *cobra.Command {
	var file string
	var overwrite bool
	cmd := &cobra.Command{
		Use:   "init [-o site.yaml]",
		Short: "Write a site: asked for in a terminal, else an example to fill in",
		Long: `In a terminal, asks for registry, vCenter, placement, addresses and sizes and writes site.yaml. Once it can log in to the vCenter, it
offers what is there: datacenters, clusters, datastores, networks, folders and pools. User names and passwords are used
to look, and are not written. With ACCESSIBLE set, it asks line by line, for screen readers. Without a terminal, it writes an example with
a comment on every field.`,
		Example: `  sealift site init
  sealift site init -o north/site.yaml < /dev/null`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := os.Stat(file); err == nil && !overwrite {
				return problem.New(problem.Usage, "choose another name with -o, or give --overwrite", "%s exists", file)
			}
			if err := checkOutput(file); err != nil { // before anybody answers questions
				return err
			}
			text, err := a.siteText(cmd.Context(), filepath.Dir(file))
			if err != nil {
				return err
			}
			if err := durable.WriteFile(file, text, 0o644); err != nil {
				return fmt.Errorf("writing the site: %w", err)
			}
			a.note("%s is written; next: sealift preflight -f %s", file, file)
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "output", "o", "site.yaml", "the `file` to write")
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "replace a file that exists")
	return cmd
}

// siteText returns what to write: what a person answered, or the example.
func (a *app) siteText(ctx context.Context, dir string) ([]byte, error) {
	login := a.loginOptions(ctx)
	if login.Prompt == nil || !isTerminal(a.Err) {
		return site.Example(), nil
	}
	_, dumb := os.LookupEnv("ACCESSIBLE")
	return interview.Ask(ctx, interview.Options{In: a.In, Out: a.Err, Dir: dir, Login: login, Accessible: dumb})
}
