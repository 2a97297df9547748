package site_test

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/ovf/importer"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/test/lab/darknet"
	"github.com/sealift/sealift/test/lab/engine"
	"github.com/sealift/sealift/test/lab/node"
	"github.com/sealift/sealift/test/lab/site"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
)

//go:embed testdata
var testdata embed.FS

// machineSite is a dark network with a vCenter, and a template imported from the
// lab's OVA.
type machineSite struct {
	t        *testing.T
	lab      *site.Lab
	engine   *engine.Engine
	network  *darknet.Network
	vcenter  *vcenter.VCenter
	machines *vcenter.Containers
	find     *find.Finder
}

func newMachineSite(t *testing.T, name string) *machineSite {
	lab := openBuilt(t)
	ctx := t.Context()
	s := &machineSite{t: t, lab: lab}
	var err error
	s.engine, err = lab.Engine(ctx)
	require.NoError(t, err)
	_, err = lab.LoadNodes(ctx, s.engine)
	require.NoError(t, err)
	s.network, err = darknet.Create(ctx, s.engine, name, darknet.Options{Names: map[string]netip.Addr{"time.north.example": {}}, Log: t.Logf})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.network.Close(context.Background())) })
	disks, err := lab.Disks()
	require.NoError(t, err)
	s.machines = &vcenter.Containers{Engine: s.engine, Name: name, Disks: disks, Network: s.network.Name,
		Args: append(node.MachineArgs(), "--dns", s.network.NameServer.String())}
	require.NoError(t, s.machines.Clean(ctx))
	t.Cleanup(func() { require.NoError(t, s.machines.Clean(context.Background())) })
	s.vcenter = vcentertest.Start(t, vcenter.Options{Runtime: s.machines, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	client, err := s.vcenter.Client(ctx, vcenter.Installer())
	require.NoError(t, err)
	s.find = find.NewFinder(client.Client)
	dc, err := s.find.Datacenter(ctx, "/north")
	require.NoError(t, err)
	s.find.SetDatacenter(dc)
	return s
}

// template imports the OVA, as the installer does.
func (s *machineSite) template() *object.VirtualMachine {
	ctx := s.t.Context()
	path, err := s.lab.OVA()
	require.NoError(s.t, err)
	ds, err := s.find.Datastore(ctx, "vmfs-ssd")
	require.NoError(s.t, err)
	dc, err := s.find.Datacenter(ctx, "/north")
	require.NoError(s.t, err)
	folder, err := s.find.Folder(ctx, "/north/vm/templates")
	require.NoError(s.t, err)
	i := &importer.Importer{Log: func(string) (int, error) { return 0, nil }, Client: ds.Client(), Finder: s.find, VerifyManifest: true,
		Datacenter: dc, Datastore: ds, ResourcePool: s.pool(), Folder: folder,
		Archive: &importer.TapeArchive{Path: path, Opener: importer.Opener{Client: ds.Client()}}}
	name := "node"
	ref, err := i.Import(ctx, "*.ovf", importer.Options{Name: &name, DiskProvisioning: "thin", NetworkMapping: []importer.Network{{Name: "nodes", Network: "nodes"}}})
	require.NoError(s.t, err)
	vm := object.NewVirtualMachine(ds.Client(), *ref)
	p := s.properties(vm)
	require.Equal(s.t, "vmx-19", p.Config.Version)
	require.Equal(s.t, "debian12_64Guest", p.Config.GuestId)
	require.Equal(s.t, "sealift node", p.Config.VAppConfig.GetVmConfigInfo().Product[0].Name)
	require.NoError(s.t, vm.MarkAsTemplate(ctx))
	return vm
}

func (s *machineSite) pool() *object.ResourcePool {
	pool, err := s.find.ResourcePool(s.t.Context(), "/north/host/cluster-a/Resources/sealift")
	require.NoError(s.t, err)
	return pool
}

func (s *machineSite) properties(vm *object.VirtualMachine) mo.VirtualMachine {
	var p mo.VirtualMachine
	require.NoError(s.t, vm.Properties(s.t.Context(), vm.Reference(), nil, &p))
	return p
}

// done waits for a task.
func (s *machineSite) done(task *object.Task, err error) {
	s.t.Helper()
	require.NoError(s.t, err)
	require.NoError(s.t, task.Wait(s.t.Context()))
}

// boot clones the template and powers the clone on as Cluster API's provider
// does: user data with the clone, metadata once its card's address is known.
// Without an address the metadata asks for DHCP.
func (s *machineSite) boot(from *object.VirtualMachine, name string, address netip.Addr) *object.VirtualMachine {
	ctx := s.t.Context()
	folder, err := s.find.Folder(ctx, "/north/vm/sealift")
	require.NoError(s.t, err)
	pool := s.pool().Reference()
	task, err := from.Clone(ctx, folder, name, types.VirtualMachineCloneSpec{Location: types.VirtualMachineRelocateSpec{Pool: &pool},
		Config: &types.VirtualMachineConfigSpec{ExtraConfig: encoded("guestinfo.userdata", s.userData())}})
	require.NoError(s.t, err)
	info, err := task.WaitForResult(ctx)
	require.NoError(s.t, err)
	vm := object.NewVirtualMachine(from.Client(), info.Result.(types.ManagedObjectReference))
	card := object.VirtualDeviceList(s.properties(vm).Config.Hardware.Device).SelectByType((*types.VirtualEthernetCard)(nil))[0]
	values := map[string]any{"MAC": card.(types.BaseVirtualEthernetCard).GetVirtualEthernetCard().MacAddress, "Gateway": s.network.Address, "NameServer": s.network.NameServer}
	if address.IsValid() {
		values["Address"] = netip.PrefixFrom(address, s.network.Prefix.Bits())
	}
	metadata := render(s.t, template.New("metadata.yaml"), values)
	s.done(vm.Reconfigure(ctx, types.VirtualMachineConfigSpec{ExtraConfig: encoded("guestinfo.metadata", metadata)}))
	s.done(vm.PowerOn(ctx))
	return vm
}

// userData is what Cluster API's kubeadm provider writes, without kubeadm.
func (s *machineSite) userData() []byte {
	data, err := testdata.ReadFile("testdata/userdata.yaml")
	require.NoError(s.t, err)
	return data
}

func render(t *testing.T, tmpl *template.Template, values any) []byte {
	tmpl, err := tmpl.ParseFS(testdata, "testdata/"+tmpl.Name())
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, tmpl.Execute(&out, values))
	return out.Bytes()
}

