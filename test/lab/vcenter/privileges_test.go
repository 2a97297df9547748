package vcenter_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/test/lab/vcenter"
)

// restrict takes a privilege from both roles of the installer's user.
func (s *site) restrict(privilege string) {
	m := object.NewAuthorizationManager(s.client.Client)
	roles, err := m.RoleList(s.ctx)
	require.NoError(s.t, err)
	for _, name := range []string{vcenter.RoleLook, vcenter.RoleMachines} {
		role := roles.ByName(name)
		left := slices.DeleteFunc(slices.Clone(role.Privilege), func(p string) bool { return p == privilege })
		require.NoError(s.t, m.UpdateRole(s.ctx, role.RoleId, name, left))
	}
}

// scene is what an operation works on.
type scene struct {
	*site
	machine, running, template *object.VirtualMachine
}

// operations is what an installer does, by the privilege that it needs, which
// is the first word. Each is done by the installer's user without it.
func operations() map[string]func(*scene) error {
	config := func(spec types.VirtualMachineConfigSpec) func(*scene) error {
		return func(s *scene) error { return s.wait(s.machine.Reconfigure(s.ctx, spec)) }
	}
	no := types.NewBool(false)
	return map[string]func(*scene) error{
		"Folder.Create": func(s *scene) error {
			_, err := s.folder("/north/vm/sealift").CreateFolder(s.ctx, "new")
			return err
		},
		"Folder.Delete": func(s *scene) error { return s.wait(s.folder("/north/vm/sealift/enterprise").Destroy(s.ctx)) },
		"Folder.Rename": func(s *scene) error { return s.wait(s.folder("/north/vm/sealift/enterprise").Rename(s.ctx, "new")) },
		"Folder.Move": func(s *scene) error {
			return s.wait(s.folder("/north/vm/templates").MoveInto(s.ctx, []types.ManagedObjectReference{s.folder("/north/vm/sealift/enterprise").Reference()}))
		},
		"VirtualMachine.Inventory.Move": func(s *scene) error {
			return s.wait(s.folder("/north/vm/templates").MoveInto(s.ctx, []types.ManagedObjectReference{s.machine.Reference()}))
		},
		"VirtualMachine.Inventory.Create": func(s *scene) error {
			return s.wait(s.folder("/north/vm/sealift").CreateVM(s.ctx, s.machineSpec("new", true), s.pool(), nil))
		},
		"VirtualMachine.Config.AddNewDisk": func(s *scene) error {
			return s.wait(s.machine.Reconfigure(s.ctx, types.VirtualMachineConfigSpec{DeviceChange: s.newDisk(s.machine, gib)}))
		},
		"VirtualMachine.Config.AddExistingDisk": func(s *scene) error {
			changes := s.newDisk(s.machine, gib)
			changes[0].GetVirtualDeviceConfigSpec().FileOperation = ""
			return s.wait(s.machine.Reconfigure(s.ctx, types.VirtualMachineConfigSpec{DeviceChange: changes}))
		},
		"VirtualMachine.Config.RemoveDisk": func(s *scene) error { return s.machine.RemoveDevice(s.ctx, false, s.disk(s.machine)) },
		"VirtualMachine.Config.DiskExtend": func(s *scene) error {
			return s.wait(s.machine.Reconfigure(s.ctx, types.VirtualMachineConfigSpec{
				DeviceChange: []types.BaseVirtualDeviceConfigSpec{s.diskEdit(s.machine, 30*gib)},
			}))
		},
		"VirtualMachine.Config.AddRemoveDevice": func(s *scene) error { return s.machine.AddDevice(s.ctx, s.card()) },
		"Network.Assign":                        func(s *scene) error { return s.machine.AddDevice(s.ctx, s.card()) },
		"VirtualMachine.Config.EditDevice": func(s *scene) error {
			devices, err := s.machine.Device(s.ctx)
			require.NoError(s.t, err)
			return s.machine.EditDevice(s.ctx, devices.SelectByType((*types.VirtualEthernetCard)(nil))[0])
		},
		"VirtualMachine.Config.CPUCount": config(types.VirtualMachineConfigSpec{NumCPUs: 4}),
		"VirtualMachine.Config.Memory":   config(types.VirtualMachineConfigSpec{MemoryMB: 4096}),
		"VirtualMachine.Config.AdvancedConfig": config(types.VirtualMachineConfigSpec{
			ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "guestinfo.x", Value: "1"}},
		}),
		"VirtualMachine.Config.Annotation":     config(types.VirtualMachineConfigSpec{Annotation: "x"}),
		"VirtualMachine.Config.Settings":       config(types.VirtualMachineConfigSpec{Flags: &types.VirtualMachineFlagInfo{EnableLogging: no}}),
		"VirtualMachine.Config.ManagedBy":      config(types.VirtualMachineConfigSpec{ManagedBy: &types.ManagedByInfo{ExtensionKey: "x"}}),
		"VirtualMachine.Config.Resource":       config(types.VirtualMachineConfigSpec{CpuAllocation: &types.ResourceAllocationInfo{}}),
		"VirtualMachine.Config.ChangeTracking": config(types.VirtualMachineConfigSpec{ChangeTrackingEnabled: no}),
		"VirtualMachine.Config.SwapPlacement":  config(types.VirtualMachineConfigSpec{SwapPlacement: "inherit"}),
		"VirtualMachine.Config.Rename":         func(s *scene) error { return s.wait(s.machine.Rename(s.ctx, "new")) },
		"VirtualMachine.Config.UpgradeVirtualHardware": func(s *scene) error {
			return s.wait(s.machine.UpgradeVM(s.ctx, "vmx-21"))
		},
		"VirtualMachine.Interact.PowerOn":       func(s *scene) error { return s.wait(s.machine.PowerOn(s.ctx)) },
		"VirtualMachine.Interact.PowerOff":      func(s *scene) error { return s.wait(s.running.PowerOff(s.ctx)) },
		"VirtualMachine.Inventory.Delete":       func(s *scene) error { return s.wait(s.machine.Destroy(s.ctx)) },
		"VirtualMachine.Inventory.Unregister":   func(s *scene) error { return s.machine.Unregister(s.ctx) },
		"VirtualMachine.State.CreateSnapshot":   func(s *scene) error { return s.wait(s.machine.CreateSnapshot(s.ctx, "s", "", false, false)) },
		"VirtualMachine.State.RemoveSnapshot":   func(s *scene) error { return s.wait(s.machine.RemoveAllSnapshot(s.ctx, nil)) },
		"VirtualMachine.State.RevertToSnapshot": func(s *scene) error { return s.wait(s.machine.RevertToCurrentSnapshot(s.ctx, true)) },
		"VirtualMachine.Provisioning.DeployTemplate": func(s *scene) error {
			_, err := s.tryClone(s.template, "new", s.cloneSpec())
			return err
		},
		"VirtualMachine.Provisioning.Clone": func(s *scene) error {
			_, err := s.tryClone(s.machine, "new", s.cloneSpec())
			return err
		},
		"VirtualMachine.Provisioning.CloneTemplate": func(s *scene) error {
			spec := s.cloneSpec()
			spec.Template = true
			_, err := s.tryClone(s.template, "new", spec)
			return err
		},
		"VirtualMachine.Provisioning.CreateTemplateFromVM": func(s *scene) error {
			spec := s.cloneSpec()
			spec.Template = true
			_, err := s.tryClone(s.machine, "new", spec)
			return err
		},
		"VirtualMachine.Inventory.CreateFromExisting": func(s *scene) error {
			_, err := s.tryClone(s.template, "new", s.cloneSpec())
			return err
		},
		"Datastore.AllocateSpace": func(s *scene) error {
			_, err := s.tryClone(s.template, "new", s.cloneSpec())
			return err
		},
		"Datastore.AllocateSpace beside the source": func(s *scene) error {
			spec := s.cloneSpec()
			spec.Location.Datastore = nil
			_, err := s.tryClone(s.template, "new", spec)
			return err
		},
		"VirtualMachine.Interact.PowerOn of several": func(s *scene) error {
			return s.wait(s.dc().PowerOnVM(s.ctx, []types.ManagedObjectReference{s.machine.Reference()}))
		},
		"VirtualMachine.Provisioning.Customize": func(s *scene) error {
			spec := s.cloneSpec()
			spec.Customization = &types.CustomizationSpec{}
			_, err := s.tryClone(s.template, "new", spec)
			return err
		},
		"VirtualMachine.Provisioning.PromoteDisks": func(s *scene) error {
			return s.wait(s.machine.PromoteDisks(s.ctx, false, nil))
		},
		"Resource.AssignVMToPool": func(s *scene) error {
			_, err := s.tryClone(s.template, "new", s.cloneSpec())
			return err
		},
		"VirtualMachine.Provisioning.MarkAsTemplate": func(s *scene) error { return s.machine.MarkAsTemplate(s.ctx) },
		"VirtualMachine.Provisioning.MarkAsVM": func(s *scene) error {
			return s.template.MarkAsVirtualMachine(s.ctx, *s.pool(), nil)
		},
		"Resource.ColdMigrate": func(s *scene) error {
			pool := s.pool().Reference()
			return s.wait(s.machine.Relocate(s.ctx, types.VirtualMachineRelocateSpec{Pool: &pool}, ""))
		},
		"Resource.HotMigrate": func(s *scene) error {
			pool := s.pool().Reference()
			return s.wait(s.running.Relocate(s.ctx, types.VirtualMachineRelocateSpec{Pool: &pool}, ""))
		},
		"Datastore.Browse": func(s *scene) error {
			b, err := s.datastore("vmfs-ssd").Browser(s.ctx)
			require.NoError(s.t, err)
			return s.wait(b.SearchDatastore(s.ctx, "[vmfs-ssd]", &types.HostDatastoreBrowserSearchSpec{}))
		},
		"Datastore.FileManagement": func(s *scene) error {
			return object.NewFileManager(s.client.Client).MakeDirectory(s.ctx, "[vmfs-ssd] new", s.dc(), false)
		},
		"Sessions.ValidateSession": func(s *scene) error {
			_, err := s.client.SessionManager.SessionIsActive(s.ctx)
			return err
		},
	}
}

