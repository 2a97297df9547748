package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
)

type pruneFlags struct {
	trust     trust
	out       output
	registry  registryFlags
	prefixes  []string
	keep      []string
	all, yes  bool
	opts      mirror.PruneOptions
	drop      []*archive.Reader
	keepers   []*archive.Reader
	client    *registry.Client
	host      string
	placement *mirror.Mapping
}

func (a *app) mirrorPrune() *cobra.Command {
	var f pruneFlags
	cmd := &cobra.Command{
		Use: "prune OLD... REGISTRY[/PREFIX] --keep FILE --key PUB", SuggestFor: []string{"delete", "remove", "clean", "gc"},
		Short: "Remove from a registry what old bundles brought and no other needs",
		Long: `Removes the images, charts and files of the OLD bundles that no bundle of --keep has, with their tags, signatures and the
like, and asks before. Give --prefix as mirror push got it. Name every bundle that is in use with --keep: the one that the
cluster runs, the one that it is to be upgraded to, and what else the registry serves.

Before anything is removed, the registry must hold the whole of each bundle of --keep, and after it again. What somebody
else has tagged stays, with all that it needs. A bundle whose file is gone is named pushed:NAME-VERSION, if it is one that
clusters are installed from: the registry has its head.

The space is free when the registry has collected its garbage: sealift registry gc for that of sealift registry serve,
"registry garbage-collect" for distribution's, Clean Up in Harbor.`,
		Example: `  sealift mirror prune plane-1.0.tar registry.site:5000 --keep plane-1.1.tar --key cosign.pub --dry-run
  sealift mirror prune pushed:enterprise-1.0.0 harbor.site/mirror --keep pushed:enterprise-1.1.0 --key cosign.pub
  sealift mirror prune trial.tar registry.site:5000 --all --key cosign.pub --yes`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runPrune(cmd.Context(), args, &f) },
	}
	f.registry.addTo(cmd)
	f.trust.addKey(cmd)
	f.out.addTo(cmd, "table", "json", "yaml")
	fl := cmd.Flags()
	fl.StringArrayVar(&f.keep, "keep", nil, "`bundle` of which everything stays: a file or another address, or pushed:NAME-VERSION; may be repeated")
	fl.BoolVar(&f.all, "all", false, "remove all of the OLD bundles: no other bundle is in use")
	fl.StringArrayVar(&f.prefixes, "prefix", nil, "as mirror push got it: `SOURCE=TARGET`, such as quay.io=quay; may be repeated")
	fl.BoolVar(&f.opts.DryRun, "dry-run", false, "only show what would be removed")
	fl.BoolVar(&f.yes, "yes", false, "do not ask")
	jobsFlag(cmd, &f.opts.Jobs, "`number` of repositories to look at at once (default 8)")
	return cmd
}

func (a *app) runPrune(ctx context.Context, args []string, f *pruneFlags) error {
	if (len(f.keep) == 0) != f.all {
		return problem.New(problem.Usage, "name the bundles that are in use with --keep; give --all instead when none is", "either --keep or --all is required")
	}
	closeAll, err := f.open(ctx, args[:len(args)-1], args[len(args)-1])
	if err != nil {
		return err
	}
	defer closeAll()
	if !f.opts.DryRun && !f.yes {
		if done, err := a.askToPrune(ctx, *f); err != nil || done {
			return err
		}
	}
	result, err := a.prune(ctx, f)
	if err != nil {
		return err
	}
	return f.out.print(a.Out, result, func(w io.Writer) { pruneTable(w, result) })
}

// askToPrune shows what would be removed and asks for the name of the registry.
// done means that there is nothing to ask about.
func (a *app) askToPrune(ctx context.Context, f pruneFlags) (done bool, err error) {
	f.opts.DryRun = true
	plan, err := a.prune(ctx, &f)
	if err != nil {
		return false, err
	}
	if !plan.Removes() {
		return true, f.out.print(a.Out, plan, func(w io.Writer) { pruneTable(w, plan) })
	}
	pruneTable(a.Err, plan)
	return false, a.confirm(ctx, f.host, "remove these")
}

