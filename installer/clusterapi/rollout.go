package clusterapi

import (
	"context"
	"fmt"
	"path"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/site"
)

// Rollout is how far the machines of a control plane or of a pool are those
// that its object describes.
type Rollout struct {
	Want, UpToDate, Available, All int
	Observed                       bool // the controller has seen the object as it is now
}

// Done tells whether all machines are new and available, and no other is left.
func (r Rollout) Done() bool {
	return r.Observed && r.UpToDate == r.Want && r.Available == r.Want && r.All == r.Want
}

// String says it for people.
func (r Rollout) String() string {
	return fmt.Sprintf("%d of %d machines are new, %d available", r.UpToDate, r.Want, r.Available)
}

// ControlPlanes and pools are of these kinds.
func controlPlaneKind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: groupControlPlane, Version: "v1beta2", Kind: "KubeadmControlPlane"}
}

func poolKind() schema.GroupVersionKind { return clusterv1.GroupVersion.WithKind("MachineDeployment") }

// ControlPlaneRollout returns how far the control plane of a cluster is.
func (m *Management) ControlPlaneRollout(ctx context.Context, cluster string) (Rollout, error) {
	return m.rollout(ctx, controlPlaneKind(), cluster)
}

// PoolRollout returns how far a pool of workers, a MachineDeployment, is. Its machines are counted:
// the numbers of a MachineDeployment lag behind its generation.
func (m *Management) PoolRollout(ctx context.Context, name string) (Rollout, error) {
	r, err := m.rollout(ctx, poolKind(), name)
	if err != nil {
		return r, err
	}
	d := &clusterv1.MachineDeployment{}
	if err := m.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, d); err != nil {
		return r, fmt.Errorf("reading pool %s: %w", name, err)
	}
	machines := &clusterv1.MachineList{}
	if err := m.List(ctx, machines, client.InNamespace(Namespace), client.MatchingLabels{clusterv1.MachineDeploymentNameLabel: name}); err != nil {
		return r, fmt.Errorf("reading the machines of pool %s: %w", name, err)
	}
	fresh := 0
	for _, machine := range machines.Items {
		same, err := m.madeOf(ctx, &machine, d.Spec.Template.Spec)
		if err != nil {
			return r, err
		}
		if same {
			fresh++
		}
	}
	r.UpToDate, r.All = min(r.UpToDate, fresh), max(r.All, len(machines.Items))
	return r, nil
}

// madeOf tells whether a machine was made of the templates and the version that
// a pool refers to now.
func (m *Management) madeOf(ctx context.Context, machine *clusterv1.Machine, spec clusterv1.MachineSpec) (bool, error) {
	if machine.Spec.Version != spec.Version {
		return false, nil
	}
	for _, pair := range [][2]clusterv1.ContractVersionedObjectReference{
		{machine.Spec.InfrastructureRef, spec.InfrastructureRef}, {machine.Spec.Bootstrap.ConfigRef, spec.Bootstrap.ConfigRef},
	} {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(schema.GroupVersionKind{Group: pair[0].APIGroup, Version: "v1beta2", Kind: pair[0].Kind})
		err := m.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: pair[0].Name}, o)
		if apierrors.IsNotFound(err) { // the machine is on its way out, and these go first
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("reading what machine %s was made of: %w", machine.Name, err)
		}
		if o.GetAnnotations()[clusterv1.TemplateClonedFromNameAnnotation] != pair[1].Name {
			return false, nil
		}
	}
	return true, nil
}

func (m *Management) rollout(ctx context.Context, kind schema.GroupVersionKind, name string) (Rollout, error) {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kind)
	if err := m.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, o); err != nil {
		return Rollout{}, fmt.Errorf("reading %s %s: %w", kind.Kind, name, err)
	}
	count := func(path ...string) int {
		n, _, _ := unstructured.NestedInt64(o.Object, path...)
		return int(n)
	}
	return Rollout{Want: count("spec", "replicas"), UpToDate: count("status", "upToDateReplicas"), Available: count("status", "availableReplicas"),
		All: count("status", "replicas"), Observed: int64(count("status", "observedGeneration")) >= o.GetGeneration()}, nil
}

