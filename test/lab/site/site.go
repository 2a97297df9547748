// Package site puts the lab together: the steps that build it, and the dark
// site that stands on one machine while it is up.
package site

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/cache"
	"github.com/sealift/sealift/test/lab/engine"
	"github.com/sealift/sealift/test/lab/images"
	"github.com/sealift/sealift/test/lab/node"
	"github.com/sealift/sealift/test/lab/programs"
)

// Options is how the lab is used. The zero value says nothing, and takes a
// Docker engine that runs.
type Options struct {
	Log       func(format string, args ...any) // told what is done; nil means nobody
	OwnEngine bool                             // start an engine even where one runs
	Bootable  bool                             // the OVA has a kernel and a boot loader
	Source    string                           // "public" takes the published images; "" makes them from source
}

// public is the source of images that are published.
const public = "public"

// Environment returns the options that LAB_ENGINE=own, LAB_SOURCE=public and
// LAB_DISK=bootable ask for.
func Environment(log func(format string, args ...any)) Options {
	return Options{Log: log, OwnEngine: os.Getenv("LAB_ENGINE") == "own", Bootable: os.Getenv("LAB_DISK") == "bootable", Source: os.Getenv("LAB_SOURCE")}
}

// Lab is the lab of one checkout of the repository.
type Lab struct {
	root  string // of the repository
	dir   string // .cache/lab
	opts  Options
	cache *cache.Cache
	steps steps
}

// steps are the pieces of the build.
type steps struct {
	modules []*cache.Step // as programs.Modules

	rootfs, engine, images, clusterAPI, upstream, node, ova *cache.Step
	bootable                                                *cache.Step // nil where the OVA need not boot
}

// Open returns the lab of the checkout that the folder dir belongs to.
func Open(ctx context.Context, dir string, opts Options) (*Lab, error) {
	if opts.Log == nil {
		opts.Log = func(string, ...any) {}
	}
	root, err := moduleRoot(dir)
	if err != nil {
		return nil, err
	}
	if opts.Source != "" && opts.Source != public {
		return nil, problem.New(problem.Usage, "unset LAB_SOURCE, or set it to public", "%q is no source of images", opts.Source)
	}
	l := &Lab{root: root, dir: filepath.Join(root, ".cache", "lab"), opts: opts}
	l.cache = cache.New(l.dir)
	return l, l.plan(ctx)
}

// moduleRoot returns the folder at or above dir that holds go.mod.
func moduleRoot(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "test", "lab", "programs")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s is not in a checkout of sealift", dir)
		}
	}
}

// Root returns the top folder of the checkout.
func (l *Lab) Root() string { return l.root }

func (l *Lab) programsDir() string { return filepath.Join(l.root, "test", "lab", "programs") }

// plan works out the steps, and with them the keys of their results.
func (l *Lab) plan(ctx context.Context) error {
	for _, m := range programs.Modules() {
		step, err := m.Step(l.programsDir(), programs.Options{Log: l.opts.Log})
		if err != nil {
			return fmt.Errorf("planning the build of %s: %w", m.Name, err)
		}
		l.steps.modules = append(l.steps.modules, step)
	}
	l.steps.rootfs = node.RootfsStep(node.RootfsOptions{})
	l.steps.engine = engine.PackagesStep("")
	recipe, err := cache.Digest(filepath.Join(l.root, "test/lab/images"))
	if err != nil {
		return err
	}
	l.steps.images = &cache.Step{Name: "images", Inputs: append([]string{recipe}, l.source()...),
		Needs: append(l.compiled("kubernetes", "coredns"), l.steps.rootfs), Make: l.makeImages}
	l.steps.clusterAPI = &cache.Step{Name: "images-clusterapi", Inputs: append([]string{recipe}, l.source()...),
		Needs: append(l.compiled("clusterapi", "ipam", "cpi"), l.steps.rootfs), Make: l.makeClusterAPI}
	l.steps.upstream = &cache.Step{Name: "upstream", Needs: []*cache.Step{l.steps.images, l.steps.clusterAPI}, Make: l.makeUpstream}
	return l.planNode(ctx)
}

// compiled returns the steps that compile the modules of these names.
func (l *Lab) compiled(names ...string) []*cache.Step {
	var out []*cache.Step
	for i, m := range programs.Modules() {
		if slices.Contains(names, m.Name) {
			out = append(out, l.steps.modules[i])
		}
	}
	return out
}

// source is what the key of the images knows of where they come from.
func (l *Lab) source() []string {
	if l.opts.Source == "" {
		return nil
	}
	return []string{l.opts.Source}
}

func (l *Lab) planNode(ctx context.Context) error {
	recipe, err := cache.Digest(filepath.Join(l.root, "test/lab/node"))
	if err != nil {
		return err
	}
	kind, err := l.module(ctx, "{{.Version}}", "sigs.k8s.io/kind")
	if err != nil {
		return err
	}
	l.steps.node = &cache.Step{Name: "node", Inputs: []string{recipe, kind},
		Needs: append(l.compiled("kubernetes", "coredns", "preload"), l.steps.rootfs, l.steps.images), Make: l.makeNode}
	if recipe, err = cache.Digest(filepath.Join(l.root, "test/lab/ova")); err != nil {
		return err
	}
	l.steps.ova = &cache.Step{Name: "ova", Inputs: []string{recipe}, Needs: []*cache.Step{l.steps.node}, Make: l.makeOVA}
	if l.opts.Bootable {
		l.steps.bootable = node.RootfsStep(node.RootfsOptions{Bootable: true})
		l.steps.ova.Needs = append(l.steps.ova.Needs, l.steps.bootable)
	}
	return nil
}

