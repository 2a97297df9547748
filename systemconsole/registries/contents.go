package registries

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/repo"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/systemconsole/store"
)

// Entry is something that a registry holds.
type Entry struct {
	Name   string // tag, or version of a chart
	Digest string
	Size   int64 // bytes of all that belongs to it; 0 when not known
	Signed bool
	Kind   string // image, index, artifact or chart
}

// Names returns what a registry is divided into: repositories or charts.
func (s *Service) Names(ctx context.Context, name string) ([]string, error) {
	item, err := s.registries.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	if item.Value.Type != Helm {
		return s.repositories(ctx, item)
	}
	charts, err := s.charts(ctx, item)
	if err != nil {
		return nil, err
	}
	var names []string
	for chart := range charts {
		names = append(names, chart)
	}
	slices.Sort(names)
	return names, nil
}

// Entries returns the tags of a repository or the versions of a chart.
func (s *Service) Entries(ctx context.Context, name, part string) ([]Entry, error) {
	item, err := s.registries.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	if item.Value.Type == Helm {
		return s.versions(ctx, item, part)
	}
	client, err := s.client(ctx, item)
	if err != nil {
		return nil, err
	}
	r, err := client.Repository(host(item.Value) + "/" + part)
	if err != nil {
		return nil, err
	}
	tags, err := r.Tags(ctx, maxListed)
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, tag := range tags {
		if strings.HasPrefix(tag, "sha256-") {
			continue // signatures and attestations stand beside what they are of
		}
		e, err := entry(ctx, r, tag, tags)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

func entry(ctx context.Context, r *registry.Repository, tag string, tags []string) (Entry, error) {
	d, err := r.Resolve(ctx, tag)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Name: tag, Digest: d.Digest.String(), Kind: "image"}
	var m manifest
	if e.Size, m, err = size(ctx, r, d); err != nil {
		return e, err
	}
	switch {
	case len(m.Manifests) > 0:
		e.Kind = "index"
	case m.ArtifactType != "" || !strings.Contains(m.Config.MediaType, "image.config") && !strings.Contains(m.Config.MediaType, "container.image"):
		e.Kind = "artifact"
	}
	e.Signed = slices.Contains(tags, "sha256-"+d.Digest.Encoded()+".sig")
	if !e.Signed {
		referrers, err := r.Referrers(ctx, d)
		if err != nil {
			return e, err
		}
		for _, one := range referrers {
			e.Signed = e.Signed || strings.Contains(one.ArtifactType, "sigstore") || strings.Contains(one.ArtifactType, "cosign") || strings.Contains(one.ArtifactType, "notary")
		}
	}
	return e, nil
}

// manifest is what manifests and indexes have in common.
type manifest struct {
	ArtifactType string               `json:"artifactType"`
	Config       content.Descriptor   `json:"config"`
	Layers       []content.Descriptor `json:"layers"`
	Manifests    []content.Descriptor `json:"manifests"`
}

// maxManifest is the most bytes of a manifest that are read.
const maxManifest = 4 << 20

// size adds up what belongs to a manifest. Platforms of an index that did not
// travel count nothing.
func size(ctx context.Context, r *registry.Repository, d content.Descriptor) (int64, manifest, error) {
	var m manifest
	rc, err := r.Fetch(ctx, d)
	if err != nil {
		return 0, m, err
	}
	data, err := io.ReadAll(io.LimitReader(rc, maxManifest))
	if err := errors.Join(err, rc.Close()); err != nil {
		return 0, m, fmt.Errorf("reading manifest %s: %w", d.Digest, err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return 0, m, fmt.Errorf("reading manifest %s: %w", d.Digest, err)
	}
	total := d.Size + m.Config.Size
	for _, l := range m.Layers {
		total += l.Size
	}
	for _, child := range m.Manifests {
		there, err := r.Exists(ctx, child)
		if err != nil {
			return 0, m, err
		}
		if !there {
			continue
		}
		n, _, err := size(ctx, r, child)
		if err != nil {
			return 0, m, err
		}
		total += n
	}
	return total, m, nil
}

func (s *Service) repositories(ctx context.Context, item store.Item[Registry]) ([]string, error) {
	client, err := s.client(ctx, item)
	if err != nil {
		return nil, err
	}
	names, err := client.Repositories(ctx, host(item.Value), maxListed)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range names {
		pack := strings.Contains(name, "spectro-packs/")
		if strings.HasPrefix(name, item.Value.Prefix) && (item.Value.Type != Packs || pack) {
			out = append(out, name)
		}
	}
	return out, nil
}

func (s *Service) charts(ctx context.Context, item store.Item[Registry]) (map[string]repo.ChartVersions, error) {
	client, err := s.client(ctx, item)
	if err != nil {
		return nil, err
	}
	data, err := client.Download(ctx, strings.TrimSuffix(item.Value.Endpoint, "/")+"/index.yaml", 64<<20)
	if err != nil {
		return nil, err
	}
	var index repo.IndexFile
	if err := yaml.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("reading the index of %s: %w", item.Name, err)
	}
	return index.Entries, nil
}

func (s *Service) versions(ctx context.Context, item store.Item[Registry], chart string) ([]Entry, error) {
	charts, err := s.charts(ctx, item)
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, v := range charts[chart] {
		if v.Metadata != nil && len(out) < maxListed {
			out = append(out, Entry{Name: v.Version, Digest: v.Digest, Kind: "chart"})
		}
	}
	return out, nil
}
