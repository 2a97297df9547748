package clusterapi

import (
	"context"
	"fmt"

	"golang.org/x/mod/semver"
	"k8s.io/apimachinery/pkg/util/intstr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/problem"
)

// ScaleWorkers sets the number of machines of a pool of workers.
func (m *Management) ScaleWorkers(ctx context.Context, cluster, pool string, replicas int32) error {
	if replicas < 0 {
		return problem.New(problem.Usage, "give 0 or more", "scaling pool %s: %d machines", pool, replicas)
	}
	d := &clusterv1.MachineDeployment{}
	return m.change(ctx, d, cluster+"-"+pool, func() error {
		d.Spec.Replicas = &replicas
		return nil
	})
}

// ScaleControlPlane sets the number of machines of the control plane: 1, 3 or 5.
func (m *Management) ScaleControlPlane(ctx context.Context, cluster string, replicas int32) error {
	if replicas != 1 && replicas != 3 && replicas != 5 {
		return problem.New(problem.Usage, "give 1, 3 or 5: etcd needs a majority", "scaling the control plane of %s: %d machines", cluster, replicas)
	}
	kcp := &controlplanev1.KubeadmControlPlane{}
	return m.change(ctx, kcp, cluster, func() error {
		kcp.Spec.Replicas = &replicas
		return nil
	})
}

// Upgrade is what machines are replaced with. An empty field stays as it is.
type Upgrade struct {
	Version  string // of Kubernetes, such as v1.35.1
	Template string // name of a VSphereMachineTemplate
}

// UpgradeControlPlane replaces the machines of the control plane one at a time,
// the new one first. It goes up by one minor version at most, and never down.
func (m *Management) UpgradeControlPlane(ctx context.Context, cluster string, to Upgrade) error {
	kcp := &controlplanev1.KubeadmControlPlane{}
	return m.change(ctx, kcp, cluster, func() error {
		if err := checkUpgrade(kcp.Spec.Version, to.Version); err != nil {
			return err
		}
		kcp.Spec.Rollout.Strategy.Type = controlplanev1.RollingUpdateStrategyType
		kcp.Spec.Rollout.Strategy.RollingUpdate.MaxSurge = new(intstr.FromInt32(1))
		if to.Version != "" {
			kcp.Spec.Version = to.Version
		}
		if to.Template != "" {
			kcp.Spec.MachineTemplate.Spec.InfrastructureRef.Name = to.Template
		}
		return nil
	})
}

// UpgradeWorkers replaces the machines of a pool one at a time, the new one
// first. The control plane comes before.
func (m *Management) UpgradeWorkers(ctx context.Context, cluster, pool string, to Upgrade) error {
	d := &clusterv1.MachineDeployment{}
	return m.change(ctx, d, cluster+"-"+pool, func() error {
		if err := checkUpgrade(d.Spec.Template.Spec.Version, to.Version); err != nil {
			return err
		}
		d.Spec.Rollout.Strategy.RollingUpdate.MaxSurge = new(intstr.FromInt32(1))
		d.Spec.Rollout.Strategy.RollingUpdate.MaxUnavailable = new(intstr.FromInt32(0))
		if to.Version != "" {
			d.Spec.Template.Spec.Version = to.Version
		}
		if to.Template != "" {
			d.Spec.Template.Spec.InfrastructureRef.Name = to.Template
		}
		return nil
	})
}

// change reads an object of the cluster's namespace, changes it, and writes
// what is different.
func (m *Management) change(ctx context.Context, o client.Object, name string, edit func() error) error {
	if err := m.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, o); err != nil {
		return fmt.Errorf("changing %s: %w", name, err)
	}
	before, ok := o.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("changing %s: %T cannot be copied", name, o)
	}
	if err := edit(); err != nil {
		return fmt.Errorf("changing %s: %w", name, err)
	}
	if err := m.Patch(ctx, o, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), owner); err != nil {
		return fmt.Errorf("changing %s: %w", name, err)
	}
	return nil
}

// checkUpgrade refuses what kubeadm cannot do.
func checkUpgrade(from, to string) error {
	if to == "" {
		return nil
	}
	if !semver.IsValid(to) {
		return problem.New(problem.Usage, "give one such as v1.35.1", "%q is not a version", to)
	}
	if semver.Compare(to, from) < 0 {
		return problem.New(problem.Usage, "use a bundle that is not older", "it has %s, and %s is older: Kubernetes does not go back", from, to)
	}
	var major, has, wants int
	if _, err := fmt.Sscanf(semver.MajorMinor(from), "v%d.%d", &major, &has); err != nil {
		return fmt.Errorf("version %q: %w", from, err)
	}
	if _, err := fmt.Sscanf(semver.MajorMinor(to), "v%d.%d", &major, &wants); err != nil {
		return fmt.Errorf("version %q: %w", to, err)
	}
	if wants > has+1 {
		return problem.New(problem.Usage, fmt.Sprintf("upgrade to v1.%d first", has+1), "from %s to %s is more than one minor version", from, to)
	}
	return nil
}