func TestEveryOperationNeedsItsPrivilege(t *testing.T) {
	admin := newSite(t)
	m := object.NewAuthorizationManager(admin.client.Client)
	roles, err := m.RoleList(admin.ctx)
	require.NoError(t, err)
	template := admin.template("debian", true)
	machine := admin.clone(template, "machine", admin.cloneSpec())
	on := admin.cloneSpec()
	on.PowerOn = true
	running := admin.clone(template, "running", on)

	for title, do := range operations() {
		t.Run(title, func(t *testing.T) {
			privilege, _, _ := strings.Cut(title, " ")
			s := *admin
			s.t, s.ctx = t, context.Background()
			for _, name := range []string{vcenter.RoleLook, vcenter.RoleMachines} {
				role := roles.ByName(name)
				left := slices.DeleteFunc(slices.Clone(role.Privilege), func(p string) bool { return p == privilege })
				require.NoError(t, m.UpdateRole(s.ctx, role.RoleId, name, left))
			}
			user := s.as(vcenter.Installer())
			own := func(vm *object.VirtualMachine) *object.VirtualMachine {
				return object.NewVirtualMachine(user.client.Client, vm.Reference())
			}
			err := do(&scene{site: user, machine: own(machine), running: own(running), template: own(template)})
			fault := requireFault[*types.NoPermission](t, err)
			require.Equal(t, privilege, fault.PrivilegeId)
			require.NotNil(t, fault.Object)
			require.NotEmpty(t, fault.MissingPrivileges)
			require.NoError(t, user.client.Logout(s.ctx))
		})
	}
}

