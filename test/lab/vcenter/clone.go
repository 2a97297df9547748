package vcenter

import (
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// CloneVMTask makes a copy: checked for space, with addresses and disk files
// of its own, and with everything of the specification applied before it is
// powered on.
func (m *machine) CloneVMTask(ctx *simulator.Context, req *types.CloneVM_Task) soap.HasFault {
	ref := m.v.outer(ctx, m.VirtualMachine, "clone", m.fault, func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		clone, fault := m.clone(ctx, req)
		if fault != nil {
			return nil, fault
		}
		if req.Spec.PowerOn && !req.Spec.Template {
			on := &types.PowerOnVM_Task{This: clone.Self}
			if _, fault := await(ctx, locked(ctx, clone, func() soap.HasFault { return clone.PowerOnVMTask(ctx, on) })); fault != nil {
				return nil, fault
			}
		}
		return clone.Self, nil
	})
	return &methods.CloneVM_TaskBody{Res: &types.CloneVM_TaskResponse{Returnval: ref}}
}

func (m *machine) clone(ctx *simulator.Context, req *types.CloneVM_Task) (*simulator.VirtualMachine, types.BaseMethodFault) {
	v := m.v
	v.provision.Lock()
	defer v.provision.Unlock()
	if fault := m.fits(ctx, req); fault != nil {
		return nil, fault
	}
	inner := &types.CloneVM_Task{This: req.This, Folder: req.Folder, Name: req.Name, Spec: m.innerSpec(ctx, &req.Spec)}
	result, fault := await(ctx, locked(ctx, m.VirtualMachine, func() soap.HasFault { return m.VirtualMachine.CloneVMTask(ctx, inner) }))
	if fault != nil {
		return nil, fault
	}
	clone := ctx.Map.Get(result.(types.ManagedObjectReference)).(*simulator.VirtualMachine)
	if fault := m.complete(ctx, clone, &req.Spec); fault != nil {
		// As in a vCenter, nothing is left of a clone that failed.
		_, _ = await(ctx, locked(ctx, clone, func() soap.HasFault {
			return clone.DestroyTask(ctx, &types.Destroy_Task{This: clone.Self})
		}))
		return nil, fault
	}
	return clone, nil
}

// innerSpec is what the simulator does right: the copy as it is, without power.
func (m *machine) innerSpec(ctx *simulator.Context, spec *types.VirtualMachineCloneSpec) types.VirtualMachineCloneSpec {
	inner := types.VirtualMachineCloneSpec{
		Location: types.VirtualMachineRelocateSpec{
			Datastore: spec.Location.Datastore, Pool: spec.Location.Pool, Host: spec.Location.Host,
		},
		Customization: spec.Customization,
		Config:        &types.VirtualMachineConfigSpec{},
	}
	if inner.Location.Host == nil && spec.Location.Pool != nil {
		inner.Location.Host = m.v.quietHost(*spec.Location.Pool)
	}
	if c := spec.Config; c != nil {
		inner.Config.Uuid, inner.Config.InstanceUuid = c.Uuid, c.InstanceUuid
		inner.Config.NumCPUs, inner.Config.MemoryMB, inner.Config.ExtraConfig = c.NumCPUs, c.MemoryMB, c.ExtraConfig
	}
	ctx.WithLock(m.VirtualMachine, func() {
		inner.Config.ExtraConfig = mergeExtra(m.Config.ExtraConfig, inner.Config.ExtraConfig)
	})
	return inner
}

// mergeExtra returns the source's values with the specification's over them.
func mergeExtra(source, spec []types.BaseOptionValue) []types.BaseOptionValue {
	merged := slices.Clone(spec)
	for _, o := range source {
		set := slices.ContainsFunc(spec, func(s types.BaseOptionValue) bool {
			return s.GetOptionValue().Key == o.GetOptionValue().Key
		})
		if !set && o.GetOptionValue().Key != "govcsim" {
			value := *o.GetOptionValue()
			merged = append(merged, &value)
		}
	}
	return merged
}

// complete does the rest of the specification.
func (m *machine) complete(ctx *simulator.Context, clone *simulator.VirtualMachine, spec *types.VirtualMachineCloneSpec) types.BaseMethodFault {
	m.sizeDisks(ctx, clone, spec)
	config := types.VirtualMachineConfigSpec{}
	if spec.Config != nil {
		config = *spec.Config
		config.ExtraConfig, config.Uuid, config.InstanceUuid, config.Files, config.Name = nil, "", "", nil, ""
	}
	config.DeviceChange = append(slices.Clone(spec.Location.DeviceChange), config.DeviceChange...)
	ctx.WithLock(clone, func() { config.DeviceChange = ownDisks(clone.Config.Hardware.Device, config.DeviceChange) })
	if fault := m.v.reconfigure(ctx, clone, &types.ReconfigVM_Task{This: clone.Self, Spec: config}); fault != nil {
		return fault
	}
	origin := m.Name
	if o, ok := m.v.origins.Load(m.Self); ok && !m.Config.Template {
		origin = o.(string)
	}
	m.v.origins.Store(clone.Self, origin)
	if disk, ok := m.v.disks.Load(m.Self); ok {
		m.v.disks.Store(clone.Self, disk)
	}
	if !spec.Template {
		return nil
	}
	body := locked(ctx, clone, func() soap.HasFault { return clone.MarkAsTemplate(&types.MarkAsTemplate{This: clone.Self}) })
	if f := body.Fault(); f != nil {
		return f.VimFault().(types.BaseMethodFault)
	}
	return nil
}

