package vcenter

import (
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// needs returns the privileges that a call needs. A call that is in none of
// these lists reads, or is one that an installer does not make: it passes.
func (v *VCenter) needs(ctx *simulator.Context, m *simulator.Method) []need {
	switch m.This.Type {
	case "VirtualMachine":
		return v.machineNeeds(ctx, m)
	case "VirtualMachineSnapshot":
		return v.snapshotNeeds(m)
	case "Folder", "Datacenter", "ResourcePool", "ClusterComputeResource":
		return v.containerNeeds(m)
	case "HostDatastoreBrowser", "FileManager", "VirtualDiskManager", "Datastore":
		return v.storageNeeds(m)
	}
	return v.serviceNeeds(m)
}

func (v *VCenter) machineNeeds(ctx *simulator.Context, m *simulator.Method) []need {
	this := m.This
	switch req := m.Body.(type) {
	case *types.CloneVM_Task:
		return v.cloneNeeds(ctx, req)
	case *types.ReconfigVM_Task:
		return v.configNeeds(this, &req.Spec, true)
	case *types.RelocateVM_Task:
		needs := []need{{this, "Resource.ColdMigrate"}}
		if vm, ok := v.registry().Get(this).(*simulator.VirtualMachine); ok && vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			needs = []need{{this, "Resource.HotMigrate"}}
		}
		return append(needs, placeNeeds(req.Spec.Pool, req.Spec.Datastore)...)
	case *types.MarkAsVirtualMachine:
		return []need{{this, "VirtualMachine.Provisioning.MarkAsVM"}, {req.Pool, "Resource.AssignVMToPool"}}
	}
	if privilege, ok := map[string]string{
		"PowerOnVM_Task": "VirtualMachine.Interact.PowerOn", "PowerOffVM_Task": "VirtualMachine.Interact.PowerOff",
		"ShutdownGuest": "VirtualMachine.Interact.PowerOff", "ResetVM_Task": "VirtualMachine.Interact.Reset",
		"RebootGuest": "VirtualMachine.Interact.Reset", "SuspendVM_Task": "VirtualMachine.Interact.Suspend",
		"StandbyGuest": "VirtualMachine.Interact.Suspend", "Destroy_Task": "VirtualMachine.Inventory.Delete",
		"UnregisterVM": "VirtualMachine.Inventory.Unregister", "Rename_Task": "VirtualMachine.Config.Rename",
		"MarkAsTemplate": "VirtualMachine.Provisioning.MarkAsTemplate", "UpgradeVM_Task": "VirtualMachine.Config.UpgradeVirtualHardware",
		"CreateSnapshot_Task": "VirtualMachine.State.CreateSnapshot", "CreateSnapshotEx_Task": "VirtualMachine.State.CreateSnapshot",
		"RemoveAllSnapshots_Task":      "VirtualMachine.State.RemoveSnapshot",
		"RevertToCurrentSnapshot_Task": "VirtualMachine.State.RevertToSnapshot",
		"CustomizeVM_Task":             "VirtualMachine.Provisioning.Customize", "PromoteDisks_Task": "VirtualMachine.Provisioning.PromoteDisks",
		"Reload": "VirtualMachine.Config.ReloadFromPath", "ExportVm": "VApp.Export",
	}[m.Name]; ok {
		return []need{{this, privilege}}
	}
	return nil
}

