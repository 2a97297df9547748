package vcenter_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
)

// site is a vCenter with a recorder, seen through a client of one user.
type site struct {
	*vcenter.VCenter
	t        *testing.T
	ctx      context.Context
	recorder *vcentertest.Recorder
	client   *govmomi.Client
	find     *find.Finder
}

func newSite(t *testing.T) *site {
	recorder := vcentertest.NewRecorder()
	v := vcentertest.Start(t, vcenter.Options{Runtime: recorder})
	s := &site{VCenter: v, t: t, recorder: recorder, ctx: t.Context()}
	return s.as(v.Admin())
}

// as returns the same site through the client of another user.
func (s *site) as(u vcenter.User) *site {
	other := *s
	c, err := s.Client(s.ctx, u)
	require.NoError(s.t, err)
	other.client, other.find = c, find.NewFinder(c.Client)
	dc, err := other.find.Datacenter(s.ctx, "/north")
	require.NoError(s.t, err)
	other.find.SetDatacenter(dc)
	return &other
}

func (s *site) folder(path string) *object.Folder {
	f, err := s.find.Folder(s.ctx, path)
	require.NoError(s.t, err)
	return f
}

func (s *site) pool() *object.ResourcePool {
	p, err := s.find.ResourcePool(s.ctx, "/north/host/cluster-a/Resources/sealift")
	require.NoError(s.t, err)
	return p
}

func (s *site) datastore(name string) *object.Datastore {
	d, err := s.find.Datastore(s.ctx, name)
	require.NoError(s.t, err)
	return d
}

func (s *site) free(name string) int64 {
	var d mo.Datastore
	require.NoError(s.t, property.DefaultCollector(s.client.Client).RetrieveOne(s.ctx, s.datastore(name).Reference(), []string{"summary"}, &d))
	return d.Summary.FreeSpace
}

func (s *site) properties(vm *object.VirtualMachine) mo.VirtualMachine {
	var p mo.VirtualMachine
	require.NoError(s.t, vm.Properties(s.ctx, vm.Reference(), nil, &p))
	return p
}

func (s *site) wait(task *object.Task, err error) error {
	s.t.Helper()
	if err != nil {
		return err
	}
	return task.Wait(s.ctx)
}

const gib = int64(1) << 30

// template makes a template with a disk of 20 GiB, thick or thin, and a card.
func (s *site) template(name string, thin bool) *object.VirtualMachine {
	vm := s.machine(name, thin)
	require.NoError(s.t, vm.MarkAsTemplate(s.ctx))
	return vm
}

func (s *site) machine(name string, thin bool) *object.VirtualMachine {
	task, err := s.folder("/north/vm/templates").CreateVM(s.ctx, s.machineSpec(name, thin), s.pool(), nil)
	require.NoError(s.t, err)
	info, err := task.WaitForResult(s.ctx)
	require.NoError(s.t, err)
	return object.NewVirtualMachine(s.client.Client, info.Result.(types.ManagedObjectReference))
}

func (s *site) machineSpec(name string, thin bool) types.VirtualMachineConfigSpec {
	var devices object.VirtualDeviceList
	scsi, err := devices.CreateSCSIController("pvscsi")
	require.NoError(s.t, err)
	disk := devices.CreateDisk(scsi.(types.BaseVirtualController), s.datastore("vmfs-ssd").Reference(), "")
	disk.CapacityInKB = 20 * gib / 1024
	disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).ThinProvisioned = types.NewBool(thin)
	devices = append(devices, scsi, disk, s.card())
	changes, err := devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	require.NoError(s.t, err)
	return types.VirtualMachineConfigSpec{
		Name: name, GuestId: "debian12_64Guest", NumCPUs: 2, MemoryMB: 2048, DeviceChange: changes,
		Files:       &types.VirtualMachineFileInfo{VmPathName: "[vmfs-ssd]"},
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "disk.EnableUUID", Value: "TRUE"}},
	}
}

func (s *site) card() types.BaseVirtualDevice {
	network, err := s.find.Network(s.ctx, "nodes")
	require.NoError(s.t, err)
	backing, err := network.EthernetCardBackingInfo(s.ctx)
	require.NoError(s.t, err)
	card, err := object.EthernetCardTypes().CreateEthernetCard("vmxnet3", backing)
	require.NoError(s.t, err)
	return card
}

func (s *site) cloneSpec() types.VirtualMachineCloneSpec {
	pool, ds := s.pool().Reference(), s.datastore("vmfs-ssd").Reference()
	return types.VirtualMachineCloneSpec{Location: types.VirtualMachineRelocateSpec{Pool: &pool, Datastore: &ds}}
}

func (s *site) tryClone(from *object.VirtualMachine, name string, spec types.VirtualMachineCloneSpec) (*object.VirtualMachine, error) {
	task, err := from.Clone(s.ctx, s.folder("/north/vm/sealift"), name, spec)
	if err != nil {
		return nil, err
	}
	info, err := task.WaitForResult(s.ctx)
	if err != nil {
		return nil, err
	}
	return object.NewVirtualMachine(s.client.Client, info.Result.(types.ManagedObjectReference)), nil
}

func (s *site) clone(from *object.VirtualMachine, name string, spec types.VirtualMachineCloneSpec) *object.VirtualMachine {
	s.t.Helper()
	vm, err := s.tryClone(from, name, spec)
	require.NoError(s.t, err)
	return vm
}

// requireFault requires an error with a fault of a type, and returns it.
func requireFault[T types.BaseMethodFault](t *testing.T, err error) T {
	t.Helper()
	require.Error(t, err)
	var target T
	_, ok := fault.As(err, &target)
	require.True(t, ok, "%v is no %T", err, target)
	return target
}

func eventually(t *testing.T, check func() bool) {
	t.Helper()
	require.Eventually(t, check, 10*time.Second, 20*time.Millisecond)
}

// folderForCall is a folder that needs no lookup.
func (s *site) folderForCall() *object.Folder { return object.NewRootFolder(s.client.Client) }
