package clusterapi_test

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
)

// startVCenter returns a vCenter with the template "node".
func startVCenter(t *testing.T) (*vcenter.VCenter, *vcentertest.Recorder) {
	t.Helper()
	recorder := vcentertest.NewRecorder()
	v := vcentertest.Start(t, vcenter.Options{Runtime: recorder})
	c, err := v.Client(t.Context(), v.Admin())
	require.NoError(t, err)
	finder := find.NewFinder(c.Client)
	folder, err := finder.Folder(t.Context(), "/north/vm/templates")
	require.NoError(t, err)
	hosts, err := finder.Folder(t.Context(), "/north/host")
	require.NoError(t, err)
	_, err = hosts.CreateFolder(t.Context(), "sealift") // as that for machines is called
	require.NoError(t, err)
	pool, err := finder.ResourcePool(t.Context(), "/north/host/cluster-a/Resources/sealift")
	require.NoError(t, err)
	store, err := finder.Datastore(t.Context(), "/north/datastore/vmfs-ssd")
	require.NoError(t, err)
	network, err := finder.Network(t.Context(), "/north/network/nodes")
	require.NoError(t, err)
	backing, err := network.EthernetCardBackingInfo(t.Context())
	require.NoError(t, err)
	var devices object.VirtualDeviceList
	scsi, err := devices.CreateSCSIController("pvscsi")
	require.NoError(t, err)
	disk := devices.CreateDisk(scsi.(types.BaseVirtualController), store.Reference(), "")
	disk.CapacityInKB = 20 << 20
	card, err := devices.CreateEthernetCard("vmxnet3", backing)
	require.NoError(t, err)
	changes, err := append(devices, scsi, disk, card).ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	require.NoError(t, err)
	task, err := folder.CreateVM(t.Context(), types.VirtualMachineConfigSpec{Name: "node", GuestId: "debian12_64Guest", NumCPUs: 2, MemoryMB: 2048,
		DeviceChange: changes, Files: &types.VirtualMachineFileInfo{VmPathName: "[vmfs-ssd]"}}, pool, nil)
	require.NoError(t, err)
	info, err := task.WaitForResult(t.Context())
	require.NoError(t, err)
	require.NoError(t, object.NewVirtualMachine(c.Client, info.Result.(types.ManagedObjectReference)).MarkAsTemplate(t.Context()))
	return v, recorder
}

// install brings up a control plane with all providers.
func install(t *testing.T, dir string) *clusterapi.Management {
	t.Helper()
	local, m := plane(t, dir)
	require.NoError(t, m.ApplyProviders(t.Context(), providers(t), clusterapi.ApplyOptions{Local: clusterapi.NewLocalManagers(local)}))
	return m
}

func atVCenter(t *testing.T, v *vcenter.VCenter) clusterapi.Description {
	t.Helper()
	d := describe(t, replaced(siteYAML, "SERVER", v.URL().Host, "THUMBPRINT", `"`+v.Thumbprint()+`"`))
	d.VCenter.Username = v.Admin().Name
	return d
}

// A machine is cloned though the first two clones fail, and boots with all that
// a node needs.
func TestAMachineBootsAfterFaults(t *testing.T) {
	t.Parallel()
	programs(t)
	v, recorder := startVCenter(t)
	v.Inject(vcenter.Fault{Method: "CloneVM_Task", Times: 2, AtCall: true, Err: &types.InsufficientResourcesFault{}})
	m := install(t, t.TempDir())
	d := atVCenter(t, v)
	require.NoError(t, m.ApplyCluster(t.Context(), d))
	require.NoError(t, m.ApplyCluster(t.Context(), d), "applying what is there")

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	seen := false
	for change, err := range m.Watch(ctx, clusterapi.Namespace) {
		require.NoError(t, err)
		if strings.HasPrefix(change.Object, "VSphere") {
			t.Log(change.Object, change.Type, change.Status, change.Reason, change.Message)
		}
		seen = seen || strings.HasPrefix(change.Object, "VSphereVM ") && strings.Contains(change.Message, "nsufficient")
		if recorder.Running() > 0 {
			break
		}
	}
	require.NoError(t, ctx.Err(), "no machine ran")
	require.True(t, seen, "the failing object's own words are shown")
	machines := schema.GroupVersionKind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2", Kind: "VSphereCluster"}
	require.NoError(t, m.WaitCondition(ctx, machines, clusterapi.Namespace, "enterprise", "Ready"))

	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.ErrorIs(t, m.WriteKubeconfig(ctx, "other", kubeconfig), clusterapi.ErrNoKubeconfig)
	require.NoError(t, m.WriteKubeconfig(ctx, "enterprise", kubeconfig))
	info, err := os.Stat(kubeconfig)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode())

	data := userData(t, recorder)
	for _, text := range []string{
		"/etc/containerd/certs.d/registry.k8s.io/hosts.toml", "https://registry.north.example:5000/v2/sealift",
		"/etc/kubernetes/manifests/kube-vip.yaml", "super-admin.conf", "10.20.0.10", "/etc/sealift/registry-auth.sh",
		base64.StdEncoding.EncodeToString([]byte("username = 'node'\npassword = "))[:30], "name: cloud-provider\n          value: external", "ssh-ed25519",
	} {
		require.True(t, strings.Contains(data, text), "%s is not in the user data", text)
	}
}

