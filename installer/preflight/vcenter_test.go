package preflight_test

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vapi/rest"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/registries"
	"github.com/sealift/sealift/test/sites"
)

func TestVCenterIsNotThere(t *testing.T) {
	l := newLab(t)
	l.edit(l.VCenter.URL().Host, "127.0.0.1:1")
	all := l.require("vcenter-reachable", preflight.Failed, "connection refused")
	requireState(t, all["vcenter-tls"], preflight.Skipped, "because of vcenter-reachable")
	requireState(t, all["inventory-datastore"], preflight.Skipped, "because of inventory-datacenter")
	requireState(t, all["capacity-memory"], preflight.Skipped, "because of inventory-cluster")
	requireState(t, all["registry-push"], preflight.OK, "canceled")
}

func TestVCenterIsNotTrusted(t *testing.T) {
	l := newLab(t)
	l.edit("caFile: vcenter-ca.crt", "")
	l.require("vcenter-tls", preflight.Failed, "unknown authority")
	l.edit("datacenter: north", "datacenter: north\n    thumbprint: "+"00"+l.VCenter.Thumbprint()[2:])
	l.require("vcenter-tls", preflight.Failed, "another thumbprint")
	l.edit("00"+l.VCenter.Thumbprint()[2:], l.VCenter.Thumbprint())
	l.require("vcenter-login", preflight.OK, "logged in as sealift@vsphere.local")

	expired := registries.Start(t, http.NotFoundHandler(), registries.Options{TLS: l.Authority.Server(time.Now().Add(-time.Hour), false)})
	l.edit(l.VCenter.URL().Host, registries.Host(expired), "thumbprint: "+l.VCenter.Thumbprint(), "caFile: registry-ca.crt")
	all := l.require("vcenter-tls", preflight.Failed, "not valid at this time")
	require.Contains(t, all["vcenter-tls"].Remedy, "clock")
	requireState(t, all["vcenter-login"], preflight.Skipped, "because of vcenter-tls")
}

func TestWrongPasswordIsTriedOnce(t *testing.T) {
	l := newLab(t)
	l.env["V_PASSWORD"] = "not-this-one"
	all := l.require("vcenter-login", preflight.Failed, "refuses user name or password")
	require.Contains(t, all["vcenter-login"].Remedy, "tried once")
	requireState(t, all["inventory"], preflight.Skipped, "because of vcenter-login")

	delete(l.env, "V_PASSWORD")
	all = l.require("vcenter-login", preflight.Failed, "V_USERNAME or V_PASSWORD is not set")
	require.Equal(t, "export V_USERNAME and V_PASSWORD", all["vcenter-login"].Remedy)
}

func TestPlacesThatAreNotThere(t *testing.T) {
	l := newLab(t)
	l.edit("datastore: vmfs-ssd", "datastore: vmfs-sdd", "network: nodes", "network: node", "folder: sealift\n", "folder: sealfit\n",
		"templateFolder: templates", "templateFolder: template", "Resources/sealift", "Resources/sealeft")
	all := l.run()
	for name, near := range map[string]string{
		"datastore": "/north/datastore/vmfs-ssd", "network": "/north/network/nodes", "folder": "/north/vm/sealift", "template-folder": "/north/vm/templates",
		"resource-pool": "/north/host/cluster-a/Resources/sealift",
	} {
		requireState(t, all["inventory-"+name], preflight.Failed, "is not in the inventory")
		require.Contains(t, all["inventory-"+name].Remedy, "did you mean "+near)
		requireState(t, all["privileges-"+name], preflight.Skipped, "because of inventory-"+name)
	}
	l.edit("datacenter: north", "datacenter: south")
	all = l.require("inventory-datacenter", preflight.Failed, `datacenter "south" is not in the inventory`)
	requireState(t, all["inventory-cluster"], preflight.Skipped, "because of inventory-datacenter")
}

func TestPrivilegesThatAreMissing(t *testing.T) {
	inventory := vcenter.Site()
	for i, role := range inventory.Roles {
		inventory.Roles[i].Privileges = slices.DeleteFunc(role.Privileges, func(p string) bool { return p == "Network.Assign" || p == "VirtualMachine.Provisioning.Clone" })
	}
	l := newLabWith(t, sites.Options{VCenter: vcenter.Options{Inventory: &inventory}})
	t.Parallel()
	all := l.require("privileges-datacenter", preflight.Failed, "on /north sealift@vsphere.local lacks Network.Assign")
	requireState(t, all["privileges-folder"], preflight.Failed, "on /north/vm/sealift sealift@vsphere.local lacks Network.Assign, VirtualMachine.Provisioning.Clone")
	requireState(t, all["privileges-hosts"], preflight.Failed, "on /north/host/cluster-a/esx-3.north.example")
	require.Contains(t, all["privileges-folder"].Remedy, "with propagation")
	require.Contains(t, all["privileges-datacenter"].Remedy, "without propagation")

	l.env["V_USERNAME"], l.env["V_PASSWORD"] = "nobody@vsphere.local", "Dark-Site-3!"
	l.require("privileges-vcenter", preflight.Failed, "lacks all 9")
}

