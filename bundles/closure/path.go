package closure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/discovery"
	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/problem"
)

// PathOptions is how a path of this host is looked through. The zero value is
// a good default.
type PathOptions struct {
	Values      []string // files, merged in their order over the values of every chart and pack
	Presets     []string // of a pack
	Namespace   string
	KubeVersion string
	APIVersions []string
}

// Path looks through what is at a path: a chart (a folder with a Chart.yaml, or
// an archive), a pack (a folder with a pack.json, or an archive), a file of
// manifests, or a folder with any of these in it.
func Path(ctx context.Context, path string, opts PathOptions) (discovery.Report, error) {
	l := looker{ctx: ctx, opts: opts}
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case info.IsDir():
		err = filepath.WalkDir(path, l.visit)
	case isArchive(path):
		err = l.archive(path)
	default:
		err = l.document(path)
	}
	if err != nil {
		return discovery.Report{}, err
	}
	if len(l.docs) > 0 {
		found, err := discovery.Documents(l.docs)
		if err != nil {
			return discovery.Report{}, err
		}
		l.report = l.report.Merge(found)
	}
	return l.report, nil
}

// looker looks through one path.
type looker struct {
	ctx    context.Context //nolint:containedctx // lives as long as one call of Path
	opts   PathOptions
	docs   []discovery.Document
	report discovery.Report
}

func (l *looker) visit(path string, d fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "." && d.Name() != "..":
		return fs.SkipDir
	case d.IsDir() && isFile(filepath.Join(path, "Chart.yaml")):
		return skipAfter(l.chart(path))
	case d.IsDir() && isFile(filepath.Join(path, "pack.json")):
		return skipAfter(l.pack(path))
	case d.Type().IsRegular() && isArchive(path):
		return l.archive(path)
	case d.Type().IsRegular() && isManifest(path):
		return l.document(path)
	default:
		return nil
	}
}

// skipAfter leaves out what is below a folder that was looked through as a whole.
func skipAfter(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func isArchive(path string) bool {
	for _, ending := range []string{".tgz", ".tar.gz", ".tar.zst", ".zip"} {
		if strings.HasSuffix(path, ending) {
			return true
		}
	}
	return false
}

func isManifest(path string) bool {
	switch filepath.Ext(path) {
	case ".yaml", ".yml", ".json":
		return true
	default:
		return false
	}
}

// archive looks through a chart, or else a pack.
func (l *looker) archive(path string) error {
	chartErr := l.chart(path)
	if !errors.Is(chartErr, charts.ErrChart) {
		return chartErr
	}
	if err := l.pack(path); err != nil {
		return problem.New(problem.Usage, "", "%s is neither a chart nor a pack: %w", path, errors.Join(chartErr, err))
	}
	return nil
}

func (l *looker) settings() Settings {
	return Settings{Namespace: l.opts.Namespace, KubeVersion: l.opts.KubeVersion, APIVersions: l.opts.APIVersions}
}

func (l *looker) chart(path string) error {
	c, err := charts.Load(path)
	if err != nil {
		return err
	}
	files, err := l.values()
	if err != nil {
		return err
	}
	s := l.settings()
	if len(files) > 0 {
		merged, err := packs.MergeValues(files...)
		if err != nil {
			return err
		}
		s.Sets = []Set{{YAML: merged}}
	}
	err = l.add(Chart(l.ctx, c, s, true))
	if errors.Is(err, charts.ErrDependency) && c.FromFolder() {
		return problem.WithRemedy(err, "or name the folder under spec.charts of a bundle.yaml: sealift bundle create, also with --dry-run, gets what it depends on")
	}
	return err
}

func (l *looker) pack(path string) error {
	p, err := packs.Open(l.ctx, path)
	if err != nil {
		return err
	}
	defer p.Close() //nolint:errcheck // temporary files
	files, err := l.values()
	if err != nil {
		return err
	}
	merged, err := p.Merged(l.opts.Presets)
	if err == nil && len(files) > 0 {
		merged, err = packs.MergeValues(append([][]byte{merged}, files...)...)
	}
	if err != nil {
		return err
	}
	s := l.settings()
	s.Sets = []Set{{YAML: merged}}
	return l.add(Pack(l.ctx, p, s, true))
}

func (l *looker) add(found discovery.Report, err error) error {
	l.report = l.report.Merge(found)
	return err
}

func (l *looker) document(path string) error {
	data, err := content.ReadFile(path, maxManifest)
	if err == nil && isDefinition(data) {
		return problem.New(problem.Usage, "sealift bundle create -f "+path+" -o FILE --dry-run resolves all of it; discover looks through a chart, a pack or manifests that it names",
			"%s defines a bundle, and is no manifest", path)
	}
	l.docs = append(l.docs, discovery.Document{Source: filepath.ToSlash(path), Data: data})
	return err
}

// isDefinition tells whether a file is the definition of a bundle. Its names of
// charts and files would be taken for images, and its charts would not be seen.
func isDefinition(data []byte) bool {
	var head struct{ APIVersion, Kind string }
	return bytes.Contains(data, []byte(definition.APIVersion)) && yaml.Unmarshal(data, &head) == nil &&
		head.APIVersion == definition.APIVersion && head.Kind == definition.KindBundle
}

func (l *looker) values() ([][]byte, error) {
	var out [][]byte
	for _, path := range l.opts.Values {
		data, err := content.ReadFile(path, maxValues)
		if err != nil {
			return nil, fmt.Errorf("reading values: %w", err)
		}
		out = append(out, data)
	}
	return out, nil
}
