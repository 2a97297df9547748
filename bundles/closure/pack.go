package closure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/discovery"
	"github.com/sealift/sealift/bundles/packs"
)

// Pack looks through a pack at each set of values: what pack.content lists,
// each chart at its part of the values, and each manifest at its own. Without
// any set it is looked through at the pack's own values.
func Pack(ctx context.Context, p *packs.Pack, s Settings, schema bool) (discovery.Report, error) {
	var report discovery.Report
	parts, err := partsOf(p)
	if err != nil {
		return report, fmt.Errorf("pack %s: %w", p.Name(), err)
	}
	sets := s.Sets
	if len(sets) == 0 {
		sets = []Set{{YAML: p.Values}}
	}
	for _, set := range sets {
		found, err := parts.at(ctx, set.YAML, s.render(schema))
		if err != nil {
			return report, fmt.Errorf("pack %s: %w", p.Name(), inVariant(set.Name, err))
		}
		report = report.Merge(found)
	}
	return report, nil
}

// packParts are what of a pack names images.
type packParts struct {
	name      string
	charts    []*charts.Chart
	manifests Files
}

func partsOf(p *packs.Pack) (*packParts, error) {
	out := &packParts{name: p.Meta.Name, manifests: Files{}}
	for _, name := range p.Charts() {
		c, err := packedChart(p, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.charts = append(out.charts, c)
	}
	for _, name := range p.Manifests() {
		data, err := fs.ReadFile(p.FS(), name)
		if err != nil {
			return nil, err
		}
		out.manifests[name] = data
	}
	return out, nil
}

// packedChart reads a chart of a pack, which is an archive or a folder.
func packedChart(p *packs.Pack, name string) (*charts.Chart, error) {
	if !strings.HasSuffix(name, ".tgz") {
		below, err := fs.Sub(p.FS(), name)
		if err != nil {
			return nil, err
		}
		return charts.LoadFS(below)
	}
	data, err := fs.ReadFile(p.FS(), name)
	if err != nil {
		return nil, err
	}
	return charts.Parse(data)
}

// at looks through the parts at one set of values.
func (p *packParts) at(ctx context.Context, valuesYAML []byte, opts charts.RenderOptions) (discovery.Report, error) {
	values, err := packs.DecodeValues(valuesYAML)
	if err != nil {
		return discovery.Report{}, err
	}
	listed, err := yaml.Marshal(map[string]any{"pack": values["pack"]})
	if err != nil {
		return discovery.Report{}, err
	}
	report, err := discovery.PackValues(path.Join(p.name, mainValues), listed)
	if err != nil {
		return report, err
	}
	for _, c := range p.charts {
		found, err := discovery.ChartAnnotations(c.Name()+"/Chart.yaml", c.Annotations())
		if err != nil {
			return report, fmt.Errorf("chart %s: %w", c.Name(), err)
		}
		more, err := rendered(ctx, c, section(values, "charts", c.Name()), opts)
		if err != nil {
			return report, err
		}
		report = report.Merge(found, more)
	}
	for _, name := range slices.Sorted(maps.Keys(p.manifests)) {
		found, err := packManifest(ctx, name, p.manifests[name], values, opts)
		if err != nil {
			return report, err
		}
		report = report.Merge(found)
	}
	return report, nil
}

// section returns values[part][name] where that is a mapping.
func section(values map[string]any, part, name string) map[string]any {
	below, _ := values[part].(map[string]any)
	out, _ := below[name].(map[string]any)
	return out
}

// macro is what the platform itself fills in, at deployment.
var macro = regexp.MustCompile("{{-?\\s*\\.?spectro\\.[^}`]*}}")

// packManifest looks through a manifest of a pack, which is a template when it has actions in it.
func packManifest(ctx context.Context, name string, data []byte, values map[string]any, opts charts.RenderOptions) (discovery.Report, error) {
	data = macro.ReplaceAll(data, []byte("{{`${0}`}}"))
	if !bytes.Contains(data, []byte("{{")) {
		return discovery.Documents([]discovery.Document{{Source: name, Data: data}})
	}
	stem := strings.TrimSuffix(path.Base(name), path.Ext(name))
	c, err := charts.Template(stem, map[string][]byte{path.Base(name): data})
	if err != nil {
		return discovery.Report{}, err
	}
	return rendered(ctx, c, section(values, "manifests", stem), opts)
}

// pack looks through a pack of the bundle.
func (p *prover) pack(ctx context.Context, root archive.Root, s Settings) (report discovery.Report, err error) {
	pack, err := packs.FromArtifact(ctx, p.r, root.Descriptor)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, pack.Close()) }()
	return Pack(ctx, pack, s, false)
}
