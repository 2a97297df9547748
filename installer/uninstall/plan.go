package uninstall

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/status"
	"github.com/sealift/sealift/installer/template"
	"github.com/sealift/sealift/installer/vsphere"
)

// Options is what is uninstalled. Every field is needed.
type Options struct {
	Site    *site.Site
	VCenter *vsphere.Client
	Dir     string // the installation's folder on this host
}

// Item is one thing that is removed or kept.
type Item struct {
	Kind string `json:"kind"` // machine, template, bootstrap, kubeconfig, ...
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Plan is what an uninstallation removes and keeps.
type Plan struct {
	Cluster  string   `json:"cluster"`
	Removed  []Item   `json:"removed"`
	Kept     []Item   `json:"kept"`
	Warnings []string `json:"warnings,omitempty"`
}

// Uninstallation is an installation that is to be removed.
type Uninstallation struct {
	Options
	found     *status.Found
	managed   map[string]string // see known
	placement *vsphere.Placement
}

// New looks for what is there of an installation. It changes nothing. A place
// of the site that no longer exists is no error but the datacenter.
func New(ctx context.Context, opts Options) (*Uninstallation, error) {
	inventory, err := opts.VCenter.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	v := opts.Site.Spec.VCenter
	placement, faults := inventory.Place(vsphere.Names{Datacenter: v.Datacenter, Cluster: v.Cluster, Datastore: v.Datastore, Network: v.Network,
		Folder: v.Folder, TemplateFolder: v.TemplateFolder, ResourcePool: v.ResourcePool})
	if placement.Datacenter.Path == "" {
		return nil, faults[string(vsphere.Datacenter)]
	}
	if opts.Dir, err = filepath.Abs(opts.Dir); err != nil {
		return nil, fmt.Errorf("the folder of the installation: %w", err)
	}
	return &Uninstallation{Options: opts, found: status.Find(ctx, opts.Dir, opts.Site.Spec.Cluster.Name), managed: map[string]string{}, placement: placement}, nil
}

// Hold keeps other processes from taking steps from the folder until release is
// called. It fails with bootstrap.ErrInUse while one does.
func (u *Uninstallation) Hold() (release func(), err error) {
	if _, err := os.Stat(u.Dir); errors.Is(err, fs.ErrNotExist) {
		return func() {}, nil // it was installed from another host
	}
	lock, err := bootstrap.Lock(u.Dir)
	if err != nil {
		return nil, fmt.Errorf("uninstalling: %w", err)
	}
	return func() {
		_ = os.Remove(lock.Name())
		_ = os.Remove(u.Dir) // what is left in it stays, and the folder with it
		_ = lock.Close()     // nothing was written
	}, nil
}

// Plan returns what would be removed now.
func (u *Uninstallation) Plan(ctx context.Context) (*Plan, error) {
	p := &Plan{Cluster: u.Site.Spec.Cluster.Name}
	s, err := u.survey(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range s.machines {
		p.Removed = append(p.Removed, Item{"machine", m.Name, s.why[m.Ref.Value]})
	}
	for _, m := range s.templates {
		p.Removed = append(p.Removed, Item{"template", m.Name, "imported by sealift"})
	}
	p.Kept = append(p.Kept, s.kept...)
	for _, f := range u.files() {
		if _, err := os.Lstat(f.path); err == nil {
			p.Removed = append(p.Removed, Item{f.kind, f.path, f.why})
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("looking at the installation's folder: %w", err)
		}
	}
	p.Kept = append(p.Kept, u.kept()...)
	p.Warnings = u.warnings(ctx)
	return p, nil
}

type file struct{ kind, path, why string }

// files are what an installation keeps on this host.
func (u *Uninstallation) files() []file {
	const here = "on this host"
	why := here
	if u.kind() {
		why += ", with the kind cluster " + bootstrap.KindName(u.Site.Metadata.Name)
	}
	return []file{{"bootstrap", filepath.Join(u.Dir, "bootstrap"), why}, {"kubeconfig", filepath.Join(u.Dir, "kubeconfig"), here}}
}

// kept is what an installation uses but did not make.
func (u *Uninstallation) kept() []Item {
	s := u.Site.Spec
	out := []Item{
		{"registry", s.Registry.Endpoint + "/" + s.Registry.Prefix, "its content may serve others"},
		{"folder", s.VCenter.Folder, "it was there before"},
		{"tags", "regions and zones", "they were there before"},
	}
	if !s.Network.Addresses.DHCP {
		out = append(out, Item{"addresses", s.Network.Addresses.Range, "they are free again"})
	}
	return out
}

// survey is what vCenter has.
type survey struct {
	machines, templates []vsphere.VM
	why                 map[string]string // by reference, of each machine
	kept                []Item
}

// survey sorts the machines of the datacenter into the cluster's and others'.
func (u *Uninstallation) survey(ctx context.Context) (*survey, error) {
	all, err := u.VCenter.Machines(ctx, u.placement.Datacenter)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b vsphere.VM) int { return cmp.Compare(a.Name, b.Name) })
	known, err := u.known(ctx)
	if err != nil {
		return nil, err
	}
	s, owner, others := &survey{why: map[string]string{}}, clusterapi.Owner(u.Site), ""
	for _, m := range all {
		switch {
		case m.Template:
		case known[m.UUID] != "":
			s.machines, s.why[m.Ref.Value] = append(s.machines, m), known[m.UUID]+" has its UUID"
		case clusterapi.Owns(u.Site, m.Name, m.Owner):
			s.machines, s.why[m.Ref.Value] = append(s.machines, m), "it has the cluster's mark"
		case m.Owner == owner: // somebody's clone has the mark of its original
			s.kept = append(s.kept, Item{"machine", m.Name, "it has the cluster's mark, but no name of the cluster's: somebody cloned it"})
		case m.Owner != "":
			others = m.Name
		}
	}
	u.templates(s, all, others)
	return s, nil
}

