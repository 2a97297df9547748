package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/support"
	"github.com/sealift/sealift/internal/problem"
)

type supportFlags struct {
	site    siteFlags
	file    string
	maxSize byteSize
	out     output
}

func (a *app) supportBundle() *cobra.Command {
	var f supportFlags
	cmd := &cobra.Command{
		Use:   "support-bundle -f site.yaml -o FILE.tar.gz",
		Short: "Collect what somebody needs who shall help, without any secret",
		Long: `Collects status, preflight, objects, events and logs of the cluster and of the control plane on this host, and what vCenter says of the
machines, in one file. Secrets' contents, passwords of the site, tokens, kubeconfigs and private keys are taken out of every text.

It works with half of the site down: what could not be had stands in missing.txt.`,
		Example: `  sealift support-bundle -f site.yaml -o support.tar.gz`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runSupportBundle(cmd.Context(), &f) },
	}
	f.site.addTo(cmd)
	fl := cmd.Flags()
	fl.StringVarP(&f.file, "output", "o", "", "the `FILE` to write")
	fl.Var(&f.maxSize, "max-size", "`size` that the file may have, such as 50MiB (default 200MiB)")
	f.out.addNamed(cmd, "format", "table", "json", "yaml")
	return cmd
}

func (a *app) runSupportBundle(ctx context.Context, f *supportFlags) (err error) {
	if f.file == "" {
		return problem.New(problem.Usage, "add -o FILE.tar.gz", "no file to write is given")
	}
	s, err := f.site.load()
	if err != nil {
		return err
	}
	p := a.reach(ctx, s)
	defer func() { err = errors.Join(err, p.close(ctx)) }()
	reporter, wait := a.progress()
	sum, err := support.Collect(ctx, f.file, support.Options{Site: s, Dir: f.site.dir, Registry: p.registry, RegistryErr: p.registryErr,
		VCenter: p.vcenter, VCenterErr: p.vcenterErr, Logins: []site.Login{p.vcenterLog, p.registryLogin}, MaxSize: int64(f.maxSize), Progress: reporter})
	wait()
	if err != nil {
		return err
	}
	return f.out.print(a.Out, sum, func(w io.Writer) {
		fmt.Fprintf(w, "%s (%s): %s are whole\n", sum.File, humanize.IBytes(uint64(sum.Bytes)), plural(len(sum.Parts), "part"))
		for _, text := range sum.Missing {
			table(w, [][]string{{"missing: " + text}})
		}
	})
}