func TestTheDocumentedPrivilegesSuffice(t *testing.T) {
	admin := newSite(t)
	s := admin.as(vcenter.Installer())
	_, err := s.folder("/north/vm/sealift").CreateFolder(s.ctx, "new")
	require.NoError(t, err)
	imported, err := s.importOVA(ova(t, diskBytes()), "node", "thin")
	require.NoError(t, err)
	require.NoError(t, s.wait(imported.CreateSnapshot(s.ctx, "base", "", false, false)))
	require.NoError(t, imported.MarkAsTemplate(s.ctx))
	spec := s.linkedSpec(imported)
	spec.Config = &types.VirtualMachineConfigSpec{
		NumCPUs: 4, MemoryMB: 4096, DeviceChange: []types.BaseVirtualDeviceConfigSpec{s.diskEdit(imported, 40*gib)},
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "guestinfo.userdata", Value: "x"}},
	}
	vm := s.clone(imported, "cp-0", spec)
	require.NoError(t, s.wait(vm.PowerOn(s.ctx)))
	require.NoError(t, s.wait(vm.PowerOff(s.ctx)))
	require.NoError(t, s.wait(vm.Destroy(s.ctx)))
	active, err := s.client.SessionManager.SessionIsActive(s.ctx)
	require.NoError(t, err)
	require.True(t, active)
}

func TestPrivilegesEndWhereTheirGrantEnds(t *testing.T) {
	s := newSite(t).as(vcenter.Installer())
	_, err := s.folder("/north/vm/others").CreateFolder(s.ctx, "new")
	fault := requireFault[*types.NoPermission](t, err)
	require.Equal(t, "Folder.Create", fault.PrivilegeId)
	require.Equal(t, s.folder("/north/vm/others").Reference(), *fault.Object)

	// A grant that does not propagate is not inherited.
	_, err = s.dcFolder("/north/host").CreateFolder(s.ctx, "new")
	requireFault[*types.NoPermission](t, err)
}

func (s *site) dcFolder(path string) *object.Folder { return s.folder(path) }

func TestWhoHasNoRoleHasNothing(t *testing.T) {
	s := newSite(t).as(vcenter.User{Name: "nobody@vsphere.local", Password: "Dark-Site-3!"})
	_, err := s.folder("/north/vm/sealift").CreateFolder(s.ctx, "new")
	requireFault[*types.NoPermission](t, err)
}

