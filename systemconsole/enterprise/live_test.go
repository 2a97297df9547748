package enterprise

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/test/lab/controlplane"
)

// live is the lab's cluster, for one test.
func live(t *testing.T) (*Live, *controlplane.Cluster) {
	t.Helper()
	config := controlplane.Start(t)
	c, err := controlplane.Populate(t.Context(), config)
	require.NoError(t, err)
	l, err := Connect(t.Context(), config, Options{})
	require.NoError(t, err)
	return l, c
}

func TestLiveCluster(t *testing.T) {
	l, c := live(t)
	t.Run("overview", func(t *testing.T) { testOverview(t, l) })
	t.Run("watched", func(t *testing.T) { testWatched(t, l, c) })
	t.Run("scale", func(t *testing.T) { testScale(t, l, c) })
	t.Run("pools", func(t *testing.T) { testPools(t, l, c) })
	t.Run("resize", func(t *testing.T) { testResize(t, l, c) })
	t.Run("events", func(t *testing.T) { testEvents(t, l, c) })
	t.Run("heartbeat", func(t *testing.T) { testHeartbeat(t, l, c) })
	t.Run("none", func(t *testing.T) { testNoCluster(t, l, c) })
}

func testOverview(t *testing.T, l *Live) {
	o, err := l.Overview(t.Context())
	require.NoError(t, err)
	require.Equal(t, Status{Good, "Healthy"}, o.Status)
	require.Equal(t, "v1.34.4", o.Version)
	require.Equal(t, "10.20.0.10:6443", o.Endpoint)
	require.Len(t, o.Pools, 2)
	require.True(t, o.Pools[0].ControlPlane)
	require.Equal(t, Size{8, 16384, 60}, o.Pools[0].Size)
	require.Len(t, o.Pools[0].Nodes, 3)
	require.Len(t, o.Pools[1].Nodes, 2)
	require.Equal(t, Status{Good, "Ready"}, o.Pools[1].Nodes[0].Status)
	require.WithinDuration(t, time.Now(), o.Pools[1].Nodes[0].Heartbeat, time.Minute)
	require.Len(t, o.Certificates, 3)
}

// testWatched: machines and nodes come from memory and are soon those that are
// there; what else changed is there at once; nobody follows when nobody asks.
func testWatched(t *testing.T, l *Live, c *controlplane.Cluster) {
	ctx := t.Context()
	now, err := l.Overview(ctx)
	require.NoError(t, err)
	watched, err := l.Watched(ctx)
	require.NoError(t, err)
	require.Equal(t, now, watched)
	require.NoError(t, l.Scale(ctx, "enterprise-default", 4))
	watched, err = l.Watched(ctx)
	require.NoError(t, err)
	require.Equal(t, 4, watched.Pools[1].Desired)
	require.NoError(t, c.Settle(ctx))
	nodes := func(count int) func() bool {
		return func() bool {
			watched, err := l.Watched(ctx)
			require.NoError(t, err)
			return len(watched.Pools[1].Nodes) == count && watched.Pools[1].Nodes[count-1].Status.State == Good
		}
	}
	require.Eventually(t, nodes(4), 10*time.Second, 10*time.Millisecond)
	followed := l.watched.cache
	require.True(t, l.watched.idle.Reset(0), "it is followed until nobody asked for a minute")
	require.Eventually(t, func() bool { l.watched.mu.Lock(); defer l.watched.mu.Unlock(); return l.watched.cache == nil }, time.Second, time.Millisecond)
	require.NoError(t, l.Scale(ctx, "enterprise-default", 2))
	require.NoError(t, c.Settle(ctx))
	require.Eventually(t, nodes(2), 10*time.Second, 10*time.Millisecond)
	require.NotSame(t, followed, l.watched.cache)
	asking, cancel := context.WithCancel(ctx)
	cancel()
	_, err = l.Watched(asking)
	require.ErrorIs(t, err, context.Canceled)
}

