package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/bundles/resolve"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/internal/problem"
)

type createFlags struct {
	definition, output, lock, key string
	bases, baseKeys               []string
	opts                          bundles.CreateOptions
	registry                      registryFlags
	target                        targetFlags
}

func (a *app) bundleCreate() *cobra.Command {
	var f createFlags
	var out output
	cmd := &cobra.Command{
		Use:   "create -f bundle.yaml -o FILE --key KEY",
		Short: "Make a signed bundle out of a definition",
		Long: `Resolves everything in the definition, looks through its charts, packs and manifests for the images that they need, writes
what it found to the lock file, and streams everything into one signed file. Signatures, attestations and whatever else refers to an image
travel with it. If something needed is not there, nothing is made. A run that was interrupted goes on where it was when the same command
is run again. With the lock file the same bundle comes out again, but for its signature; if something of the lock is gone upstream, the command
says what moved.

What is encrypted (--recipient) or goes to s3:// is written from beginning to end, without a copy in the clear on this disk:
such a run, interrupted, begins again.`,
		Example: `  sealift bundle create -f bundle.yaml -o management-plane.tar --key cosign.key
  sealift bundle create -f bundle.yaml -o plane.tar --key awskms:///alias/release --platform linux/amd64
  sealift bundle create -f bundle.yaml -o delta.tar --key cosign.key --base management-plane.tar --base-key cosign.pub
  sealift bundle create -f bundle.yaml -o plane.tar --key cosign.key --volume-size 4GiB
  sealift bundle create -f bundle.yaml -o s3://bundles/plane.tar.age --key cosign.key --recipient age1...`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runCreate(cmd, &f, &out) },
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.definition, "file", "f", "bundle.yaml", "the `definition`")
	fl.StringVarP(&f.output, "output", "o", "", "the bundle `FILE` to make, or s3://BUCKET/KEY")
	fl.StringVar(&f.key, "key", "", "private `key` to sign with: a file, a KMS or a PKCS#11 URI")
	fl.StringVar(&f.lock, "lock", "", "the lock `file` (default: beside the definition, bundle.lock.yaml of bundle.yaml)")
	fl.BoolVar(&f.opts.UpdateLock, "update-lock", false, "resolve every tag again and write a new lock")
	fl.StringSliceVar(&f.opts.Platforms, "platform", nil, "carry only these `platforms`, such as linux/amd64,linux/arm64 (default: those of the definition, else all)")
	fl.StringArrayVar(&f.bases, "base", nil, "leave out what this older bundle, or this receipt of a registry, has: a `FILE`; may be repeated")
	fl.StringArrayVar(&f.baseKeys, "base-key", nil, "public `key` that a base is signed with; may be repeated")
	fl.BoolVar(&f.opts.SBOM, "sbom", false, "carry a bill of materials of the bundle too: SPDX, CycloneDX, licenses; the disk holds the content twice meanwhile")
	fl.BoolVar(&f.opts.DryRun, "dry-run", false, "resolve and show what the bundle would hold, but fetch and write nothing")
	fl.BoolVar(&f.opts.Overwrite, "overwrite", false, "replace a finished bundle of other content")
	jobsFlag(cmd, &f.opts.Jobs, "`number` of blobs to fetch at once (default 6)")
	out.addNamed(cmd, "result", "table", "json", "yaml")
	f.registry.addTo(cmd)
	f.target.addTo(cmd)
	return cmd
}

func (a *app) runCreate(cmd *cobra.Command, f *createFlags, out *output) error {
	ctx := cmd.Context()
	def, err := f.load()
	if err != nil {
		return err
	}
	if f.opts.Target, err = f.target.options(); err != nil {
		return err
	}
	if f.opts.Bases, err = f.openBases(ctx); err != nil {
		return err
	}
	client, err := f.registry.client("")
	if err != nil {
		return err
	}
	var signer bundles.Signer
	if !f.opts.DryRun {
		if signer, err = a.startSigner(ctx, f.key); err != nil {
			return err
		}
	}
	a.note("resolving %s", asked(def.Spec))
	reporter, wait := a.progress()
	f.opts.Progress = reporter
	created, err := bundles.Create(ctx, def, sources{client}, signer, f.output, f.opts)
	wait()
	if err != nil {
		if created != nil { // the lock may have it already, and the next run would not tell
			for _, m := range created.Moved {
				a.note("%s", movedLine(m))
			}
		}
		return err
	}
	for _, w := range created.Warnings {
		a.note("warning: %s", w)
	}
	return out.print(a.Out, created, func(w io.Writer) { createdTable(w, created, f.lock) })
}

