package vcenter

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// A datastore is a folder, and what is on it is what its files say: a thick
// disk's file is as large as the disk, a thin disk's as large as what was
// uploaded to it or to the disk that it was cloned from, a linked clone's is
// empty. The files have holes, so that little of the host's disk is used.

// datastoreNamed returns a datastore, or nil.
func (v *VCenter) datastoreNamed(name string) *simulator.Datastore {
	for _, e := range v.registry().All("Datastore") {
		if ds, ok := e.(*simulator.Datastore); ok && ds.Name == name {
			return ds
		}
	}
	return nil
}

// FillDatastore lets strangers take a datastore's space until so many bytes
// are free. What is there already stays.
func (v *VCenter) FillDatastore(ctx context.Context, name string, free int64) error {
	ds := v.datastoreNamed(name)
	if ds == nil {
		return fmt.Errorf("datastore %s is %w", name, errNotFound)
	}
	v.provision.Lock()
	v.ballast[name] = 0
	v.ballast[name] = max(0, v.freeSpace(ds)-free)
	v.provision.Unlock()
	v.refreshSpace(v.own(ctx))
	return nil
}

// freeSpace returns a datastore's free space in bytes. v.provision is held.
func (v *VCenter) freeSpace(ds *simulator.Datastore) int64 {
	return max(0, ds.Summary.Capacity-v.ballast[ds.Name]-used(ds.Summary.Url))
}

// used returns the sizes of the files in a folder. A file that vanishes
// meanwhile takes nothing.
func used(dir string) (sum int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// refreshSpace brings the datastores' free space up to date.
func (v *VCenter) refreshSpace(ctx *simulator.Context) {
	v.provision.Lock()
	defer v.provision.Unlock()
	for _, e := range v.registry().All("Datastore") {
		ds, ok := e.(*simulator.Datastore)
		if !ok {
			continue
		}
		free := v.freeSpace(ds)
		ctx.WithLock(ds, func() {
			if ds.Summary.FreeSpace == free && ds.Info.GetDatastoreInfo().FreeSpace == free {
				return
			}
			ds.Info.GetDatastoreInfo().FreeSpace = free
			ctx.Update(ds, []types.PropertyChange{{Name: "summary.freeSpace", Val: free}})
		})
	}
}

// noSpace returns a fault where bytes do not fit on a datastore, else nil.
// v.provision is held.
func (v *VCenter) noSpace(ds *simulator.Datastore, bytes int64) types.BaseMethodFault {
	if ds == nil || bytes <= v.freeSpace(ds) {
		return nil
	}
	return &types.NoDiskSpace{FileFault: types.FileFault{File: "[" + ds.Name + "]"}, Datastore: ds.Name}
}

// datastore keeps its capacity when it is refreshed.
type datastore struct {
	*simulator.Datastore
	v *VCenter
}

// RefreshDatastore brings the free space up to date.
func (d *datastore) RefreshDatastore(ctx *simulator.Context, _ *types.RefreshDatastore) soap.HasFault {
	d.v.refreshSpace(ctx)
	return &methods.RefreshDatastoreBody{Res: &types.RefreshDatastoreResponse{}}
}

// disksOf returns the disks of a list of devices.
func disksOf(devices object.VirtualDeviceList) []*types.VirtualDisk {
	var disks []*types.VirtualDisk
	for _, d := range devices {
		if disk, ok := d.(*types.VirtualDisk); ok {
			disks = append(disks, disk)
		}
	}
	return disks
}

// diskFile returns the file on this host that holds a disk's content, or "".
func (v *VCenter) diskFile(disk *types.VirtualDisk) string {
	backing, ok := disk.Backing.(types.BaseVirtualDeviceFileBackingInfo)
	if !ok {
		return ""
	}
	var p object.DatastorePath
	if !p.FromString(backing.GetVirtualDeviceFileBackingInfo().FileName) {
		return ""
	}
	ds := v.datastoreNamed(p.Datastore)
	if ds == nil {
		return ""
	}
	return filepath.Join(ds.Summary.Url, strings.TrimSuffix(p.Path, ".vmdk")+"-flat.vmdk")
}

func thin(disk *types.VirtualDisk) bool {
	backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	return ok && backing.ThinProvisioned != nil && *backing.ThinProvisioned
}

func capacity(disk *types.VirtualDisk) int64 {
	return max(disk.CapacityInBytes, disk.CapacityInKB*1024)
}

func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// grow makes a disk's file at least so large. A disk without a file, on
// another host's device for instance, takes nothing.
func (v *VCenter) grow(disk *types.VirtualDisk, size int64) {
	if file := v.diskFile(disk); file != "" && fileSize(file) < size {
		_ = os.Truncate(file, size)
	}
}

// settle gives each thick disk of a machine a file of its size, and each card
// an address of its own. v.provision is held.
func (v *VCenter) settle(ctx *simulator.Context, vm *simulator.VirtualMachine) {
	ctx.WithLock(vm, func() {
		for _, disk := range disksOf(vm.Config.Hardware.Device) {
			if !thin(disk) && !linked(disk) {
				v.grow(disk, capacity(disk))
			}
		}
		v.settleCards(ctx, vm)
		vm.RefreshStorageInfo(ctx, nil)
	})
}

// linkedNote marks a disk of a linked clone. The simulator keeps no parents.
const linkedNote = "linked clone"

func linked(disk *types.VirtualDisk) bool {
	backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	return ok && backing.ContentId == linkedNote
}
