package closure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/problem"
)

// ErrMacro means: a pack has a macro where it is deployed, and nobody to fill it in.
var ErrMacro = errors.New("a macro has no value here")

// Deployment is what a pack puts into a cluster, at the values that travel with
// it: the main set of the bundle's definition, else the pack's own.
type Deployment struct {
	Name, Version string // of the pack
	// Namespace is pack.namespace of the values; "" means default.
	Namespace string
	Charts    []DeployedChart
	Manifests []charts.Rendered // in the order of pack.json, with their actions done
	// Resources are what pack.json asks of machines, and Values what it refers to.
	Resources []packs.Resource
	Values    map[string]any
}

// DeployedChart is a chart and its part of the values.
type DeployedChart struct {
	Chart  *charts.Chart
	Values map[string]any // as JSON has them
}

// Deploy reads what a pack of a bundle deploys. It is what Prove looks through.
// It fails with ErrMacro.
func Deploy(ctx context.Context, r *archive.Reader, root archive.Root, kubeVersion string) (d *Deployment, err error) {
	p := prover{r: r}
	for _, values := range r.Statement().Roots {
		if values.Kind == archive.RootValues && values.Subject == root.Descriptor.Digest {
			p.settings = map[digest.Digest]archive.Root{root.Descriptor.Digest: values}
		}
	}
	settings, err := p.settingsOf(ctx, root)
	if err != nil {
		return nil, err
	}
	pack, err := packs.FromArtifact(ctx, r, root.Descriptor)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, pack.Close()) }()
	text := pack.Values
	if len(settings.Sets) > 0 {
		text = settings.Sets[0].YAML
	}
	if d, err = deploy(ctx, pack, text, charts.RenderOptions{KubeVersion: strings.TrimPrefix(kubeVersion, "v")}); err != nil {
		return nil, fmt.Errorf("pack %s: %w", pack.Name(), err)
	}
	return d, nil
}

func deploy(ctx context.Context, pack *packs.Pack, text []byte, opts charts.RenderOptions) (*Deployment, error) {
	values, err := packs.DecodeValues(text)
	if err != nil {
		return nil, err
	}
	parts, err := partsOf(pack)
	if err != nil {
		return nil, err
	}
	d := &Deployment{Name: pack.Meta.Name, Version: pack.Meta.Version, Resources: pack.Meta.Constraints.Resources, Values: values}
	if own, ok := values["pack"].(map[string]any); ok {
		d.Namespace, _ = own["namespace"].(string)
	}
	opts.Namespace = d.Namespace
	for _, c := range parts.charts {
		own, err := resolved(mainValues+": charts."+c.Name(), section(values, "charts", c.Name()))
		if err != nil {
			return nil, err
		}
		d.Charts = append(d.Charts, DeployedChart{Chart: c, Values: own})
	}
	for _, name := range pack.Manifests() {
		out, err := manifestAt(ctx, name, parts.manifests[name], values, opts)
		if err != nil {
			return nil, err
		}
		d.Manifests = append(d.Manifests, out...)
	}
	return d, nil
}

// manifestAt returns a manifest with its actions done.
func manifestAt(ctx context.Context, name string, data []byte, values map[string]any, opts charts.RenderOptions) ([]charts.Rendered, error) {
	if err := withoutMacro(name, data); err != nil {
		return nil, err
	}
	if !bytes.Contains(data, []byte("{{")) {
		return []charts.Rendered{{Source: name, Data: data}}, nil
	}
	stem := strings.TrimSuffix(path.Base(name), path.Ext(name))
	own, err := resolved(mainValues+": manifests."+stem, section(values, "manifests", stem))
	if err != nil {
		return nil, err
	}
	c, err := charts.Template(stem, map[string][]byte{path.Base(name): data})
	if err != nil {
		return nil, err
	}
	return c.Render(ctx, own, opts)
}

// resolved returns values as JSON has them. It refuses macros.
func resolved(where string, values map[string]any) (map[string]any, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	if err := withoutMacro(where, data); err != nil {
		return nil, err
	}
	out := map[string]any{}
	if slices.Equal(data, []byte("null")) {
		return out, nil
	}
	return out, json.Unmarshal(data, &out)
}

func withoutMacro(where string, data []byte) error {
	found := macro.Find(data)
	if found == nil {
		return nil
	}
	return problem.New(problem.Preflight, "write the value itself: a file of values beside the pack in the bundle's definition; then make the bundle again",
		"%s: %w: %s", where, ErrMacro, found)
}
