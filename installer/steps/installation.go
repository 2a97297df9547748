// Package steps is an installation as an ordered list: from a filled registry
// over the first machine to a cluster that manages itself.
//
// Each file is one step, or two that belong together. A step looks at the site
// itself - registry, vCenter, clusters - to know whether it is done; see
// package step for how a list is run. The terms are those of package
// clusterapi: the bootstrap control plane holds the objects first, the
// management cluster after the pivot.
package steps

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
)

// Options is what an installation works with. All but Progress and what follows is needed.
type Options struct {
	Site     *site.Site
	Bundle   *archive.Reader // verified
	Release  *release.Content
	Registry *registry.Client
	VCenter  *vsphere.Client
	// Credentials are the logins that the cluster itself needs.
	VCenterLogin, RegistryLogin site.Login
	// Dir is a folder of this host for the bootstrap control plane and for the
	// kubeconfig of the cluster. Only its owner may look into it.
	Dir      string
	Progress progress.Reporter
	// Patience is how long registry or vCenter may be away in the middle of a
	// step; 0 means 15 minutes.
	Patience time.Duration
	// Signed says by whom the bundle is signed, for the record in the cluster.
	Signed Signature
	// Choices settle values that administrators and the release changed, each to
	// another one. What is not settled stays as administrators have it.
	Choices upgrade.Choices
}

// Installation is one site and the release that is installed there.
type Installation struct {
	Options
	mapping   *mirror.Mapping
	placement *vsphere.Placement

	boot  bootstrap.Bootstrap
	local *bootstrap.Local       // boot, unless it is a kind cluster
	first *clusterapi.Management // on boot; nil until it was started
	own   *clusterapi.Management // of the cluster itself; nil until it answers
	lock  *os.File               // on Dir; nil until Hold
}

// New prepares an installation. It reads the vCenter's inventory and changes nothing.
func New(ctx context.Context, opts Options) (*Installation, error) {
	in := &Installation{Options: opts}
	var err error
	if in.Dir, err = filepath.Abs(opts.Dir); err != nil { // programs are started from there
		return nil, fmt.Errorf("the folder of the installation: %w", err)
	}
	if in.mapping, err = mirror.ParseMapping(opts.Site.Spec.Registry.Prefix, nil); err != nil {
		return nil, err
	}
	if in.placement, err = place(ctx, opts); err != nil {
		return nil, err
	}
	if err = in.notElsewhere(ctx); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(in.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of the installation: %w", err)
	}
	in.boot, err = in.newBootstrap()
	return in, err
}

// place finds the places of the site.
func place(ctx context.Context, opts Options) (*vsphere.Placement, error) {
	inventory, err := opts.VCenter.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	v := opts.Site.Spec.VCenter
	placement, faults := inventory.Place(vsphere.Names{Datacenter: v.Datacenter, Cluster: v.Cluster, Datastore: v.Datastore, Network: v.Network,
		Folder: v.Folder, TemplateFolder: v.TemplateFolder, ResourcePool: v.ResourcePool})
	var all []error
	for _, fault := range faults {
		all = append(all, fault)
	}
	return placement, errors.Join(all...)
}

// ErrElsewhere means: the cluster was begun from another host or folder.
var ErrElsewhere = errors.New("the cluster has machines, and nothing of its installation is here")

// notElsewhere fails with ErrElsewhere. To begin would make the cluster a second
// time, with the addresses of the first.
func (in *Installation) notElsewhere(ctx context.Context) error {
	if Begun(in.Options) {
		return nil
	}
	all, err := in.VCenter.Machines(ctx, in.placement.Datacenter)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(m vsphere.VM) bool { return !m.Template && clusterapi.Owns(in.Site, m.Name, m.Owner) })
	if at < 0 {
		return nil
	}
	return problem.New(problem.Preflight, "go on on the host where it was begun, or name its folder, or a copy of that, with --dir; sealift uninstall removes the machines",
		"%s: %w: one is %s", in.Dir, ErrElsewhere, all[at].Name)
}

// Hold keeps other processes from taking steps from the folder until Close: two
// would remove each other's uploads. It fails with bootstrap.ErrInUse.
func (in *Installation) Hold() (err error) {
	in.lock, err = bootstrap.Lock(in.Dir)
	return err
}

// Close ends what the installation runs on this host. What it made stays.
func (in *Installation) Close(ctx context.Context) error {
	err := in.boot.Stop(context.WithoutCancel(ctx))
	if in.lock != nil {
		err = errors.Join(err, in.lock.Close())
	}
	in.lock = nil
	return err
}

// Steps returns the installation's steps in their order.
func (in *Installation) Steps() []step.Step {
	return []step.Step{
		&fill{in}, &importTemplate{in}, &startBootstrap{in}, &bootstrapProviders{Installation: in}, &describeCluster{in}, &firstNode{in},
		&addons{in}, &allNodes{in}, &ownProviders{in}, &pivot{in}, &console{in}, &renewKubeconfig{in}, &keepSite{in}, &removeBootstrap{in},
	}
}

// KubeconfigFile is the name of the kubeconfig in the folder of an installation.
const KubeconfigFile = "kubeconfig"

// Kubeconfig is the path of the cluster's administrator's kubeconfig.
func (in *Installation) Kubeconfig() string { return filepath.Join(in.Dir, KubeconfigFile) }

// Address is where the cluster's API server answers.
func (in *Installation) Address() string {
	return "https://" + in.Site.Spec.Network.APIServer()
}

// Begun tells whether an installation was begun from the folder of opts.
func Begun(opts Options) bool {
	for _, name := range []string{"bootstrap", KubeconfigFile} {
		if _, err := os.Stat(filepath.Join(opts.Dir, name)); err == nil {
			return true
		}
	}
	return false
}