func (a *app) prune(ctx context.Context, f *pruneFlags) (*mirror.PruneResult, error) {
	reporter, wait := a.progress()
	defer wait()
	f.opts.Progress = reporter
	return mirror.Prune(ctx, f.drop, f.keepers, f.client, f.host, f.placement, f.opts)
}

// open opens the bundles of both sides.
func (f *pruneFlags) open(ctx context.Context, old []string, target string) (closeAll func(), err error) {
	host, base, err := splitTarget(target)
	if err != nil {
		return nil, err
	}
	f.host = host
	if f.placement, err = mirror.ParseMapping(base, f.prefixes); err != nil {
		return nil, err
	}
	open, err := f.trust.open(ctx)
	if err != nil {
		return nil, err
	}
	if f.client, err = f.registry.client(host); err != nil {
		return nil, err
	}
	drop, closeDrop, err := f.openEach(ctx, old, open)
	if err != nil {
		return nil, err
	}
	keepers, closeKeepers, err := f.openEach(ctx, f.keep, open)
	if err != nil {
		closeDrop()
		return nil, err
	}
	f.drop, f.keepers = drop, keepers
	closeAll = func() { closeDrop(); closeKeepers() }
	for i, o := range drop {
		for j, k := range keepers {
			if o.StatementDigest() == k.StatementDigest() {
				closeAll()
				return nil, problem.New(problem.Usage, "leave it out of one of the two", "%s and --keep %s are the same bundle", old[i], f.keep[j])
			}
		}
	}
	return closeAll, nil
}

// pushedPrefix names a bundle of which the registry has the head.
const pushedPrefix = "pushed:"

func (f *pruneFlags) openEach(ctx context.Context, names []string, open bundles.OpenOptions) (readers []*archive.Reader, closeAll func(), err error) {
	closeAll = func() {
		for _, r := range readers {
			_ = r.Close() // opened for reading
		}
	}
	for _, name := range names {
		var r *archive.Reader
		if tag, ok := strings.CutPrefix(name, pushedPrefix); ok {
			r, err = mirror.OpenPushed(ctx, f.client, f.host, f.placement, tag, open.Verifier)
		} else {
			r, err = bundles.Open(ctx, name, open)
		}
		if err != nil {
			closeAll()
			return nil, nil, f.named(ctx, err)
		}
		readers = append(readers, r)
	}
	return readers, closeAll, nil
}

// named adds the bundles that there are, where one is not.
func (f *pruneFlags) named(ctx context.Context, err error) error {
	if !errors.Is(err, mirror.ErrNoHead) {
		return err
	}
	there, listErr := mirror.Pushed(ctx, f.client, f.host, f.placement)
	if listErr != nil || len(there) == 0 {
		return err
	}
	var names []string
	for _, b := range there {
		names = append(names, pushedPrefix+b.Tag)
	}
	return problem.WithRemedy(err, "name one that is there: "+strings.Join(names, ", "))
}

func pruneTable(w io.Writer, r *mirror.PruneResult) {
	removed := "removed"
	if r.DryRun {
		removed = "would be removed"
	}
	rows, belonging := [][]string{{"KIND", "REFERENCE", "DIGEST", "STATE"}}, 0
	for _, img := range r.Images {
		state := map[string]string{mirror.PruneRemoved: removed, mirror.PruneAbsent: "is not there", mirror.PruneStays: "stays"}[img.State]
		if img.Why != "" {
			state += ": " + img.Why
		}
		if img.State != mirror.PruneStays && (img.Kind == archive.RootReferrer || img.Kind == archive.RootValues) {
			belonging++
			continue
		}
		rows = append(rows, []string{img.Kind, img.Target, shortName(img.Digest), state})
	}
	if len(rows) > 1 {
		table(w, rows)
	}
	if belonging > 0 {
		fmt.Fprintf(w, "with them: %s, signatures, attestations, values and the like (-o json lists them)\n", plural(belonging, "artifact"))
	}
	if r.Removes() {
		fmt.Fprintf(w, "\n%s %s: at most %s for the registry's garbage collection to free\n", plural(r.Manifests, "manifest"), removed, size(r.Bytes))
	} else {
		fmt.Fprintln(w, "\nnothing is left to remove")
	}
	if r.Shared > 0 {
		fmt.Fprintf(w, "%s of the same content in use by what --keep names: left\n", plural(r.Shared, "image"))
	}
}