func TestTagsThatAreMissing(t *testing.T) {
	inventory := vcenter.Site()
	inventory.Tags = []vcenter.Tag{{Category: "k8s-region", Name: "Nord Süd", Path: "/north"}}
	l := newLabWith(t, sites.Options{VCenter: vcenter.Options{Inventory: &inventory}})
	t.Parallel()
	all := l.require("tags-zone", preflight.Failed, "/north/host/cluster-a has no tag of category k8s-zone")
	requireState(t, all["tags-region"], preflight.Failed, `tag "Nord Süd" of /north cannot be a node's label`)
}

func TestCapacity(t *testing.T) {
	l := newLab(t)
	require.NoError(t, l.VCenter.FillDatastore(t.Context(), "vmfs-ssd", 30<<30))
	l.edit("memoryGiB: 2", "memoryGiB: 3", "cpus: 2", "cpus: 4")
	all := l.require("capacity-datastore", preflight.Failed, "30 GiB of 2.0 TiB free, 46 GiB needed")
	requireState(t, all["capacity-memory"], preflight.Failed, "2 of 2 machines (6.0 GiB together, one of them for upgrades) find no host")
	requireState(t, all["capacity-cpu"], preflight.Failed, "a machine of 4 CPUs powers on on no host")

	l.edit("memoryGiB: 3", "memoryGiB: 2", "cpus: 4", "cpus: 2", "replicas: 1", "replicas: 3")
	l.require("capacity-memory", preflight.Failed, "1 of 4 machines")
}

// What packs ask for has to fit on the machines that run them.
func TestCapacityForPacks(t *testing.T) {
	l := newLab(t)
	l.require("capacity-packs", preflight.Skipped, "no bundle was given")
	l.options.Bundle = archivetest.Open(t, archivetest.Sample(t).Write())
	l.require("capacity-packs", preflight.Skipped, "the bundle has no release")
	var requests []release.Request
	var unread error
	l.options.Release.Requests = func(context.Context) ([]release.Request, error) { return requests, unread }
	l.require("capacity-packs", preflight.OK, "no pack of the release says what it needs")
	requests = []release.Request{{Addon: "storage", Resource: release.Memory, Each: 1 << 29, Replicas: 3}, {Addon: "agents", Resource: release.CPU, Each: 250}}
	l.require("capacity-packs", preflight.OK, "packs ask for 0.2 CPUs, the control plane's machines have 2.0 CPUs; packs ask for 1.5 GiB of memory, the control plane's machines have 2.0 GiB of memory")
	requests[0].Replicas = 5
	l.require("capacity-packs", preflight.Failed, "packs ask for 2.5 GiB of memory, the control plane's machines have 2.0 GiB of memory")

	l.edit("diskGiB: 20}}\n", "diskGiB: 20}}\n    workers: [{name: default, replicas: 2, size: {cpus: 2, memoryGiB: 2, diskGiB: 20}}]\n")
	l.require("capacity-packs", preflight.OK, "packs ask for 0.5 CPUs, the workers have 4.0 CPUs; packs ask for 2.5 GiB of memory, the workers have 4.0 GiB of memory")
	requests = []release.Request{{Addon: "storage", Resource: release.Disk, Each: 30 << 30, Replicas: 1}}
	l.require("capacity-packs", preflight.Failed, "addon storage asks for 30 GiB of disk at once, one of the workers has at most 20 GiB of disk")
	requests = []release.Request{{Addon: "watch", Resource: release.CPU, Each: 3000, ControlPlane: true}}
	l.require("capacity-packs", preflight.Failed, "one of the control plane's machines has at most 2.0 CPUs")
	unread = problem.New(problem.Preflight, "write the value itself", "a macro has no value here")
	l.require("capacity-packs", preflight.Failed, "a macro has no value here")
}

func TestHostInMaintenance(t *testing.T) {
	l := newLab(t)
	admin, err := l.VCenter.Client(t.Context(), l.VCenter.Admin())
	require.NoError(t, err)
	defer func() { _ = admin.Logout(t.Context()) }()
	hosts, err := find.NewFinder(admin.Client).HostSystemList(t.Context(), "/north/host/cluster-a/*")
	require.NoError(t, err)
	for _, h := range hosts[1:] {
		task, err := h.EnterMaintenanceMode(t.Context(), 0, false, nil)
		require.NoError(t, err)
		require.NoError(t, task.Wait(t.Context()))
	}
	l.require("capacity-memory", preflight.Failed, "it is in maintenance mode")
}

