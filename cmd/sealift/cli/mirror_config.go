package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/runtimeconfig"
)

type configFlags struct {
	trust                trust
	bundles, prefixes    []string
	plainHTTP            []string
	ca, output           string
	overwrite, cloudInit bool
	opts                 runtimeconfig.Options
}

func (a *app) mirrorConfig() *cobra.Command {
	containerd := a.configFor(runtimeconfig.Containerd, "Write hosts.toml files for containerd", `Writes certs.d/HOST/hosts.toml for each host, and the authority's certificate, for containerd 1.6 and later. containerd reads
them when config_path in its config.toml names their folder; the command prints the lines. A mapping of a part of a host,
such as quay.io/jetstack=cert-manager, is refused: containerd can only send a whole host elsewhere.`)
	k3s := a.configFor(runtimeconfig.K3s, "Write registries.yaml for k3s and RKE2", `Writes registries.yaml, the authority's certificate and, without --fallback, a file in config.yaml.d that keeps nodes from
asking the hosts themselves (k3s and RKE2 1.26.13, 1.27.10, 1.28.6, 1.29.1 and later). For RKE2 give --node-dir
/etc/rancher/rke2. With --username, the password is taken from SEALIFT_REGISTRY_PASSWORD and written into registries.yaml,
which only root can read.`)
	crio := a.configFor(runtimeconfig.CRIO, "Write registries.conf for CRI-O, podman and skopeo", `Writes a file for /etc/containers/registries.conf.d and the authority's certificate. Every host has to be named, by --bundle,
--host or --prefix, or be one of the best known: there is no setting for all others.`)
	return group("config", "Write the configuration by which nodes pull from the mirror", containerd, k3s, crio)
}

func (a *app) configFor(runtime runtimeconfig.Runtime, short, long string) *cobra.Command {
	var f configFlags
	cmd := &cobra.Command{
		Use:   string(runtime) + " REGISTRY[/PREFIX] -o DIR",
		Short: short,
		Long: long + `

Nodes go on naming images as ever; docker.io/library/nginx is asked for in the mirror, where mirror push with the same REGISTRY,
PREFIX and --prefix put it. With --bundle, exactly the hosts of the images in it are configured, and those of --host besides;
without both, the best known ones. What the runtime cannot express is refused. Unless --fallback is given, the hosts
themselves are never asked.

DIR stands for the root of a node: copy what is in it to / there. -o - prints a tar archive to be unpacked at /, with
--cloud-init a write_files section. Nothing is asked of the registry.`,
		Example: fmt.Sprintf(`  sealift mirror config %[1]s registry.site:5000/mirror --bundle plane.tar --key cosign.pub --registry-ca ca.crt -o node
  sealift mirror config %[1]s registry.site:5000/mirror --host docker.io,quay.io --registry-ca ca.crt -o - --cloud-init`, runtime),
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.runConfig(cmd.Context(), runtime, args[0], &f) },
	}
	fl := cmd.Flags()
	fl.StringSliceVar(&f.plainHTTP, "plain-http", nil, "`HOST[:PORT]` of the registry, or of a web server with the bundle, that has no TLS; may be repeated")
	f.trust.addTo(cmd)
	fl.StringArrayVar(&f.bundles, "bundle", nil, "`file` or address of a bundle whose images the nodes will pull; may be repeated")
	fl.StringSliceVar(&f.opts.Hosts, "host", nil, "`HOST` of images, such as docker.io,quay.io; may be repeated")
	fl.StringArrayVar(&f.prefixes, "prefix", nil, "as for mirror push: images of a source are elsewhere, `SOURCE=TARGET`; may be repeated")
	fl.StringVar(&f.ca, "registry-ca", "", "PEM `file` of the authority that signed the registry's certificate")
	fl.BoolVar(&f.opts.Fallback, "fallback", false, "let nodes ask the hosts themselves for what the mirror lacks")
	fl.StringVar(&f.opts.Dir, "node-dir", "", "`folder` of the runtime's configuration on the node (default "+runtimeconfig.DefaultDir(runtime)+")")
	fl.StringVarP(&f.output, "output", "o", "", "`folder` to write to, or - for standard output")
	fl.BoolVar(&f.overwrite, "overwrite", false, "replace files that are there")
	fl.BoolVar(&f.cloudInit, "cloud-init", false, "print a cloud-config instead of a tar archive")
	if runtime == runtimeconfig.K3s {
		fl.StringVar(&f.opts.Username, "username", "", "`user` of the registry; the password is SEALIFT_REGISTRY_PASSWORD")
	}
	complete(cmd, "host", append(runtimeconfig.DefaultHosts(), runtimeconfig.EveryHost)...)
	return cmd
}

