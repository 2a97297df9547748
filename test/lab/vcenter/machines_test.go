package vcenter_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/test/lab/vcenter"
)

func TestAMachineBootsAndTellsItsAddress(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	spec := s.cloneSpec()
	spec.PowerOn = true
	spec.Config = &types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{
		&types.OptionValue{Key: "guestinfo.userdata", Value: "I2Nsb3VkLWNvbmZpZwo="},
		&types.OptionValue{Key: "guestinfo.userdata.encoding", Value: "base64"},
	}}
	vm := s.clone(template, "cp-0", spec)

	ctx, cancel := context.WithTimeout(s.ctx, 10*time.Second)
	defer cancel()
	ip, err := vm.WaitForIP(ctx, true)
	require.NoError(t, err)
	require.Equal(t, "192.0.2.1", ip)
	byMAC, err := vm.WaitForNetIP(ctx, true)
	require.NoError(t, err)

	p := s.properties(vm)
	card := object.VirtualDeviceList(p.Config.Hardware.Device).SelectByType((*types.VirtualVmxnet3)(nil))[0].(types.BaseVirtualEthernetCard).GetVirtualEthernetCard()
	require.Equal(t, map[string][]string{card.MacAddress: {"192.0.2.1"}}, byMAC)
	require.Equal(t, "nodes", p.Guest.Net[0].Network)
	require.Equal(t, card.Key, p.Guest.Net[0].DeviceConfigId)
	require.EqualValues(t, 24, p.Guest.Net[0].IpConfig.IpAddress[0].PrefixLength)
	require.Equal(t, types.VirtualMachineToolsStatusToolsOk, p.Guest.ToolsStatus)
	require.Equal(t, "cp-0", p.Guest.HostName)

	got, ok := s.recorder.Spec("cp-0")
	require.True(t, ok)
	require.Equal(t, "debian", got.Template)
	require.Equal(t, map[string]string{"guestinfo.userdata": "I2Nsb3VkLWNvbmZpZwo=", "guestinfo.userdata.encoding": "base64"}, got.GuestInfo)
	require.Equal(t, card.MacAddress, got.Cards[0].MAC)
	require.Equal(t, "nodes", got.Cards[0].Network)
	require.EqualValues(t, 2, got.CPUs)
	require.EqualValues(t, 2048, got.MemoryMiB)
}

// booted returns a clone that has its address.
func (s *site) booted(name string) *object.VirtualMachine {
	template, err := s.find.VirtualMachine(s.ctx, "/north/vm/templates/debian")
	if err != nil {
		template = s.template("debian", true)
	}
	spec := s.cloneSpec()
	spec.PowerOn = true
	vm := s.clone(template, name, spec)
	eventually(s.t, func() bool { g := s.properties(vm).Guest; return g != nil && g.IpAddress != "" })
	return vm
}

func TestPowerActsOnTheMachine(t *testing.T) {
	s := newSite(t)
	vm := s.booted("cp-0")

	require.NoError(t, s.wait(vm.Reset(s.ctx)))
	eventually(t, func() bool { return slices.Contains(s.recorder.Calls(), "reset cp-0") })
	eventually(t, func() bool { return s.properties(vm).Guest.IpAddress != "" })
	require.Equal(t, types.VirtualMachinePowerStatePoweredOn, s.properties(vm).Runtime.PowerState)

	require.NoError(t, s.wait(vm.PowerOff(s.ctx)))
	eventually(t, func() bool { return slices.Contains(s.recorder.Calls(), "stop cp-0") })
	eventually(t, func() bool {
		g := s.properties(vm).Guest
		return g.IpAddress == "" && len(g.Net) == 0 && g.ToolsRunningStatus == "guestToolsNotRunning"
	})
	require.Equal(t, 0, s.recorder.Running())

	require.NoError(t, s.wait(vm.PowerOn(s.ctx)))
	eventually(t, func() bool { return s.properties(vm).Guest.IpAddress == "192.0.2.1" })

	require.NoError(t, vm.ShutdownGuest(s.ctx))
	eventually(t, func() bool {
		return s.properties(vm).Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff
	})
	require.Contains(t, s.recorder.Calls(), "shut down cp-0")

	require.NoError(t, s.wait(vm.Destroy(s.ctx)))
	eventually(t, func() bool { return slices.Contains(s.recorder.Calls(), "destroy cp-0") })
}

func TestPowerFaultsAreThoseOfAVCenter(t *testing.T) {
	s := newSite(t)
	vm := s.booted("cp-0")
	requireFault[*types.InvalidPowerState](t, s.wait(vm.PowerOn(s.ctx)))
	requireFault[*types.InvalidPowerState](t, s.wait(vm.Destroy(s.ctx)))
	require.NoError(t, s.wait(vm.PowerOff(s.ctx)))
	requireFault[*types.InvalidPowerState](t, s.wait(vm.PowerOff(s.ctx)))
	requireFault[*types.InvalidPowerState](t, s.wait(vm.Reset(s.ctx)))
	requireFault[*types.InvalidPowerState](t, vm.ShutdownGuest(s.ctx))
}