// cloneNeeds: from a template or a machine, to a template or a machine.
func (v *VCenter) cloneNeeds(ctx *simulator.Context, req *types.CloneVM_Task) []need {
	source, ok := v.registry().Get(req.This).(*simulator.VirtualMachine)
	if !ok {
		return nil
	}
	var template bool
	store := req.Spec.Location.Datastore
	ctx.WithLock(source, func() {
		template = source.Config.Template
		if store == nil { // then the copy lies beside its source
			store = v.storeOfPath(source.Config.Files.VmPathName)
		}
	})
	privilege := "VirtualMachine.Provisioning.Clone"
	switch {
	case template && req.Spec.Template:
		privilege = "VirtualMachine.Provisioning.CloneTemplate"
	case template:
		privilege = "VirtualMachine.Provisioning.DeployTemplate"
	case req.Spec.Template:
		privilege = "VirtualMachine.Provisioning.CreateTemplateFromVM"
	}
	needs := []need{{req.This, privilege}, {req.Folder, "VirtualMachine.Inventory.CreateFromExisting"}}
	needs = append(needs, placeNeeds(req.Spec.Location.Pool, store)...)
	if req.Spec.Customization != nil {
		needs = append(needs, need{req.This, "VirtualMachine.Provisioning.Customize"})
	}
	if req.Spec.PowerOn {
		needs = append(needs, need{req.Folder, "VirtualMachine.Interact.PowerOn"})
	}
	if req.Spec.Config != nil {
		needs = append(needs, v.configNeeds(req.Folder, req.Spec.Config, true)...)
	}
	return append(needs, v.configNeeds(req.Folder, &types.VirtualMachineConfigSpec{DeviceChange: req.Spec.Location.DeviceChange}, true)...)
}

func placeNeeds(pool, store *types.ManagedObjectReference) []need {
	var needs []need
	if pool != nil {
		needs = append(needs, need{*pool, "Resource.AssignVMToPool"})
	}
	if store != nil {
		needs = append(needs, need{*store, "Datastore.AllocateSpace"})
	}
	return needs
}

// configNeeds: what a specification changes. Making a machine needs privileges
// for disks and networks only; hardware tells whether the rest counts.
func (v *VCenter) configNeeds(on types.ManagedObjectReference, spec *types.VirtualMachineConfigSpec, hardware bool) []need {
	var needs []need
	add := func(changed bool, privilege string) {
		if changed && hardware {
			needs = append(needs, need{on, "VirtualMachine.Config." + privilege})
		}
	}
	add(spec.Name != "", "Rename")
	add(spec.NumCPUs != 0 || spec.NumCoresPerSocket != nil, "CPUCount")
	add(spec.MemoryMB != 0, "Memory")
	add(len(spec.ExtraConfig) != 0, "AdvancedConfig")
	add(spec.Annotation != "", "Annotation")
	add(spec.CpuAllocation != nil || spec.MemoryAllocation != nil, "Resource")
	add(spec.ManagedBy != nil, "ManagedBy")
	add(spec.ChangeTrackingEnabled != nil, "ChangeTracking")
	add(spec.SwapPlacement != "", "SwapPlacement")
	add(spec.Flags != nil || spec.Tools != nil || spec.Firmware != "" || spec.BootOptions != nil || spec.GuestId != "", "Settings")
	for _, change := range spec.DeviceChange {
		needs = append(needs, v.deviceNeeds(on, change.GetVirtualDeviceConfigSpec(), hardware)...)
	}
	return needs
}

func (v *VCenter) deviceNeeds(on types.ManagedObjectReference, change *types.VirtualDeviceConfigSpec, hardware bool) []need {
	if disk, ok := change.Device.(*types.VirtualDisk); ok {
		switch change.Operation {
		case types.VirtualDeviceConfigSpecOperationAdd:
			if change.FileOperation == "" {
				return []need{{on, "VirtualMachine.Config.AddExistingDisk"}}
			}
			return append([]need{{on, "VirtualMachine.Config.AddNewDisk"}}, placeNeeds(nil, v.storeOf(disk.Backing))...)
		case types.VirtualDeviceConfigSpecOperationRemove:
			return []need{{on, "VirtualMachine.Config.RemoveDisk"}}
		case types.VirtualDeviceConfigSpecOperationEdit:
			return []need{{on, "VirtualMachine.Config.DiskExtend"}}
		}
	}
	var needs []need
	if card, ok := change.Device.(types.BaseVirtualEthernetCard); ok && change.Operation != types.VirtualDeviceConfigSpecOperationRemove {
		if network := v.networkOf(card.GetVirtualEthernetCard().Backing); network != nil {
			needs = append(needs, need{*network, "Network.Assign"})
		}
	}
	if !hardware {
		return needs
	}
	if change.Operation == types.VirtualDeviceConfigSpecOperationEdit {
		return append(needs, need{on, "VirtualMachine.Config.EditDevice"})
	}
	return append(needs, need{on, "VirtualMachine.Config.AddRemoveDevice"})
}

