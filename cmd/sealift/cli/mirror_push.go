package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

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
	return registry.NewClient(opts)
}

// sources gives a definition's resolver the repositories of a client.
type sources struct{ client *registry.Client }

// Repository implements resolve.Registries.
func (s sources) Repository(_ context.Context, name string) (content.Source, error) {
	return s.client.Repository(name)
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

func (a *app) mirrorPush() *cobra.Command {
	var t trust
	var out output
	var opts mirror.PushOptions
	var prefixes []string
	var reg registryFlags
	cmd := &cobra.Command{
		Use:   "push FILE... REGISTRY[/PREFIX] --key PUB",
		Short: "Fill a registry from bundles",
		Long: `Checks the signature of each bundle, then sends what the registry lacks straight from the file: blobs are mounted from
a repository that has them or sent once, then manifests, then tags. Nothing that is there is sent again, so that an
interrupted push is simply repeated.

docker.io/library/nginx:1.27 becomes REGISTRY/PREFIX/library/nginx:1.27: the host of the source is left out. Give
--prefix to put a source elsewhere.`,
		Example: `  sealift mirror push management-plane.tar registry.site:5000 --key cosign.pub
  sealift mirror push plane.tar harbor.site/mirror --key cosign.pub --prefix quay.io=quay --registry-ca ca.crt`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := out.check(); err != nil {
				return err
			}
			host, base, err := splitTarget(args[len(args)-1])
			if err != nil {
				return err
			}
			m, err := mirror.ParseMapping(base, prefixes)
			if err != nil {
				return err
			}
			open, err := t.open(cmd.Context())
			if err != nil {
				return err
			}
			readers, closeAll, err := openAll(cmd.Context(), args[:len(args)-1], open)
			if err != nil {
				return err
			}
			defer closeAll()
			client, err := reg.client(host)
			if err != nil {
				return err
			}
			reporter, wait := a.progress()
			opts.Progress = reporter
			result, err := mirror.Push(cmd.Context(), readers, client, host, m, opts)
			wait()
			if err != nil {
				return err
			}
			return out.print(a.Out, result, func(w io.Writer) { pushTable(w, result) })
		},
	}
	reg.addTo(cmd)
	t.addTo(cmd)
	out.addTo(cmd, "table", "json", "yaml")
	cmd.Flags().StringArrayVar(&prefixes, "prefix", nil, "put images of a source elsewhere: `SOURCE=TARGET`, such as quay.io=quay; may be repeated")
	cmd.Flags().BoolVar(&opts.DryRun, "dry-run", false, "only show what would be sent")
	cmd.Flags().IntVar(&opts.Jobs, "jobs", 0, "blobs to send at once (default 8)")
	return cmd
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
	sent, there := "sent", "was there"
	if r.DryRun {
		sent = "would be sent"
	}
	rows := [][]string{{"IMAGE", "DIGEST", "STATE"}}
	for _, img := range r.Images {
		state := there
		if img.Sent {
			state = sent
		}
		rows = append(rows, []string{img.Target, shortName(img.Digest), state})
	}
	table(w, rows)
	fmt.Fprintf(w, "\nblobs: %d %s (%s), %d mounted, %d there already; manifests: %d %s, %d there already\n",
		r.Blobs.Sent, sent, size(r.Bytes), r.Blobs.Mounted, r.Blobs.There, r.Manifests.Sent, sent, r.Manifests.There)
}
