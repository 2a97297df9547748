// Package charts reads, packs and renders Helm charts with Helm's own
// libraries. A chart is held as the archive (.tgz) that travels; a folder is
// packed into one, the same files into the same bytes. Nothing is ever
// unpacked to a disk, and nothing here asks a cluster.
package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/ignore"

	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/internal/problem"
)

// Helm's media types of a chart in a registry.
const (
	MediaTypeConfig     = "application/vnd.cncf.helm.config.v1+json"
	MediaTypeArchive    = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	MediaTypeProvenance = "application/vnd.cncf.helm.chart.provenance.v1.prov"
)

// MaxArchive is the largest archive of a chart, in bytes, that is read. Helm
// itself limits what is in it: 5 MiB a file and 100 MiB in all.
const MaxArchive = 20 << 20

// ErrChart means: this is no chart that can be carried.
var ErrChart = errors.New("not a usable chart")

// Chart is one chart.
type Chart struct {
	Archive    []byte // the .tgz
	Provenance []byte // the .prov beside it, if any

	meta    *chart.Chart
	folder  map[string][]byte // of a chart that was read from a folder: its files by path
	missing []*chart.Dependency
}

// Parse reads an archive. Names that lead outside, and bombs, are refused.
func Parse(archive []byte) (*Chart, error) {
	if len(archive) > MaxArchive {
		return nil, fmt.Errorf("%w: the archive has %d bytes, the limit is %d", ErrChart, len(archive), MaxArchive)
	}
	c, err := loader.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChart, err)
	}
	return describe(&Chart{Archive: archive, meta: c})
}

// Load reads the chart at path: a folder, or an archive with the .prov beside it, if there is one.
func Load(path string) (*Chart, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, problem.As(problem.Usage, err)
	}
	if info.IsDir() {
		return loadFolder(path)
	}
	if info.Size() > MaxArchive {
		return nil, fmt.Errorf("%s: %w: it has %d bytes, the limit is %d", path, ErrChart, info.Size(), MaxArchive)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Provenance, err = os.ReadFile(path + ".prov"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return c, nil
}

// Template makes a chart of single templates, so that they can be rendered.
func Template(name string, templates map[string][]byte) (*Chart, error) {
	files := map[string][]byte{"Chart.yaml": fmt.Appendf(nil, "apiVersion: v2\nname: %q\nversion: 0.0.0\n", name)}
	for file, data := range templates {
		files["templates/"+file] = data
	}
	return pack(files)
}

// LoadFS packs the chart that a file system holds.
func LoadFS(from fs.FS) (*Chart, error) {
	files, err := readFolder(from)
	if err != nil {
		return nil, err
	}
	return pack(files)
}

// loadFolder packs a folder. Links that lead out of it are refused by os.Root.
func loadFolder(dir string) (*Chart, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // opened for reading
	c, err := LoadFS(root.FS())
	if err != nil {
		return nil, fmt.Errorf("chart %s: %w", dir, err)
	}
	return c, nil
}

// readFolder reads the files of a chart that its .helmignore does not leave out.
func readFolder(from fs.FS) (map[string][]byte, error) {
	rules := ignore.Empty()
	if f, err := from.Open(ignore.HelmIgnore); err == nil {
		rules, err = ignore.Parse(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("reading %s: %w", ignore.HelmIgnore, err)
		}
	}
	rules.AddDefaults()
	files, total := map[string][]byte{}, int64(0)
	err := fs.WalkDir(from, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := fs.Stat(from, name) // follows links
		if err != nil {
			return err
		}
		switch {
		case rules.Ignore(name, info) && entry.IsDir():
			return fs.SkipDir
		case rules.Ignore(name, info) || entry.IsDir():
			return nil
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s: %w: a chart holds files, not links to folders, pipes or devices", name, ErrChart)
		}
		if total += info.Size(); info.Size() > loader.MaxDecompressedFileSize || total > loader.MaxDecompressedChartSize {
			return fmt.Errorf("%s: %w: files have at most %d bytes each and %d in all", name, ErrChart, loader.MaxDecompressedFileSize, loader.MaxDecompressedChartSize)
		}
		files[name], err = fs.ReadFile(from, name)
		return err
	})
	return files, err
}

// pack makes the archive of a chart out of its files.
func pack(files map[string][]byte) (*Chart, error) {
	var buffered []*loader.BufferedFile
	for name, data := range files {
		buffered = append(buffered, &loader.BufferedFile{Name: name, Data: data})
	}
	slices.SortFunc(buffered, func(a, b *loader.BufferedFile) int { return strings.Compare(a.Name, b.Name) })
	c, err := loader.LoadFiles(buffered)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChart, err)
	}
	archive, err := pkg(c.Name(), files)
	if err != nil {
		return nil, err
	}
	return describe(&Chart{Archive: archive, meta: c, folder: files})
}

