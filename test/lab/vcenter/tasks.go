package vcenter

import (
	"fmt"
	"reflect"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// outer runs work as a task on an entity, with a fault's delay and error.
//
// A task of the simulator holds the lock of its entity from start to end, so
// that nobody could read a machine while it is slowly cloned. An outer task is
// started on a name of its own, and only then gets its entity; the tasks of
// the simulator that do the work lock what they need while they run. For the
// same reason it has a context of its own: the simulator's locks are shared by
// all that runs in one context.
func (v *VCenter) outer(ctx *simulator.Context, entity mo.Entity, name string, fault *Fault, work func(*simulator.Context) (types.AnyType, types.BaseMethodFault)) types.ManagedObjectReference {
	inner := *ctx
	ref := entity.Reference()
	own := types.ManagedObjectReference{Type: "OuterTask", Value: fmt.Sprintf("outer-%d", v.tasks.Add(1))}
	task := simulator.CreateTask(own, name, func(t *simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if fault == nil {
			return work(&inner)
		}
		v.pause(fault.Delay)
		if v.canceled(&inner, t) {
			return nil, &types.RequestCanceled{}
		}
		if fault.Err == nil {
			return work(&inner)
		}
		if fault.Late {
			_, _ = work(&inner)
		}
		return nil, fault.Err
	})
	task.Info.DescriptionId = ref.Type + "." + name
	task.Info.EntityName = entity.Entity().Name
	if ctx.Session != nil {
		task.Info.Reason = &types.TaskReasonUser{UserName: ctx.Session.UserName}
	}
	started := task.Run(&inner)
	inner.Map.AtomicUpdate(v.own(ctx), task, []types.PropertyChange{{Name: "info.entity", Val: &ref}})
	return started
}

func (v *VCenter) canceled(ctx *simulator.Context, t *simulator.Task) (canceled bool) {
	ctx.WithLock(t, func() { canceled = t.Info.Cancelled }) //nolint:misspell // the API's spelling
	return canceled
}

// await waits for the task that a method of the simulator started, and returns
// what it ended with.
func await(ctx *simulator.Context, body soap.HasFault) (types.AnyType, types.BaseMethodFault) {
	if f := body.Fault(); f != nil {
		return nil, f.VimFault().(types.BaseMethodFault)
	}
	res := reflect.ValueOf(body).Elem().FieldByName("Res").Elem()
	ref := res.FieldByName("Returnval").Interface().(types.ManagedObjectReference)
	task := ctx.Map.Get(ref).(*simulator.Task)
	task.Wait()
	if task.Info.Error != nil {
		return nil, task.Info.Error.Fault
	}
	return task.Info.Result, nil
}

// locked calls a method of the simulator as the simulator does, with the lock
// of its object.
func locked(ctx *simulator.Context, o mo.Reference, call func() soap.HasFault) (body soap.HasFault) {
	ctx.WithLock(o, func() { body = call() })
	return body
}
