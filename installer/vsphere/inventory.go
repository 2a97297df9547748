package vsphere

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/internal/problem"
)

// Kind is a kind of object in an inventory.
type Kind string

// The kinds that are of interest to a site.
const (
	Datacenter   Kind = "datacenter"
	Cluster      Kind = "cluster"
	Datastore    Kind = "datastore"
	Network      Kind = "network"
	Folder       Kind = "folder"
	ResourcePool Kind = "resource pool"
	Host         Kind = "host"
	// DatastoreCluster is named by no site: see Place.
	DatastoreCluster Kind = "datastore cluster"
)

// kindOf returns the kind of a type of the API; "" for one that no site names.
func kindOf(apiType string) Kind {
	switch apiType {
	case "Datacenter":
		return Datacenter
	case "ClusterComputeResource":
		return Cluster
	case "Datastore":
		return Datastore
	case "StoragePod":
		return DatastoreCluster
	case "Network", "DistributedVirtualPortgroup", "OpaqueNetwork":
		return Network
	case "Folder":
		return Folder
	case "ResourcePool":
		return ResourcePool
	case "HostSystem":
		return Host
	default:
		return ""
	}
}

// Object is one object of an inventory.
type Object struct {
	Kind Kind
	Path string // inventory path, such as /DC0/vm/sealift
	// Lookup is the path as finders take it, govmomi's here and in Cluster API's
	// provider: a name in it is as it is stored, with %2f for a slash, and no pattern.
	Lookup string
	Ref    types.ManagedObjectReference
}

// Name returns the last element of the object's path.
func (o Object) Name() string { return path.Base(o.Path) }

// Errors of a lookup, to be matched with errors.Is.
var (
	ErrNotFound  = errors.New("not in the inventory")
	ErrAmbiguous = errors.New("there are several of that name")
)

// Inventory is what a user sees of a vCenter's inventory at one moment, without
// virtual machines.
type Inventory struct {
	Root    types.ManagedObjectReference
	objects []Object // sorted by path
}

// Inventory reads the inventory in one request.
func (c *Client) Inventory(ctx context.Context) (*Inventory, error) {
	root := c.vim.ServiceContent.RootFolder
	kinds := []string{"Datacenter", "Folder", "ComputeResource", "ClusterComputeResource", "ResourcePool", "HostSystem", "Datastore", "StoragePod",
		"Network", "DistributedVirtualPortgroup", "OpaqueNetwork"}
	seen, err := view.NewManager(c.vim).CreateContainerView(ctx, root, kinds, true)
	if err != nil {
		return nil, fmt.Errorf("looking through the inventory: %w", err)
	}
	defer func() { _ = seen.Destroy(context.WithoutCancel(ctx)) }() // it ends with the session at the latest
	var found []types.ObjectContent
	if err := seen.Retrieve(ctx, kinds, []string{"name", "parent"}, &found); err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	return newInventory(root, found), nil
}

// entity is an object with the name and the parent that it says it has. The
// library's own type has no place for the names of networks.
type entity struct {
	ref    types.ManagedObjectReference
	name   string
	parent types.ManagedObjectReference // the zero value for the root, and where the user may not see it
}

func newInventory(root types.ManagedObjectReference, found []types.ObjectContent) *Inventory {
	byRef := make(map[types.ManagedObjectReference]entity, len(found))
	for _, o := range found {
		e := entity{ref: o.Obj}
		for _, p := range o.PropSet {
			switch v := p.Val.(type) {
			case string:
				e.name = v
			case types.ManagedObjectReference:
				e.parent = v
			}
		}
		byRef[e.ref] = e
	}
	inv := &Inventory{Root: root}
	for _, e := range byRef { // each once, also where a type and the one that it extends both find it
		if kind := kindOf(e.ref.Type); kind != "" && e.ref != root {
			o := Object{Kind: kind, Ref: e.ref}
			o.Path, o.Lookup = pathsOf(e, byRef)
			inv.objects = append(inv.objects, o)
		}
	}
	slices.SortFunc(inv.objects, func(a, b Object) int { return strings.Compare(a.Path, b.Path) })
	return inv
}

// pathsOf follows the parents as far as the user may see them. A name is stored
// with %2f for a slash.
func pathsOf(e entity, byRef map[types.ManagedObjectReference]entity) (readable, lookup string) {
	literal := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)
	for depth, ok := 0, true; ok && depth < 64; depth++ { // deeper than any inventory
		name, err := url.PathUnescape(e.name)
		if err != nil {
			name = e.name
		}
		readable, lookup = "/"+name+readable, "/"+literal.Replace(e.name)+lookup
		e, ok = byRef[e.parent]
	}
	return readable, lookup
}

// All returns the objects of a kind below a path; "" is everywhere.
func (inv *Inventory) All(kind Kind, below string) []Object {
	var out []Object
	for _, o := range inv.objects {
		if o.Kind == kind && (below == "" || strings.HasPrefix(o.Path, below+"/")) {
			out = append(out, o)
		}
	}
	return out
}

// Find returns the object of a kind below a path, by its name, by the end of
// its path or by its whole path. It fails with ErrNotFound and the nearest
// names, or with ErrAmbiguous and the paths.
func (inv *Inventory) Find(kind Kind, name, below string) (Object, error) {
	all := inv.All(kind, below)
	var found []Object
	for _, o := range all {
		if o.Path == name {
			return o, nil
		}
		if strings.HasSuffix(o.Path, "/"+strings.TrimPrefix(name, "/")) {
			found = append(found, o)
		}
	}
	if kind == Folder && len(found) > 1 { // the nearest to the top is meant
		found = shallowest(found)
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Object{}, notFound(kind, name, below, all)
	default:
		return Object{}, problem.New(problem.Failed, "write the whole path into the site", "%s %q: %w: %s", kind, name, ErrAmbiguous, list(paths(found)))
	}
}

// shallowest keeps the objects whose path has the fewest elements.
func shallowest(objects []Object) []Object {
	least := slices.MinFunc(objects, func(a, b Object) int { return depth(a) - depth(b) })
	return slices.DeleteFunc(slices.Clone(objects), func(o Object) bool { return depth(o) != depth(least) })
}

func depth(o Object) int { return strings.Count(o.Path, "/") }

func paths(objects []Object) []string {
	out := make([]string, 0, len(objects))
	for _, o := range objects {
		out = append(out, o.Path)
	}
	return out
}

func notFound(kind Kind, name, below string, all []Object) error {
	where := ""
	if below != "" {
		where = " below " + below
	}
	if len(all) == 0 {
		return problem.New(problem.Failed, "check that the user may see it: at least a read-only role is needed",
			"%s %q%s is %w: the user sees no %s there", kind, name, where, ErrNotFound, kind)
	}
	if near := nearest(name, all); len(near) > 0 {
		return problem.New(problem.Failed, "did you mean "+list(near)+"?", "%s %q%s is %w", kind, name, where, ErrNotFound)
	}
	return problem.New(problem.Failed, "choose one of "+list(paths(all)), "%s %q%s is %w", kind, name, where, ErrNotFound)
}

// maxListed is how many names a sentence has room for.
const maxListed = 8

func list(names []string) string {
	if more := len(names) - maxListed; more > 0 {
		return strings.Join(names[:maxListed], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}

// properties reads properties of one object.
func (c *Client) properties(ctx context.Context, ref types.ManagedObjectReference, names []string, into any) error {
	return property.DefaultCollector(c.vim).RetrieveOne(ctx, ref, names, into)
}