// pkg returns the .tgz of files below a folder of the chart's name: Chart.yaml
// first, as Helm wants it, then the others by name, without times or owners.
func pkg(name string, files map[string][]byte) ([]byte, error) {
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	out := tar.NewWriter(gz)
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		if (a == "Chart.yaml") != (b == "Chart.yaml") {
			if a == "Chart.yaml" {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for _, n := range names {
		h := &tar.Header{Name: path.Join(name, n), Mode: 0o644, Size: int64(len(files[n])), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
		if err := out.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := out.Write(files[n]); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(out.Close(), gz.Close()); err != nil {
		return nil, err
	}
	if buf.Len() > MaxArchive {
		return nil, fmt.Errorf("%w: its archive would have %d bytes, the limit is %d", ErrChart, buf.Len(), MaxArchive)
	}
	return buf.Bytes(), nil
}

// describe checks a chart and notes which dependencies it lacks.
func describe(c *Chart) (*Chart, error) {
	if err := c.meta.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChart, err)
	}
	for _, d := range c.meta.Metadata.Dependencies {
		if !slices.ContainsFunc(c.meta.Dependencies(), func(have *chart.Chart) bool {
			return have.Name() == d.Name && InRange(d.Version, have.Metadata.Version)
		}) {
			c.missing = append(c.missing, d)
		}
	}
	return c, nil
}

// InRange tells whether a version is the one that is asked for, or lies in the
// range; "" takes every one.
func InRange(asked, version string) bool {
	if asked == "" || asked == version {
		return true
	}
	constraint, err := semver.NewConstraint(asked)
	if err != nil {
		return false
	}
	v, err := semver.NewVersion(version)
	return err == nil && constraint.Check(v)
}

// Name returns the chart's name.
func (c *Chart) Name() string { return c.meta.Metadata.Name }

// Version returns the chart's version.
func (c *Chart) Version() string { return c.meta.Metadata.Version }

// Tag returns the tag that Helm gives the version in a registry, where a + cannot stand.
func (c *Chart) Tag() string { return strings.ReplaceAll(c.Version(), "+", "_") }

// Annotations returns those of Chart.yaml.
func (c *Chart) Annotations() map[string]string { return c.meta.Metadata.Annotations }

// Dependency is a chart that another one needs within itself.
type Dependency struct {
	Name, Version, Repository string
}

// Missing returns the dependencies of Chart.yaml that are not in the chart.
func (c *Chart) Missing() []Dependency {
	var out []Dependency
	for _, d := range c.missing {
		out = append(out, Dependency{d.Name, d.Version, d.Repository})
	}
	return out
}

// ErrDependency means: a chart lacks a dependency.
var ErrDependency = errors.New("missing dependency")

// CheckDependencies fails with ErrDependency when any is missing.
func (c *Chart) CheckDependencies() error {
	var missing []error
	for _, d := range c.missing {
		missing = append(missing, fmt.Errorf("chart %s %s needs %s %s of %s: %w", c.Name(), c.Version(), d.Name, d.Version, d.Repository, ErrDependency))
	}
	if len(missing) == 0 {
		return nil
	}
	return problem.WithRemedy(errors.Join(missing...), "put it into the chart's charts folder: helm dependency update")
}

// With returns a chart of a folder with these dependencies put into its charts folder.
func (c *Chart) With(dependencies []*Chart) (*Chart, error) {
	files := make(map[string][]byte, len(c.folder)+len(dependencies))
	for name, data := range c.folder {
		files[name] = data
	}
	for _, d := range dependencies {
		files["charts/"+d.Name()+"-"+d.Version()+".tgz"] = d.Archive
	}
	return pack(files)
}

// FromFolder tells whether the chart was read from a folder, so that dependencies can be put into it.
func (c *Chart) FromFolder() bool { return c.folder != nil }

// Artifact returns the chart as Helm stores it in a registry.
func (c *Chart) Artifact() (*artifact.Artifact, error) {
	config, err := json.Marshal(c.meta.Metadata)
	if err != nil {
		return nil, fmt.Errorf("encoding the metadata of chart %s: %w", c.Name(), err)
	}
	layers := []artifact.Layer{artifact.Bytes(MediaTypeArchive, "", c.Archive)}
	if c.Provenance != nil {
		layers = append(layers, artifact.Bytes(MediaTypeProvenance, "", c.Provenance))
	}
	annotations := map[string]string{"org.opencontainers.image.title": c.Name(), "org.opencontainers.image.version": c.Version()}
	if d := c.meta.Metadata.Description; d != "" {
		annotations["org.opencontainers.image.description"] = d
	}
	return artifact.New("", layers, artifact.Options{Config: artifact.Bytes(MediaTypeConfig, "", config), Annotations: annotations})
}