// Present is what of a cluster an upgrade starts from.
type Present struct {
	Version       string // of Kubernetes
	ControlPlanes int
	Pools         map[string]int       // replicas by the pool's name in the site
	Deployments   map[string]string    // names of the pools' objects, by the same
	Sizes         map[string]site.Size // of the machines, by the same; "" for the control plane
	Template      string               // name of what the control plane's machines are cloned from
	Machines      []Machine
}

// Machine is a machine of a cluster.
type Machine struct {
	Name, Version, Pool string // Pool is "" for the control plane
}

// Present reads what a cluster is made of now.
func (m *Management) Present(ctx context.Context, cluster string) (*Present, error) {
	p := &Present{Pools: map[string]int{}, Deployments: map[string]string{}, Sizes: map[string]site.Size{}}
	kcp := &unstructured.Unstructured{}
	kcp.SetGroupVersionKind(controlPlaneKind())
	if err := m.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: cluster}, kcp); err != nil {
		return nil, fmt.Errorf("reading the control plane of %s: %w", cluster, err)
	}
	p.Version, _, _ = unstructured.NestedString(kcp.Object, "spec", "version")
	replicas, _, _ := unstructured.NestedInt64(kcp.Object, "spec", "replicas")
	p.ControlPlanes = int(replicas)
	ref, _, _ := unstructured.NestedString(kcp.Object, "spec", "machineTemplate", "spec", "infrastructureRef", "name")
	spec, err := m.machineSpec(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("reading the template of the control plane of %s: %w", cluster, err)
	}
	template, _, _ := unstructured.NestedString(spec, "template")
	p.Template = path.Base(template)
	p.Sizes[""] = sizeOf(spec)
	ours := []client.ListOption{client.InNamespace(Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: cluster}}
	return p, m.presentMachines(ctx, p, cluster, ours)
}

func (m *Management) presentMachines(ctx context.Context, p *Present, cluster string, ours []client.ListOption) error {
	pools := &clusterv1.MachineDeploymentList{}
	if err := m.List(ctx, pools, ours...); err != nil {
		return fmt.Errorf("reading the pools of %s: %w", cluster, err)
	}
	for _, d := range pools.Items {
		name := poolName(cluster, d.Name)
		p.Pools[name], p.Deployments[name] = value(d.Spec.Replicas), d.Name
		spec, err := m.machineSpec(ctx, d.Spec.Template.Spec.InfrastructureRef.Name)
		if err != nil {
			return fmt.Errorf("reading the template of pool %s: %w", name, err)
		}
		p.Sizes[name] = sizeOf(spec)
	}
	machines := &clusterv1.MachineList{}
	if err := m.List(ctx, machines, ours...); err != nil {
		return fmt.Errorf("reading the machines of %s: %w", cluster, err)
	}
	for _, machine := range machines.Items {
		one := Machine{Name: machine.Name, Version: machine.Spec.Version}
		if d := machine.Labels[clusterv1.MachineDeploymentNameLabel]; d != "" {
			one.Pool = poolName(cluster, d)
		}
		p.Machines = append(p.Machines, one)
	}
	return nil
}

// machineSpec reads what the machines of a template are made of.
func (m *Management) machineSpec(ctx context.Context, name string) (map[string]any, error) {
	template := &unstructured.Unstructured{}
	template.SetGroupVersionKind(schema.GroupVersionKind{Group: groupInfrastructure, Version: "v1beta2", Kind: "VSphereMachineTemplate"})
	if err := m.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, template); err != nil {
		return nil, err
	}
	spec, _, err := unstructured.NestedMap(template.Object, "spec", "template", "spec")
	return spec, err
}

// sizeOf is the size of machines as a site has it.
func sizeOf(spec map[string]any) site.Size {
	figure := func(name string) int {
		n, _, _ := unstructured.NestedInt64(spec, name)
		return int(n)
	}
	return site.Size{CPUs: figure("numCPUs"), MemoryGiB: (figure("memoryMiB") + mebibytes - 1) / mebibytes, DiskGiB: figure("diskGiB")}
}

// poolName is the pool's name in the site.
func poolName(cluster, deployment string) string {
	if prefix := cluster + "-"; len(deployment) > len(prefix) && deployment[:len(prefix)] == prefix {
		return deployment[len(prefix):]
	}
	return deployment
}
