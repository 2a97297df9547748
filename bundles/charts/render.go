package charts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/internal/problem"
)

// RenderOptions is what a chart is rendered for. The zero value is a good default.
type RenderOptions struct {
	Namespace   string   // "" means default
	KubeVersion string   // such as 1.34.0, which "" means
	APIVersions []string // besides those of Kubernetes itself
	// Schema checks the values by the chart's schema. It may look up what the
	// schema refers to, so it is not for places without a network.
	Schema bool
}

// Rendered is one file that a chart gives.
type Rendered struct {
	Source string // CHART/templates/FILE
	Data   []byte
}

// ErrRender means: a chart does not render at these values.
var ErrRender = errors.New("the chart does not render")

// defaultKubeVersion is the Kubernetes that charts are rendered for where
// nothing is said. Helm's own default is a very old one when it is a library.
const defaultKubeVersion = "1.34.0"

// renderTimeout ends a template that does not end by itself.
const renderTimeout = time.Minute

// Render returns what the chart gives at values, by source: templates, hooks
// and tests, and the resources in its crds folders. Notes are left out. Its
// error names template and line.
func (c *Chart) Render(ctx context.Context, values map[string]any, opts RenderOptions) ([]Rendered, error) {
	if err := c.CheckDependencies(); err != nil {
		return nil, err
	}
	type result struct {
		files []Rendered
		err   error
	}
	done := make(chan result, 1)
	go func() { // Helm's engine cannot be told to stop
		files, err := c.render(values, opts)
		done <- result{files, err}
	}()
	timeout := time.NewTimer(renderTimeout)
	defer timeout.Stop()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, problem.WithRemedy(fmt.Errorf("chart %s %s: %w: %w", c.Name(), c.Version(), ErrRender, r.err),
				"give the values that it asks for: values: in the definition; helm template shows the same")
		}
		return r.files, nil
	case <-timeout.C:
		return nil, fmt.Errorf("chart %s %s: %w within %s", c.Name(), c.Version(), ErrRender, renderTimeout)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Chart) render(values map[string]any, opts RenderOptions) ([]Rendered, error) {
	fresh, err := loader.LoadArchive(bytes.NewReader(c.Archive)) // rendering changes the chart
	if err != nil {
		return nil, err
	}
	if values == nil {
		values = map[string]any{}
	}
	if err := chartutil.ProcessDependenciesWithMerge(fresh, values); err != nil {
		return nil, err
	}
	caps := *chartutil.DefaultCapabilities
	kube, err := chartutil.ParseKubeVersion(cmp.Or(opts.KubeVersion, defaultKubeVersion))
	if err != nil {
		return nil, fmt.Errorf("kubernetes.version %q: %w", opts.KubeVersion, err)
	}
	caps.KubeVersion = *kube
	caps.APIVersions = append(slices.Clone(caps.APIVersions), opts.APIVersions...)
	if asked := fresh.Metadata.KubeVersion; asked != "" && !chartutil.IsCompatibleRange(asked, caps.KubeVersion.String()) {
		return nil, fmt.Errorf("it is for Kubernetes %s, not for %s (kubernetes.version of the definition)", asked, caps.KubeVersion.Version)
	}
	release := chartutil.ReleaseOptions{Name: fresh.Name(), Namespace: opts.Namespace, Revision: 1, IsInstall: true}
	if release.Namespace == "" {
		release.Namespace = "default"
	}
	merged, err := chartutil.ToRenderValuesWithSchemaValidation(fresh, values, release, &caps, !opts.Schema)
	if err != nil {
		return nil, err
	}
	files, err := engine.Engine{}.Render(fresh, merged)
	if err != nil {
		return nil, err
	}
	return collect(fresh, files), nil
}

// collect puts templates and custom resource definitions in order.
func collect(c *chart.Chart, files map[string]string) []Rendered {
	var out []Rendered
	for name, text := range files {
		if path.Base(name) != "NOTES.txt" && strings.TrimSpace(text) != "" {
			out = append(out, Rendered{Source: name, Data: []byte(text)})
		}
	}
	for _, crd := range c.CRDObjects() {
		out = append(out, Rendered{Source: crd.Filename, Data: crd.File.Data})
	}
	slices.SortFunc(out, func(a, b Rendered) int { return strings.Compare(a.Source, b.Source) })
	return out
}

// MergeValues merges values files in their order, as helm -f does.
func MergeValues(files ...[]byte) (map[string]any, error) {
	merged := map[string]any{}
	for _, data := range files {
		var next map[string]any
		if err := yaml.Unmarshal(data, &next); err != nil {
			return nil, fmt.Errorf("reading values: %w", err)
		}
		merged = mergeMaps(merged, next)
	}
	return merged, nil
}

// mergeMaps puts b over a; null takes a value away only where Helm itself merges, so it is kept.
func mergeMaps(a, b map[string]any) map[string]any {
	out := make(map[string]any, len(a)+len(b))
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		if below, ok := v.(map[string]any); ok {
			if have, ok := out[k].(map[string]any); ok {
				out[k] = mergeMaps(have, below)
				continue
			}
		}
		out[k] = v
	}
	return out
}