// networkOf returns the network behind a card.
func (v *VCenter) networkOf(backing types.BaseVirtualDeviceBackingInfo) *types.ManagedObjectReference {
	switch b := backing.(type) {
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		return &types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: b.Port.PortgroupKey}
	case *types.VirtualEthernetCardNetworkBackingInfo:
		if b.Network != nil {
			return b.Network
		}
		for _, e := range v.registry().All("Network") {
			if nameOf(e) == b.DeviceName {
				ref := e.Reference()
				return &ref
			}
		}
	}
	return nil
}

// storeOf returns the datastore of a disk's file, where it has one.
func (v *VCenter) storeOf(backing types.BaseVirtualDeviceBackingInfo) *types.ManagedObjectReference {
	file, ok := backing.(types.BaseVirtualDeviceFileBackingInfo)
	if !ok {
		return nil
	}
	info := file.GetVirtualDeviceFileBackingInfo()
	if info.Datastore != nil && info.Datastore.Value != "" {
		return info.Datastore
	}
	return v.storeOfPath(info.FileName)
}

func (v *VCenter) storeOfPath(name string) *types.ManagedObjectReference {
	var p object.DatastorePath
	if !p.FromString(name) {
		return nil
	}
	if ds := v.datastoreNamed(p.Datastore); ds != nil {
		return &ds.Self
	}
	return nil
}

func (v *VCenter) snapshotNeeds(m *simulator.Method) []need {
	s, ok := v.registry().Get(m.This).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return nil
	}
	switch m.Name {
	case "RemoveSnapshot_Task":
		return []need{{s.Vm, "VirtualMachine.State.RemoveSnapshot"}}
	case "RevertToSnapshot_Task":
		return []need{{s.Vm, "VirtualMachine.State.RevertToSnapshot"}}
	case "RenameSnapshot":
		return []need{{s.Vm, "VirtualMachine.State.RenameSnapshot"}}
	}
	return nil
}

func (v *VCenter) containerNeeds(m *simulator.Method) []need {
	this := m.This
	switch req := m.Body.(type) {
	case *types.CreateFolder:
		return []need{{this, "Folder.Create"}}
	case *types.CreateVM_Task:
		needs := []need{{this, "VirtualMachine.Inventory.Create"}, {req.Pool, "Resource.AssignVMToPool"}}
		needs = append(needs, v.filesNeeds(&req.Config)...)
		return append(needs, v.configNeeds(this, &req.Config, false)...)
	case *types.RegisterVM_Task:
		return append([]need{{this, "VirtualMachine.Inventory.Register"}}, placeNeeds(req.Pool, nil)...)
	case *types.ImportVApp:
		return v.importNeeds(req)
	case *types.MoveIntoFolder_Task:
		return v.moveNeeds(req)
	case *types.PowerOnMultiVM_Task:
		var needs []need
		for _, vm := range req.Vm {
			needs = append(needs, need{vm, "VirtualMachine.Interact.PowerOn"})
		}
		return needs
	case *types.CreateResourcePool:
		return []need{{this, "Resource.CreatePool"}}
	case *types.CreateDatacenter:
		return []need{{this, "Datacenter.Create"}}
	case *types.CreateClusterEx:
		return []need{{this, "Host.Inventory.CreateCluster"}}
	case *types.ReconfigureComputeResource_Task:
		return []need{{this, "Host.Inventory.EditCluster"}}
	}
	if privilege, ok := map[string]string{
		"Destroy_Task Folder": "Folder.Delete", "Rename_Task Folder": "Folder.Rename",
		"Destroy_Task Datacenter": "Datacenter.Delete", "Rename_Task Datacenter": "Datacenter.Rename",
		"Destroy_Task ResourcePool": "Resource.DeletePool", "Rename_Task ResourcePool": "Resource.RenamePool",
		"Destroy_Task ClusterComputeResource": "Host.Inventory.DeleteCluster", "Rename_Task ClusterComputeResource": "Host.Inventory.RenameCluster",
	}[m.Name+" "+this.Type]; ok {
		return []need{{this, privilege}}
	}
	return nil
}

