package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// machine does for one call what the simulator's machine leaves out.
type machine struct {
	*simulator.VirtualMachine
	v     *VCenter
	fault *Fault
}

// simple runs a method of the simulator, as an outer task where a fault is to
// be applied.
func (m *machine) simple(ctx *simulator.Context, name string, call func(*simulator.Context) soap.HasFault) types.ManagedObjectReference {
	return m.v.outer(ctx, m.VirtualMachine, name, m.fault, func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		return await(ctx, locked(ctx, m.VirtualMachine, func() soap.HasFault { return call(ctx) }))
	})
}

// PowerOnVMTask starts the machine; its guest boots afterwards.
func (m *machine) PowerOnVMTask(ctx *simulator.Context, req *types.PowerOnVM_Task) soap.HasFault {
	call := func(ctx *simulator.Context) soap.HasFault { return m.VirtualMachine.PowerOnVMTask(ctx, req) }
	if m.fault == nil {
		return call(ctx)
	}
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: m.simple(ctx, "powerOn", call)}}
}

// PowerOffVMTask pulls the plug.
func (m *machine) PowerOffVMTask(ctx *simulator.Context, req *types.PowerOffVM_Task) soap.HasFault {
	call := func(ctx *simulator.Context) soap.HasFault { return m.VirtualMachine.PowerOffVMTask(ctx, req) }
	if m.fault == nil {
		return call(ctx)
	}
	return &methods.PowerOffVM_TaskBody{Res: &types.PowerOffVM_TaskResponse{Returnval: m.simple(ctx, "powerOff", call)}}
}

// RelocateVMTask moves the machine.
func (m *machine) RelocateVMTask(ctx *simulator.Context, req *types.RelocateVM_Task) soap.HasFault {
	call := func(ctx *simulator.Context) soap.HasFault { return m.VirtualMachine.RelocateVMTask(ctx, req) }
	if m.fault == nil {
		return call(ctx)
	}
	return &methods.RelocateVM_TaskBody{Res: &types.RelocateVM_TaskResponse{Returnval: m.simple(ctx, "relocate", call)}}
}

// CreateSnapshotTask takes a snapshot.
func (m *machine) CreateSnapshotTask(ctx *simulator.Context, req *types.CreateSnapshot_Task) soap.HasFault {
	call := func(ctx *simulator.Context) soap.HasFault { return m.VirtualMachine.CreateSnapshotTask(ctx, req) }
	if m.fault == nil {
		return call(ctx)
	}
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: m.simple(ctx, "createSnapshot", call)}}
}

// DestroyTask deletes the machine and its files.
func (m *machine) DestroyTask(ctx *simulator.Context, req *types.Destroy_Task) soap.HasFault {
	ref := m.v.outer(ctx, m.VirtualMachine, "destroy", m.fault, func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		m.v.provision.Lock()
		defer m.v.provision.Unlock()
		return nil, m.v.destroy(ctx, m.VirtualMachine, req)
	})
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: ref}}
}

// destroy removes a machine. v.provision is held.
func (v *VCenter) destroy(ctx *simulator.Context, vm *simulator.VirtualMachine, req *types.Destroy_Task) types.BaseMethodFault {
	_, fault := await(ctx, locked(ctx, vm, func() soap.HasFault { return vm.DestroyTask(ctx, req) }))
	if fault == nil {
		v.forget(vm.Self)
	}
	return fault
}

// ReconfigVMTask changes the machine where the change fits on its datastores.
func (m *machine) ReconfigVMTask(ctx *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	ref := m.v.outer(ctx, m.VirtualMachine, "reconfigure", m.fault, func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		m.v.provision.Lock()
		defer m.v.provision.Unlock()
		return nil, m.v.reconfigure(ctx, m.VirtualMachine, req)
	})
	return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: ref}}
}

