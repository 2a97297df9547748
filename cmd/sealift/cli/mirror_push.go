package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
)

// registryFlags say how registries are reached.
type registryFlags struct {
	opts registry.Options
}

func (f *registryFlags) addTo(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringSliceVar(&f.opts.PlainHTTP, "plain-http", nil, "`HOST[:PORT]` of a registry that has no TLS; may be repeated")
	fl.StringVar(&f.opts.CAFile, "registry-ca", "", "PEM `file` of an authority to trust besides the system's")
	fl.StringVar(&f.opts.CertFile, "registry-cert", "", "PEM `file` of a client certificate")
	fl.StringVar(&f.opts.KeyFile, "registry-key", "", "PEM `file` of the client certificate's key")
	fl.StringSliceVar(&f.opts.TokenServers, "token-server", nil, "`HOST` in a private network that a registry may send credentials to for a token")
}

// client makes the client; host is the registry that the command names, if any.
func (f *registryFlags) client(host string) (*registry.Client, error) {
	opts := f.opts
	opts.Host = host
	if host != "" {
		opts.Username, opts.Password = os.Getenv("SEALIFT_REGISTRY_USERNAME"), os.Getenv("SEALIFT_REGISTRY_PASSWORD")
	}
	if (opts.Username == "") != (opts.Password == "") {
		return nil, problem.New(problem.Usage, "set both, or neither", "only one of SEALIFT_REGISTRY_USERNAME and SEALIFT_REGISTRY_PASSWORD is set")
	}
	return registry.NewClient(opts)
}

// sources gives a definition's resolver the repositories of a client.
type sources struct{ client *registry.Client }

// Repository implements resolve.Upstream.
func (s sources) Repository(_ context.Context, name string) (content.Source, error) {
	return s.client.Repository(name)
}

// Download implements charts.Downloader.
func (s sources) Download(ctx context.Context, url string, limit int64) ([]byte, error) {
	return s.client.Download(ctx, url, limit)
}

// openAll opens bundles; close ends them all.
func openAll(ctx context.Context, paths []string, open bundles.OpenOptions) (readers []*archive.Reader, closeAll func(), err error) {
	closeAll = func() {
		for _, r := range readers {
			_ = r.Close() // opened for reading
		}
	}
	for _, path := range paths {
		r, err := bundles.Open(ctx, path, open)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		readers = append(readers, r)
	}
	return readers, closeAll, nil
}

type pushFlags struct {
	trust                      trust
	out                        output
	registry                   registryFlags
	prefixes                   []string
	shard, receipt, receiptKey string
	opts                       mirror.PushOptions
}

func (a *app) mirrorPush() *cobra.Command {
	var f pushFlags
	cmd := &cobra.Command{
		Use:   "push FILE... REGISTRY[/PREFIX] --key PUB",
		Short: "Fill a registry from bundles",
		Long: `Checks the signature of each bundle, then sends what the registry lacks straight from the file: blobs are mounted from
a repository that has them or sent once, then manifests, then tags. Nothing that is there is sent again, so that an
interrupted push is simply repeated.

docker.io/library/nginx:1.27 becomes REGISTRY/PREFIX/library/nginx:1.27: the host of the source is left out. Give
--prefix to put a source elsewhere. A tag that has other content is set to that of the bundle, also to an older one; the
result says so, and --dry-run before.

Before a delta is pushed, all that it leaves out must be in the registry, or in a base named beside it. What is missing
is listed, and nothing is pushed.

--receipt writes a signed statement of what the registry holds now, for bundle create --base on the other side.

--shard I/N divides the blobs among N runs of this command, on as many machines as you like; N/N waits for the others'
blobs and sends manifests and tags. job/N takes the place of this pod in an Indexed Job of Kubernetes for I.`,
		Example: `  sealift mirror push management-plane.tar registry.site:5000 --key cosign.pub
  sealift mirror push plane.tar harbor.site/mirror --key cosign.pub --prefix quay.io=quay --registry-ca ca.crt
  sealift mirror push delta.tar base.tar registry.site:5000 --key cosign.pub --receipt receipt.json --receipt-key site.key`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runPush(cmd.Context(), args, &f) },
	}
	f.registry.addTo(cmd)
	f.trust.addTo(cmd)
	f.out.addTo(cmd, "table", "json", "yaml")
	fl := cmd.Flags()
	fl.StringArrayVar(&f.prefixes, "prefix", nil, "put images of a source elsewhere: `SOURCE=TARGET`, such as quay.io=quay; may be repeated")
	fl.BoolVar(&f.opts.DryRun, "dry-run", false, "only show what would be sent")
	jobsFlag(cmd, &f.opts.Jobs, "`number` of blobs to send at once (default 8)")
	fl.StringVar(&f.shard, "shard", "", "send only part `I/N` of the blobs, such as 2/4, or job/4 in an Indexed Job")
	fl.DurationVar(&f.opts.ShardTimeout, "shard-timeout", 0, "`how long` the last shard waits without a blob of the others arriving (default 2h)")
	fl.StringVar(&f.receipt, "receipt", "", "write what the registry holds then to `FILE`, its signature to FILE.sig")
	fl.StringVar(&f.receiptKey, "receipt-key", "", "the site's own private `key` to sign the receipt with: a file, a KMS or a PKCS#11 URI")
	return cmd
}

