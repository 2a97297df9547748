package closure

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/discovery"
	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/problem"
)

// Path looks through what a path holds: a chart, a pack, manifests, or a folder
// with any of them. values are files of values, put over those of each chart
// or pack in their order; the sets of s are not used.
func Path(ctx context.Context, path string, values [][]byte, s Settings) (discovery.Report, error) {
	in, err := discovery.Open(path)
	if err != nil {
		return discovery.Report{}, err
	}
	if len(values) > 0 && len(in.Charts)+len(in.Packs) == 0 {
		return discovery.Report{}, problem.New(problem.Usage, "leave the values out", "%s: values are for charts and packs, and here are only manifests", path)
	}
	report, err := discovery.Documents(in.Documents)
	failed := []error{err}
	for _, c := range in.Charts {
		found, err := chartAt(ctx, c, values, s)
		report, failed = report.Merge(found), append(failed, err)
	}
	for _, p := range in.Packs {
		found, err := packAt(ctx, p, values, s)
		report, failed = report.Merge(found), append(failed, err)
	}
	return report, errors.Join(failed...)
}

func chartAt(ctx context.Context, path string, values [][]byte, s Settings) (discovery.Report, error) {
	c, err := charts.Load(path)
	if err != nil {
		return discovery.Report{}, err
	}
	merged, err := charts.MergeValues(values...)
	if err != nil {
		return discovery.Report{}, problem.As(problem.Usage, err)
	}
	set, err := yaml.Marshal(merged)
	if err != nil {
		return discovery.Report{}, fmt.Errorf("merging values: %w", err)
	}
	s.Sets = []Set{{YAML: set}}
	return Chart(ctx, c, s, false)
}

func packAt(ctx context.Context, path string, values [][]byte, s Settings) (report discovery.Report, err error) {
	p, err := packs.Open(ctx, path)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	s.Sets = nil
	if len(values) > 0 {
		merged, err := packs.MergeValues(append([][]byte{p.Values}, values...)...)
		if err != nil {
			return report, problem.As(problem.Usage, err)
		}
		s.Sets = []Set{{YAML: merged}}
	}
	return Pack(ctx, p, s, false)
}