// ownDisks lets an edit of a disk mean the clone's disk. The specification
// describes the source's disk, with its file.
func ownDisks(devices object.VirtualDeviceList, changes []types.BaseVirtualDeviceConfigSpec) []types.BaseVirtualDeviceConfigSpec {
	list := slices.Clone(changes)
	for i, change := range list {
		spec := *change.GetVirtualDeviceConfigSpec()
		edit, ok := spec.Device.(*types.VirtualDisk)
		if !ok || spec.Operation != types.VirtualDeviceConfigSpecOperationEdit {
			continue
		}
		own, ok := devices.FindByKey(edit.Key).(*types.VirtualDisk)
		if !ok {
			continue // the simulator refuses it
		}
		disk := *edit
		disk.Backing, disk.ControllerKey, disk.UnitNumber = own.Backing, own.ControllerKey, own.UnitNumber
		if disk.CapacityInKB == 0 && disk.CapacityInBytes == 0 {
			disk.CapacityInKB = own.CapacityInKB
		}
		spec.Device, spec.FileOperation = &disk, ""
		list[i] = &spec
	}
	return list
}

// fits tells whether the copies of the disks fit where they go.
func (m *machine) fits(ctx *simulator.Context, req *types.CloneVM_Task) (fault types.BaseMethodFault) {
	ctx.WithLock(m.VirtualMachine, func() {
		more := map[string]int64{}
		for _, disk := range disksOf(m.Config.Hardware.Device) {
			ref := req.Spec.Location.Datastore
			if ref == nil {
				ref = m.v.storeOf(disk.Backing)
			}
			if ref != nil {
				more[nameOf(m.v.registry().Get(*ref))] += m.copySize(disk, &req.Spec)
			}
		}
		for name, bytes := range more {
			if f := m.v.noSpace(m.v.datastoreNamed(name), bytes); f != nil && fault == nil {
				fault = f
			}
		}
	})
	return fault
}

// copySize returns what the copy of a disk takes, before it is edited.
func (m *machine) copySize(disk *types.VirtualDisk, spec *types.VirtualMachineCloneSpec) int64 {
	switch {
	case isLinked(spec):
		return 0
	case thinCopy(disk, spec):
		return fileSize(m.v.diskFile(disk))
	}
	return capacity(disk)
}

func isLinked(spec *types.VirtualMachineCloneSpec) bool {
	return spec.Location.DiskMoveType == string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking)
}

// thinCopy tells whether the copy of a disk is to be thin.
func thinCopy(disk *types.VirtualDisk, spec *types.VirtualMachineCloneSpec) bool {
	for _, locator := range spec.Location.Disk {
		if b, ok := locator.DiskBackingInfo.(*types.VirtualDiskFlatVer2BackingInfo); ok && locator.DiskId == disk.Key && b.ThinProvisioned != nil {
			return *b.ThinProvisioned
		}
	}
	switch spec.Location.Transform {
	case types.VirtualMachineRelocateTransformationSparse:
		return true
	case types.VirtualMachineRelocateTransformationFlat:
		return false
	}
	return thin(disk)
}

// sizeDisks gives the clone's disks their kind and the sizes of the source's.
func (m *machine) sizeDisks(ctx *simulator.Context, clone *simulator.VirtualMachine, spec *types.VirtualMachineCloneSpec) {
	sources := map[int32]*types.VirtualDisk{}
	ctx.WithLock(m.VirtualMachine, func() {
		for _, disk := range disksOf(m.Config.Hardware.Device) {
			sources[disk.Key] = disk
		}
	})
	ctx.WithLock(clone, func() {
		for _, disk := range disksOf(clone.Config.Hardware.Device) {
			source := sources[disk.Key]
			backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
			if source == nil || !ok {
				continue
			}
			backing.ThinProvisioned = types.NewBool(thinCopy(source, spec))
			backing.ContentId = ""
			if isLinked(spec) {
				backing.ContentId = linkedNote
			}
			m.v.grow(disk, m.copySize(source, spec))
		}
	})
}

// quietHost returns the host of a pool's cluster with the fewest machines, the
// first by name among equals, as load balancing would choose.
func (v *VCenter) quietHost(pool types.ManagedObjectReference) *types.ManagedObjectReference {
	p, ok := v.registry().Get(pool).(*simulator.ResourcePool)
	if !ok {
		return nil
	}
	var best *simulator.HostSystem
	for _, e := range v.registry().All("HostSystem") {
		h, ok := e.(*simulator.HostSystem)
		if !ok || h.Parent == nil || *h.Parent != p.Owner || h.Runtime.InMaintenanceMode {
			continue
		}
		if best == nil || len(h.Vm) < len(best.Vm) || (len(h.Vm) == len(best.Vm) && h.Name < best.Name) {
			best = h
		}
	}
	if best == nil {
		return nil
	}
	return &best.Self
}
