package clusterapi

import (
	"cmp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
)

// The kinds of CAPV have no module of types of their own: they are written as
// maps, with the fields of infrastructure.cluster.x-k8s.io/v1beta2.

// object returns an object of another's kind.
func (d Description) object(apiVersion, kind, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": apiVersion, "kind": kind,
		"metadata": map[string]any{"name": name, "namespace": Namespace, "labels": map[string]any{clusterv1.ClusterNameLabel: d.name()}},
		"spec":     spec,
	}}
}

func (d Description) vsphereCluster() *unstructured.Unstructured {
	return d.object(groupInfrastructure+"/v1beta2", "VSphereCluster", d.name(), map[string]any{
		"server": d.Site.Spec.VCenter.Server, "thumbprint": d.Thumbprint,
		"identityRef":          map[string]any{"kind": "Secret", "name": d.name() + "-vcenter"},
		"controlPlaneEndpoint": map[string]any{"host": d.Site.Spec.Network.ControlPlaneEndpoint, "port": int64(apiPort)},
	})
}

const mebibytes = 1024 // in a gibibyte

// machineTemplate describes machines of a size. It cannot be changed: its name
// ends with a sum of its content, and others refer to the newest.
func (d Description) machineTemplate(role string, size site.Size) (*unstructured.Unstructured, error) {
	p := d.Placement
	// A machine is turned off only to be removed with its disk: it is drained
	// and out of etcd, and a guest that shuts down would have nothing to save.
	machine := map[string]any{
		"server": d.Site.Spec.VCenter.Server, "thumbprint": d.Thumbprint,
		"datacenter": p.Datacenter.Lookup, "datastore": p.Datastore.Lookup, "folder": p.Folder.Lookup, "resourcePool": p.ResourcePool.Lookup,
		"template": d.template(), "cloneMode": "fullClone", "os": "Linux", "powerOffMode": "hard",
		"numCPUs": int64(size.CPUs), "memoryMiB": int64(size.MemoryGiB) * mebibytes, "diskGiB": int64(size.DiskGiB),
		"network":       map[string]any{"devices": []any{d.device()}},
		"customVMXKeys": map[string]any{vsphere.OwnerKey: Owner(d.Site)},
	}
	spec := map[string]any{"template": map[string]any{"spec": machine}}
	sum, err := short(spec)
	if err != nil {
		return nil, err
	}
	return d.object(groupInfrastructure+"/v1beta2", "VSphereMachineTemplate", d.name()+"-"+role+"-"+sum, spec), nil
}

// template returns the path of the template in vCenter: others may have one of
// its name in another folder.
func (d Description) template() string {
	return d.Placement.TemplateFolder.Lookup + "/" + cmp.Or(d.Site.Spec.Cluster.Template, d.Release.Spec.Template.Name)
}

// device is the only network card of a machine.
func (d Description) device() map[string]any {
	n := d.Site.Spec.Network
	device := map[string]any{"networkName": d.Placement.Network.Lookup, "dhcp4": n.Addresses.DHCP, "dhcp6": false}
	if !n.Addresses.DHCP {
		device["addressesFromPools"] = []any{map[string]any{"apiGroup": groupIPAM, "kind": "InClusterIPPool", "name": d.name()}}
	}
	if len(n.Nameservers) > 0 {
		device["nameservers"] = list(n.Nameservers)
	}
	if len(n.SearchDomains) > 0 {
		device["searchDomains"] = list(n.SearchDomains)
	}
	return device
}

// addressPool is the range that nodes have their addresses of; nil with DHCP.
func (d Description) addressPool() *unstructured.Unstructured {
	a := d.Site.Spec.Network.Addresses
	if a.DHCP {
		return nil
	}
	return d.object(groupIPAM+"/v1alpha2", "InClusterIPPool", d.name(), map[string]any{
		"addresses": []any{a.Range}, "prefix": int64(a.Prefix), "gateway": a.Gateway,
	})
}

func list(texts []string) []any {
	out := make([]any, 0, len(texts))
	for _, t := range texts {
		out = append(out, t)
	}
	return out
}
