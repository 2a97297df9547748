package status

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	clusterctlv1 "sigs.k8s.io/cluster-api/cmd/clusterctl/api/v1alpha3"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/clusterapi"
)

// kinds are those that a report has, from the whole to the parts.
func kinds() []schema.GroupVersionKind {
	const core, infrastructure = "cluster.x-k8s.io", "infrastructure.cluster.x-k8s.io"
	return []schema.GroupVersionKind{
		{Group: core, Version: "v1beta2", Kind: "Cluster"},
		{Group: infrastructure, Version: "v1beta2", Kind: "VSphereCluster"},
		{Group: "controlplane.cluster.x-k8s.io", Version: "v1beta2", Kind: "KubeadmControlPlane"},
		{Group: core, Version: "v1beta2", Kind: "MachineDeployment"},
		{Group: core, Version: "v1beta2", Kind: "Machine"},
		{Group: infrastructure, Version: "v1beta2", Kind: "VSphereVM"},
	}
}

// objects reads Cluster API's objects of a cluster.
func (x *examination) objects(ctx context.Context) error {
	m := x.found.Manager
	for _, kind := range kinds() {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := m.List(ctx, list, client.InNamespace(clusterapi.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: x.report.Cluster}); err != nil {
			return fmt.Errorf("reading every %s: %w", kind.Kind, err)
		}
		for i := range list.Items {
			o := newObject(&list.Items[i])
			x.report.Objects = append(x.report.Objects, o)
			for _, trouble := range o.Troubles {
				x.problem("%s %s: %s", o.Kind, o.Name, trouble)
			}
			if o.Kind == "Machine" {
				x.machineCertificate(&list.Items[i])
			}
		}
	}
	return nil
}

// newObject reads what an object says of itself.
func newObject(u *unstructured.Unstructured) Object {
	o := Object{Kind: u.GetKind(), Name: u.GetName(), Conditions: clusterapi.Conditions(u)}
	o.Phase, _, _ = unstructured.NestedString(u.Object, "status", "phase")
	o.Version, _, _ = unstructured.NestedString(u.Object, "spec", "version")
	if o.Version == "" {
		o.Version, _, _ = unstructured.NestedString(u.Object, "spec", "template", "spec", "version")
	}
	want, counted, _ := unstructured.NestedInt64(u.Object, "spec", "replicas")
	if counted {
		ready, _, _ := unstructured.NestedInt64(u.Object, "status", "availableReplicas")
		o.Ready, o.Want = int(ready), int(want)
		if ready < want {
			o.Troubles = append(o.Troubles, fmt.Sprintf("%d of %d machines are available", ready, want))
		}
	}
	o.Troubles = append(o.Troubles, troubles(o.Conditions)...)
	return o
}

// well tells whether all is well with an object. Of its conditions Available
// says so, or where a kind has none Ready; the others only say why not, or that
// something is under way.
func well(conditions []clusterapi.Condition) bool {
	for _, kind := range []string{"Available", "Ready"} {
		for _, c := range conditions {
			if c.Type == kind {
				return c.Status == "True"
			}
		}
	}
	return true
}

// troubles are what keeps an object from being well.
func troubles(conditions []clusterapi.Condition) []string {
	if well(conditions) {
		return nil
	}
	var out []string
	for _, c := range conditions {
		if c.Status == "False" && c.Message != "" && !quiet(c.Type) {
			out = append(out, c.Type+": "+strings.Join(strings.Fields(c.Message), " "))
		}
	}
	if len(out) == 0 {
		out = append(out, "it is not ready yet")
	}
	return out
}

// quiet are conditions that are false when all is well.
func quiet(kind string) bool {
	return slices.Contains([]string{"RollingOut", "ScalingUp", "ScalingDown", "Remediating", "Deleting", "Paused", "Updating"}, kind)
}

// nodes reads the nodes of the cluster itself.
func (x *examination) nodes(ctx context.Context) error {
	list := &corev1.NodeList{}
	if err := x.found.Cluster.List(ctx, list); err != nil {
		return fmt.Errorf("reading the nodes: %w", err)
	}
	for _, n := range list.Items {
		node := newNode(&n)
		if !node.Ready {
			x.problem("node %s is not ready: %s", node.Name, node.Message)
		}
		x.report.Nodes = append(x.report.Nodes, node)
	}
	return nil
}

func newNode(n *corev1.Node) Node {
	out := Node{Name: n.Name, Version: n.Status.NodeInfo.KubeletVersion, Message: "it says nothing of itself"}
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			out.Ready, out.Message = c.Status == corev1.ConditionTrue, c.Message
		}
	}
	if out.Ready {
		out.Message = ""
	}
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP || out.Address == "" {
			out.Address = a.Address
		}
	}
	return out
}

// providers reads clusterctl's inventory, and makes none.
func (x *examination) providers(ctx context.Context) error {
	list := &clusterctlv1.ProviderList{}
	if err := x.found.Manager.List(ctx, list); err != nil {
		return fmt.Errorf("reading the inventory of providers: %w", err)
	}
	for _, p := range list.Items {
		x.report.Versions = append(x.report.Versions, Version{"provider " + p.Name, p.Version})
	}
	return nil
}