func testScale(t *testing.T, l *Live, c *controlplane.Cluster) {
	ctx := t.Context()
	for _, n := range []int{0, 2, 4, 7} {
		require.ErrorIs(t, l.Scale(ctx, "enterprise-control-plane", n), ErrInvalid)
	}
	require.ErrorIs(t, l.Scale(ctx, "nowhere", 1), ErrNotFound)
	require.ErrorIs(t, l.Scale(ctx, "enterprise-default", -1), ErrInvalid)
	require.NoError(t, l.Scale(ctx, "enterprise-control-plane", 5))
	require.NoError(t, l.Scale(ctx, "enterprise-default", 4))

	o, err := l.Overview(ctx)
	require.NoError(t, err)
	require.Equal(t, Status{Busy, "Scaling: 3 of 5 machines"}, o.Pools[0].Status)
	require.Equal(t, Status{Busy, "Scaling: 2 of 4 machines"}, o.Pools[1].Status)
	require.NoError(t, c.Settle(ctx))
	o, err = l.Overview(ctx)
	require.NoError(t, err)
	require.True(t, o.Pools[0].Settled())
	require.Len(t, o.Pools[0].Nodes, 5)
	require.Len(t, o.Pools[1].Nodes, 4)
	require.NoError(t, l.Scale(ctx, "enterprise-control-plane", 3))
	require.NoError(t, c.Settle(ctx))
}

func testPools(t *testing.T, l *Live, c *controlplane.Cluster) {
	ctx := t.Context()
	for _, p := range []NewPool{{Name: "Batch"}, {Name: "enterprise-default"}, {Name: "batch", Machines: -1}, {Name: "batch", Size: Size{CPUs: 1}}} {
		require.ErrorIs(t, l.AddPool(ctx, p), ErrInvalid, "%+v", p)
	}
	require.ErrorIs(t, l.RemovePool(ctx, "enterprise-default"), ErrInvalid, "the last pool")
	require.NoError(t, l.AddPool(ctx, NewPool{Name: "batch", Machines: 1, Size: Size{CPUs: 16, MemoryMiB: 32768}}))
	require.NoError(t, c.Settle(ctx))
	o, err := l.Overview(ctx)
	require.NoError(t, err)
	require.Equal(t, "batch", o.Pools[1].Name)
	require.Equal(t, Size{16, 32768, 60}, o.Pools[1].Size)
	require.Len(t, o.Pools[1].Nodes, 1)
	require.Len(t, o.Pools[2].Nodes, 4, "each pool has its own machines")
	var d clusterv1.MachineDeployment
	require.NoError(t, c.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: "batch"}, &d))
	d.Finalizers = []string{"example.com/machines"} // as the controllers have one until the machines are gone
	require.NoError(t, c.Update(ctx, &d))
	require.NoError(t, l.RemovePool(ctx, "batch"))
	o, err = l.Overview(ctx)
	require.NoError(t, err)
	require.Equal(t, Status{Busy, "Being removed"}, o.Pools[1].Status)
	require.NoError(t, c.Get(ctx, client.ObjectKeyFromObject(&d), &d))
	d.Finalizers = nil
	require.NoError(t, c.Update(ctx, &d))
	require.ErrorIs(t, l.RemovePool(ctx, "batch"), ErrNotFound)
}