// templates sorts the templates that sealift imported. As long as machines of
// another cluster of sealift are there, whose templates they are is not known.
func (u *Uninstallation) templates(s *survey, all []vsphere.VM, others string) {
	for _, m := range all {
		switch {
		case m.Parent != u.placement.TemplateFolder.Ref || !template.Imported(m.Annotation):
		case others != "":
			s.kept = append(s.kept, Item{"template", m.Name, "another cluster may use it: " + others + " is one of its machines"})
		default:
			s.templates = append(s.templates, m)
		}
	}
}

// known returns the names of Cluster API's machines by the UUID of the virtual
// machine. What was read once is remembered: a cluster that manages itself goes
// with its machines, and from then on vCenter's marks tell of others.
func (u *Uninstallation) known(ctx context.Context) (map[string]string, error) {
	if u.found.Manager == nil {
		return u.managed, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2", Kind: "VSphereVM"})
	err := u.found.Manager.List(ctx, list, client.InNamespace(clusterapi.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: u.Site.Spec.Cluster.Name})
	if err != nil {
		u.found.Manager = nil
		return u.managed, ctx.Err()
	}
	for _, vm := range list.Items {
		if uuid, _, _ := unstructured.NestedString(vm.Object, "spec", "biosUUID"); uuid != "" {
			u.managed[strings.ToLower(uuid)] = "VSphereVM " + vm.GetName()
		}
	}
	return u.managed, nil
}

// warnings are what a person should know before.
func (u *Uninstallation) warnings(ctx context.Context) []string {
	var out []string
	if u.found.Cluster == nil {
		if err := u.found.ClusterErr; err != nil {
			out = append(out, fmt.Sprintf("the cluster cannot be asked whether it has tenants: %v", err))
		}
		return out
	}
	tenants := &unstructured.UnstructuredList{}
	tenants.SetGroupVersionKind(schema.GroupVersionKind{Group: "console.sealift.dev", Version: "v1", Kind: "TenantList"})
	if err := u.found.Cluster.List(ctx, tenants); err == nil && len(tenants.Items) > 0 {
		out = append(out, fmt.Sprintf("%d tenants live in the cluster and are lost with it", len(tenants.Items)))
	}
	return out
}