// openBases reads what a delta leaves out.
func (f *createFlags) openBases(ctx context.Context) ([]*bundles.Base, error) {
	opts := bundles.BaseOptions{Location: f.opts.Target.Options}
	for _, ref := range f.baseKeys {
		v, err := sign.NewVerifier(ctx, ref)
		if err != nil {
			return nil, err
		}
		opts.Keys = append(opts.Keys, v)
	}
	var out []*bundles.Base
	for _, path := range f.bases {
		b, err := bundles.OpenBase(ctx, path, opts)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// asked says what a definition lists.
func asked(s definition.Spec) string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{len(s.Images), "image"}, {len(s.Charts), "chart"}, {len(s.Packs), "pack"}, {len(s.Manifests), "manifest set"}, {len(s.Files), "file"}} {
		if p.n > 0 {
			parts = append(parts, plural(p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

// contents says what a bundle carries.
func contents(counts []bundles.Count) string {
	var parts []string
	for _, c := range counts {
		what := c.Kind
		if what == archive.RootManifests || what == archive.RootValues { // several files each
			what = strings.TrimSuffix(what, "s") + " set"
		}
		parts = append(parts, plural(c.Count, what))
	}
	return strings.Join(parts, ", ")
}

// load checks the flags and reads the definition and its lock.
func (f *createFlags) load() (*definition.Bundle, error) {
	const see = "see sealift bundle create --help"
	if f.output == "" {
		return nil, problem.New(problem.Usage, see, "--output (-o) is required")
	}
	if f.key == "" && !f.opts.DryRun {
		return nil, problem.New(problem.Usage, "make one with sealift key generate; "+see, "--key is required")
	}
	def, err := definition.Load(f.definition)
	if err != nil {
		return nil, err
	}
	if err := f.checkOutput(def); err != nil {
		return nil, err
	}
	if f.lock == "" {
		f.lock = definition.LockName(f.definition)
	}
	f.opts.SaveLock = func(l *definition.Lock) error { return l.Save(f.lock) }
	f.opts.Lock, err = definition.LoadLock(f.lock)
	return def, err
}

// checkOutput refuses an output that the bundle is made of.
func (f *createFlags) checkOutput(def *definition.Bundle) error {
	if location.IsRemote(f.output) {
		return nil
	}
	inputs := append([]string{f.definition, f.key}, f.bases...)
	for _, file := range def.Spec.Files {
		inputs = append(inputs, def.Path(file.Path))
	}
	return checkOutput(f.output, inputs...)
}

func movedLine(m resolve.Moved) string {
	return fmt.Sprintf("moved: %s was %s, is %s", m.Reference, m.Old, m.New)
}

func createdTable(w io.Writer, c *bundles.Created, lock string) {
	for _, m := range c.Moved {
		fmt.Fprintln(w, movedLine(m))
	}
	what := fmt.Sprintf("%s %s, %s, %s, %s", c.Name, c.Version, contents(c.Contents), plural(c.Blobs, "blob"), size(c.Size))
	switch {
	case c.DryRun:
		contentsTable(w, c.Plan)
		fmt.Fprintf(w, "would make %s: %s\n", c.File, what)
	case c.Unchanged:
		fmt.Fprintf(w, "%s is complete already: %s\n", c.File, what)
	default:
		fmt.Fprintf(w, "%s: %s\n", c.File, what)
		if c.Resumed > 0 {
			fmt.Fprintf(w, "  of it %s were left by an interrupted run\n", size(c.Resumed))
		}
	}
	if c.FromBase > 0 {
		fmt.Fprintf(w, "  delta: %s are left to its base\n", size(c.FromBase))
	}
	fmt.Fprintf(w, "  statement %s\n", c.Statement)
	if !c.DryRun {
		fmt.Fprintf(w, "  lock      %s\n", lock)
	}
}
