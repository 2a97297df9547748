package clusterapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/mirror"
)

const siteYAML = `
apiVersion: sealift.dev/v1
kind: Site
metadata: {name: north}
spec:
  registry: {endpoint: "registry.north.example:5000", prefix: sealift}
  vcenter:
    server: SERVER
    thumbprint: THUMBPRINT
    credentials: prompt
    datacenter: north
    cluster: cluster-a
    datastore: vmfs-ssd
    network: nodes
    folder: sealift
    resourcePool: cluster-a/Resources/sealift
  network:
    addresses: {dhcp: true}
    controlPlaneEndpoint: 10.20.0.10
    nameservers: [10.20.0.2]
    ntp: [10.20.0.3]
  cluster:
    template: node
    controlPlane: {replicas: 1, size: {cpus: 2, memoryGiB: 4, diskGiB: 20}}
    workers: [{name: default, replicas: 1, size: {cpus: 2, memoryGiB: 4, diskGiB: 20}}]
    sshAuthorizedKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBxY4DsqnuvnUh0Ht4ktsZ7YKpxlyvCBvI5d0q2G6Ysn somebody"]
`

// fakeThumbprint has the form of one.
const fakeThumbprint = "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67"

// describe returns the description of a small cluster at a vCenter.
func describe(t *testing.T, text string) clusterapi.Description {
	t.Helper()
	s, err := site.Parse([]byte(text), t.TempDir())
	require.NoError(t, err)
	mapping, err := mirror.ParseMapping(s.Spec.Registry.Prefix, nil)
	require.NoError(t, err)
	r := &release.Release{}
	r.Spec.KubernetesVersion = "v1.34.4"
	r.Spec.Template.Name = "node-1.34"
	r.Spec.Images = release.Images{
		Etcd: "registry.k8s.io/etcd:3.6.5-0", APIServer: "registry.k8s.io/kube-apiserver:v1.34.4",
		CoreDNS: "registry.k8s.io/coredns/coredns:v1.12.1", KubeVIP: "ghcr.io/kube-vip/kube-vip:v0.9.1",
	}
	return clusterapi.Description{Site: s, Release: r, Mapping: mapping, Placement: &vsphere.Placement{Datacenter: vsphere.Object{Lookup: "/north"},
		Datastore: vsphere.Object{Lookup: "/north/datastore/vmfs-ssd"}, Network: vsphere.Object{Lookup: "/north/network/nodes"},
		Folder: vsphere.Object{Lookup: "/north/vm/sealift"}, TemplateFolder: vsphere.Object{Lookup: "/north/vm/templates"},
		ResourcePool: vsphere.Object{Lookup: "/north/host/cluster-a/Resources/sealift"}},
		Images:   []string{r.Spec.Images.Etcd, r.Spec.Images.KubeVIP},
		Registry: site.Login{Username: "node", Password: site.NewSecret(`quote " and PLUGIN`)},
		VCenter:  site.Login{Username: "admin", Password: site.NewSecret("Dark-Site-1!")}, Thumbprint: s.Spec.VCenter.Thumbprint}
}

func replaced(text string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

func small(t *testing.T) clusterapi.Description {
	return describe(t, replaced(siteYAML, "SERVER", "vcenter.north.example", "THUMBPRINT", `"`+fakeThumbprint+`"`))
}

func ofKind(t *testing.T, objects []*unstructured.Unstructured, kind string) *unstructured.Unstructured {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() == kind {
			return o
		}
	}
	require.Failf(t, "no object", "of the kind %s", kind)
	return nil
}

func TestTheSameDescriptionGivesTheSameBytes(t *testing.T) {
	first, err := small(t).Render()
	require.NoError(t, err)
	second, err := small(t).Render()
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
	require.NotContains(t, string(first), "Dark-Site-1!")
	require.NotContains(t, string(first), "RGFyay1TaXRlLTEh", "the password in base64")
	require.NotContains(t, string(first), "quote")
}

func TestATemplateOfOtherContentHasAnotherName(t *testing.T) {
	d := small(t)
	before, err := d.Objects()
	require.NoError(t, err)
	d.Site.Spec.Cluster.ControlPlane.Size.CPUs = 8
	after, err := d.Objects()
	require.NoError(t, err)
	require.NotEqual(t, ofKind(t, before, "VSphereMachineTemplate").GetName(), ofKind(t, after, "VSphereMachineTemplate").GetName())
}

// The provider would find another folder of the site's name, or none.
func TestMachinesGoWhereTheSiteMeans(t *testing.T) {
	d := small(t)
	d.Site.Spec.VCenter.Folder, d.Site.Spec.VCenter.TemplateFolder = "sealift", "templates"
	objects, err := d.Objects()
	require.NoError(t, err)
	machine, _, err := unstructured.NestedMap(ofKind(t, objects, "VSphereMachineTemplate").Object, "spec", "template", "spec")
	require.NoError(t, err)
	for field, path := range map[string]string{"datacenter": "/north", "datastore": "/north/datastore/vmfs-ssd", "folder": "/north/vm/sealift",
		"resourcePool": "/north/host/cluster-a/Resources/sealift", "template": "/north/vm/templates/node"} {
		require.Equal(t, path, machine[field], field)
	}
	devices, _, err := unstructured.NestedSlice(machine, "network", "devices")
	require.NoError(t, err)
	require.Equal(t, "/north/network/nodes", devices[0].(map[string]any)["networkName"])
}

func TestAddressesOfARange(t *testing.T) {
	d := small(t)
	d.Site.Spec.Network.Addresses = site.Addresses{Range: "10.20.0.20-10.20.0.40", Prefix: 24, Gateway: "10.20.0.1"}
	_, err := d.Objects()
	require.ErrorContains(t, err, "no provider that hands out addresses")
	d.Release.Spec.Providers = []release.Provider{{Name: "in-cluster", Type: release.IPAM}}
	objects, err := d.Objects()
	require.NoError(t, err)
	pool := ofKind(t, objects, "InClusterIPPool")
	addresses, _, err := unstructured.NestedStringSlice(pool.Object, "spec", "addresses")
	require.NoError(t, err)
	require.Equal(t, []string{"10.20.0.20-10.20.0.40"}, addresses)
}

func TestWhatADescriptionLacksIsToldAtOnce(t *testing.T) {
	d := small(t)
	d.Thumbprint, d.VCenter = "", site.Login{}
	d.Site.Spec.Cluster.KubernetesVersion = "v1.33.0"
	_, err := d.Objects()
	for _, text := range []string{"thumbprint", "no login to the vCenter", "wants Kubernetes v1.33.0"} {
		require.ErrorContains(t, err, text)
	}
}