func TestAGuestThatNeverBootsHasNoTools(t *testing.T) {
	s := newSite(t)
	s.recorder.FailWith(errors.New("no such image"))
	spec := s.cloneSpec()
	spec.PowerOn = true
	vm := s.clone(s.template("debian", true), "cp-0", spec)
	eventually(t, func() bool { return slices.Contains(s.recorder.Calls(), "start cp-0") })
	require.Equal(t, types.VirtualMachinePowerStatePoweredOn, s.properties(vm).Runtime.PowerState)
	requireFault[*types.ToolsUnavailable](t, vm.ShutdownGuest(s.ctx))
	requireFault[*types.ToolsUnavailable](t, vm.RebootGuest(s.ctx))
}

func TestATemplateDoesNotBoot(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	requireFault[*types.InvalidState](t, s.wait(template.PowerOn(s.ctx)))
	require.Empty(t, s.recorder.Calls())
}

func TestCloseDestroysWhatIsLeft(t *testing.T) {
	s := newSite(t)
	s.booted("cp-0")
	s.booted("cp-1")
	s.Close()
	require.Subset(t, s.recorder.Calls(), []string{"destroy cp-0", "destroy cp-1"})
	require.Equal(t, 0, s.recorder.Running())
}

func TestClonesHaveAddressesOfTheirOwn(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	seen := map[string]bool{macs(s.properties(template).Config)[0]: true}
	for _, name := range []string{"a", "b", "c"} {
		for _, mac := range macs(s.properties(s.clone(template, name, s.cloneSpec())).Config) {
			require.Regexp(t, "^00:50:56:", mac)
			require.False(t, seen[mac], "%s twice", mac)
			seen[mac] = true
		}
	}
}

func macs(config *types.VirtualMachineConfigInfo) []string {
	var list []string
	for _, d := range config.Hardware.Device {
		if c, ok := d.(types.BaseVirtualEthernetCard); ok {
			list = append(list, c.GetVirtualEthernetCard().MacAddress)
		}
	}
	return list
}

func TestACardOfTheSpecificationReplacesTheTemplates(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	devices, err := template.Device(s.ctx)
	require.NoError(t, err)
	spec := s.cloneSpec()
	byHand := s.card()
	byHand.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard().AddressType = "manual"
	byHand.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard().MacAddress = "00:50:56:3f:00:07"
	byHand.GetVirtualDevice().Key = -200
	for _, d := range devices.SelectByType((*types.VirtualEthernetCard)(nil)) {
		spec.Location.DeviceChange = append(spec.Location.DeviceChange, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationRemove, Device: d})
	}
	spec.Location.DeviceChange = append(spec.Location.DeviceChange, &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationAdd, Device: byHand})
	require.Equal(t, []string{"00:50:56:3f:00:07"}, macs(s.properties(s.clone(template, "cp-0", spec)).Config))
}

func TestAnEditedDiskIsTheClones(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", false)
	spec := s.cloneSpec()
	spec.Config = &types.VirtualMachineConfigSpec{NumCPUs: 4, MemoryMB: 8192, Annotation: "made by a test", DeviceChange: []types.BaseVirtualDeviceConfigSpec{
		s.diskEdit(template, 40*gib),
	}}
	vm := s.clone(template, "cp-0", spec)

	old, disk := s.disk(template), s.disk(vm)
	require.Equal(t, 40*gib, disk.CapacityInBytes)
	require.Equal(t, 20*gib, old.CapacityInBytes, "the template's disk stays as it is")
	require.Equal(t, "[vmfs-ssd] cp-0/cp-0.vmdk", fileOf(disk))
	require.NotEqual(t, fileOf(old), fileOf(disk))
	p := s.properties(vm)
	require.EqualValues(t, 4, p.Config.Hardware.NumCPU)
	require.EqualValues(t, 8192, p.Config.Hardware.MemoryMB)
	require.Equal(t, "made by a test", p.Config.Annotation)
	require.Len(t, object.VirtualDeviceList(p.Config.Hardware.Device).SelectByType((*types.VirtualDisk)(nil)), 1)

	spec.Config.DeviceChange = []types.BaseVirtualDeviceConfigSpec{s.diskEdit(template, 10*gib)}
	_, err := s.tryClone(template, "cp-1", spec)
	requireFault[*types.InvalidDeviceOperation](t, err)
	_, err = s.find.VirtualMachine(s.ctx, "/north/vm/sealift/cp-1")
	require.Error(t, err, "nothing is left of a clone that failed")
}

// diskEdit is what Cluster API sends: the template's disk with another size.
func (s *site) diskEdit(template *object.VirtualMachine, size int64) types.BaseVirtualDeviceConfigSpec {
	disk := *s.disk(template)
	disk.CapacityInKB = size / 1024
	return &types.VirtualDeviceConfigSpec{Operation: types.VirtualDeviceConfigSpecOperationEdit, Device: &disk}
}

func (s *site) disk(vm *object.VirtualMachine) *types.VirtualDisk {
	devices, err := vm.Device(s.ctx)
	require.NoError(s.t, err)
	return devices.SelectByType((*types.VirtualDisk)(nil))[0].(*types.VirtualDisk)
}

