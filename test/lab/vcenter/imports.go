package vcenter

import (
	"maps"
	"path"
	"slices"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// pool does for one call what the simulator's pool leaves out.
type pool struct {
	*simulator.ResourcePool
	v     *VCenter
	fault *Fault
}

// ImportVApp begins an import. What is wrong with it shows in the lease, as
// with a vCenter.
func (p *pool) ImportVApp(ctx *simulator.Context, req *types.ImportVApp) soap.HasFault {
	p.v.provision.Lock()
	defer p.v.provision.Unlock()
	if fault := p.refuse(ctx, req); fault != nil {
		failed := &simulator.HttpNfcLease{HttpNfcLease: mo.HttpNfcLease{
			State: types.HttpNfcLeaseStateError,
			Error: &types.LocalizedMethodFault{Fault: fault, LocalizedMessage: message(fault)},
		}}
		return &methods.ImportVAppBody{Res: &types.ImportVAppResponse{Returnval: ctx.Session.Put(failed).Reference()}}
	}
	if req.Host == nil {
		req.Host = p.v.quietHost(p.Self)
	}
	body := p.ResourcePool.ImportVApp(ctx, req)
	if res := body.(*methods.ImportVAppBody).Res; res != nil && ctx.Session != nil {
		if l, ok := ctx.Session.Get(res.Returnval).(*simulator.HttpNfcLease); ok {
			p.v.uploads.open(l)
			awaitLease(ctx, l)
		}
	}
	return body
}

// awaitLease waits until the machine of a lease is made, or could not be.
func awaitLease(ctx *simulator.Context, l *simulator.HttpNfcLease) {
	for state := types.HttpNfcLeaseStateInitializing; state == types.HttpNfcLeaseStateInitializing; {
		time.Sleep(time.Millisecond)
		ctx.WithLock(l, func() { state = l.State })
	}
}

// refuse returns why an import cannot begin, or nil. v.provision is held.
func (p *pool) refuse(ctx *simulator.Context, req *types.ImportVApp) types.BaseMethodFault {
	if p.fault != nil && p.fault.Err != nil {
		return p.fault.Err
	}
	spec, ok := req.Spec.(*types.VirtualMachineImportSpec)
	if !ok {
		return nil // the simulator refuses it
	}
	if fault := p.v.nameTaken(ctx, req.Folder, spec.ConfigSpec.Name); fault != nil {
		return fault
	}
	return p.v.newDisksFit(&spec.ConfigSpec)
}

// ovfManager heeds how disks are to be provisioned; the simulator makes every
// disk thin.
type ovfManager struct {
	*simulator.OvfManager
}

// CreateImportSpec turns a descriptor into a specification.
func (o *ovfManager) CreateImportSpec(ctx *simulator.Context, req *types.CreateImportSpec) soap.HasFault {
	body := o.OvfManager.CreateImportSpec(ctx, req)
	res, ok := body.(*methods.CreateImportSpecBody)
	if !ok || res.Res == nil {
		return body
	}
	spec, ok := res.Res.Returnval.ImportSpec.(*types.VirtualMachineImportSpec)
	kind := types.OvfCreateImportSpecParamsDiskProvisioningType(req.Cisp.GetOvfCreateImportSpecParams().DiskProvisioning)
	if !ok || kind == "" || kind == types.OvfCreateImportSpecParamsDiskProvisioningTypeThin {
		return body
	}
	for _, change := range spec.ConfigSpec.DeviceChange {
		disk, ok := change.GetVirtualDeviceConfigSpec().Device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		if b, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok {
			b.ThinProvisioned = types.NewBool(false)
			b.EagerlyScrub = types.NewBool(kind == types.OvfCreateImportSpecParamsDiskProvisioningTypeEagerZeroedThick)
		}
	}
	return body
}

// message says a fault as a vCenter does, where a reader needs to see it.
func message(fault types.BaseMethodFault) string {
	switch f := fault.(type) {
	case *types.DuplicateName:
		return "The name '" + f.Name + "' already exists."
	case *types.NoDiskSpace:
		return "Insufficient disk space on datastore '" + f.Datastore + "'."
	}
	return ""
}

// nameTaken returns a fault where a folder has a child of that name.
func (v *VCenter) nameTaken(ctx *simulator.Context, ref *types.ManagedObjectReference, name string) (fault types.BaseMethodFault) {
	if ref == nil {
		return nil
	}
	f, ok := v.registry().Get(*ref).(*simulator.Folder)
	if !ok {
		return nil
	}
	ctx.WithLock(f, func() {
		if e := v.registry().FindByName(name, f.ChildEntity); e != nil {
			fault = &types.DuplicateName{Name: name, Object: e.Reference()}
		}
	})
	return fault
}

// newDisksFit tells whether the disks of a new machine fit: thick ones with
// their capacity; thin ones begin empty. v.provision is held.
func (v *VCenter) newDisksFit(spec *types.VirtualMachineConfigSpec) types.BaseMethodFault {
	more := map[string]int64{}
	for _, change := range spec.DeviceChange {
		disk, ok := change.GetVirtualDeviceConfigSpec().Device.(*types.VirtualDisk)
		if !ok || thin(disk) {
			continue
		}
		ref := v.storeOf(disk.Backing)
		if ref == nil && spec.Files != nil {
			ref = v.storeOfPath(spec.Files.VmPathName)
		}
		if ref != nil {
			more[nameOf(v.registry().Get(*ref))] += capacity(disk)
		}
	}
	for name, bytes := range more {
		if fault := v.noSpace(v.datastoreNamed(name), bytes); fault != nil {
			return fault
		}
	}
	return nil
}

// folder does for one call what the simulator's folder leaves out.
type folder struct {
	*simulator.Folder
	v     *VCenter
	fault *Fault
}

// CreateVMTask makes a machine where its name is free and its disks fit.
func (f *folder) CreateVMTask(ctx *simulator.Context, req *types.CreateVM_Task) soap.HasFault {
	ref := f.v.outer(ctx, f.Folder, "createVm", f.fault, func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		v := f.v
		v.provision.Lock()
		defer v.provision.Unlock()
		if fault := v.nameTaken(ctx, &f.Self, req.Config.Name); fault != nil {
			return nil, fault
		}
		if fault := v.newDisksFit(&req.Config); fault != nil {
			return nil, fault
		}
		if req.Host == nil {
			req.Host = v.quietHost(req.Pool)
		}
		result, fault := await(ctx, locked(ctx, f.Folder, func() soap.HasFault { return f.Folder.CreateVMTask(ctx, req) }))
		if fault != nil {
			return nil, fault
		}
		v.settle(ctx, ctx.Map.Get(result.(types.ManagedObjectReference)).(*simulator.VirtualMachine))
		return result, nil
	})
	return &methods.CreateVM_TaskBody{Res: &types.CreateVM_TaskResponse{Returnval: ref}}
}

