package clusterapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/clusterapi"
)

// An upgrade to another template changes what refers to it, and replaces nothing
// that is there before it is applied.
func TestWhatAnUpgradeWouldChange(t *testing.T) {
	t.Parallel()
	programs(t)
	v, _ := startVCenter(t)
	m := install(t, t.TempDir())
	d := atVCenter(t, v)
	require.NoError(t, m.ApplyCluster(t.Context(), d))
	objects, err := d.Objects()
	require.NoError(t, err)
	require.Eventually(t, func() bool { // until the controllers have filled in what they own
		changes, err := m.Diff(t.Context(), objects)
		return err == nil && len(changes) == 0
	}, time.Minute, time.Second)
	present, err := m.Present(t.Context(), "enterprise")
	require.NoError(t, err)
	require.Equal(t, []any{"v1.34.4", 1, map[string]int{"default": 1}, "node"}, []any{present.Version, present.ControlPlanes, present.Pools, present.Template})

	d.Site.Spec.Cluster.Template, d.Release.Spec.KubernetesVersion = "node-next", "v1.35.0"
	if objects, err = d.Objects(); err != nil {
		t.Fatal(err)
	}
	changes, err := m.Diff(t.Context(), objects)
	require.NoError(t, err)
	kinds := map[string]int{}
	for _, c := range changes {
		kind, _, _ := strings.Cut(c.Object, " ")
		kinds[kind]++
		if c.New {
			require.Equal(t, "VSphereMachineTemplate", kind, c.Object)
			continue
		}
		require.Contains(t, c.Diff, "+", c.Object)
	}
	require.Equal(t, 2, kinds["VSphereMachineTemplate"])
	require.Equal(t, 1, kinds["KubeadmControlPlane"])
	require.Equal(t, 1, kinds["MachineDeployment"])
	require.Zero(t, kinds["Secret"])
	r, err := m.ControlPlaneRollout(t.Context(), "enterprise")
	require.NoError(t, err)
	require.False(t, r.Done(), "no machine is there")
}

func TestARolloutIsDoneWithItsLastOldMachine(t *testing.T) {
	t.Parallel()
	done := clusterapi.Rollout{Want: 3, UpToDate: 3, Available: 3, All: 3, Observed: true}
	require.True(t, done.Done())
	for _, change := range []func(*clusterapi.Rollout){
		func(r *clusterapi.Rollout) { r.Observed = false }, func(r *clusterapi.Rollout) { r.All = 4 },
		func(r *clusterapi.Rollout) { r.UpToDate = 2 }, func(r *clusterapi.Rollout) { r.Available = 2 },
	} {
		r := done
		change(&r)
		require.False(t, r.Done())
	}
}