func fileOf(disk *types.VirtualDisk) string {
	return disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).FileName
}

func TestACloneInheritsTheTemplatesValues(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	spec := s.cloneSpec()
	spec.Config = &types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "guestinfo.a", Value: "1"}}}
	values := object.OptionValueList(s.properties(s.clone(template, "cp-0", spec)).Config.ExtraConfig)
	uuid, _ := values.GetString("disk.EnableUUID")
	require.Equal(t, "TRUE", uuid)
	own, _ := values.GetString("guestinfo.a")
	require.Equal(t, "1", own)
}

func TestANameIsTakenOnce(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	s.clone(template, "cp-0", s.cloneSpec())
	_, err := s.tryClone(template, "cp-0", s.cloneSpec())
	require.Equal(t, "cp-0", requireFault[*types.DuplicateName](t, err).Name)
	requireFault[*types.DuplicateName](t, s.wait(s.folder("/north/vm/templates").CreateVM(s.ctx, s.machineSpec("debian", true), s.pool(), nil)))
}

func TestClonesSpreadOverTheHosts(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", true)
	hosts := map[string]int{}
	for _, name := range []string{"a", "b", "c"} {
		hosts[s.properties(s.clone(template, name, s.cloneSpec())).Runtime.Host.Value]++
	}
	require.GreaterOrEqual(t, len(hosts), 2)
	for _, n := range hosts {
		require.LessOrEqual(t, n, 2)
	}
}

func TestAVCenterWithoutARuntimeHasPowerOnly(t *testing.T) {
	s := newSite(t)
	v, err := vcenter.Start(s.ctx, vcenter.Options{})
	require.NoError(t, err)
	defer v.Close()
	bare := (&site{VCenter: v, t: t, ctx: s.ctx}).as(v.Admin())
	spec := bare.cloneSpec()
	spec.PowerOn = true
	vm := bare.clone(bare.template("debian", true), "cp-0", spec)
	require.Equal(t, types.VirtualMachinePowerStatePoweredOn, bare.properties(vm).Runtime.PowerState)
	require.NoError(t, bare.wait(vm.PowerOff(s.ctx)))
}

func TestAGuestThatEndsByItselfIsPoweredOff(t *testing.T) {
	s := newSite(t)
	vm := s.booted("cp-0")
	s.recorder.End("cp-0")
	eventually(t, func() bool {
		p := s.properties(vm)
		return p.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff && p.Guest.IpAddress == ""
	})
}

func TestClonesAtTheSameTime(t *testing.T) {
	s := newSite(t)
	template := s.template("debian", false)
	require.NoError(t, s.FillDatastore(s.ctx, "vmfs-ssd", 70*gib))
	spec := s.cloneSpec()
	spec.PowerOn = true
	var tasks []*object.Task
	for i := range 6 {
		task, err := template.Clone(s.ctx, s.folder("/north/vm/sealift"), fmt.Sprintf("cp-%d", i), spec)
		require.NoError(t, err)
		tasks = append(tasks, task)
	}
	made := 0
	for _, task := range tasks {
		if err := task.Wait(s.ctx); err == nil {
			made++
		} else {
			requireFault[*types.NoDiskSpace](t, err)
		}
	}
	require.Equal(t, 3, made, "as many as fit")
	eventually(t, func() bool { return s.recorder.Running() == 3 })
}

func TestTheSameStepsGiveTheSame(t *testing.T) {
	var seen []string
	for range 2 {
		s := newSite(t)
		vm := s.booted("cp-0")
		p := s.properties(vm)
		seen = append(seen, fmt.Sprint(vm.Reference(), p.Runtime.Host, p.Config.Uuid, macs(p.Config), p.Guest.IpAddress, fileOf(s.disk(vm))))
	}
	require.Equal(t, seen[0], seen[1])
}

// A cluster chooses the hosts of machines that are powered on through it.
func TestPowerThroughTheDatacenter(t *testing.T) {
	s := newSite(t)
	vm := s.clone(s.template("debian", true), "cp-0", s.cloneSpec())
	require.NoError(t, s.wait(s.dc().PowerOnVM(s.ctx, []types.ManagedObjectReference{vm.Reference()})))
	eventually(t, func() bool { return s.properties(vm).Guest.IpAddress == "192.0.2.1" })
}

func TestASuspendedMachineRunsNoLonger(t *testing.T) {
	s := newSite(t)
	vm := s.booted("cp-0")
	require.NoError(t, s.wait(vm.Suspend(s.ctx)))
	eventually(t, func() bool { return s.recorder.Running() == 0 })
	require.NoError(t, s.wait(vm.PowerOn(s.ctx)))
	eventually(t, func() bool { return s.recorder.Running() == 1 })
}

func TestAGuestThatIsAskedRestarts(t *testing.T) {
	s := newSite(t)
	vm := s.booted("cp-0")
	require.NoError(t, vm.RebootGuest(s.ctx))
	eventually(t, func() bool { return slices.Contains(s.recorder.Calls(), "reset cp-0") })
}
