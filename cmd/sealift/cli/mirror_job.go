package cli

import (
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
)

type jobFlags struct {
	key, image, ca                    string
	plainHTTP, tokenServers, prefixes []string
	opts                              mirror.JobOptions
}

func (a *app) mirrorJob() *cobra.Command {
	var f jobFlags
	cmd := &cobra.Command{
		Use:   "job s3://BUCKET/KEY... REGISTRY[/PREFIX] --key PUB --image IMAGE",
		Short: "Print a Kubernetes Job that fills a registry from object storage",
		Long: `Prints an Indexed Job, for kubectl apply -f -, whose pods run mirror push --shard on an existing cluster: one pod for each
shard. The pods are not root, have a read-only file system and no access to the cluster. Secrets are named here and made
by you; none of them is read or printed.`,
		Example: `  sealift mirror job s3://bundles/plane.tar harbor.site/mirror --key cosign.pub --image registry.site/sealift:1.0 \
      --shards 4 --registry-secret harbor --storage-secret s3 --storage-endpoint https://s3.site | kubectl apply -f -`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return a.runJob(args, &f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.key, "key", "", "public key `file` that the bundle must be signed with")
	fl.StringVar(&f.image, "image", "", "`image` with sealift on its path")
	fl.IntVar(&f.opts.Shards, "shards", 0, "number of `pods` (default 4)")
	fl.StringVar(&f.opts.Name, "name", "", "`name` of the Job (default sealift-mirror)")
	fl.StringVarP(&f.opts.Namespace, "namespace", "n", "", "`namespace` of the Job (default default)")
	fl.StringVar(&f.opts.RegistrySecret, "registry-secret", "", "`secret` of type kubernetes.io/dockerconfigjson with the registry's credentials")
	fl.StringVar(&f.opts.StorageSecret, "storage-secret", "", "`secret` with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	fl.StringVar(&f.opts.PullSecret, "pull-secret", "", "`secret` with the credentials for the image")
	fl.StringVar(&f.opts.Endpoint, "storage-endpoint", "", "`URL` of the object storage, if it is not Amazon's")
	fl.StringVar(&f.opts.Region, "storage-region", "", "`region` of the object storage")
	fl.StringVar(&f.ca, "registry-ca", "", "PEM `file` of an authority that the pods trust, for registry and object storage")
	fl.StringSliceVar(&f.plainHTTP, "plain-http", nil, "`HOST[:PORT]` of a registry that has no TLS; may be repeated")
	fl.StringSliceVar(&f.tokenServers, "token-server", nil, "`HOST` in a private network that a registry may send credentials to for a token")
	fl.StringArrayVar(&f.prefixes, "prefix", nil, "put images of a source elsewhere: `SOURCE=TARGET`, such as quay.io=quay; may be repeated")
	return cmd
}

func (a *app) runJob(args []string, f *jobFlags) error {
	if f.key == "" || f.image == "" {
		return problem.New(problem.Usage, "see sealift mirror job --help", "--key and --image are required")
	}
	// What push would refuse in the pods is refused here.
	target := args[len(args)-1]
	_, base, err := splitTarget(target)
	if err != nil {
		return err
	}
	if _, err := mirror.ParseMapping(base, f.prefixes); err != nil {
		return err
	}
	key, err := os.ReadFile(f.key)
	if err != nil {
		return fmt.Errorf("reading the public key: %w", err)
	}
	if f.ca != "" {
		if f.opts.CA, err = os.ReadFile(f.ca); err != nil {
			return fmt.Errorf("reading the registry's authority: %w", err)
		}
	}
	f.opts.Flags = slices.Concat(withFlag("--plain-http", f.plainHTTP), withFlag("--token-server", f.tokenServers), withFlag("--prefix", f.prefixes))
	out, err := mirror.Job(args[:len(args)-1], target, key, f.image, f.opts)
	if err != nil {
		return err
	}
	_, err = a.Out.Write(out)
	return err
}

// withFlag returns FLAG=VALUE for each value.
func withFlag(flag string, values []string) []string {
	var out []string
	for _, v := range values {
		out = append(out, flag+"="+v)
	}
	return out
}