func encoded(key string, value []byte) []types.BaseOptionValue {
	return []types.BaseOptionValue{&types.OptionValue{Key: key, Value: base64.StdEncoding.EncodeToString(value)}, &types.OptionValue{Key: key + ".encoding", Value: "base64"}}
}

func (s *machineSite) container(vm *object.VirtualMachine) string {
	return s.machines.Name + "-" + vm.Reference().Value
}

// in runs a command in a machine.
func (s *machineSite) in(vm *object.VirtualMachine, args ...string) (string, error) {
	return s.engine.Run(s.t.Context(), append([]string{"exec", s.container(vm)}, args...)...)
}

func assertEventually(t *testing.T, limit time.Duration, check func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end) && t.Context().Err() == nil; time.Sleep(200 * time.Millisecond) {
		if check() {
			return true
		}
	}
	return false
}

// A clone of what was imported from the OVA does what its user data says, at an
// address of its metadata, and keeps its disk until it is destroyed. That it
// becomes a node so is TestInstall's.
func TestMachineKeepsItsDisk(t *testing.T) {
	s := newMachineSite(t, "sealift-machines")
	address := s.network.Pool(1)[0]
	start := time.Now()
	vm := s.boot(s.template(), "cp-0", address)
	ip, err := vm.WaitForIP(t.Context(), true)
	require.NoError(t, err)
	require.Equal(t, address.String(), ip, "nobody sees the engine's address")
	s.begun(vm)
	t.Logf("%s began after %s", ip, time.Since(start))
	id, err := s.in(vm, "cat", "/sys/class/dmi/id/product_uuid")
	require.NoError(t, err)
	require.Equal(t, s.properties(vm).Config.Uuid, strings.TrimSpace(id))
	// Its exit code tells of what is deprecated, as Cluster API's gateway4 is.
	out, err := s.in(vm, "sh", "-c", "cloud-init status --wait --format json || true")
	require.NoError(t, err)
	require.Contains(t, out, `"datasource": "vmware"`)
	require.Contains(t, out, `"errors": []`)

	_, err = s.in(vm, "touch", "/root/kept", "/var/lib/kept")
	require.NoError(t, err)
	admin, err := s.vcenter.Client(t.Context(), s.vcenter.Admin()) // the installer may not reset
	require.NoError(t, err)
	s.done(object.NewVirtualMachine(admin.Client, vm.Reference()).Reset(t.Context()))
	s.kept(vm)
	t.Logf("again after a reset after %s", time.Since(start))
	s.done(vm.PowerOff(t.Context()))
	s.done(vm.PowerOn(t.Context()))
	s.kept(vm)
	attempts, err := s.network.Attempts(t.Context())
	require.NoError(t, err)
	require.True(t, attempts.Empty(), "%+v", attempts)

	s.done(vm.PowerOff(t.Context()))
	s.done(vm.Destroy(t.Context()))
	require.True(t, assertEventually(t, 20*time.Second, func() bool {
		out, err := s.engine.Run(t.Context(), "ps", "--all", "--quiet", "--filter", "name="+s.container(vm))
		return err == nil && out == ""
	}), "the container is gone with its machine")
}

