package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// handle sees every SOAP call before the simulator does: it applies faults and
// privileges, and puts objects of this package in the place of the simulator's
// where those do less than a vCenter.
func (v *VCenter) handle(ctx *simulator.Context, m *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if _, ok := v.user(ctx); !ok {
		return v.replace(ctx, m, nil), nil
	}
	object := v.object(ctx, m.This)
	fault := v.faults.take(m.Name, v.subjects(object, m))
	if fault != nil && (fault.AtCall || !hasOwnTask(m)) {
		v.pause(fault.Delay)
		if fault.Err != nil {
			return nil, fault.Err
		}
		fault = nil
	}
	if missing := v.permitted(ctx, m); missing != nil {
		return nil, missing
	}
	if fault != nil && m.Name == "ImportVApp" {
		v.pause(fault.Delay) // here no lock is held
	}
	switch m.Name {
	case "RetrieveProperties", "RetrievePropertiesEx", "CreateFilter", "WaitForUpdatesEx", "CheckForUpdates", "WaitForUpdates":
		v.refreshSpace(ctx)
	}
	boundWait(m)
	return v.replace(ctx, m, fault), nil
}

// longestWait is how many seconds a client without a limit of its own waits
// for updates before it is told that there are none, and asks again. So a
// client that has gone is not waited for, and one whose session has expired
// hears of it.
const longestWait = 2

func boundWait(m *simulator.Method) {
	req, ok := m.Body.(*types.WaitForUpdatesEx)
	if !ok || (req.Options != nil && req.Options.MaxWaitSeconds != nil) {
		return
	}
	options := types.WaitOptions{}
	if req.Options != nil {
		options = *req.Options
	}
	options.MaxWaitSeconds = types.NewInt32(longestWait)
	req.Options = &options
}

// object returns what a call is for, or nil.
func (v *VCenter) object(ctx *simulator.Context, ref types.ManagedObjectReference) mo.Reference {
	if ctx.Session != nil {
		return ctx.Session.Get(ref)
	}
	return ctx.Map.Get(ref)
}

// subjects returns the names that a fault may mean: the object's, and that of
// what the call would make.
func (v *VCenter) subjects(object mo.Reference, m *simulator.Method) []string {
	var names []string
	if object != nil {
		names = append(names, nameOf(object))
	}
	switch req := m.Body.(type) {
	case *types.CloneVM_Task:
		names = append(names, req.Name)
	case *types.CreateVM_Task:
		names = append(names, req.Config.Name)
	case *types.CreateFolder:
		names = append(names, req.Name)
	case *types.ImportVApp:
		if spec, ok := req.Spec.(*types.VirtualMachineImportSpec); ok {
			names = append(names, spec.ConfigSpec.Name)
		}
	}
	return names
}

// nameOf returns the name of an object of the inventory, or "".
func nameOf(object mo.Reference) string {
	switch o := object.(type) {
	case *simulator.DistributedVirtualPortgroup:
		return o.Name
	case *simulator.DistributedVirtualSwitch:
		return o.Name
	case *mo.Network:
		return o.Name
	case mo.Entity:
		return o.Entity().Name
	}
	return ""
}

// hasOwnTask tells whether a method is one whose task this package runs.
func hasOwnTask(m *simulator.Method) bool {
	switch m.This.Type {
	case "VirtualMachine":
		switch m.Name {
		case "CloneVM_Task", "ReconfigVM_Task", "PowerOnVM_Task", "PowerOffVM_Task", "ResetVM_Task", "Destroy_Task", "RelocateVM_Task",
			"CreateSnapshot_Task":
			return true
		}
	case "Folder":
		return m.Name == "CreateVM_Task"
	case "ResourcePool":
		return m.Name == "ImportVApp"
	}
	return false
}

// replace returns the object of this package that takes a call, or nil.
//
// The simulator prefers what it finds in its registry to what a handler
// returns. A reference that it does not know leaves it no choice; the body of
// the call keeps the real one.
func (v *VCenter) replace(ctx *simulator.Context, m *simulator.Method, fault *Fault) mo.Reference {
	var with mo.Reference
	switch o := v.object(ctx, m.This).(type) {
	case *simulator.VirtualMachine:
		with = &machine{VirtualMachine: o, v: v, fault: fault}
	case *simulator.Folder:
		with = &folder{Folder: o, v: v, fault: fault}
	case *simulator.ResourcePool:
		with = &pool{ResourcePool: o, v: v, fault: fault}
	case *simulator.HttpNfcLease:
		with = &lease{HttpNfcLease: o, v: v}
	case *simulator.Datastore:
		with = &datastore{Datastore: o, v: v}
	case *simulator.FileManager:
		with = &fileManager{FileManager: o, v: v}
	case *simulator.VirtualDiskManager:
		with = &diskManager{VirtualDiskManager: o, v: v}
	case *simulator.OvfManager:
		with = &ovfManager{OvfManager: o}
	case *simulator.AuthorizationManager:
		with = &authorization{AuthorizationManager: o, v: v}
	default:
		return nil
	}
	m.This.Value += " (replaced)"
	return with
}
