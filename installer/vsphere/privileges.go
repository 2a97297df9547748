package vsphere

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// LookPrivileges returns what is needed on the vCenter, the datacenter, the
// cluster and the datacenter's folder of machines.
func LookPrivileges() []string {
	return strings.Fields(`Cns.Searchable Datastore.Browse Host.Config.Storage InventoryService.Tagging.CreateTag
		InventoryService.Tagging.EditTag Network.Assign Sessions.ValidateSession StorageProfile.View StorageViews.View`)
}

// MachinePrivileges returns what is needed where templates and machines are
// made: on the network, the datastore, the resource pool, the folders and each
// host.
func MachinePrivileges() []string {
	var out []string
	for _, g := range []struct{ group, names string }{
		{"Datastore", "AllocateSpace Browse DeleteFile FileManagement UpdateVirtualMachineFiles UpdateVirtualMachineMetadata"},
		{"Folder", "Create Delete Move Rename"},
		{"InventoryService.Tagging", "AttachTag CreateTag DeleteTag EditTag"},
		{"Network", "Assign"},
		{"Resource", "ApplyRecommendation AssignVMToPool ColdMigrate HotMigrate QueryVMotion"},
		{"Task", "Create Update"},
		{"VApp", "ApplicationConfig ExtractOvfEnvironment Import InstanceConfig"},
		{"VirtualMachine.Config", "AddExistingDisk AddNewDisk AddRemoveDevice AdvancedConfig Annotation CPUCount ChangeTracking DiskExtend " +
			"DiskLease EditDevice ManagedBy Memory RawDevice ReloadFromPath RemoveDisk Rename ResetGuestInfo Resource Settings SwapPlacement UpgradeVirtualHardware"},
		{"VirtualMachine.GuestOperations", "Execute Modify Query"},
		{"VirtualMachine.Interact", "ConsoleInteract PowerOff PowerOn"},
		{"VirtualMachine.Inventory", "Create CreateFromExisting Delete Move Register Unregister"},
		{"VirtualMachine.Provisioning", "Clone CloneTemplate CreateTemplateFromVM Customize DeployTemplate DiskRandomAccess DiskRandomRead " +
			"GetVmFiles MarkAsTemplate MarkAsVM ModifyCustSpecs PromoteDisks PutVmFiles ReadCustSpecs"},
		{"VirtualMachine.State", "CreateSnapshot RemoveSnapshot RenameSnapshot RevertToSnapshot"},
	} {
		for name := range strings.FieldsSeq(g.names) {
			out = append(out, g.group+"."+name)
		}
	}
	return out
}

// Requirement is what a user needs on some objects of one role in a site.
type Requirement struct {
	Key        string // what the objects are to the site, such as "datastore"
	Objects    []Object
	Privileges []string
	Propagate  bool // to what lies below
}

// Requirements returns what is needed at a placement, object by object.
func (inv *Inventory) Requirements(p *Placement) []Requirement {
	look, machines := LookPrivileges(), MachinePrivileges()
	root := Object{Path: "/", Ref: inv.Root}
	out := []Requirement{
		{"vcenter", []Object{root}, look, false},
		{"datacenter", []Object{p.Datacenter}, look, false},
		{"cluster", []Object{p.Cluster}, look, false},
	}
	if vms, err := inv.Find(Folder, p.Datacenter.Path+"/vm", p.Datacenter.Path); err == nil {
		out = append(out, Requirement{"vm-folder", []Object{vms}, look, true})
	}
	return append(out,
		Requirement{"folder", []Object{p.Folder}, machines, true},
		Requirement{"template-folder", []Object{p.TemplateFolder}, machines, true},
		Requirement{"resource-pool", []Object{p.ResourcePool}, machines, true},
		Requirement{"datastore", []Object{p.Datastore}, machines, true},
		Requirement{"network", []Object{p.Network}, machines, true},
		Requirement{"hosts", p.Hosts, machines, true},
	)
}

// Missing is what a user lacks on one object.
type Missing struct {
	Object     Object
	Privileges []string
}

// Missing returns what the session's user lacks of a requirement, object by
// object; nothing when all is there.
func (c *Client) Missing(ctx context.Context, r Requirement) ([]Missing, error) {
	session, err := c.session.UserSession(ctx)
	if err != nil || session == nil {
		return nil, fmt.Errorf("asking for the session's user: %w", err)
	}
	refs := make([]types.ManagedObjectReference, 0, len(r.Objects))
	for _, o := range r.Objects {
		refs = append(refs, o.Ref)
	}
	granted, err := object.NewAuthorizationManager(c.vim).FetchUserPrivilegeOnEntities(ctx, refs, session.UserName)
	if err != nil {
		return nil, fmt.Errorf("asking for the privileges of %s: %w", session.UserName, err)
	}
	var out []Missing
	for _, o := range r.Objects {
		at := slices.IndexFunc(granted, func(g types.UserPrivilegeResult) bool { return g.Entity == o.Ref })
		missing := slices.DeleteFunc(slices.Clone(r.Privileges), func(id string) bool { return at >= 0 && slices.Contains(granted[at].Privileges, id) })
		if len(missing) > 0 {
			out = append(out, Missing{o, missing})
		}
	}
	return out, nil
}