func testResize(t *testing.T, l *Live, c *controlplane.Cluster) {
	ctx := t.Context()
	require.ErrorIs(t, l.Resize(ctx, "enterprise-default", Size{MemoryMiB: 1}), ErrInvalid)
	require.NoError(t, l.Resize(ctx, "enterprise-default", Size{CPUs: 16, MemoryMiB: 32768}))
	o, err := l.Overview(ctx)
	require.NoError(t, err)
	require.Equal(t, Status{Busy, "About to change"}, o.Pools[1].Status, "the controllers have not looked yet")
	require.False(t, o.Pools[1].Settled())
	require.NoError(t, l.Resize(ctx, "enterprise-control-plane", Size{DiskGiB: 100}))
	var m clusterv1.Machine
	require.NoError(t, c.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: "enterprise-control-plane-1"}, &m))
	m.Status.Conditions = append(m.Status.Conditions, metav1.Condition{Type: clusterv1.MachineUpToDateCondition, Status: metav1.ConditionFalse, Reason: "NotUpToDate", LastTransitionTime: metav1.Now()})
	require.NoError(t, c.Status().Update(ctx, &m))
	var k controlplanev1.KubeadmControlPlane
	require.NoError(t, c.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: "enterprise-control-plane"}, &k))
	for i := range k.Status.Conditions {
		if k.Status.Conditions[i].Type == "RollingOut" {
			k.Status.Conditions[i].Status = metav1.ConditionTrue
			k.Status.Conditions[i].Message = "Rolling out 3 not up-to-date replicas\n* VSphereMachine is not up-to-date\n* Version v1.33.5, v1.34.4 required"
		}
	}
	require.NoError(t, c.Status().Update(ctx, &k))
	o, err = l.Overview(ctx)
	require.NoError(t, err)
	require.Equal(t, Status{Busy, "Replacing machines: 2 of 3 done"}, o.Pools[0].Status)
	require.Equal(t, Size{8, 16384, 100}, o.Pools[0].Size)
	require.Equal(t, Size{16, 32768, 60}, o.Pools[1].Size)
	require.Equal(t, "another size or template is asked for; Version v1.33.5, v1.34.4 required", o.Pools[0].Replacing)
	require.Equal(t, Busy, o.Status.State)
	require.ErrorIs(t, l.Scale(ctx, "enterprise-control-plane", 5), ErrBusy)
	require.NoError(t, c.Settle(ctx))
}

func TestNodesJoinBeforeTheyNeedAttention(t *testing.T) {
	l := &Live{thresholds: Thresholds{Heartbeat: time.Minute}}
	now := time.Now()
	for _, c := range []struct {
		name         string
		made, silent time.Duration // ago
		want         Status
	}{
		{"just made", 20 * time.Second, 20 * time.Second, Status{Busy, "Joining"}},
		{"never ready in a long time", 6 * time.Minute, 6 * time.Minute, Status{Bad, "Not ready"}},
		{"ready once", 4 * time.Minute, 10 * time.Second, Status{Bad, "Not ready"}},
	} {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(now.Add(-c.made))}}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(now.Add(-c.silent))}}
		require.Equal(t, c.want, l.nodeStatus(n, now), c.name)
	}
}

func testEvents(t *testing.T, l *Live, c *controlplane.Cluster) {
	for i := range 3 {
		require.NoError(t, c.Create(t.Context(), &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprintf("event-%d", i), Namespace: controlplane.Namespace},
			InvolvedObject: corev1.ObjectReference{Kind: "Machine", Name: "enterprise-default-1", Namespace: controlplane.Namespace}, Type: corev1.EventTypeWarning, Reason: "Slow",
			Message: "powering on takes long", LastTimestamp: metav1.NewTime(time.Now().Add(time.Duration(i) * time.Minute)), Count: 2,
		}))
	}
	events, err := l.Events(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Slow", events[0].Reason)
	require.Equal(t, Warn, events[0].State)
	require.Equal(t, 2, events[0].Count)
	require.True(t, events[0].When.After(events[1].When))
}

func testHeartbeat(t *testing.T, l *Live, c *controlplane.Cluster) {
	ctx := t.Context()
	for _, name := range []string{"enterprise-control-plane-1", "enterprise-control-plane-2"} {
		require.NoError(t, c.Heartbeat(ctx, name, time.Now().Add(-5*time.Minute)))
	}
	o, err := l.Overview(ctx)
	require.NoError(t, err)
	require.Equal(t, Bad, o.Status.State)
	require.Equal(t, Bad, o.Pools[0].Nodes[0].Status.State)
	require.ErrorIs(t, l.Scale(ctx, "enterprise-control-plane", 1), ErrQuorum)
}

func testNoCluster(t *testing.T, l *Live, c *controlplane.Cluster) {
	require.NoError(t, c.Delete(t.Context(), &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: l.name, Namespace: l.namespace}}))
	_, err := find(t.Context(), c.Client, Options{})
	require.ErrorIs(t, err, ErrNotFound)
	_, err = l.Overview(t.Context())
	require.ErrorIs(t, err, ErrNotFound)
}