func (a *app) runPush(ctx context.Context, args []string, f *pushFlags) error {
	host, m, err := f.check(args[len(args)-1])
	if err != nil {
		return err
	}
	open, err := f.trust.open(ctx)
	if err != nil {
		return err
	}
	readers, closeAll, err := openAll(ctx, args[:len(args)-1], open)
	if err != nil {
		return err
	}
	defer closeAll()
	a.warnUnused(m, readers)
	client, err := f.registry.client(host)
	if err != nil {
		return err
	}
	signer, err := a.receiptSigner(ctx, f, args[:len(args)-1])
	if err != nil {
		return err
	}
	reporter, wait := a.progress()
	f.opts.Progress = reporter
	result, err := mirror.Push(ctx, readers, client, host, m, f.opts)
	wait()
	if err != nil {
		return err
	}
	if err := f.keepHeads(ctx, readers, client, host, m); err != nil {
		return err
	}
	if err := a.saveReceipt(ctx, f, result, signer); err != nil {
		return err
	}
	return f.out.print(a.Out, result, func(w io.Writer) { pushTable(w, result) })
}

// warnUnused names what --prefix has for sources that no bundle has anything of:
// most often a source is misspelled, and its images would go elsewhere.
func (a *app) warnUnused(m *mirror.Mapping, readers []*archive.Reader) {
	var references []string
	for _, r := range readers {
		for _, root := range r.Statement().Roots {
			references = append(references, root.Reference)
		}
	}
	for _, rule := range m.Unused(references) {
		a.note("warning: nothing that is carried comes from %s: --prefix %s=%s changes nothing", rule.Source, rule.Source, rule.Target)
	}
}

// keepHeads leaves the heads of enterprise bundles beside their content, once
// that is complete: the console upgrades from there.
func (f *pushFlags) keepHeads(ctx context.Context, readers []*archive.Reader, client *registry.Client, host string, m *mirror.Mapping) error {
	if f.opts.DryRun || !f.opts.Shard.Last() {
		return nil
	}
	for _, r := range readers {
		if !mirror.CarriesRelease(r) {
			continue
		}
		if err := mirror.KeepHead(ctx, r, client, host, m); err != nil {
			return err
		}
	}
	return nil
}

// check checks the flags and the target before anything is opened.
func (f *pushFlags) check(target string) (host string, m *mirror.Mapping, err error) {
	if (f.receipt == "") != (f.receiptKey == "") {
		return "", nil, problem.New(problem.Usage, "give both; sealift key generate makes a key for this site", "--receipt needs --receipt-key, and the reverse")
	}
	if f.receipt != "" && f.opts.DryRun {
		return "", nil, problem.New(problem.Usage, "leave out one of them", "--receipt says what was pushed, and --dry-run pushes nothing")
	}
	if f.shard != "" {
		if f.opts.Shard, err = parseShard(f.shard); err != nil {
			return "", nil, err
		}
	}
	host, base, err := splitTarget(target)
	if err != nil {
		return "", nil, err
	}
	m, err = mirror.ParseMapping(base, f.prefixes)
	return host, m, err
}

// jobIndex is what Kubernetes tells a pod of an Indexed Job: its place, from 0 on.
const jobIndex = "JOB_COMPLETION_INDEX"

// parseShard reads I/N or job/N.
func parseShard(text string) (mirror.Shard, error) {
	of, ok := strings.CutPrefix(text, "job/")
	if !ok {
		return mirror.ParseShard(text)
	}
	i, err := strconv.Atoi(os.Getenv(jobIndex))
	if err != nil {
		return mirror.Shard{}, problem.New(problem.Usage, "give --shard I/N outside of an Indexed Job of Kubernetes", "--shard %s: %s is %q and not the place of a pod", text, jobIndex, os.Getenv(jobIndex))
	}
	return mirror.ParseShard(fmt.Sprintf("%d/%s", i+1, of))
}