func TestAllMissingPrivilegesAreNamed(t *testing.T) {
	admin := newSite(t)
	template := admin.template("debian", true)
	s := admin.as(vcenter.User{Name: "nobody@vsphere.local", Password: "Dark-Site-3!"})
	_, err := s.tryClone(object.NewVirtualMachine(s.client.Client, template.Reference()), "cp-0", s.cloneSpec())
	fault := requireFault[*types.NoPermission](t, err)
	var all []string
	for _, m := range fault.MissingPrivileges {
		all = append(all, m.PrivilegeIds...)
	}
	require.ElementsMatch(t, []string{
		"VirtualMachine.Provisioning.DeployTemplate", "VirtualMachine.Inventory.CreateFromExisting", "Resource.AssignVMToPool", "Datastore.AllocateSpace",
	}, all)
}

func TestTheVCenterTellsWhoMayDoWhat(t *testing.T) {
	s := newSite(t).as(vcenter.Installer())
	m := object.NewAuthorizationManager(s.client.Client)
	folder := s.folder("/north/vm/sealift").Reference()
	session, err := s.client.SessionManager.UserSession(s.ctx)
	require.NoError(t, err)

	granted, err := m.HasUserPrivilegeOnEntities(s.ctx, []types.ManagedObjectReference{folder}, vcenter.Installer().Name, []string{"Folder.Create", "Host.Config.Power"})
	require.NoError(t, err)
	require.True(t, granted[0].PrivAvailability[0].IsGranted)
	require.False(t, granted[0].PrivAvailability[1].IsGranted)
	one, err := m.HasPrivilegeOnEntity(s.ctx, folder, session.Key, []string{"Folder.Create", "Host.Config.Power"})
	require.NoError(t, err)
	require.Equal(t, []bool{true, false}, one)
	all, err := m.FetchUserPrivilegeOnEntities(s.ctx, []types.ManagedObjectReference{folder}, vcenter.Installer().Name)
	require.NoError(t, err)
	for _, p := range vcenter.MachinePrivileges() {
		require.Contains(t, all[0].Privileges, p)
	}
}

func TestRolesAndPermissionsAreThoseThatWereSet(t *testing.T) {
	s := newSite(t)
	m := object.NewAuthorizationManager(s.client.Client)
	a, err := m.AddRole(s.ctx, "a", []string{"Folder.Create"})
	require.NoError(t, err)
	b, err := m.AddRole(s.ctx, "b", []string{"Folder.Delete"})
	require.NoError(t, err)
	require.NotEqual(t, a, b)
	_, err = m.AddRole(s.ctx, "a", nil)
	requireFault[*types.AlreadyExists](t, err)
	_, err = m.AddRole(s.ctx, "c", []string{"No.Such"})
	requireFault[*types.InvalidArgument](t, err)

	folder := s.folder("/north/vm/others").Reference()
	require.NoError(t, m.SetEntityPermissions(s.ctx, folder, []types.Permission{{Principal: "x@vsphere.local", RoleId: a}}))
	require.NoError(t, m.SetEntityPermissions(s.ctx, folder, []types.Permission{{Principal: "y@vsphere.local", RoleId: b}}))
	list, err := m.RetrieveEntityPermissions(s.ctx, folder, false)
	require.NoError(t, err)
	require.Len(t, list, 2, "the second permission leaves the first")

	err = object.NewAuthorizationManager(s.as(vcenter.Installer()).client.Client).SetEntityPermissions(s.ctx, folder, nil)
	require.Equal(t, "Authorization.ModifyPermissions", requireFault[*types.NoPermission](t, err).PrivilegeId)
}

func TestTagsNeedPrivileges(t *testing.T) {
	admin := newSite(t)
	login := func(u vcenter.User) *tags.Manager {
		rc := rest.NewClient(admin.client.Client)
		require.NoError(t, rc.Login(admin.ctx, url.UserPassword(u.Name, u.Password)))
		return tags.NewManager(rc)
	}
	m := login(vcenter.Installer())
	category, err := m.GetCategory(admin.ctx, "k8s-zone")
	require.NoError(t, err)
	_, err = m.CreateTag(admin.ctx, &tags.Tag{Name: "north-b", CategoryID: category.ID})
	require.NoError(t, err)
	folder := admin.folder("/north/vm/sealift").Reference()
	require.NoError(t, m.AttachTag(admin.ctx, "north-b", folder))
	_, err = m.CreateCategory(admin.ctx, &tags.Category{Name: "new"})
	require.ErrorContains(t, err, "403")

	admin.restrict("InventoryService.Tagging.AttachTag")
	require.ErrorContains(t, m.DetachTag(admin.ctx, "north-b", folder), "403")
	admin.restrict("InventoryService.Tagging.CreateTag")
	_, err = m.CreateTag(admin.ctx, &tags.Tag{Name: "north-c", CategoryID: category.ID})
	require.ErrorContains(t, err, "403")
}
