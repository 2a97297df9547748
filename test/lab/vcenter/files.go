package vcenter

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// fileManager works on the files of datastores, one call after the other.
type fileManager struct {
	*simulator.FileManager
	v *VCenter
}

// diskManager works on virtual disks, one call after the other.
type diskManager struct {
	*simulator.VirtualDiskManager
	v *VCenter
}

// alone runs a method of the simulator, and the task that it starts, while
// nothing else changes a datastore.
func (v *VCenter) alone(ctx *simulator.Context, call func() soap.HasFault) soap.HasFault {
	v.provision.Lock()
	defer v.provision.Unlock()
	body := call()
	_, _ = await(ctx, body) // the client reads in the task what it ended with
	return body
}

// DeleteDatastoreFileTask removes a file or folder.
func (f *fileManager) DeleteDatastoreFileTask(ctx *simulator.Context, req *types.DeleteDatastoreFile_Task) soap.HasFault {
	return f.v.alone(ctx, func() soap.HasFault { return f.FileManager.DeleteDatastoreFileTask(ctx, req) })
}

// MoveDatastoreFileTask moves a file or folder.
func (f *fileManager) MoveDatastoreFileTask(ctx *simulator.Context, req *types.MoveDatastoreFile_Task) soap.HasFault {
	return f.v.alone(ctx, func() soap.HasFault { return f.FileManager.MoveDatastoreFileTask(ctx, req) })
}

// CopyDatastoreFileTask copies a file.
func (f *fileManager) CopyDatastoreFileTask(ctx *simulator.Context, req *types.CopyDatastoreFile_Task) soap.HasFault {
	return f.v.alone(ctx, func() soap.HasFault { return f.FileManager.CopyDatastoreFileTask(ctx, req) })
}

// CreateVirtualDiskTask makes a disk.
func (d *diskManager) CreateVirtualDiskTask(ctx *simulator.Context, req *types.CreateVirtualDisk_Task) soap.HasFault {
	return d.v.alone(ctx, func() soap.HasFault { return d.VirtualDiskManager.CreateVirtualDiskTask(ctx, req) })
}

// DeleteVirtualDiskTask removes a disk.
func (d *diskManager) DeleteVirtualDiskTask(ctx *simulator.Context, req *types.DeleteVirtualDisk_Task) soap.HasFault {
	return d.v.alone(ctx, func() soap.HasFault { return d.VirtualDiskManager.DeleteVirtualDiskTask(ctx, req) })
}

// MoveVirtualDiskTask moves a disk.
func (d *diskManager) MoveVirtualDiskTask(ctx *simulator.Context, req *types.MoveVirtualDisk_Task) soap.HasFault {
	return d.v.alone(ctx, func() soap.HasFault { return d.VirtualDiskManager.MoveVirtualDiskTask(ctx, req) })
}

// CopyVirtualDiskTask copies a disk.
func (d *diskManager) CopyVirtualDiskTask(ctx *simulator.Context, req *types.CopyVirtualDisk_Task) soap.HasFault {
	return d.v.alone(ctx, func() soap.HasFault { return d.VirtualDiskManager.CopyVirtualDiskTask(ctx, req) })
}