// Without workers, kubeadm gives the control plane no taint: everything runs there.
func TestAClusterWithoutWorkers(t *testing.T) {
	t.Parallel()
	programs(t)
	v, recorder := startVCenter(t)
	m := install(t, t.TempDir())
	d := describe(t, replaced(siteYAML, "SERVER", v.URL().Host, "THUMBPRINT", `"`+v.Thumbprint()+`"`,
		"workers: [{name: default, replicas: 1, size: {cpus: 2, memoryGiB: 4, diskGiB: 20}}]", "workers: []"))
	d.VCenter.Username = v.Admin().Name
	require.NoError(t, m.ApplyCluster(t.Context(), d))
	objects, err := d.Objects()
	require.NoError(t, err)
	changes, err := m.Differences(t.Context(), objects)
	require.NoError(t, err)
	require.Empty(t, changes, "the API server keeps a list of no taints")
	require.Eventually(t, func() bool { return recorder.Running() > 0 }, 2*time.Minute, time.Second)
	require.Contains(t, userData(t, recorder), "taints: []", "in what kubeadm reads")
}

// awaitWords waits until an object of CAPV says something.
func awaitWords(t *testing.T, m *clusterapi.Management, words string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for change, err := range m.Watch(ctx, clusterapi.Namespace) {
		require.NoError(t, err)
		if strings.HasPrefix(change.Object, "VSphere") && strings.Contains(change.Message, words) {
			t.Log(change.Object, change.Type, change.Message)
			return
		}
	}
	require.Fail(t, "nobody says "+words)
}

// A machine waits for room on a datastore that became full, and for a vCenter
// that restarts while it is cloned.
func TestAMachineBootsAfterAFullDatastoreAndARestart(t *testing.T) {
	t.Parallel()
	programs(t)
	v, recorder := startVCenter(t)
	m := install(t, t.TempDir())
	v.Inject(vcenter.Fault{Method: "CloneVM_Task", Times: 1, Err: &types.NoDiskSpace{FileFault: types.FileFault{File: "[vmfs-ssd]"}, Datastore: "vmfs-ssd"}},
		vcenter.Fault{Method: "CloneVM_Task", Times: 1, Delay: 3 * time.Second})
	require.NoError(t, m.ApplyCluster(t.Context(), atVCenter(t, v)))
	awaitWords(t, m, "NoDiskSpace")
	require.Zero(t, recorder.Running())
	v.Restart(t.Context(), 10*time.Second)
	require.Eventually(t, func() bool { return recorder.Running() == 1 }, 4*time.Minute, time.Second, "no machine runs after the restart")
	require.Less(t, len(v.Sessions()), 10, "sessions are not left behind")
}

// userData returns what the first machine was given.
func userData(t *testing.T, recorder *vcentertest.Recorder) string {
	t.Helper()
	for _, call := range recorder.Calls() {
		name, ok := strings.CutPrefix(call, "start ")
		if !ok {
			continue
		}
		spec, ok := recorder.Spec(name)
		require.True(t, ok)
		data, err := base64.StdEncoding.DecodeString(spec.GuestInfo["guestinfo.userdata"])
		require.NoError(t, err)
		return string(data)
	}
	return ""
}