// module asks Go about a module that the repository requires.
func (l *Lab) module(ctx context.Context, format, path string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", format, path)
	cmd.Dir = l.root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("asking Go for module %s: %w", path, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Kubernetes returns the version of the lab's Kubernetes, such as v1.34.4.
func (l *Lab) Kubernetes() (string, error) {
	return programs.Version(l.programsDir(), "kubernetes", "k8s.io/kubernetes")
}

// Versions returns the versions of Cluster API's providers, and of what its
// clusters run beside Kubernetes.
func (l *Lab) Versions() (images.Versions, error) {
	var v images.Versions
	for _, m := range []struct {
		into           *string
		folder, module string
	}{
		{&v.ClusterAPI, "clusterapi", "sigs.k8s.io/cluster-api"},
		{&v.VSphere, "clusterapi", "sigs.k8s.io/cluster-api-provider-vsphere"},
		{&v.IPAM, "ipam", "sigs.k8s.io/cluster-api-ipam-provider-in-cluster"},
		{&v.KubeVIP, "clusterapi", "github.com/kube-vip/kube-vip"},
		{&v.CPI, "cpi", "k8s.io/cloud-provider-vsphere"},
	} {
		var err error
		if *m.into, err = programs.Version(l.programsDir(), m.folder, m.module); err != nil {
			return images.Versions{}, err
		}
	}
	return v, nil
}

// Programs returns the path of each compiled program.
func (l *Lab) Programs() (map[string]string, error) {
	var dirs []string
	for _, s := range l.steps.modules {
		dirs = append(dirs, l.cache.Path(s))
	}
	return images.Programs(dirs...)
}

func (l *Lab) rootfs() string { return filepath.Join(l.cache.Path(l.steps.rootfs), node.RootfsFile) }

func (l *Lab) makeImages(ctx context.Context, dir string) error {
	version, err := l.Kubernetes()
	if err != nil {
		return err
	}
	compiled, err := l.Programs()
	if err != nil {
		return err
	}
	all, err := images.All(images.Sources{Kubernetes: version, Programs: compiled, Rootfs: l.rootfs()})
	if err != nil {
		return err
	}
	if err := images.Complete(ctx, compiled["kubeadm"], version, all); err != nil {
		return err
	}
	if l.opts.Source == public {
		return images.WritePublic(ctx, dir, all, images.PublicOptions{})
	}
	return images.WriteLayout(ctx, dir, all)
}

func (l *Lab) makeClusterAPI(ctx context.Context, dir string) error {
	versions, err := l.Versions()
	if err != nil {
		return err
	}
	compiled, err := l.Programs()
	if err != nil {
		return err
	}
	all, err := images.ClusterAPI(images.Sources{Programs: compiled, Rootfs: l.rootfs()}, versions)
	if err != nil {
		return err
	}
	return images.WriteLayout(ctx, dir, all)
}

func (l *Lab) makeUpstream(ctx context.Context, dir string) error {
	for _, layout := range []string{l.Images(), l.ClusterAPIImages()} {
		if err := images.FillRegistry(ctx, layout, dir); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lab) makeNode(ctx context.Context, dir string) error {
	version, err := l.Kubernetes()
	if err != nil {
		return err
	}
	kind, err := l.module(ctx, "{{.Dir}}", "sigs.k8s.io/kind")
	if err != nil {
		return err
	}
	compiled, err := l.Programs()
	if err != nil {
		return err
	}
	names, err := l.NodeImages()
	if err != nil {
		return err
	}
	return node.WriteArchive(ctx, dir, node.Sources{Kubernetes: version, KindFiles: filepath.Join(kind, "images/base/files"),
		Programs: compiled, Rootfs: l.rootfs(), Images: l.cache.Path(l.steps.images)}, names)
}

// NodeImages returns the names of the node images. A name holds the key of
// what the image was made of.
func (l *Lab) NodeImages() (node.Names, error) {
	version, err := l.Kubernetes()
	if err != nil {
		return node.Names{}, err
	}
	tag := "lab.sealift.test/node:" + version + "-" + l.steps.node.Key()[:12]
	return node.Names{Full: tag, Bare: tag + "-bare"}, nil
}

// NodeArchive returns the archive of the node images, for "docker load".
func (l *Lab) NodeArchive() string {
	return filepath.Join(l.cache.Path(l.steps.node), node.ArchiveFile)
}

// Upstream returns the data folder of a registry with all images of the lab,
// for mirror/serve.Registry. Each stands there as HOST/REPOSITORY:TAG.
// One process may serve it: see LinkUpstream.
func (l *Lab) Upstream() string { return l.cache.Path(l.steps.upstream) }

// LinkUpstream makes of an empty folder another data folder of a registry with
// the same images, which is only to be read: each process needs one of its own.
func (l *Lab) LinkUpstream(dir string) error {
	const content = "docker"
	return os.Symlink(filepath.Join(l.Upstream(), content), filepath.Join(dir, content))
}

// Images returns the OCI layout of the images of a cluster.
func (l *Lab) Images() string { return l.cache.Path(l.steps.images) }

// ClusterAPIImages returns the OCI layout of the images of Cluster API's
// providers, and of what its clusters run beside Kubernetes.
func (l *Lab) ClusterAPIImages() string { return l.cache.Path(l.steps.clusterAPI) }