func (a *app) runConfig(ctx context.Context, runtime runtimeconfig.Runtime, target string, f *configFlags) error {
	host, m, err := f.check(a, target)
	if err != nil {
		return err
	}
	if f.opts.Images, err = f.images(ctx, func(readers []*archive.Reader) { a.warnUnused(m, readers) }); err != nil {
		return err
	}
	if _, err := authority.Pool(f.ca); err != nil { // an empty file would pass for none
		return err
	}
	if f.ca != "" {
		if f.opts.CA, err = os.ReadFile(f.ca); err != nil {
			return fmt.Errorf("reading the registry's authority: %w", err)
		}
	}
	if f.opts.Username != "" {
		if f.opts.Password = os.Getenv("SEALIFT_REGISTRY_PASSWORD"); f.opts.Password == "" {
			return problem.New(problem.Usage, "put the password there; it is never given as a flag", "--username: SEALIFT_REGISTRY_PASSWORD is empty")
		}
	}
	config, err := runtimeconfig.New(runtime, host, m, f.opts)
	if err != nil {
		return err
	}
	if err := a.writeConfig(config, f); err != nil {
		return err
	}
	for _, w := range config.Warnings {
		a.note("warning: %s", w)
	}
	for _, n := range config.Notes {
		a.note("%s", strings.TrimSpace(n))
	}
	return nil
}

// check checks the flags and the target before anything is opened.
func (f *configFlags) check(a *app, target string) (host string, m *mirror.Mapping, err error) {
	host, base, err := splitTarget(target)
	if err != nil {
		return "", nil, err
	}
	f.opts.PlainHTTP = slices.Contains(f.plainHTTP, host)
	switch {
	case f.output == "":
		err = problem.New(problem.Usage, "-o DIR writes a folder, -o - prints a tar archive", "--output is required")
	case f.cloudInit && f.output != "-":
		err = problem.New(problem.Usage, "give -o -, and keep what is printed", "--cloud-init only prints")
	case f.output == "-" && !f.cloudInit && isTerminal(a.Out):
		err = problem.New(problem.Usage, "send it to a file or to tar -C / -x, or give --cloud-init", "a tar archive is nothing for a terminal")
	case f.trust.key != "" && len(f.bundles) == 0:
		err = problem.New(problem.Usage, "name the bundle: --bundle FILE", "--key without --bundle")
	case len(f.plainHTTP) > 0 && !f.opts.PlainHTTP && len(f.bundles) == 0:
		err = problem.New(problem.Usage, "write --plain-http "+host, "--plain-http names another registry than that of the mirror")
	}
	if err != nil {
		return "", nil, err
	}
	m, err = mirror.ParseMapping(base, f.prefixes)
	return host, m, err
}

// images returns the references of the images in the bundles, which look looks at.
func (f *configFlags) images(ctx context.Context, look func([]*archive.Reader)) ([]string, error) {
	if len(f.bundles) == 0 {
		return nil, nil
	}
	open, err := f.trust.open(ctx)
	if err != nil {
		return nil, err
	}
	readers, closeAll, err := openAll(ctx, f.bundles, open)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	look(readers)
	var out []string
	for _, r := range readers {
		for _, root := range r.Statement().Roots {
			if root.Kind == archive.RootImage {
				out = append(out, root.Reference)
			}
		}
	}
	if len(out) == 0 {
		return nil, problem.New(problem.Usage, "name the hosts: --host docker.io,quay.io", "the bundle holds no image")
	}
	return out, nil
}

func (a *app) writeConfig(config *runtimeconfig.Config, f *configFlags) error {
	switch {
	case f.cloudInit:
		data, err := runtimeconfig.CloudConfig(config.Files)
		if err != nil {
			return err
		}
		_, err = a.Out.Write(data)
		return err
	case f.output == "-":
		return runtimeconfig.WriteTar(a.Out, config.Files)
	}
	paths, err := runtimeconfig.Write(f.output, config.Files, runtimeconfig.WriteOptions{Overwrite: f.overwrite})
	for _, p := range paths {
		fmt.Fprintln(a.Out, p)
	}
	return err
}
