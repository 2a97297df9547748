//go:build e2e

// Package clusterapi_test shows that the lab's programs and the components
// that ship fit together: a local control plane of processes makes a machine
// in the lab's vCenter, and the cloud provider knows it as a node. What runs in
// the machine is another test's matter.
package clusterapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
)

func TestManagersMakeAMachine(t *testing.T) {
	recorder := vcentertest.NewRecorder()
	v := vcentertest.Start(t, vcenter.Options{Runtime: recorder})
	makeTemplate(t, v)
	l := startLocal(t)
	l.startProviders()
	l.applyCluster(v)

	var machine struct {
		Metadata struct{ Name string }
		Spec     struct{ ProviderID string }
		Status   struct{ Phase string }
	}
	l.eventually(2*time.Minute, func() error {
		var list struct{ Items []json.RawMessage }
		if err := json.Unmarshal([]byte(l.kubectl("get", "machines", "-o", "json")), &list); err != nil || len(list.Items) == 0 {
			return errors.Join(err, errors.New("there is no machine yet"))
		}
		if err := json.Unmarshal(list.Items[0], &machine); err != nil || machine.Status.Phase == "Provisioned" {
			return err
		}
		return errors.New("the machine is not provisioned: " + string(list.Items[0]))
	})
	spec, ok := recorder.Spec(machine.Metadata.Name)
	require.True(t, ok, recorder.Calls())
	require.Equal(t, 1, recorder.Running())
	require.Equal(t, "vsphere://"+spec.UUID, machine.Spec.ProviderID)
	require.Equal(t, "base64", spec.GuestInfo["guestinfo.userdata.encoding"])
	data, err := base64.StdEncoding.DecodeString(spec.GuestInfo["guestinfo.userdata"])
	require.NoError(t, err)
	require.Contains(t, string(data), "#cloud-config")
	require.Contains(t, string(data), "kubeadm init --config /run/kubeadm/kubeadm.yaml")
	require.Equal(t, "base64", spec.GuestInfo["guestinfo.metadata.encoding"])
	metadata, err := base64.StdEncoding.DecodeString(spec.GuestInfo["guestinfo.metadata"])
	require.NoError(t, err)
	require.Contains(t, string(metadata), "192.0.2.120/24", "the first address of the pool")
	require.Contains(t, string(metadata), "192.0.2.1", "its gateway")
	// Provisioned means that CAPV has seen the address that the guest reported.
	require.Contains(t, l.kubectl("get", "machine", machine.Metadata.Name, "-o", "jsonpath={.status.addresses}"), "192.0.2.1")
	l.checkCloudProvider(v, spec)
}

// startProviders applies the five providers' components and starts their
// managers, each before its webhooks are asked.
func (l *local) startProviders() {
	l.t.Helper()
	for _, p := range []struct{ components, program, namespace string }{
		{"core", "cluster-api-controller", "capi-system"},
		{"bootstrap-kubeadm", "kubeadm-bootstrap-controller", "capi-kubeadm-bootstrap-system"},
		{"control-plane-kubeadm", "kubeadm-control-plane-controller", "capi-kubeadm-control-plane-system"},
		{"infrastructure-vsphere", "cluster-api-vsphere-controller", "capv-system"},
		{"ipam-in-cluster", "cluster-api-ipam-in-cluster-controller", "capi-ipam-in-cluster-system"},
	} {
		port := l.port()
		l.applyComponents(p.components, port)
		health, args := "--health-addr", []string{}
		switch p.components {
		case "infrastructure-vsphere":
			args = []string{"--credentials-file=" + l.write("credentials.yaml", []byte("username: ''\npassword: ''\n"))}
		case "ipam-in-cluster":
			health = "--health-probe-bind-address"
		}
		l.startManager(p.program, p.namespace, port, health, args...)
	}
}

func (l *local) applyCluster(v *vcenter.VCenter) {
	l.t.Helper()
	parsed, err := template.ParseFiles("testdata/cluster.yaml")
	require.NoError(l.t, err)
	var out bytes.Buffer
	require.NoError(l.t, parsed.Execute(&out, struct {
		*vcenter.VCenter
		User vcenter.User
	}{v, vcenter.Installer()}))
	// A webhook answers a moment after its manager is ready.
	file := l.write("cluster.yaml", out.Bytes())
	l.eventually(30*time.Second, func() error { _, err := l.try("apply", "--server-side", "-f", file); return err })
}

// makeTemplate makes a template with a disk and a network card.
func makeTemplate(t *testing.T, v *vcenter.VCenter) {
	t.Helper()
	ctx := t.Context()
	client, err := v.Client(ctx, v.Admin())
	require.NoError(t, err)
	finder := find.NewFinder(client.Client)
	folder, err := finder.Folder(ctx, "/north/vm/templates")
	require.NoError(t, err)
	pool, err := finder.ResourcePool(ctx, "/north/host/cluster-a/Resources/sealift")
	require.NoError(t, err)
	datastore, err := finder.Datastore(ctx, "/north/datastore/vmfs-ssd")
	require.NoError(t, err)
	network, err := finder.Network(ctx, "/north/network/nodes")
	require.NoError(t, err)
	backing, err := network.EthernetCardBackingInfo(ctx)
	require.NoError(t, err)
	var devices object.VirtualDeviceList
	controller, err := devices.CreateSCSIController("pvscsi")
	require.NoError(t, err)
	disk := devices.CreateDisk(controller.(types.BaseVirtualController), datastore.Reference(), "")
	disk.CapacityInKB = 20 << 20
	card, err := devices.CreateEthernetCard("vmxnet3", backing)
	require.NoError(t, err)
	changes, err := append(devices, controller, disk, card).ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	require.NoError(t, err)
	task, err := folder.CreateVM(ctx, types.VirtualMachineConfigSpec{Name: "node", GuestId: "debian12_64Guest", NumCPUs: 2, MemoryMB: 2048,
		DeviceChange: changes, Files: &types.VirtualMachineFileInfo{VmPathName: "[vmfs-ssd]"}}, pool, nil)
	require.NoError(t, err)
	info, err := task.WaitForResult(ctx)
	require.NoError(t, err)
	require.NoError(t, object.NewVirtualMachine(client.Client, info.Result.(types.ManagedObjectReference)).MarkAsTemplate(ctx))
}
