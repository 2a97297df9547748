package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/internal/problem"
)

const (
	maxValues     = 8 << 20 // bytes of a values file
	maxChartDepth = 8       // charts of this host that depend on charts of this host
)

// chart resolves a chart and finds out what it needs.
func (s *session) chart(ctx context.Context, c definition.Chart) (*item, error) {
	it, ch, err := s.fetchChart(ctx, c)
	if err == nil && c.Keyring != "" {
		err = ch.VerifyProvenance(s.def.Path(c.Keyring))
	}
	if err == nil {
		err = s.lookThrough(ctx, it, c, ch)
	}
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", chartName(c), err)
	}
	return it, nil
}

func chartName(c definition.Chart) string {
	if c.Repo != "" {
		return c.Name + " " + c.Version + " of " + c.Repo
	}
	return c.Ref + c.Path
}

// lookThrough finds out what a chart needs at each of its sets of values.
func (s *session) lookThrough(ctx context.Context, it *item, c definition.Chart, ch *charts.Chart) error {
	settings, err := s.settings(c.Namespace, nil, nil, c.Values, c.Variants)
	if err != nil {
		return err
	}
	if it.found, err = closure.Chart(ctx, ch, settings, true); err != nil {
		return err
	}
	it.roots[0].Needs = closure.Needs(it.found)
	return it.attachSettings(settings)
}

// settings reads the values of a chart or pack. base are the values that all
// sets begin with; without base and files there is no main set.
func (s *session) settings(namespace string, base []byte, presets func([]string) ([]byte, error), files []string, variants []definition.Variant) (closure.Settings, error) {
	out := closure.Settings{Namespace: namespace, KubeVersion: s.def.Spec.Kubernetes.Version, APIVersions: s.def.Spec.Kubernetes.APIVersions}
	if base != nil || len(files) > 0 || len(variants) > 0 {
		main, err := s.mergeValues(base, files)
		if err != nil {
			return out, err
		}
		out.Sets = append(out.Sets, closure.Set{YAML: main})
	}
	for _, v := range variants {
		begin := base
		if presets != nil && len(v.Presets) > 0 {
			var err error
			if begin, err = presets(v.Presets); err != nil {
				return out, fmt.Errorf("variant %s: %w", v.Name, err)
			}
		}
		merged, err := s.mergeValues(begin, append(append([]string{}, files...), v.Values...))
		if err != nil {
			return out, fmt.Errorf("variant %s: %w", v.Name, err)
		}
		out.Sets = append(out.Sets, closure.Set{Name: v.Name, YAML: merged})
	}
	return out, nil
}

// mergeValues merges files over base. What needs no merging keeps its bytes.
func (s *session) mergeValues(base []byte, files []string) ([]byte, error) {
	var all [][]byte
	if base != nil {
		all = append(all, base)
	}
	for _, f := range files {
		data, err := content.ReadFile(s.def.Path(f), maxValues)
		if err != nil {
			return nil, fmt.Errorf("values: %w", err)
		}
		all = append(all, data)
	}
	merged, err := charts.MergeValues(all...)
	if err != nil || len(all) == 1 {
		return append([]byte{}, all[0]...), err
	}
	return yaml.Marshal(merged)
}

// fetchChart gets a chart and makes it a root.
func (s *session) fetchChart(ctx context.Context, c definition.Chart) (*item, *charts.Chart, error) {
	switch {
	case c.Ref != "":
		return s.registryChart(ctx, c)
	case c.Repo != "":
		it, ch, err := s.repositoryChart(ctx, c.Repo, c.Name, c.Version)
		if err != nil {
			return nil, nil, err
		}
		u, err := url.Parse(c.Repo)
		if err != nil {
			return nil, nil, err
		}
		return it, ch, it.placeChart(ch, u.Host, c.Name+" "+c.Version)
	default:
		it, ch, err := s.localChart(ctx, s.def.Path(c.Path), 0)
		if err != nil {
			return nil, nil, err
		}
		return it, ch, it.placeChart(ch, localHost, c.Path)
	}
}

func (it *item) placeChart(ch *charts.Chart, host, requested string) error {
	a, err := ch.Artifact()
	if err != nil {
		return err
	}
	ref, err := tagged(host, "charts/"+ch.Name(), ch.Tag())
	if err != nil {
		return err
	}
	return it.place(archive.RootChart, requested, ref, a, Origin{Name: "chart " + ch.Name(), From: a})
}