// receiptSigner opens the key of the receipt of these bundles, if there is to be
// one. A key that does not open, or a file that cannot be written, shows before
// anything is sent.
func (a *app) receiptSigner(ctx context.Context, f *pushFlags, of []string) (bundles.Signer, error) {
	if f.receipt == "" || !f.opts.Shard.Last() {
		return nil, nil // no receipt is to be written
	}
	inputs := append([]string{f.receiptKey}, of...)
	for _, file := range []string{f.receipt, f.receipt + ".sig"} {
		if err := checkOutput(file, inputs...); err != nil {
			return nil, fmt.Errorf("the receipt: %w", err)
		}
	}
	signer, err := a.startSigner(ctx, f.receiptKey)
	if process, ok := signer.(*signerProcess); ok && err == nil {
		err = process.open(ctx)
	}
	return signer, err
}

func (a *app) saveReceipt(ctx context.Context, f *pushFlags, result *mirror.PushResult, signer bundles.Signer) error {
	if f.receipt == "" {
		return nil
	}
	r := result.Receipt(time.Now())
	if r == nil {
		a.note("no receipt from shard %s: the last one writes it", result.Shard)
		return nil
	}
	if err := r.Save(ctx, f.receipt, signer); err != nil {
		return problem.WithRemedy(fmt.Errorf("everything was pushed, but not the receipt written: %w", err), "then run the same command again: it only looks, and writes the receipt")
	}
	a.note("receipt: %s and %s.sig", f.receipt, f.receipt)
	return nil
}

// splitTarget divides HOST[:PORT][/PREFIX].
func splitTarget(target string) (host, base string, err error) {
	if strings.Contains(target, "://") {
		return "", "", problem.New(problem.Usage, "leave out the scheme: registry.site:5000; without TLS add --plain-http registry.site:5000", "the registry %q is a URL", target)
	}
	host, base, _ = strings.Cut(target, "/")
	if host == "" {
		return "", "", problem.New(problem.Usage, "write it as HOST[:PORT][/PREFIX]", "%q names no registry", target)
	}
	if named, err := reference.ParseNormalizedNamed(host + "/any"); err != nil || reference.Domain(named) != host {
		return "", "", problem.New(problem.Usage, "write it as HOST[:PORT][/PREFIX], such as registry.site:5000/mirror", "%q is not the name of a registry", host)
	}
	return host, strings.Trim(base, "/"), nil
}

func pushTable(w io.Writer, r *mirror.PushResult) {
	sent, there, other := "sent", "was there", "had other content before"
	if r.DryRun {
		sent, other = "would be sent", "with other content now"
	}
	if len(r.Images) == 0 { // a shard that was not the last
		pushTotals(w, r, sent)
		return
	}
	rows, belonging, moved := [][]string{{"KIND", "REFERENCE", "DIGEST", "STATE"}}, 0, 0
	for _, img := range r.Images {
		if img.Kind == archive.RootReferrer || img.Kind == archive.RootValues {
			belonging++
			continue
		}
		state := there
		if img.Sent {
			state = sent
		}
		if img.Previous != "" {
			moved++
			state += ", instead of " + shortName(img.Previous)
		}
		rows = append(rows, []string{img.Kind, img.Target, shortName(img.Digest), state})
	}
	table(w, rows)
	if belonging > 0 {
		fmt.Fprintf(w, "with them: %s, signatures, attestations, values and the like (-o json lists them)\n", plural(belonging, "artifact"))
	}
	if moved > 0 {
		fmt.Fprintf(w, "%s %s\n", plural(moved, "tag"), other)
	}
	fmt.Fprintln(w)
	pushTotals(w, r, sent)
}

func pushTotals(w io.Writer, r *mirror.PushResult, sent string) {
	if r.Shard != "" {
		fmt.Fprintf(w, "shard %s: ", r.Shard)
	}
	fmt.Fprintf(w, "blobs: %d %s (%s), %d mounted, %d there already; manifests: %d %s, %d there already\n",
		r.Blobs.Sent, sent, size(r.Bytes), r.Blobs.Mounted, r.Blobs.There, r.Manifests.Sent, sent, r.Manifests.There)
}
