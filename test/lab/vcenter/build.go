package vcenter

import (
	"context"
	"fmt"
	"os"
	"path"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// builder makes an inventory through the API, from inside.
type builder struct {
	v       *VCenter
	site    *Inventory
	client  *vim25.Client
	dc      *object.Datacenter
	folders *object.DatacenterFolders
	cluster *object.ClusterComputeResource
}

// build makes all that needs no server.
func (v *VCenter) build(ctx context.Context) error {
	client, err := v.inside(ctx)
	if err != nil {
		return err
	}
	b := &builder{v: v, site: v.options.Inventory, client: client}
	for _, step := range []func(context.Context) error{
		b.datacenter, b.hosts, b.network, b.datastores, b.machineFolders, b.pools,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) datacenter(ctx context.Context) (err error) {
	if b.dc, err = object.NewRootFolder(b.client).CreateDatacenter(ctx, b.site.Datacenter); err != nil {
		return fmt.Errorf("datacenter %s: %w", b.site.Datacenter, err)
	}
	if b.folders, err = b.dc.Folders(ctx); err != nil {
		return fmt.Errorf("folders of %s: %w", b.site.Datacenter, err)
	}
	b.cluster, err = b.folders.HostFolder.CreateCluster(ctx, b.site.Cluster, types.ClusterConfigSpecEx{
		DrsConfig: &types.ClusterDrsConfigInfo{Enabled: types.NewBool(true)},
	})
	if err != nil {
		return fmt.Errorf("cluster %s: %w", b.site.Cluster, err)
	}
	return nil
}

func (b *builder) hosts(ctx context.Context) error {
	for _, name := range b.site.Hosts {
		task, err := b.cluster.AddHost(ctx, types.HostConnectSpec{HostName: name}, true, nil, nil)
		if err != nil {
			return fmt.Errorf("host %s: %w", name, err)
		}
		if err := task.Wait(ctx); err != nil {
			return fmt.Errorf("host %s: %w", name, err)
		}
	}
	if b.site.HostMemory == 0 {
		return nil
	}
	own := b.v.own(ctx)
	for _, e := range b.v.registry().All("HostSystem") {
		host, ok := e.(*simulator.HostSystem)
		if !ok {
			continue
		}
		own.WithLock(host, func() {
			hardware, summary := *host.Hardware, *host.Summary.Hardware // the simulator's hosts share them
			hardware.MemorySize, summary.MemorySize = b.site.HostMemory, b.site.HostMemory
			host.Hardware, host.Summary.Hardware = &hardware, &summary
		})
	}
	return nil
}

func (b *builder) clusterHosts(ctx context.Context) ([]*object.HostSystem, error) {
	hosts, err := b.cluster.Hosts(ctx)
	if err != nil {
		return nil, fmt.Errorf("hosts of %s: %w", b.site.Cluster, err)
	}
	return hosts, nil
}

func (b *builder) network(ctx context.Context) error {
	spec := &types.VMwareDVSConfigSpec{}
	spec.Name = b.site.Switch
	task, err := b.folders.NetworkFolder.CreateDVS(ctx, types.DVSCreateSpec{ConfigSpec: spec})
	if err != nil {
		return fmt.Errorf("switch %s: %w", b.site.Switch, err)
	}
	info, err := task.WaitForResult(ctx)
	if err != nil {
		return fmt.Errorf("switch %s: %w", b.site.Switch, err)
	}
	dvs := object.NewDistributedVirtualSwitch(b.client, info.Result.(types.ManagedObjectReference))
	if err := b.attachHosts(ctx, dvs); err != nil {
		return err
	}
	for _, name := range b.site.PortGroups {
		task, err := dvs.AddPortgroup(ctx, []types.DVPortgroupConfigSpec{{
			Name: name, Type: string(types.DistributedVirtualPortgroupPortgroupTypeEarlyBinding), NumPorts: 128,
		}})
		if err != nil {
			return fmt.Errorf("port group %s: %w", name, err)
		}
		if err := task.Wait(ctx); err != nil {
			return fmt.Errorf("port group %s: %w", name, err)
		}
	}
	return nil
}

func (b *builder) attachHosts(ctx context.Context, dvs *object.DistributedVirtualSwitch) error {
	hosts, err := b.clusterHosts(ctx)
	if err != nil {
		return err
	}
	config := &types.DVSConfigSpec{}
	for _, h := range hosts {
		config.Host = append(config.Host, types.DistributedVirtualSwitchHostMemberConfigSpec{
			Operation: string(types.ConfigSpecOperationAdd), Host: h.Reference(),
		})
	}
	task, err := dvs.Reconfigure(ctx, config)
	if err != nil {
		return fmt.Errorf("hosts of switch %s: %w", b.site.Switch, err)
	}
	if err := task.Wait(ctx); err != nil {
		return fmt.Errorf("hosts of switch %s: %w", b.site.Switch, err)
	}
	return nil
}

func (b *builder) datastores(ctx context.Context) error {
	hosts, err := b.clusterHosts(ctx)
	if err != nil {
		return err
	}
	home := b.v.home()
	for _, d := range b.site.Datastores {
		dir := path.Join(home, d.Name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return fmt.Errorf("folder of datastore %s: %w", d.Name, err)
		}
		var ref types.ManagedObjectReference
		for _, h := range hosts {
			system, err := h.ConfigManager().DatastoreSystem(ctx)
			if err != nil {
				return fmt.Errorf("datastore %s: %w", d.Name, err)
			}
			made, err := system.CreateLocalDatastore(ctx, d.Name, dir)
			if err != nil {
				return fmt.Errorf("datastore %s: %w", d.Name, err)
			}
			if ref.Value == "" { // the first host makes it, the others mount it
				ref = made.Reference()
			}
		}
		b.v.shape(ctx, ref, d)
	}
	return nil
}

// shape gives a datastore its type and capacity, which the API cannot set.
func (v *VCenter) shape(ctx context.Context, ref types.ManagedObjectReference, d Datastore) {
	own := v.own(ctx)
	ds := v.registry().Get(ref).(*simulator.Datastore)
	own.WithLock(ds, func() {
		ds.Summary.Type = d.Type
		if d.Type == "" {
			ds.Summary.Type = string(types.HostFileSystemVolumeFileSystemTypeVMFS)
		}
		ds.Summary.MultipleHostAccess = types.NewBool(true)
		ds.Summary.Capacity, ds.Summary.FreeSpace = d.Capacity, d.Capacity
		info := ds.Info.GetDatastoreInfo()
		info.FreeSpace, info.MaxFileSize = d.Capacity, d.Capacity
	})
}

func (b *builder) machineFolders(ctx context.Context) error {
	made := map[string]*object.Folder{".": b.folders.VmFolder}
	for _, p := range b.site.Folders {
		parent := made[path.Dir(p)]
		if parent == nil {
			return fmt.Errorf("folder %s: its parent is %w", p, errNotFound)
		}
		f, err := parent.CreateFolder(ctx, path.Base(p))
		if err != nil {
			return fmt.Errorf("folder %s: %w", p, err)
		}
		made[p] = f
	}
	return nil
}

func (b *builder) pools(ctx context.Context) error {
	root, err := b.cluster.ResourcePool(ctx)
	if err != nil {
		return fmt.Errorf("pool of %s: %w", b.site.Cluster, err)
	}
	made := map[string]*object.ResourcePool{".": root}
	for _, p := range b.site.Pools {
		parent := made[path.Dir(p)]
		if parent == nil {
			return fmt.Errorf("pool %s: its parent is %w", p, errNotFound)
		}
		pool, err := parent.Create(ctx, path.Base(p), types.DefaultResourceConfigSpec())
		if err != nil {
			return fmt.Errorf("pool %s: %w", p, err)
		}
		made[p] = pool
	}
	return nil
}

// home is the folder in which the datastores lie.
func (v *VCenter) home() string {
	for _, s := range v.registry().OptionManager().Setting {
		if o := s.GetOptionValue(); o.Key == "vcsim.home" {
			return o.Value.(string)
		}
	}
	return os.TempDir()
}

// finish makes what needs the server: roles, grants and tags.
func (v *VCenter) finish(ctx context.Context) error {
	c, err := v.Client(ctx, v.options.Admin)
	if err != nil {
		return err
	}
	defer func() { _ = c.Logout(ctx) }()
	if err := v.grantRoles(ctx, c.Client); err != nil {
		return err
	}
	return v.attachTags(ctx, c.Client)
}

func (v *VCenter) grantRoles(ctx context.Context, c *vim25.Client) error {
	m := object.NewAuthorizationManager(c)
	ids := map[string]int32{}
	for _, r := range v.options.Inventory.Roles {
		id, err := m.AddRole(ctx, r.Name, r.Privileges)
		if err != nil {
			return fmt.Errorf("role %s: %w", r.Name, err)
		}
		ids[r.Name] = id
	}
	for _, u := range v.options.Inventory.Users {
		for _, g := range u.Grants {
			ref, err := v.lookup(ctx, c, g.Path)
			if err != nil {
				return fmt.Errorf("grant of %s to %s: %w", g.Role, u.Name, err)
			}
			id, ok := ids[g.Role]
			if !ok {
				return fmt.Errorf("grant to %s on %s: role %s is %w", u.Name, g.Path, g.Role, errNotFound)
			}
			err = m.SetEntityPermissions(ctx, ref, []types.Permission{{Principal: u.Name, RoleId: id, Propagate: g.Propagate}})
			if err != nil {
				return fmt.Errorf("grant of %s to %s on %s: %w", g.Role, u.Name, g.Path, err)
			}
		}
	}
	return nil
}

// lookup finds an object by its inventory path.
func (v *VCenter) lookup(ctx context.Context, c *vim25.Client, p string) (types.ManagedObjectReference, error) {
	if p == "/" {
		return c.ServiceContent.RootFolder, nil
	}
	list, err := find.NewFinder(c).ManagedObjectList(ctx, p)
	if err != nil {
		return types.ManagedObjectReference{}, fmt.Errorf("looking for %s: %w", p, err)
	}
	if len(list) == 0 {
		return types.ManagedObjectReference{}, fmt.Errorf("%s is %w", p, errNotFound)
	}
	return list[0].Object.Reference(), nil
}

func (v *VCenter) attachTags(ctx context.Context, c *vim25.Client) error {
	rc := rest.NewClient(c)
	if err := rc.Login(ctx, v.server.URL.User); err != nil {
		return fmt.Errorf("logging in for tags: %w", err)
	}
	defer func() { _ = rc.Logout(ctx) }()
	m := tags.NewManager(rc)
	for _, t := range v.options.Inventory.Tags {
		ref, err := v.lookup(ctx, c, t.Path)
		if err != nil {
			return fmt.Errorf("tag %s: %w", t.Name, err)
		}
		category, err := m.CreateCategory(ctx, &tags.Category{Name: t.Category, Cardinality: "SINGLE", AssociableTypes: []string{ref.Type}})
		if err != nil {
			return fmt.Errorf("tag category %s: %w", t.Category, err)
		}
		id, err := m.CreateTag(ctx, &tags.Tag{Name: t.Name, CategoryID: category})
		if err != nil {
			return fmt.Errorf("tag %s: %w", t.Name, err)
		}
		if err := m.AttachTag(ctx, id, ref); err != nil {
			return fmt.Errorf("tag %s: %w", t.Name, err)
		}
	}
	return nil
}