// registryChart resolves a chart of a registry; it keeps its digest and its signatures.
func (s *session) registryChart(ctx context.Context, c definition.Chart) (*item, *charts.Chart, error) {
	ref := strings.TrimPrefix(c.Ref, definition.OCIPrefix)
	it, err := s.image(ctx, definition.Image{Ref: ref}, archive.RootChart)
	if err != nil {
		return nil, nil, err
	}
	m, from, err := it.manifest()
	if err != nil {
		return nil, nil, err
	}
	ch, err := charts.Fetch(ctx, from, m)
	return it, ch, err
}

// manifest returns the manifest of the first root and where its parts are.
func (it *item) manifest() (*content.Manifest, Fetcher, error) {
	root := it.roots[0].Descriptor
	for _, b := range it.blobs {
		if b.Descriptor.Digest == root.Digest {
			m, err := content.ParseManifest(root, b.Data)
			return m, b.Origins[0].From, err
		}
	}
	return nil, nil, fmt.Errorf("%s: %w", root.Digest, content.ErrNotFound)
}

// repositoryChart downloads a chart of a classic repository, by the lock if it has it.
func (s *session) repositoryChart(ctx context.Context, repo, name, asked string) (*item, *charts.Chart, error) {
	locked, isLocked := s.opts.Lock.FindChart(repo, name, asked)
	version := asked
	if isLocked && !s.opts.UpdateLock {
		version = locked.Version
	}
	ch, err := s.repositories.Chart(ctx, repo, name, version)
	if err != nil {
		return nil, nil, err
	}
	sum := charts.SHA256(ch.Archive)
	it := &item{charts: []definition.LockedChart{{Repo: repo, Name: name, Asked: asked, Version: ch.Version(), SHA256: sum}}}
	if isLocked && (locked.SHA256 != sum || locked.Version != ch.Version()) {
		if !s.opts.UpdateLock {
			return nil, nil, problem.New(problem.Failed, "find out why the same version has changed; accept what is there now with --update-lock",
				"version %s was sha256:%s in the lock, now it is sha256:%s: %w", ch.Version(), locked.SHA256, sum, ErrMoved)
		}
		it.moved = []Moved{{Reference: repo + " " + name, Old: locked.Version + " sha256:" + locked.SHA256, New: ch.Version() + " sha256:" + sum}}
	}
	return it, ch, nil
}

// localChart reads a chart of this host. Dependencies that a folder lacks are
// fetched, as helm dependency update does.
func (s *session) localChart(ctx context.Context, path string, depth int) (*item, *charts.Chart, error) {
	if depth > maxChartDepth {
		return nil, nil, fmt.Errorf("the charts that it depends on are nested more than %d deep, or in a circle, at %s: %w", maxChartDepth, filepath.Base(path), charts.ErrDependency)
	}
	ch, err := charts.Load(path)
	if err != nil {
		return nil, nil, err
	}
	it := &item{}
	missing := ch.Missing()
	if len(missing) == 0 || !ch.FromFolder() {
		return it, ch, ch.CheckDependencies()
	}
	var dependencies []*charts.Chart
	for _, d := range missing {
		dependency, err := s.dependency(ctx, it, path, d, depth)
		if errors.Is(err, charts.ErrDependency) { // it says which
			return nil, nil, err
		}
		if err != nil {
			return nil, nil, problem.WithRemedy(fmt.Errorf("its dependency %s %s of %s: %w", d.Name, d.Version, d.Repository, errors.Join(charts.ErrDependency, err)),
				"run helm dependency update where it can be reached")
		}
		dependencies = append(dependencies, dependency)
	}
	ch, err = ch.With(dependencies)
	return it, ch, err
}

// dependency gets a chart that another one needs.
func (s *session) dependency(ctx context.Context, it *item, folder string, d charts.Dependency, depth int) (*charts.Chart, error) {
	switch scheme, rest, _ := strings.Cut(d.Repository, "://"); scheme {
	case "https", "http":
		fetched, ch, err := s.repositoryChart(ctx, d.Repository, d.Name, d.Version)
		if err == nil {
			it.charts, it.moved = append(it.charts, fetched.charts...), append(it.moved, fetched.moved...)
		}
		return ch, err
	case "oci":
		found, ch, err := s.registryChart(ctx, definition.Chart{Ref: definition.OCIPrefix + rest + "/" + d.Name + ":" + strings.ReplaceAll(d.Version, "+", "_")})
		if err == nil {
			it.images, it.moved = append(it.images, found.images...), append(it.moved, found.moved...)
		}
		return ch, err
	case "file":
		below, ch, err := s.localChart(ctx, filepath.Join(folder, rest), depth+1)
		if err == nil {
			it.charts, it.images, it.moved = append(it.charts, below.charts...), append(it.images, below.images...), append(it.moved, below.moved...)
		}
		return ch, err
	default:
		return nil, fmt.Errorf("nothing is known of the repository %q", d.Repository)
	}
}
