package closure

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/discovery"
)

// Settings are what a chart or pack is looked through at.
type Settings struct {
	Namespace   string   `json:"namespace,omitempty"`
	KubeVersion string   `json:"kubeVersion,omitempty"`
	APIVersions []string `json:"apiVersions,omitempty"`
	// Sets are sets of values, whole; the first is the main one.
	Sets []Set `json:"-"`
}

// Set is a set of values.
type Set struct {
	Name string // of the variant; "" is the main one
	YAML []byte
}

// Empty tells whether there is nothing that would have to travel.
func (s Settings) Empty() bool {
	return len(s.Sets) == 0 && s.Namespace == "" && s.KubeVersion == "" && len(s.APIVersions) == 0
}

const (
	mediaTypeSettings = "application/vnd.sealift.settings.v1+json"
	mediaTypeYAML     = "application/yaml"
	mainValues        = "values.yaml"
	variants          = "variants/"
	maxValues         = 8 << 20
)

// Artifact returns the settings as an artifact that refers to a chart or pack:
// what they are as its configuration, each set of values as a layer.
func (s Settings) Artifact(subject content.Descriptor) (*artifact.Artifact, error) {
	config, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var layers []artifact.Layer
	for _, set := range s.Sets {
		name := mainValues
		if set.Name != "" {
			name = variants + set.Name + ".yaml"
		}
		layers = append(layers, artifact.Bytes(mediaTypeYAML, name, set.YAML))
	}
	bare := content.Bare(subject)
	return artifact.New(artifact.TypeValues, layers, artifact.Options{Config: artifact.Bytes(mediaTypeSettings, "", config), Subject: &bare})
}

// ReadSettings is the reverse of Artifact.
func ReadSettings(ctx context.Context, from content.Fetcher, m *content.Manifest) (Settings, error) {
	var s Settings
	if m.ArtifactType != artifact.TypeValues || m.Config == nil {
		return s, fmt.Errorf("the artifact type is %q, not %s: %w", m.ArtifactType, artifact.TypeValues, content.ErrManifest)
	}
	config, err := content.ReadAll(ctx, from, *m.Config, maxValues)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(config, &s); err != nil {
		return s, fmt.Errorf("settings: %w: %w", content.ErrManifest, err)
	}
	for _, l := range m.Layers {
		data, err := content.ReadAll(ctx, from, l, maxValues)
		if err != nil {
			return s, err
		}
		name := strings.TrimPrefix(l.Annotations["org.opencontainers.image.title"], variants)
		if name = strings.TrimSuffix(name, ".yaml"); name == strings.TrimSuffix(mainValues, ".yaml") {
			name = ""
		}
		s.Sets = append(s.Sets, Set{Name: name, YAML: data})
	}
	return s, nil
}

// render returns how a chart is rendered at these settings.
func (s Settings) render(schema bool) charts.RenderOptions {
	return charts.RenderOptions{Namespace: s.Namespace, KubeVersion: s.KubeVersion, APIVersions: s.APIVersions, Schema: schema}
}

// sets returns the sets, at least an empty one.
func (s Settings) sets() []Set {
	if len(s.Sets) == 0 {
		return []Set{{}}
	}
	return s.Sets
}

// Chart looks through a chart at each set of values. schema lets Helm check the
// values, which may ask the network.
func Chart(ctx context.Context, c *charts.Chart, s Settings, schema bool) (discovery.Report, error) {
	source := c.Name() + "/Chart.yaml"
	report, err := discovery.ChartAnnotations(source, c.Annotations())
	if err != nil {
		return report, fmt.Errorf("chart %s: %w", c.Name(), err)
	}
	for _, set := range s.sets() {
		values, err := charts.MergeValues(set.YAML)
		if err == nil {
			var found discovery.Report
			found, err = rendered(ctx, c, values, s.render(schema))
			report = report.Merge(found)
		}
		if err != nil {
			return report, inVariant(set.Name, err)
		}
	}
	return report, nil
}

func inVariant(name string, err error) error {
	if name == "" {
		return err
	}
	return fmt.Errorf("variant %s: %w", name, err)
}

func rendered(ctx context.Context, c *charts.Chart, values map[string]any, opts charts.RenderOptions) (discovery.Report, error) {
	files, err := c.Render(ctx, values, opts)
	if err != nil {
		return discovery.Report{}, err
	}
	docs := make([]discovery.Document, len(files))
	for i, f := range files {
		docs[i] = discovery.Document{Source: f.Source, Data: f.Data}
	}
	report, err := discovery.Documents(docs)
	if err != nil {
		return report, fmt.Errorf("what chart %s %s renders: %w", c.Name(), c.Version(), err)
	}
	return report, nil
}

// Files are the files of a pack or of manifests, by their path.
type Files map[string][]byte

// Manifests looks through plain manifests.
func Manifests(files Files) (discovery.Report, error) {
	var docs []discovery.Document
	for _, name := range slices.Sorted(maps.Keys(files)) {
		docs = append(docs, discovery.Document{Source: name, Data: files[name]})
	}
	return discovery.Documents(docs)
}
