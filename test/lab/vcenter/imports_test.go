package vcenter_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/nfc"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf/importer"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/test/lab/vcenter"
)

const descriptor = `<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData" xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData">
  <References><File ovf:href="disk.vmdk" ovf:id="file1" ovf:size="%d"/></References>
  <DiskSection><Info>disks</Info><Disk ovf:capacity="20" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
  <NetworkSection><Info>networks</Info><Network ovf:name="nic0"><Description>nodes</Description></Network></NetworkSection>
  <VirtualSystem ovf:id="node">
    <Info>a node</Info><Name>node</Name>
    <OperatingSystemSection ovf:id="100" ><Info>Linux</Info></OperatingSystemSection>
    <VirtualHardwareSection><Info>hardware</Info>
      <System><vssd:ElementName>hardware</vssd:ElementName><vssd:InstanceID>0</vssd:InstanceID><vssd:VirtualSystemType>vmx-17</vssd:VirtualSystemType></System>
      <Item><rasd:ElementName>cpus</rasd:ElementName><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
      <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ElementName>memory</rasd:ElementName><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>
      <Item><rasd:Address>0</rasd:Address><rasd:ElementName>scsi0</rasd:ElementName><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>VirtualSCSI</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:ElementName>disk0</rasd:ElementName><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
      <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:AutomaticAllocation>true</rasd:AutomaticAllocation><rasd:Connection>nic0</rasd:Connection><rasd:ElementName>nic0</rasd:ElementName><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>`

// ova writes an OVA with a disk of these bytes.
func ova(t *testing.T, disk []byte) string {
	text := fmt.Appendf(nil, descriptor, len(disk))
	manifest := fmt.Sprintf("SHA256(node.ovf)= %s\nSHA256(disk.vmdk)= %s\n", sum(text), sum(disk))
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range []struct {
		name string
		data []byte
	}{{"node.ovf", text}, {"node.mf", []byte(manifest)}, {"disk.vmdk", disk}} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data))}))
		_, err := w.Write(f.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	path := filepath.Join(t.TempDir(), "node.ova")
	require.NoError(t, os.WriteFile(path, buf.Bytes(), 0o600))
	return path
}

func sum(data []byte) string {
	s := sha256.Sum256(data)
	return hex.EncodeToString(s[:])
}

func (s *site) importer(path string) *importer.Importer {
	return &importer.Importer{
		Log: func(string) (int, error) { return 0, nil }, Client: s.client.Client, Finder: s.find, VerifyManifest: true,
		Datacenter: s.dc(), Datastore: s.datastore("vmfs-ssd"), ResourcePool: s.pool(), Folder: s.folder("/north/vm/templates"),
		Archive: &importer.TapeArchive{Path: path, Opener: importer.Opener{Client: s.client.Client}},
	}
}

func (s *site) importOVA(path, name, provisioning string) (*object.VirtualMachine, error) {
	ref, err := s.importer(path).Import(s.ctx, "*.ovf", importer.Options{
		Name: &name, DiskProvisioning: provisioning, NetworkMapping: []importer.Network{{Name: "nic0", Network: "nodes"}},
	})
	if err != nil {
		return nil, err
	}
	return object.NewVirtualMachine(s.client.Client, *ref), nil
}

func diskBytes() []byte { return bytes.Repeat([]byte("KDMV, a stream "), 100_000) }

func TestAnImportKeepsWhatWasUploaded(t *testing.T) {
	s := newSite(t).as(vcenter.Installer())
	before := s.free("vmfs-ssd")
	disk := diskBytes()
	vm, err := s.importOVA(ova(t, disk), "node", "thin")
	require.NoError(t, err, "the manifest's SHA-256 sums are compared, too")
	require.InDelta(t, before-int64(len(disk)), s.free("vmfs-ssd"), float64(64<<10))

	body, n, err := s.datastore("vmfs-ssd").Download(s.ctx, "node/disk-0-flat.vmdk", nil)
	require.NoError(t, err)
	defer body.Close()
	require.EqualValues(t, len(disk), n)
	got, err := io.ReadAll(body)
	require.NoError(t, err)
	require.Equal(t, disk, got)

	require.Regexp(t, "^00:50:56:", macs(s.properties(vm).Config)[0])
	require.NoError(t, vm.MarkAsTemplate(s.ctx))
	clone := s.clone(vm, "cp-0", s.cloneSpec())
	require.NoError(t, s.wait(clone.PowerOn(s.ctx)))
	eventually(t, func() bool {
		spec, ok := s.recorder.Spec("cp-0")
		return ok && spec.Disk == sum(disk)
	})
	require.InDelta(t, before-2*int64(len(disk)), s.free("vmfs-ssd"), float64(128<<10), "a full clone of a thin disk takes as much")
}