// reconfigure changes a machine. v.provision is held.
func (v *VCenter) reconfigure(ctx *simulator.Context, vm *simulator.VirtualMachine, req *types.ReconfigVM_Task) types.BaseMethodFault {
	if fault := v.growthFits(ctx, vm, req.Spec.DeviceChange); fault != nil {
		return fault
	}
	_, fault := await(ctx, locked(ctx, vm, func() soap.HasFault { return vm.ReconfigVMTask(ctx, req) }))
	if fault == nil {
		v.settle(ctx, vm)
	}
	return fault
}

// growthFits tells whether new disks, and disks that grow, fit.
func (v *VCenter) growthFits(ctx *simulator.Context, vm *simulator.VirtualMachine, changes []types.BaseVirtualDeviceConfigSpec) types.BaseMethodFault {
	more := map[string]int64{}
	ctx.WithLock(vm, func() {
		old := map[int32]int64{}
		for _, disk := range disksOf(vm.Config.Hardware.Device) {
			old[disk.Key] = capacity(disk)
		}
		for _, change := range changes {
			spec := change.GetVirtualDeviceConfigSpec()
			disk, ok := spec.Device.(*types.VirtualDisk)
			if !ok || thin(disk) || linked(disk) || spec.Operation == types.VirtualDeviceConfigSpecOperationRemove {
				continue
			}
			if ref := v.storeOf(disk.Backing); ref != nil {
				more[nameOf(v.registry().Get(*ref))] += max(0, capacity(disk)-old[disk.Key])
			}
		}
	})
	for name, bytes := range more {
		if fault := v.noSpace(v.datastoreNamed(name), bytes); fault != nil {
			return fault
		}
	}
	return nil
}

// ResetVMTask resets the machine, which stays powered on.
func (m *machine) ResetVMTask(ctx *simulator.Context, _ *types.ResetVM_Task) soap.HasFault {
	ref := m.v.outer(ctx, m.VirtualMachine, "reset", m.fault, func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		if fault := m.poweredOn(ctx); fault != nil {
			return nil, fault
		}
		m.v.guests.tell(m.Self, reset)
		return nil, nil
	})
	return &methods.ResetVM_TaskBody{Res: &types.ResetVM_TaskResponse{Returnval: ref}}
}

// RebootGuest asks the guest to restart.
func (m *machine) RebootGuest(ctx *simulator.Context, _ *types.RebootGuest) soap.HasFault {
	if fault := m.guestListens(ctx); fault != nil {
		return &methods.RebootGuestBody{Fault_: simulator.Fault("", fault)}
	}
	m.v.guests.tell(m.Self, reset)
	return &methods.RebootGuestBody{Res: &types.RebootGuestResponse{}}
}

// ShutdownGuest asks the guest to end; the power goes off when it has.
func (m *machine) ShutdownGuest(ctx *simulator.Context, _ *types.ShutdownGuest) soap.HasFault {
	if fault := m.guestListens(ctx); fault != nil {
		return &methods.ShutdownGuestBody{Fault_: simulator.Fault("", fault)}
	}
	m.v.guests.tell(m.Self, shutdown)
	return &methods.ShutdownGuestBody{Res: &types.ShutdownGuestResponse{}}
}

func (m *machine) poweredOn(ctx *simulator.Context) (fault types.BaseMethodFault) {
	ctx.WithLock(m.VirtualMachine, func() {
		if m.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
			fault = &types.InvalidPowerState{
				RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: m.Runtime.PowerState,
			}
		}
	})
	return fault
}

func (m *machine) guestListens(ctx *simulator.Context) (fault types.BaseMethodFault) {
	if fault := m.poweredOn(ctx); fault != nil {
		return fault
	}
	ctx.WithLock(m.VirtualMachine, func() {
		if m.Guest == nil || m.Guest.ToolsRunningStatus != string(types.VirtualMachineToolsRunningStatusGuestToolsRunning) {
			fault = &types.ToolsUnavailable{}
		}
	})
	return fault
}
