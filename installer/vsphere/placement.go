package vsphere

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/internal/problem"
)

// Names are the places of a site, as names or inventory paths.
type Names struct {
	Datacenter, Cluster, Datastore, Network, Folder, TemplateFolder, ResourcePool string
}

// Placement is where a site's machines go.
type Placement struct {
	Datacenter, Cluster, Datastore, Network, Folder, TemplateFolder, ResourcePool Object

	Hosts []Object // of the cluster
}

// ErrDatastoreCluster means: the site names datastores that vCenter chooses from,
// which Cluster API's provider cannot let it do.
var ErrDatastoreCluster = errors.New("datastore cluster")

// ErrUnconnected means: the cluster's hosts do not reach it.
var ErrUnconnected = errors.New("not connected to the hosts of")

// Place finds every place of a site. Each place that was found is in the
// placement; the errors say, by kind, what is wrong with the others. The key
// templateFolder stands for TemplateFolder.
func (inv *Inventory) Place(names Names) (*Placement, map[string]error) {
	p, errs := &Placement{}, map[string]error{}
	find := func(key string, kind Kind, name, below string, into *Object) {
		object, err := inv.Find(kind, name, below)
		if err != nil {
			errs[key] = err
			return
		}
		*into = object
	}
	find(string(Datacenter), Datacenter, names.Datacenter, "", &p.Datacenter)
	dc := p.Datacenter.Path
	if dc == "" {
		return p, errs // else each of the others would only repeat it
	}
	find(string(Cluster), Cluster, names.Cluster, dc, &p.Cluster)
	find(string(Datastore), Datastore, names.Datastore, dc, &p.Datastore)
	if group, err := inv.Find(DatastoreCluster, names.Datastore, dc); err == nil && p.Datastore.Path == "" {
		errs[string(Datastore)] = problem.New(problem.Failed, "name one of its datastores: "+list(paths(inv.All(Datastore, group.Path))),
			"%s is a %w: neither a template nor a machine can be put there", group.Path, ErrDatastoreCluster)
	}
	find(string(Network), Network, names.Network, dc, &p.Network)
	find(string(Folder), Folder, names.Folder, dc+"/vm", &p.Folder)
	find(KeyTemplateFolder, Folder, names.TemplateFolder, dc+"/vm", &p.TemplateFolder)
	if p.Cluster.Path != "" {
		find(string(ResourcePool), ResourcePool, names.ResourcePool, p.Cluster.Path, &p.ResourcePool)
		p.Hosts = inv.All(Host, p.Cluster.Path)
	}
	return p, errs
}

// KeyTemplateFolder is the key of the template folder among the errors of Place.
const KeyTemplateFolder = "template folder"

// Connected tells whether the cluster's hosts reach the datastore and the
// network. It fails with ErrUnconnected.
func (c *Client) Connected(ctx context.Context, p *Placement) (datastore, network error) {
	var cluster mo.ClusterComputeResource
	if err := c.properties(ctx, p.Cluster.Ref, []string{"datastore", "network"}, &cluster); err != nil {
		err = fmt.Errorf("reading %s: %w", p.Cluster.Path, err)
		return err, err
	}
	return connected(p.Datastore, p.Cluster, cluster.Datastore), connected(p.Network, p.Cluster, cluster.Network)
}

func connected(o, cluster Object, refs []types.ManagedObjectReference) error {
	if o.Path == "" || slices.Contains(refs, o.Ref) {
		return nil
	}
	return problem.New(problem.Failed, "choose another "+string(o.Kind)+", or connect it to the hosts of "+cluster.Path,
		"%s %s is %w %s", o.Kind, o.Path, ErrUnconnected, cluster.Path)
}
