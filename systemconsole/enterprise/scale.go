package enterprise

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/problem"
)

// MaxMachines is the most machines that a pool of workers takes.
const MaxMachines = 1000

// Scale sets the number of machines of a pool.
func (l *Live) Scale(ctx context.Context, pool string, machines int) error {
	o, err := l.read(ctx, l.client)
	if err != nil {
		return err
	}
	if pool == o.controlPlane.Name {
		return l.scaleControlPlane(ctx, o, machines)
	}
	d, err := deployment(o, pool)
	if err != nil {
		return err
	}
	if machines < 0 || machines > MaxMachines {
		return problem.New(problem.Usage, fmt.Sprintf("choose 0 to %d", MaxMachines), "scaling pool %s to %d: %w", pool, machines, ErrInvalid)
	}
	before := d.DeepCopy()
	d.Spec.Replicas = new(int32(machines))
	return l.patch(ctx, "scaling pool "+pool, before, d)
}

func (l *Live) scaleControlPlane(ctx context.Context, o *objects, machines int) error {
	pool := l.controlPlane(o)
	if err := CheckScale(pool, machines); err != nil {
		return err
	}
	before := o.controlPlane.DeepCopy()
	o.controlPlane.Spec.Replicas = new(int32(machines))
	return l.patch(ctx, "scaling control plane "+pool.Name, before, &o.controlPlane)
}

// CheckScale says whether a control plane may be given so many machines.
// Machines leave one by one, and whichever leaves, a majority of those that
// remain has to be well.
func CheckScale(pool Pool, machines int) error {
	if !slices.Contains([]int{1, 3, 5}, machines) {
		return problem.New(problem.Usage, "choose 1, 3 or 5", "scaling the control plane to %d: %w", machines, ErrInvalid)
	}
	if pool.Replacing != "" && machines != pool.Desired {
		return problem.New(problem.Failed, "wait until all machines are up to date", "scaling the control plane while its machines are replaced: %w", ErrBusy)
	}
	members, well := len(pool.Nodes), 0
	for _, n := range pool.Nodes {
		if n.Status.State == Good || n.Status.State == Warn {
			well++
		}
	}
	for ; members > machines; members-- {
		well--
		if well < (members-1)/2+1 {
			return problem.New(problem.Failed, "mend or replace the nodes that are not ready first",
				"scaling the control plane from %d to %d with %d nodes ready: %w", len(pool.Nodes), machines, well+len(pool.Nodes)-members+1, ErrQuorum)
		}
	}
	return nil
}

// AddPool makes a pool of workers after the example of the first one.
func (l *Live) AddPool(ctx context.Context, p NewPool) error {
	o, err := l.read(ctx, l.client)
	if err != nil {
		return err
	}
	if len(o.deployments.Items) == 0 {
		return problem.New(problem.Failed, "install the cluster with one pool of workers", "adding pool %s: there is no pool to take as an example: %w", p.Name, ErrInvalid)
	}
	if err := checkNewPool(o, p); err != nil {
		return err
	}
	example := &o.deployments.Items[0]
	infrastructure, err := l.copyTemplate(ctx, example.Spec.Template.Spec.InfrastructureRef, p.Name, p.Size)
	if err != nil {
		return err
	}
	bootstrap, err := l.copyTemplate(ctx, example.Spec.Template.Spec.Bootstrap.ConfigRef, p.Name, Size{})
	if err != nil {
		return err
	}
	d := newDeployment(example, p)
	d.Spec.Template.Spec.InfrastructureRef.Name = infrastructure
	d.Spec.Template.Spec.Bootstrap.ConfigRef.Name = bootstrap
	if err := l.client.Create(ctx, d); err != nil {
		return fmt.Errorf("adding pool %s: %w", p.Name, err)
	}
	return nil
}