// begun waits for the end of the user data's commands, which know the metadata.
func (s *machineSite) begun(vm *object.VirtualMachine) {
	require.True(s.t, assertEventually(s.t, time.Minute, func() bool {
		out, err := s.in(vm, "cat", "/run/cluster-api/bootstrap-success.complete")
		return err == nil && strings.TrimSpace(out) == "cp-0"
	}))
}

// kept waits for a machine that boots again with what is on its disk, and with
// containerd.
func (s *machineSite) kept(vm *object.VirtualMachine) {
	require.True(s.t, assertEventually(s.t, 30*time.Second, func() bool {
		_, err := s.in(vm, "sh", "-c", "test -f /root/kept -a -f /var/lib/kept && systemctl is-active containerd")
		return err == nil
	}))
}

// A machine whose metadata asks for DHCP has the address that the engine gave.
func TestMachineWithDHCP(t *testing.T) {
	s := newMachineSite(t, "sealift-dhcp")
	vm := s.boot(s.template(), "cp-0", netip.Addr{})
	require.True(t, assertEventually(t, time.Minute, func() bool {
		_, err := s.in(vm, "test", "-f", "/etc/systemd/network/10-cloud-init-eth0.network.d/leased.conf")
		return err == nil
	}))
	ip, err := vm.WaitForIP(t.Context(), true)
	require.NoError(t, err)
	given, err := s.engine.Run(t.Context(), "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", s.container(vm))
	require.NoError(t, err)
	require.Equal(t, given, ip)
	time.Sleep(3 * time.Second) // networkd has settled
	out, err := s.in(vm, "ip", "route")
	require.NoError(t, err)
	require.Contains(t, out, "default via "+s.network.Address.String())
	require.Contains(t, out, "src "+given)

	require.NoError(t, vm.ShutdownGuest(t.Context()))
	require.True(t, assertEventually(t, 40*time.Second, func() bool {
		out, err := s.engine.Run(t.Context(), "inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", s.container(vm))
		return err == nil && strings.HasPrefix(out, "false") && out != "false 137"
	}), "it was asked to end, not killed")
}