// lease ends an import.
type lease struct {
	*simulator.HttpNfcLease
	v *VCenter
}

// HttpNfcLeaseComplete settles the machine that was imported.
func (l *lease) HttpNfcLeaseComplete(ctx *simulator.Context, req *types.HttpNfcLeaseComplete) soap.HasFault { //nolint:revive // the simulator finds it by this name
	if vm := l.machine(); vm != nil {
		l.v.provision.Lock()
		l.v.settle(ctx, vm)
		l.v.provision.Unlock()
		if sums := l.v.uploads.sums(l.Self); len(sums) > 0 {
			first := slices.Min(slices.Collect(maps.Keys(sums))) // the one that it boots from
			l.v.disks.Store(vm.Self, sums[first])
		}
	}
	l.v.uploads.close(l.Self)
	return l.HttpNfcLease.HttpNfcLeaseComplete(ctx, req)
}

// HttpNfcLeaseAbort removes what was imported so far.
func (l *lease) HttpNfcLeaseAbort(ctx *simulator.Context, req *types.HttpNfcLeaseAbort) soap.HasFault { //nolint:revive // the simulator finds it by this name
	if vm := l.machine(); vm != nil {
		l.v.provision.Lock()
		defer l.v.provision.Unlock()
		_ = l.v.destroy(ctx, vm, &types.Destroy_Task{This: vm.Self})
	}
	l.v.uploads.close(l.Self)
	return l.HttpNfcLease.HttpNfcLeaseAbort(ctx, req)
}

// HttpNfcLeaseGetManifest adds SHA-256 sums to the simulator's SHA-1 sums.
func (l *lease) HttpNfcLeaseGetManifest(ctx *simulator.Context, req *types.HttpNfcLeaseGetManifest) soap.HasFault { //nolint:revive // the simulator finds it by this name
	body := l.HttpNfcLease.HttpNfcLeaseGetManifest(ctx, req)
	entries := body.(*methods.HttpNfcLeaseGetManifestBody).Res.Returnval
	sums := l.v.uploads.sums(l.Self)
	for i := range entries {
		for _, u := range l.Info.DeviceUrl {
			if u.Key == entries[i].Key {
				entries[i].Checksum, entries[i].ChecksumType = sums[u.TargetId], "sha256"
				entries[i].Disk = u.Disk != nil && *u.Disk
			}
		}
	}
	return body
}

func (l *lease) machine() *simulator.VirtualMachine {
	if l.Info == nil {
		return nil
	}
	vm, _ := l.v.registry().Get(l.Info.Entity).(*simulator.VirtualMachine)
	return vm
}

// target returns the disk behind a URL of a lease.
func (v *VCenter) target(ctx *simulator.Context, l *simulator.HttpNfcLease, name string) (disk *types.VirtualDisk) {
	var entity types.ManagedObjectReference
	ctx.WithLock(l, func() {
		if l.Info != nil {
			entity = l.Info.Entity
		}
	})
	vm, ok := v.registry().Get(entity).(*simulator.VirtualMachine)
	if !ok {
		return nil
	}
	ctx.WithLock(vm, func() {
		for _, d := range disksOf(vm.Config.Hardware.Device) {
			var p object.DatastorePath
			if b, ok := d.Backing.(types.BaseVirtualDeviceFileBackingInfo); ok && p.FromString(b.GetVirtualDeviceFileBackingInfo().FileName) && path.Base(p.Path) == name {
				disk = d
			}
		}
	})
	return disk
}
