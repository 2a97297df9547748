package vcenter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/test/lab/vcenter"
)

func TestACloneFailsSoManyTimes(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	s.Inject(vcenter.Fault{Method: "CloneVM_Task", Object: "cp-*", Skip: 1, Times: 2, Err: &types.InsufficientHostCapacityFault{}})
	s.clone(template, "cp-0", s.cloneSpec())
	for range 2 {
		_, err := s.tryClone(template, "cp-1", s.cloneSpec())
		requireFault[*types.InsufficientHostCapacityFault](t, err)
	}
	s.clone(template, "worker-0", s.cloneSpec())
	s.clone(template, "cp-1", s.cloneSpec())
}

func TestTheFaultIsInTheTaskOrInTheCall(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	s.Inject(vcenter.Fault{Method: "CloneVM_Task", Err: &types.SystemError{Reason: "task"}})
	task, err := template.Clone(s.ctx, s.folder("/north/vm/sealift"), "cp-0", s.cloneSpec())
	require.NoError(t, err)
	require.Error(t, task.Wait(s.ctx))
	s.ClearFaults()
	s.Inject(vcenter.Fault{Method: "CloneVM_Task", AtCall: true, Err: &types.SystemError{Reason: "call"}})
	_, err = template.Clone(s.ctx, s.folder("/north/vm/sealift"), "cp-0", s.cloneSpec())
	requireFault[*types.SystemError](t, err)
}

func TestASlowTaskBlocksNobody(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	s.Inject(vcenter.Fault{Method: "CloneVM_Task", Delay: 2 * time.Second})
	start := time.Now()
	task, err := template.Clone(s.ctx, s.folder("/north/vm/sealift"), "cp-0", s.cloneSpec())
	require.NoError(t, err)
	require.Equal(t, "debian", s.properties(template).Name)
	var info mo.Task
	require.NoError(t, property.DefaultCollector(s.client.Client).RetrieveOne(s.ctx, task.Reference(), []string{"info"}, &info))
	require.Less(t, time.Since(start), time.Second, "the template can be read meanwhile")
	require.Equal(t, types.TaskInfoStateRunning, info.Info.State)
	require.Equal(t, template.Reference(), *info.Info.Entity)
	require.Equal(t, "VirtualMachine.clone", info.Info.DescriptionId)
	require.NoError(t, task.Wait(s.ctx))
	require.GreaterOrEqual(t, time.Since(start), 2*time.Second)
}

func TestASlowTaskCanBeCanceled(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	s.Inject(vcenter.Fault{Method: "CloneVM_Task", Delay: time.Second})
	task, err := template.Clone(s.ctx, s.folder("/north/vm/sealift"), "cp-0", s.cloneSpec())
	require.NoError(t, err)
	require.NoError(t, task.Cancel(s.ctx))
	requireFault[*types.RequestCanceled](t, task.Wait(s.ctx))
	time.Sleep(1500 * time.Millisecond)
	_, err = s.find.VirtualMachine(s.ctx, "/north/vm/sealift/cp-0")
	require.Error(t, err)
}

func TestTheWorkIsDoneButReportedAsFailed(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	s.Inject(vcenter.Fault{Method: "CloneVM_Task", Times: 1, Late: true, Err: &types.SystemError{Reason: "the answer is lost"}})
	_, err := s.tryClone(template, "cp-0", s.cloneSpec())
	requireFault[*types.SystemError](t, err)
	_, err = s.find.VirtualMachine(s.ctx, "/north/vm/sealift/cp-0")
	require.NoError(t, err)
	_, err = s.tryClone(template, "cp-0", s.cloneSpec())
	requireFault[*types.DuplicateName](t, err)
}

func TestEveryTaskOfAMachineCanFail(t *testing.T) {
	s := newSite(t)
	vm := s.booted("cp-0")
	broken := &types.HostNotConnected{}
	for method, do := range map[string]func() error{
		"PowerOnVM_Task":      func() error { return s.wait(vm.PowerOn(s.ctx)) },
		"PowerOffVM_Task":     func() error { return s.wait(vm.PowerOff(s.ctx)) },
		"ResetVM_Task":        func() error { return s.wait(vm.Reset(s.ctx)) },
		"Destroy_Task":        func() error { return s.wait(vm.Destroy(s.ctx)) },
		"ReconfigVM_Task":     func() error { return s.wait(vm.Reconfigure(s.ctx, types.VirtualMachineConfigSpec{NumCPUs: 3})) },
		"RelocateVM_Task":     func() error { return s.wait(vm.Relocate(s.ctx, types.VirtualMachineRelocateSpec{}, "")) },
		"CreateSnapshot_Task": func() error { return s.wait(vm.CreateSnapshot(s.ctx, "s", "", false, false)) },
		"ShutdownGuest":       func() error { return vm.ShutdownGuest(s.ctx) },
		"MarkAsTemplate":      func() error { return vm.MarkAsTemplate(s.ctx) },
		"CreateVM_Task": func() error {
			return s.wait(s.folder("/north/vm/sealift").CreateVM(s.ctx, s.machineSpec("new", true), s.pool(), nil))
		},
		"ImportVApp": func() error {
			_, err := s.importOVA(ova(t, diskBytes()), "node", "thin")
			return err
		},
	} {
		s.Inject(vcenter.Fault{Method: method, Times: 1, Err: broken})
		requireFault[*types.HostNotConnected](t, do())
	}
	require.Equal(t, types.VirtualMachinePowerStatePoweredOn, s.properties(vm).Runtime.PowerState, "nothing was done")
	require.NoError(t, s.wait(vm.PowerOff(s.ctx)), "each fault came once")
}

func TestASlowCall(t *testing.T) {
	s := newSite(t)
	s.Inject(vcenter.Fault{Method: "CreateFolder", Object: "slow", Delay: 300 * time.Millisecond})
	start := time.Now()
	_, err := s.folder("/north/vm/sealift").CreateFolder(s.ctx, "slow")
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(start), 300*time.Millisecond)
}