func TestTemplate(t *testing.T) {
	l := newLab(t)
	admin, err := l.VCenter.Client(t.Context(), l.VCenter.Admin())
	require.NoError(t, err)
	defer func() { _ = admin.Logout(t.Context()) }()
	finder := find.NewFinder(admin.Client)
	folder, err := finder.Folder(t.Context(), "/north/vm/templates")
	require.NoError(t, err)
	pool, err := finder.ResourcePool(t.Context(), "/north/host/cluster-a/Resources/sealift")
	require.NoError(t, err)
	task, err := folder.CreateVM(t.Context(), types.VirtualMachineConfigSpec{Name: "node-1.34", GuestId: "otherGuest", NumCPUs: 1, MemoryMB: 64,
		Files: &types.VirtualMachineFileInfo{VmPathName: "[vmfs-ssd]"}}, pool, nil)
	require.NoError(t, err)
	info, err := task.WaitForResult(t.Context())
	require.NoError(t, err)
	vm := object.NewVirtualMachine(admin.Client, info.Result.(types.ManagedObjectReference))
	l.edit("template: node-1.34", "template: node-1.34\n    kubernetesVersion: v1.34.4")
	l.require("template", preflight.Failed, "it is no template")
	require.NoError(t, vm.MarkAsTemplate(t.Context()))
	l.require("template", preflight.Warning, "does not say which version of Kubernetes it has")

	rc := rest.NewClient(admin.Client)
	require.NoError(t, rc.Login(t.Context(), url.UserPassword(l.VCenter.Admin().Name, l.VCenter.Admin().Password)))
	m := tags.NewManager(rc)
	category, err := m.CreateCategory(t.Context(), &tags.Category{Name: "k8s-version", Cardinality: "SINGLE", AssociableTypes: []string{"VirtualMachine"}})
	require.NoError(t, err)
	id, err := m.CreateTag(t.Context(), &tags.Tag{Name: "v1.33.1", CategoryID: category})
	require.NoError(t, err)
	require.NoError(t, m.AttachTag(t.Context(), id, vm.Reference()))
	l.require("template", preflight.Failed, "has Kubernetes v1.33.1, not v1.34.4")
	l.edit("kubernetesVersion: v1.34.4", "kubernetesVersion: v1.33.1")
	all := l.require("template", preflight.OK, "is there, with Kubernetes v1.33.1")
	requireState(t, all["hosts-upload"], preflight.Skipped, "nothing is sent to the hosts")
}

func TestVCenterThatDoesNotAnswer(t *testing.T) {
	l := newLab(t)
	l.options.Timeout = 500 * time.Millisecond
	l.VCenter.Inject(vcenter.Fault{Method: "CreateContainerView", Delay: 3 * time.Second, AtCall: true})
	began := time.Now()
	l.require("inventory", preflight.Failed, "no answer within 500ms")
	require.Less(t, time.Since(began), 3*time.Second)
}

func TestMachineHasAnAddressOfTheRange(t *testing.T) {
	l := newLab(t)
	admin, err := l.VCenter.Client(t.Context(), l.VCenter.Admin())
	require.NoError(t, err)
	defer func() { _ = admin.Logout(t.Context()) }()
	finder := find.NewFinder(admin.Client)
	folder, err := finder.Folder(t.Context(), "/north/vm/sealift")
	require.NoError(t, err)
	pool, err := finder.ResourcePool(t.Context(), "/north/host/cluster-a/Resources/sealift")
	require.NoError(t, err)
	network, err := finder.Network(t.Context(), "/north/network/nodes")
	require.NoError(t, err)
	backing, err := network.EthernetCardBackingInfo(t.Context())
	require.NoError(t, err)
	card, err := object.EthernetCardTypes().CreateEthernetCard("vmxnet3", backing)
	require.NoError(t, err)
	changes, err := object.VirtualDeviceList{card}.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	require.NoError(t, err)
	task, err := folder.CreateVM(t.Context(), types.VirtualMachineConfigSpec{Name: "enterprise-1", GuestId: "otherGuest", NumCPUs: 1, MemoryMB: 64, DeviceChange: changes,
		Files: &types.VirtualMachineFileInfo{VmPathName: "[vmfs-ssd]"}}, pool, nil)
	require.NoError(t, err)
	info, err := task.WaitForResult(t.Context())
	require.NoError(t, err)
	vm := object.NewVirtualMachine(admin.Client, info.Result.(types.ManagedObjectReference))
	task, err = vm.PowerOn(t.Context())
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
	_, err = vm.WaitForIP(t.Context(), true)
	require.NoError(t, err)
	l.edit("{dhcp: true}", "{range: 192.0.2.1-192.0.2.9, prefix: 24, gateway: 192.0.2.99}", l.network.Address(10).String(), "192.0.2.50")
	l.require("addresses-known", preflight.Failed, "192.0.2.1 is machine enterprise-1") // as it would be of a cluster enterprise-1
	task, err = vm.Reconfigure(t.Context(), types.VirtualMachineConfigSpec{ExtraConfig: []types.BaseOptionValue{
		&types.OptionValue{Key: vsphere.OwnerKey, Value: "north/enterprise/192.0.2.50"}}})
	require.NoError(t, err)
	require.NoError(t, task.Wait(t.Context()))
	all := l.require("addresses-known", preflight.OK, "but 1 of this cluster's own")
	require.NotContains(t, all["addresses-free"].Evidence, "192.0.2.1 ")
	l.edit("template: node-1.34", "name: another")
	l.require("addresses-known", preflight.Failed, "192.0.2.1 is machine enterprise-1")
}
