package clusterapi_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/clusterapi"
)

// kinds returns the providers without managers: kinds and inventory alone.
func kinds(t *testing.T) []*clusterapi.Provider {
	t.Helper()
	out := providers(t)
	for _, p := range out {
		var kept []*unstructured.Unstructured
		for _, o := range p.Objects {
			switch o.GetKind() {
			case "CustomResourceDefinition":
				unstructured.RemoveNestedField(o.Object, "spec", "conversion")
				kept = append(kept, o)
			case "Namespace":
				kept = append(kept, o)
			}
		}
		p.Objects = kept
	}
	return out
}

const machineCount = 12

// sides returns two control planes with the kinds of Cluster API; the first
// has a cluster that looks finished.
func sides(t *testing.T) (from, to *clusterapi.Management) {
	t.Helper()
	_, from = plane(t, t.TempDir())
	_, to = plane(t, t.TempDir())
	for _, side := range []*clusterapi.Management{from, to} {
		require.NoError(t, side.ApplyProviders(t.Context(), kinds(t), clusterapi.ApplyOptions{}))
	}
	populate(t, from)
	return from, to
}

var clusterKey = client.ObjectKey{Namespace: clusterapi.Namespace, Name: "enterprise"}

func populate(t *testing.T, m *clusterapi.Management) {
	t.Helper()
	require.NoError(t, m.ApplyCluster(t.Context(), small(t)))
	c := &clusterv1.Cluster{}
	require.NoError(t, m.Get(t.Context(), clusterKey, c))
	c.Status.Initialization.InfrastructureProvisioned = new(true)
	c.Status.Initialization.ControlPlaneInitialized = new(true)
	c.Status.Conditions = []metav1.Condition{{Type: clusterv1.ClusterControlPlaneInitializedCondition, Status: metav1.ConditionTrue,
		Reason: "Initialized", LastTransitionTime: metav1.Now()}}
	require.NoError(t, m.Status().Update(t.Context(), c))
	belongs := []metav1.OwnerReference{{APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: c.Name, UID: c.UID}}
	own(t, m, belongs)
	for i := range machineCount {
		machine := &clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Namespace: clusterapi.Namespace, Name: fmt.Sprintf("machine-%02d", i), OwnerReferences: belongs,
			Labels: map[string]string{clusterv1.ClusterNameLabel: c.Name}, Finalizers: []string{clusterv1.MachineFinalizer}}}
		machine.Spec.ClusterName = c.Name
		machine.Spec.Bootstrap.DataSecretName = new("data")
		machine.Spec.InfrastructureRef = clusterv1.ContractVersionedObjectReference{APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "VSphereMachine", Name: "m"}
		require.NoError(t, m.Create(t.Context(), machine))
		machine.Status.NodeRef.Name = machine.Name
		require.NoError(t, m.Status().Update(t.Context(), machine))
	}
}

// own gives what was applied the owner that the managers would give it.
func own(t *testing.T, m *clusterapi.Management, owners []metav1.OwnerReference) {
	t.Helper()
	objects, err := small(t).Objects()
	require.NoError(t, err)
	for _, o := range objects {
		if o.GetKind() == "Namespace" || o.GetKind() == "Cluster" || o.GetKind() == "Secret" {
			continue
		}
		now := o.DeepCopy()
		require.NoError(t, m.Get(t.Context(), client.ObjectKeyFromObject(o), now))
		now.SetOwnerReferences(owners)
		require.NoError(t, m.Update(t.Context(), now))
	}
}

func paused(t *testing.T, m *clusterapi.Management) (there, paused bool) {
	t.Helper()
	c := &clusterv1.Cluster{}
	if err := m.Get(context.WithoutCancel(t.Context()), clusterKey, c); err != nil {
		require.NoError(t, client.IgnoreNotFound(err))
		return false, false
	}
	return true, c.Spec.Paused != nil && *c.Spec.Paused
}

// arrived checks that the target has all and works, and the source nothing.
func arrived(t *testing.T, from, to *clusterapi.Management) {
	t.Helper()
	there, stopped := paused(t, to)
	require.True(t, there)
	require.False(t, stopped)
	there, _ = paused(t, from)
	require.False(t, there)
	var machines, left clusterv1.MachineList
	require.NoError(t, to.List(t.Context(), &machines))
	require.NoError(t, from.List(t.Context(), &left))
	require.Len(t, machines.Items, machineCount)
	require.Empty(t, left.Items)
	c := &clusterv1.Cluster{}
	require.NoError(t, to.Get(t.Context(), clusterKey, c))
	require.NotContains(t, c.Annotations, "sealift.dev/moving")
	for _, m := range machines.Items {
		require.Equal(t, c.UID, m.OwnerReferences[0].UID, "owners are those of the target")
		require.Equal(t, []string{clusterv1.MachineFinalizer}, m.Finalizers)
	}
	objects, err := small(t).Objects()
	require.NoError(t, err)
	for _, o := range objects {
		now := o.DeepCopy()
		require.NoError(t, to.Get(t.Context(), client.ObjectKeyFromObject(o), now), o.GetKind()+" "+o.GetName())
	}
	var secret corev1.Secret
	require.NoError(t, to.Get(t.Context(), client.ObjectKey{Namespace: clusterapi.Namespace, Name: "enterprise-vcenter"}, &secret))
	require.Equal(t, "Dark-Site-1!", string(secret.Data["password"]))
}

func TestMove(t *testing.T) {
	t.Parallel()
	from, to := sides(t)
	require.ErrorIs(t, clusterapi.Move(t.Context(), to, from, "another"), clusterapi.ErrNoCluster)
	began := time.Now()
	require.NoError(t, clusterapi.Move(t.Context(), from, to, "enterprise"))
	t.Log("moved in", time.Since(began))
	arrived(t, from, to)
	require.NoError(t, clusterapi.Move(t.Context(), from, to, "enterprise"), "what was moved is not moved again")
	arrived(t, from, to)
}

// A move that is canceled anywhere leaves one side at work, and goes on.
func TestMoveGoesOn(t *testing.T) {
	t.Parallel()
	from, to := sides(t)
	cut := 0
	for after := 100 * time.Millisecond; ; after += 150 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		err := clusterapi.Move(ctx, from, to, "enterprise")
		cancel()
		if err == nil {
			break
		}
		cut++
		there, source := paused(t, from)
		arrivedThere, target := paused(t, to)
		t.Log(after, "source", there, source, "target", arrivedThere, target, err)
		require.True(t, (there && !source) || (arrivedThere && !target), "one side is at work")
		require.False(t, there && !source && arrivedThere && !target, "not both are at work")
		require.Less(t, after, 20*time.Second)
	}
	require.Positive(t, cut)
	arrived(t, from, to)
}

// What a kill leaves - both sides paused, the source partly deleted - is found.
func TestMoveGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	from, to := sides(t)
	c := &clusterv1.Cluster{}
	require.NoError(t, from.Get(t.Context(), clusterKey, c))
	c.Spec.Paused = new(true)
	require.NoError(t, from.Update(t.Context(), c))
	require.ErrorIs(t, clusterapi.Move(t.Context(), from, to, "enterprise"), clusterapi.ErrPaused, "somebody paused it")

	c.Annotations = map[string]string{"sealift.dev/moving": "true"}
	require.NoError(t, from.Update(t.Context(), c))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_ = clusterapi.Move(ctx, from, to, "enterprise") // may have done anything
	require.NoError(t, clusterapi.Move(t.Context(), from, to, "enterprise"))
	arrived(t, from, to)
}
