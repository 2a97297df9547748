package steps

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/internal/problem"
)

func TestVersionsThatAnUpgradeRefuses(t *testing.T) {
	for _, good := range [][2]string{{"v1.34.4", "v1.34.4"}, {"v1.34.4", "v1.34.9"}, {"v1.34.4", "v1.35.0"}} {
		require.NoError(t, checkVersions(good[0], good[1]), good)
	}
	for _, bad := range []struct{ from, to, says, remedy string }{
		{"v1.34.4", "v1.34.3", "does not go back", "use a bundle that is not older"},
		{"v1.34.4", "v1.33.9", "does not go back", "use a bundle that is not older"},
		{"v1.34.4", "v1.36.0", "more than one minor version", "upgrade with a bundle of v1.35 first"},
		{"v1.34.4", "v2.0.0", "more than one minor version", "upgrade with a bundle of v1.35 first"},
	} {
		err := checkVersions(bad.from, bad.to)
		require.ErrorContains(t, err, bad.says)
		require.Equal(t, problem.Usage, problem.KindOf(err))
		require.Equal(t, []string{bad.remedy}, problem.Remedies(err))
	}
	require.ErrorContains(t, checkVersions("", "v1.34.4"), `version ""`)
}

func TestAnUpgradeKeepsTheNumbersOfMachines(t *testing.T) {
	s := &site.Site{}
	s.Spec.Cluster.ControlPlane.Replicas = 1
	s.Spec.Cluster.Workers = []site.WorkerPool{{Name: "default", Replicas: 2}, {Name: "new", Replicas: 1}}
	size := site.Size{CPUs: 16, MemoryGiB: 8, DiskGiB: 40}
	present := &clusterapi.Present{ControlPlanes: 3, Pools: map[string]int{"default": 5, "by hand": 1}, Sizes: map[string]site.Size{"by hand": size}}
	out, removed := asPresent(s, nil, present)
	require.Empty(t, removed)
	require.Equal(t, 3, out.Spec.Cluster.ControlPlane.Replicas)
	require.Equal(t, []site.WorkerPool{{Name: "default", Replicas: 5}, {Name: "new", Replicas: 1}, {Name: "by hand", Replicas: 1, Size: size}}, out.Spec.Cluster.Workers)
	out, removed = asPresent(s, s, present)
	require.Equal(t, []string{"new"}, removed, "the cluster was made with it, and has it no more")
	require.Len(t, out.Spec.Cluster.Workers, 2)
	require.Equal(t, 2, s.Spec.Cluster.Workers[0].Replicas, "the site itself stays")
}

func TestWhoseMachinesAnObjectDescribes(t *testing.T) {
	for kind, want := range map[string]string{"MachineDeployment": "default", "KubeadmControlPlane": ""} {
		o := &unstructured.Unstructured{Object: map[string]any{"kind": kind, "metadata": map[string]any{"name": "enterprise-default"}}}
		pool, ok := machinesOf(o, "enterprise")
		require.True(t, ok)
		require.Equal(t, want, pool)
	}
	_, ok := machinesOf(&unstructured.Unstructured{Object: map[string]any{"kind": "Secret"}}, "enterprise")
	require.False(t, ok)
}