func (v *VCenter) filesNeeds(spec *types.VirtualMachineConfigSpec) []need {
	if spec.Files == nil {
		return nil
	}
	return placeNeeds(nil, v.storeOfPath(spec.Files.VmPathName))
}

func (v *VCenter) importNeeds(req *types.ImportVApp) []need {
	needs := []need{{req.This, "VApp.Import"}, {req.This, "Resource.AssignVMToPool"}}
	spec, ok := req.Spec.(*types.VirtualMachineImportSpec)
	if !ok {
		return needs
	}
	needs = append(needs, v.filesNeeds(&spec.ConfigSpec)...)
	if req.Folder != nil {
		needs = append(needs, need{*req.Folder, "VirtualMachine.Inventory.Create"})
		needs = append(needs, v.configNeeds(*req.Folder, &spec.ConfigSpec, false)...)
	}
	return needs
}

func (v *VCenter) moveNeeds(req *types.MoveIntoFolder_Task) []need {
	var needs []need
	for _, ref := range req.List {
		switch ref.Type {
		case "VirtualMachine":
			needs = append(needs, need{ref, "VirtualMachine.Inventory.Move"}, need{req.This, "VirtualMachine.Inventory.Move"})
		case "Folder":
			needs = append(needs, need{ref, "Folder.Move"}, need{req.This, "Folder.Move"})
		}
	}
	return needs
}

func (v *VCenter) storageNeeds(m *simulator.Method) []need {
	on := func(privilege string, paths ...string) []need {
		var needs []need
		for _, p := range paths {
			if ref := v.storeOfPath(p); ref != nil {
				needs = append(needs, need{*ref, privilege})
			}
		}
		return needs
	}
	const files = "Datastore.FileManagement"
	switch req := m.Body.(type) {
	case *types.SearchDatastore_Task:
		return on("Datastore.Browse", req.DatastorePath)
	case *types.SearchDatastoreSubFolders_Task:
		return on("Datastore.Browse", req.DatastorePath)
	case *types.MakeDirectory:
		return on(files, req.Name)
	case *types.DeleteDatastoreFile_Task:
		return on(files, req.Name)
	case *types.MoveDatastoreFile_Task:
		return on(files, req.SourceName, req.DestinationName)
	case *types.CopyDatastoreFile_Task:
		return on(files, req.SourceName, req.DestinationName)
	case *types.CreateVirtualDisk_Task:
		return on(files, req.Name)
	case *types.DeleteVirtualDisk_Task:
		return on(files, req.Name)
	case *types.CopyVirtualDisk_Task:
		return on(files, req.SourceName, req.DestName)
	case *types.MoveVirtualDisk_Task:
		return on(files, req.SourceName, req.DestName)
	case *types.ExtendVirtualDisk_Task:
		return on(files, req.Name)
	case *types.Destroy_Task:
		return []need{{m.This, "Datastore.Delete"}}
	case *types.RenameDatastore:
		return []need{{m.This, "Datastore.Rename"}}
	}
	return nil
}

func (v *VCenter) serviceNeeds(m *simulator.Method) []need {
	root := v.root().Reference()
	if req, ok := m.Body.(*types.SetEntityPermissions); ok {
		return []need{{req.Entity, "Authorization.ModifyPermissions"}}
	}
	if req, ok := m.Body.(*types.RemoveEntityPermission); ok {
		return []need{{req.Entity, "Authorization.ModifyPermissions"}}
	}
	if privilege, ok := map[string]string{
		"SessionIsActive": "Sessions.ValidateSession", "TerminateSession": "Sessions.TerminateSession",
		"AddAuthorizationRole": "Authorization.ModifyRoles", "UpdateAuthorizationRole": "Authorization.ModifyRoles",
		"RemoveAuthorizationRole": "Authorization.ModifyRoles", "CreateTask": "Task.Create", "UpdateOptions": "Global.Settings",
		"CreateCustomizationSpec": "VirtualMachine.Provisioning.ModifyCustSpecs", "GetCustomizationSpec": "VirtualMachine.Provisioning.ReadCustSpecs",
		"RegisterExtension": "Extension.Register", "EnterMaintenanceMode_Task": "Host.Config.Maintenance",
	}[m.Name]; ok {
		return []need{{root, privilege}}
	}
	return nil
}