func TestAThickImportTakesItsCapacity(t *testing.T) {
	s := newSite(t)
	before := s.free("vmfs-ssd")
	_, err := s.importOVA(ova(t, diskBytes()), "node", "thick")
	require.NoError(t, err)
	require.InDelta(t, before-20*gib, s.free("vmfs-ssd"), float64(mib))
}

func TestASecondImportOfANameFails(t *testing.T) {
	s := newSite(t)
	path := ova(t, diskBytes())
	_, err := s.importOVA(path, "node", "thin")
	require.NoError(t, err)
	_, err = s.importOVA(path, "node", "thin")
	require.Equal(t, "node", requireFault[*types.DuplicateName](t, err).Name)
	require.ErrorContains(t, err, "The name 'node' already exists.")
}

func TestAnImportThatDoesNotFit(t *testing.T) {
	s := newSite(t)
	require.NoError(t, s.FillDatastore(s.ctx, "vmfs-ssd", mib))
	path := ova(t, diskBytes())
	_, err := s.importOVA(path, "node", "thick")
	requireFault[*types.NoDiskSpace](t, err)
	_, err = s.importOVA(path, "node", "thin")
	require.ErrorContains(t, err, "507", "the upload ends when the datastore is full")
	_, err = s.find.VirtualMachine(s.ctx, "/north/vm/templates/node")
	require.Error(t, err, "an import that was given up leaves no machine")
}

func TestAnUploadOfUnknownLengthEndsWithTheSpace(t *testing.T) {
	s := newSite(t)
	info, lease := s.beginImport(t, "node")
	require.NoError(t, s.FillDatastore(s.ctx, "vmfs-ssd", mib))
	require.NotEqual(t, http.StatusOK, s.put(info.Items[0], io.MultiReader(bytes.NewReader(diskBytes()))))
	require.NoError(t, lease.Abort(s.ctx, nil))
}

func (s *site) beginImport(t *testing.T, name string) (*nfc.LeaseInfo, *nfc.Lease) {
	info, lease, err := s.importer(ova(t, diskBytes())).ImportVApp(s.ctx, "*.ovf", importer.Options{
		Name: &name, DiskProvisioning: "thin", NetworkMapping: []importer.Network{{Name: "nic0", Network: "nodes"}},
	})
	require.NoError(t, err)
	return info, lease
}

// put uploads without a length where the reader has none, and returns the
// status.
func (s *site) put(item nfc.FileItem, body io.Reader) (status int) {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPut, item.URL.String(), body)
	require.NoError(s.t, err)
	require.NoError(s.t, s.client.Do(s.ctx, req, func(res *http.Response) error {
		status = res.StatusCode
		return nil
	}))
	return status
}

func TestALeaseEnds(t *testing.T) {
	s := newSite(t)
	info, lease := s.beginImport(t, "node")
	updater := lease.StartUpdater(s.ctx, info) // it takes the progress, without which an upload stands still
	defer updater.Done()
	require.NoError(t, lease.Upload(s.ctx, info.Items[0], bytes.NewReader(diskBytes()), soap.Upload{ContentLength: int64(len(diskBytes()))}))
	require.NoError(t, lease.Complete(s.ctx))
	require.Equal(t, http.StatusNotFound, s.put(info.Items[0], bytes.NewReader([]byte("x"))))
}

func TestAnImportWithoutPrivileges(t *testing.T) {
	s := newSite(t)
	s.restrict("VApp.Import")
	_, err := s.as(vcenter.Installer()).importOVA(ova(t, diskBytes()), "node", "thin")
	require.Equal(t, "VApp.Import", requireFault[*types.NoPermission](t, err).PrivilegeId)
}
