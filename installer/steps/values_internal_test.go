package steps

import (
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/internal/upgrade"
)

func siteWith(controlPlane, workers int) *site.Site {
	s := &site.Site{}
	s.Spec.Cluster.ControlPlane = site.ControlPlane{Replicas: 3, Size: site.Size{CPUs: controlPlane, MemoryGiB: 8, DiskGiB: 40}}
	s.Spec.Cluster.Workers = []site.WorkerPool{{Name: "default", Replicas: 2, Size: site.Size{CPUs: workers, MemoryGiB: 8, DiskGiB: 40}}}
	return s
}

func presentWith(controlPlane, workers int) *clusterapi.Present {
	return &clusterapi.Present{ControlPlanes: 3, Pools: map[string]int{"default": 2}, Sizes: map[string]site.Size{
		"": {CPUs: controlPlane, MemoryGiB: 8, DiskGiB: 40}, "default": {CPUs: workers, MemoryGiB: 8, DiskGiB: 40}}}
}

// What administrators resized in the cluster stays, what the site changed since
// the last upgrade comes, and of what both changed one is chosen.
func TestSizesAreMergedThreeWays(t *testing.T) {
	for _, c := range []struct {
		name                      string
		recorded                  *site.Site
		live, site, want, outcome any
		choices                   upgrade.Choices
	}{
		{"nothing changed", siteWith(4, 4), 4, 4, 4, nil, nil},
		{"resized in the cluster", siteWith(4, 4), 8, 4, 8, upgrade.Kept, nil},
		{"resized in the site", siteWith(4, 4), 4, 6, 6, upgrade.Taken, nil},
		{"in both, alike", siteWith(4, 4), 8, 8, 8, upgrade.Agreed, nil},
		{"in both, nobody chose", siteWith(4, 4), 8, 6, 8, upgrade.Conflict, nil},
		{"in both, the site's", siteWith(4, 4), 8, 6, 6, upgrade.Conflict, upgrade.Choices{"/cluster/workers/default/cpus": upgrade.After}},
		{"no record: the site's", nil, 8, 4, 4, upgrade.Taken, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			states := sizeStates(siteWith(4, c.site.(int)), c.recorded, presentWith(4, c.live.(int)))
			merged, settings, err := states.merge("cluster", c.choices)
			require.NoError(t, err)
			require.Equal(t, 4, sized(merged["controlPlane"]).CPUs)
			require.Equal(t, site.Size{CPUs: c.want.(int), MemoryGiB: 8, DiskGiB: 40}, sized(merged["workers"].(map[string]any)["default"]))
			if c.outcome == nil {
				require.Empty(t, settings)
				return
			}
			require.Len(t, settings, 1)
			require.Equal(t, "/cluster/workers/default/cpus", settings[0].Path)
			require.Equal(t, c.outcome, settings[0].Outcome)
		})
	}
}

// A pool that the record does not know, or the site no more, is no difference.
func TestSizesOfPoolsThatComeAndGo(t *testing.T) {
	next := siteWith(4, 4)
	next.Spec.Cluster.Workers = append(next.Spec.Cluster.Workers, site.WorkerPool{Name: "batch", Size: site.Size{CPUs: 16, MemoryGiB: 8, DiskGiB: 40}})
	recorded := siteWith(4, 4)
	recorded.Spec.Cluster.Workers = append(recorded.Spec.Cluster.Workers, site.WorkerPool{Name: "gone", Size: site.Size{CPUs: 2}})
	_, settings, err := sizeStates(next, recorded, presentWith(4, 4)).merge("cluster", nil)
	require.NoError(t, err)
	require.Empty(t, settings)
}

// The values of the console's chart: what was set with Helm stays, what the
// chart changed comes, and what is set beside the defaults says no more than that.
func TestValuesOfTheConsolesChart(t *testing.T) {
	older := &chart.Chart{Metadata: &chart.Metadata{Name: "systemconsole", Version: "1.0.0"}, Values: map[string]any{
		"image": map[string]any{"tag": ""}, "uploads": map[string]any{"enabled": true, "sizeGiB": 24}, "resources": map[string]any{"limits": map[string]any{"memory": "512Mi"}}, "old": true}}
	newer := &chart.Chart{Metadata: &chart.Metadata{Name: "systemconsole", Version: "1.1.0"}, Values: map[string]any{
		"image": map[string]any{"tag": ""}, "uploads": map[string]any{"enabled": true, "sizeGiB": 32}, "resources": map[string]any{"limits": map[string]any{"memory": "768Mi"}}, "upgrades": map[string]any{"enabled": true}}}
	set := map[string]any{"replicas": 3, "resources": map[string]any{"limits": map[string]any{"memory": "1Gi"}}, "uploads": map[string]any{"enabled": false}}
	siteValues := map[string]any{"replicas": 3}
	var s states
	var err error
	s.before, err = effective(older, siteValues)
	require.NoError(t, err)
	s.live, err = effective(older, set)
	require.NoError(t, err)
	s.after, err = effective(newer, siteValues)
	require.NoError(t, err)
	merged, settings, err := s.merge("console", upgrade.Choices{"/console/resources/limits/memory": upgrade.After})
	require.NoError(t, err)
	outcomes := map[string]upgrade.Outcome{}
	for _, one := range settings {
		outcomes[one.Path] = one.Outcome
	}
	require.Equal(t, map[string]upgrade.Outcome{"/console/old": upgrade.Taken, "/console/resources/limits/memory": upgrade.Conflict, "/console/uploads/enabled": upgrade.Kept,
		"/console/uploads/sizeGiB": upgrade.Taken, "/console/upgrades/enabled": upgrade.Taken}, outcomes)
	defaults, err := effective(newer, nil)
	require.NoError(t, err)
	overrides, err := upgrade.Overrides(defaults, merged)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"replicas": float64(3), "uploads": map[string]any{"enabled": false}}, overrides)
}
