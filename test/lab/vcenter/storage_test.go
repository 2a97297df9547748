package vcenter_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/test/lab/vcenter"
)

const mib = int64(1) << 20

func TestFreeSpaceFollowsWhatIsThere(t *testing.T) {
	s := newSite(t)
	before := s.free("vmfs-ssd")
	thick := s.template("thick", false)
	require.InDelta(t, before-20*gib, s.free("vmfs-ssd"), float64(mib))
	vm := s.clone(thick, "cp-0", s.cloneSpec())
	require.InDelta(t, before-40*gib, s.free("vmfs-ssd"), float64(mib))
	require.NoError(t, s.wait(vm.Reconfigure(s.ctx, types.VirtualMachineConfigSpec{DeviceChange: []types.BaseVirtualDeviceConfigSpec{s.diskEdit(vm, 30*gib)}})))
	require.InDelta(t, before-50*gib, s.free("vmfs-ssd"), float64(mib))
	require.NoError(t, s.wait(vm.Destroy(s.ctx)))
	require.InDelta(t, before-20*gib, s.free("vmfs-ssd"), float64(mib))

	s.template("thin", true)
	require.InDelta(t, before-20*gib, s.free("vmfs-ssd"), float64(mib), "a thin disk begins empty")

	require.NoError(t, s.datastore("vmfs-bulk").Upload(s.ctx, strings.NewReader(strings.Repeat("x", int(mib))), "iso/image.iso", upload(mib)))
	require.Equal(t, 8192*gib-mib, s.free("vmfs-bulk"))
	m := s.datastore("vmfs-bulk").NewFileManager(s.dc(), true)
	require.NoError(t, m.Delete(s.ctx, "iso"))
	require.Equal(t, 8192*gib, s.free("vmfs-bulk"))
}

func (s *site) dc() *object.Datacenter {
	dc, err := s.find.Datacenter(s.ctx, "/north")
	require.NoError(s.t, err)
	return dc
}

func upload(size int64) *soap.Upload {
	u := soap.DefaultUpload
	u.ContentLength = size
	return &u
}

func TestACloneThatDoesNotFit(t *testing.T) {
	s := newSite(t)
	thick, thin := s.template("thick", false), s.template("thin", true)
	require.NoError(t, s.FillDatastore(s.ctx, "vmfs-ssd", 19*gib))
	require.Equal(t, 19*gib, s.free("vmfs-ssd"))

	_, err := s.tryClone(thick, "cp-0", s.cloneSpec())
	require.Equal(t, "vmfs-ssd", requireFault[*types.NoDiskSpace](t, err).Datastore)
	_, err = s.find.VirtualMachine(s.ctx, "/north/vm/sealift/cp-0")
	require.Error(t, err)
	require.Equal(t, 19*gib, s.free("vmfs-ssd"), "nothing was taken")

	vm := s.clone(thin, "cp-1", s.cloneSpec())
	s.clone(s.snapshot(thick), "cp-2", s.linkedSpec(thick))
	requireFault[*types.NoDiskSpace](t, s.wait(s.folder("/north/vm/sealift").CreateVM(s.ctx, s.machineSpec("cp-3", false), s.pool(), nil)))
	requireFault[*types.NoDiskSpace](t, s.wait(vm.Reconfigure(s.ctx, types.VirtualMachineConfigSpec{DeviceChange: s.newDisk(vm, 20*gib)})))
	require.NoError(t, s.wait(vm.Reconfigure(s.ctx, types.VirtualMachineConfigSpec{DeviceChange: s.newDisk(vm, 10*gib)})))

	spec := s.cloneSpec()
	bulk := s.datastore("vmfs-bulk").Reference()
	spec.Location.Datastore = &bulk
	s.clone(thick, "cp-4", spec)
	require.InDelta(t, 8172*gib, s.free("vmfs-bulk"), float64(mib), "there was room elsewhere")

	require.ErrorContains(t, s.FillDatastore(s.ctx, "nowhere", 0), "nowhere")
}

func (s *site) snapshot(vm *object.VirtualMachine) *object.VirtualMachine {
	require.NoError(s.t, s.wait(vm.CreateSnapshot(s.ctx, "base", "", false, false)))
	return vm
}

func (s *site) linkedSpec(template *object.VirtualMachine) types.VirtualMachineCloneSpec {
	spec := s.cloneSpec()
	spec.Snapshot = s.properties(template).Snapshot.CurrentSnapshot
	spec.Location.DiskMoveType = string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking)
	return spec
}

func (s *site) newDisk(vm *object.VirtualMachine, size int64) []types.BaseVirtualDeviceConfigSpec {
	devices, err := vm.Device(s.ctx)
	require.NoError(s.t, err)
	controller, err := devices.FindDiskController("")
	require.NoError(s.t, err)
	disk := devices.CreateDisk(controller, s.datastore("vmfs-ssd").Reference(), "")
	disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).ThinProvisioned = types.NewBool(false)
	disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).FileName = "[vmfs-ssd]"
	disk.CapacityInKB = size / 1024
	changes, err := object.VirtualDeviceList{disk}.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	require.NoError(s.t, err)
	return changes
}

func TestAThickCloneThatGrowsBeyondTheSpaceLeavesNothing(t *testing.T) {
	s := newSite(t)
	thick := s.template("thick", false)
	require.NoError(t, s.FillDatastore(s.ctx, "vmfs-ssd", 25*gib))
	spec := s.cloneSpec()
	spec.Config = &types.VirtualMachineConfigSpec{DeviceChange: []types.BaseVirtualDeviceConfigSpec{s.diskEdit(thick, 40*gib)}}
	_, err := s.tryClone(thick, "cp-0", spec)
	requireFault[*types.NoDiskSpace](t, err)
	require.InDelta(t, 25*gib, s.free("vmfs-ssd"), float64(mib))
}

func TestFilesNeedALoginAndRoom(t *testing.T) {
	s := newSite(t)
	ds := s.datastore("nfs-images")
	require.NoError(t, ds.Upload(s.ctx, strings.NewReader("hello"), "hello.txt", upload(5)))
	body, n, err := ds.Download(s.ctx, "hello.txt", nil)
	require.NoError(t, err)
	defer body.Close()
	require.EqualValues(t, 5, n)

	require.NoError(t, s.FillDatastore(s.ctx, "nfs-images", 3))
	require.ErrorContains(t, ds.Upload(s.ctx, strings.NewReader("hello"), "again.txt", upload(5)), "507")

	installer := s.as(vcenter.Installer())
	require.ErrorContains(t, installer.datastore("nfs-images").Upload(s.ctx, strings.NewReader("x"), "x.txt", upload(1)), "403")
	require.NoError(t, installer.datastore("vmfs-ssd").Upload(s.ctx, strings.NewReader("x"), "x.txt", upload(1)))
	s.ExpireSessions(s.ctx)
	require.ErrorContains(t, ds.Upload(s.ctx, strings.NewReader("x"), "y.txt", upload(1)), "401")
}

func TestRefreshingADatastoreKeepsItsCapacity(t *testing.T) {
	s := newSite(t)
	ds := s.datastore("vmfs-ssd")
	_, err := methods.RefreshDatastore(s.ctx, s.client.Client, &types.RefreshDatastore{This: ds.Reference()})
	require.NoError(t, err)
	require.Equal(t, 2048*gib, s.free("vmfs-ssd"))
}
