package steps

import (
	"context"
	"fmt"
	"slices"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	helm "helm.sh/helm/v3/pkg/release"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/internal/upgrade"
)

// states are values as package upgrade compares them.
type states struct{ before, live, after map[string]any }

// merge settles the values. A conflict for which nobody chose a side keeps what
// is live: it is never an upgrade that takes something back.
func (s states) merge(at string, choices upgrade.Choices) (map[string]any, []upgrade.Setting, error) {
	wrap := func(values map[string]any) map[string]any { return map[string]any{at: values} }
	before, live, after := wrap(s.before), wrap(s.live), wrap(s.after)
	settings, err := upgrade.Compare(before, live, after)
	if err != nil {
		return nil, nil, err
	}
	settled := upgrade.Choices{}
	for _, one := range settings {
		settled[one.Path] = upgrade.Live
		if side, ok := choices[one.Path]; ok {
			settled[one.Path] = side
		}
	}
	merged, err := upgrade.Merge(before, live, after, settled)
	if err != nil {
		return nil, nil, err
	}
	out, _ := merged[at].(map[string]any) // nil when there are none
	return out, settings, nil
}

// sizes are the values that a site has for machines.
func sizes(s *site.Site) map[string]any {
	workers := map[string]any{}
	for _, w := range s.Spec.Cluster.Workers {
		workers[w.Name] = figures(w.Size)
	}
	return map[string]any{"controlPlane": figures(s.Spec.Cluster.ControlPlane.Size), "workers": workers}
}

func figures(s site.Size) map[string]any {
	return map[string]any{"cpus": s.CPUs, "memoryGiB": s.MemoryGiB, "diskGiB": s.DiskGiB}
}

// sized is what figures returned, after it was merged.
func sized(values any) site.Size {
	m, _ := values.(map[string]any) // nil has no figures
	figure := func(name string) int {
		n, _ := m[name].(float64) // as JSON has numbers
		return int(n)
	}
	return site.Size{CPUs: figure("cpus"), MemoryGiB: figure("memoryGiB"), DiskGiB: figure("diskGiB")}
}

// sizeStates are the sizes of machines. Without a record of the last
// installation, what is there counts as what was wanted.
func sizeStates(next, recorded *site.Site, present *clusterapi.Present) states {
	now := *next
	now.Spec.Cluster.ControlPlane.Size = present.Sizes[""]
	now.Spec.Cluster.Workers = nil
	for _, w := range next.Spec.Cluster.Workers {
		if size, ok := present.Sizes[w.Name]; ok {
			w.Size = size
		}
		now.Spec.Cluster.Workers = append(now.Spec.Cluster.Workers, w)
	}
	s := states{before: sizes(&now), live: sizes(&now), after: sizes(next)}
	if recorded != nil {
		was := *recorded
		was.Spec.Cluster.Workers = slices.Clone(was.Spec.Cluster.Workers)
		was.Spec.Cluster.Workers = slices.DeleteFunc(was.Spec.Cluster.Workers, func(w site.WorkerPool) bool {
			return !slices.ContainsFunc(next.Spec.Cluster.Workers, func(n site.WorkerPool) bool { return n.Name == w.Name })
		})
		s.before = sizes(&was)
		for _, w := range next.Spec.Cluster.Workers { // a pool that only the cluster knows has no other size
			if workers := s.before["workers"].(map[string]any); workers[w.Name] == nil { //nolint:forcetypeassert // made by sizes
				workers[w.Name] = figures(w.Size)
			}
		}
	}
	return s
}

// consoleStates are the values of the console's chart: of the release that is
// there, with what is set there, and of the chart that comes.
func (s *console) consoleStates(ctx context.Context, ch *chart.Chart, there *helm.Release) (states, error) {
	var out states
	after, err := effective(ch, s.siteValues(s.Site))
	if err != nil {
		return out, err
	}
	out = states{before: after, live: after, after: after}
	if there == nil {
		return out, nil
	}
	recorded, err := s.recorded(ctx)
	if err != nil {
		return out, err
	}
	if recorded == nil {
		recorded = s.Site
	}
	if out.before, err = effective(there.Chart, s.siteValues(recorded)); err != nil {
		return out, err
	}
	out.live, err = effective(there.Chart, there.Config)
	return out, err
}

// effective are a chart's values with what is set beside its defaults.
func effective(ch *chart.Chart, set map[string]any) (map[string]any, error) {
	values, err := chartutil.CoalesceValues(ch, set)
	if err != nil {
		return nil, fmt.Errorf("values of chart %s %s: %w", ch.Name(), ch.Metadata.Version, err)
	}
	return values, nil
}

// values returns what has to be set beside the defaults of a chart, and how it
// came to that.
func (s *console) values(ctx context.Context, ch *chart.Chart, there *helm.Release) (map[string]any, []upgrade.Setting, error) {
	all, err := s.consoleStates(ctx, ch, there)
	if err != nil {
		return nil, nil, err
	}
	merged, settings, err := all.merge("console", s.Choices)
	if err != nil {
		return nil, nil, err
	}
	defaults, err := effective(ch, nil)
	if err != nil {
		return nil, nil, err
	}
	set, err := upgrade.Overrides(defaults, merged)
	return set, settings, err
}

// consoleSettings are the values of the console's chart that differ.
func (s *console) consoleSettings(ctx context.Context) ([]upgrade.Setting, error) {
	if s.Release.Spec.Console.Chart == "" {
		return nil, nil
	}
	_, _, settings, err := s.wanted(ctx)
	return settings, err
}
