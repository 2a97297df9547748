package vcenter

import "strings"

// LookPrivileges returns the privileges that an installer needs on the
// vCenter, the datacenter and the cluster.
func LookPrivileges() []string {
	return []string{
		"Cns.Searchable",
		"Datastore.Browse",
		"Host.Config.Storage",
		"InventoryService.Tagging.CreateTag",
		"InventoryService.Tagging.EditTag",
		"Network.Assign",
		"Sessions.ValidateSession",
		"StorageProfile.View",
		"StorageViews.View",
	}
}

// MachinePrivileges returns the privileges that an installer needs where it
// makes templates and machines: on folders, pool, datastores, networks, hosts.
func MachinePrivileges() []string {
	var all []string
	for _, group := range []struct{ prefix, names string }{
		{"Datastore", "AllocateSpace Browse DeleteFile FileManagement UpdateVirtualMachineFiles UpdateVirtualMachineMetadata"},
		{"Folder", "Create Delete Move Rename"},
		{"InventoryService.Tagging", "AttachTag CreateTag DeleteTag EditTag"},
		{"Network", "Assign"},
		{"Resource", "ApplyRecommendation AssignVMToPool ColdMigrate HotMigrate QueryVMotion"},
		{"Task", "Create Update"},
		{"VApp", "ApplicationConfig ExtractOvfEnvironment Import InstanceConfig"},
		{"VirtualMachine.Config", "AddExistingDisk AddNewDisk AddRemoveDevice AdvancedConfig Annotation CPUCount ChangeTracking DiskExtend DiskLease EditDevice ManagedBy Memory RawDevice ReloadFromPath RemoveDisk Rename ResetGuestInfo Resource Settings SwapPlacement UpgradeVirtualHardware"},
		{"VirtualMachine.GuestOperations", "Execute Modify Query"},
		{"VirtualMachine.Interact", "ConsoleInteract PowerOff PowerOn"},
		{"VirtualMachine.Inventory", "Create CreateFromExisting Delete Move Register Unregister"},
		{"VirtualMachine.Provisioning", "Clone CloneTemplate CreateTemplateFromVM Customize DeployTemplate DiskRandomAccess DiskRandomRead GetVmFiles MarkAsTemplate MarkAsVM ModifyCustSpecs PromoteDisks PutVmFiles ReadCustSpecs"},
		{"VirtualMachine.State", "CreateSnapshot RemoveSnapshot RenameSnapshot RevertToSnapshot"},
	} {
		for name := range strings.FieldsSeq(group.names) {
			all = append(all, group.prefix+"."+name)
		}
	}
	return all
}