func newDeployment(example *clusterv1.MachineDeployment, p NewPool) *clusterv1.MachineDeployment {
	d := &clusterv1.MachineDeployment{Spec: *example.Spec.DeepCopy()}
	d.Name, d.Namespace = p.Name, example.Namespace
	cluster := map[string]string{clusterv1.ClusterNameLabel: example.Spec.ClusterName}
	d.Labels = cluster
	d.Spec.Replicas = new(int32(p.Machines))
	pool := map[string]string{clusterv1.ClusterNameLabel: example.Spec.ClusterName, clusterv1.MachineDeploymentNameLabel: p.Name}
	d.Spec.Selector.MatchLabels = pool
	d.Spec.Selector.MatchExpressions = nil
	d.Spec.Template.Labels = pool
	return d
}

// RemovePool removes a pool. Its machines and templates go with it.
func (l *Live) RemovePool(ctx context.Context, name string) error {
	o, err := l.read(ctx, l.client)
	if err != nil {
		return err
	}
	d, err := deployment(o, name)
	if err != nil {
		return err
	}
	if len(o.deployments.Items) == 1 {
		return problem.New(problem.Failed, "add another pool first; the platform runs on the workers", "removing the last pool %s: %w", name, ErrInvalid)
	}
	if err := l.client.Delete(ctx, d, client.Preconditions{UID: &d.UID}); err != nil {
		return fmt.Errorf("removing pool %s: %w", name, found(err))
	}
	return nil
}

// Resize replaces the machines of a pool by those of another size.
func (l *Live) Resize(ctx context.Context, pool string, size Size) error {
	o, err := l.read(ctx, l.client)
	if err != nil {
		return err
	}
	if err := checkSize(size); err != nil {
		return fmt.Errorf("resizing pool %s: %w", pool, err)
	}
	if pool == o.controlPlane.Name {
		return l.resizeControlPlane(ctx, &o.controlPlane, size)
	}
	d, err := deployment(o, pool)
	if err != nil {
		return err
	}
	if err := l.checkResize(ctx, pool, d.Spec.Template.Spec.InfrastructureRef, size); err != nil {
		return err
	}
	before := d.DeepCopy()
	name, err := l.copyTemplate(ctx, d.Spec.Template.Spec.InfrastructureRef, pool, size)
	if err != nil {
		return err
	}
	d.Spec.Template.Spec.InfrastructureRef.Name = name
	return l.patch(ctx, "resizing pool "+pool, before, d)
}

// checkResize refuses to replace machines by others of the same size.
func (l *Live) checkResize(ctx context.Context, pool string, ref clusterv1.ContractVersionedObjectReference, size Size) error {
	now, err := l.sizeOf(ctx, ref)
	if err != nil {
		return err
	}
	wanted := Size{cmp.Or(size.CPUs, now.CPUs), cmp.Or(size.MemoryMiB, now.MemoryMiB), cmp.Or(size.DiskGiB, now.DiskGiB)}
	if wanted == now {
		return problem.New(problem.Usage, "choose another size", "the machines of pool %s have %s already: %w", pool, now, ErrInvalid)
	}
	return nil
}

func (l *Live) resizeControlPlane(ctx context.Context, k *controlplanev1.KubeadmControlPlane, size Size) error {
	before := k.DeepCopy()
	ref := &k.Spec.MachineTemplate.Spec.InfrastructureRef
	if err := l.checkResize(ctx, k.Name, *ref, size); err != nil {
		return err
	}
	name, err := l.copyTemplate(ctx, *ref, k.Name, size)
	if err != nil {
		return err
	}
	ref.Name = name
	return l.patch(ctx, "resizing control plane "+k.Name, before, k)
}

// patch changes an object unless somebody else did since it was read.
func (l *Live) patch(ctx context.Context, what string, before, after client.Object) error {
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := l.client.Patch(ctx, after, patch); err != nil {
		return fmt.Errorf("%s: %w", what, found(err))
	}
	return nil
}

func deployment(o *objects, name string) (*clusterv1.MachineDeployment, error) {
	for i := range o.deployments.Items {
		if o.deployments.Items[i].Name == name {
			return &o.deployments.Items[i], nil
		}
	}
	return nil, fmt.Errorf("pool %s: %w", name, ErrNotFound)
}
