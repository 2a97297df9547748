package discovery

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealift/sealift/internal/problem"
)

// Input is what a path holds.
type Input struct {
	Documents []Document // manifests, to be given to Documents
	Values    []Document // values.yaml of packs, to be given to PackValues
	Charts    []string   // paths of charts, which have to be rendered first
}

// Open reads what a path holds: one file of manifests, or a folder and the
// folders in it. A folder with a Chart.yaml, and an archive, is a chart; of one
// with a pack.json the values, the manifests and the charts count; of any other
// the files *.yaml, *.yml and *.json.
func Open(path string) (Input, error) {
	var in Input
	info, err := os.Stat(path)
	switch {
	case err != nil:
	case info.IsDir():
		err = in.folder(path)
	case strings.HasSuffix(path, ".tgz") || strings.HasSuffix(path, ".tar.gz"):
		in.Charts = append(in.Charts, path)
	default:
		err = in.add(&in.Documents, path)
	}
	if err != nil {
		return Input{}, fmt.Errorf("reading manifests: %w", err)
	}
	return in, nil
}

func (in *Input) folder(path string) error {
	return filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && at != path && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() && exists(at, "Chart.yaml"):
			in.Charts = append(in.Charts, at)
			return fs.SkipDir
		case d.IsDir() && exists(at, "pack.json"):
			if err := in.pack(at); err != nil {
				return err
			}
			return fs.SkipDir
		case d.Type().IsRegular() && isManifest(at):
			return in.add(&in.Documents, at)
		default:
			return nil
		}
	})
}

// pack reads the parts of a pack's folder that name images.
func (in *Input) pack(path string) error {
	if exists(path, "values.yaml") {
		if err := in.add(&in.Values, filepath.Join(path, "values.yaml")); err != nil {
			return err
		}
	}
	if exists(path, "manifests") {
		if err := in.folder(filepath.Join(path, "manifests")); err != nil {
			return err
		}
	}
	for _, pattern := range []string{"charts/*.tgz", "charts/*/Chart.yaml"} {
		found, err := filepath.Glob(filepath.Join(escaped(path), pattern))
		if err != nil {
			return err
		}
		for _, chart := range found {
			in.Charts = append(in.Charts, strings.TrimSuffix(chart, string(filepath.Separator)+"Chart.yaml"))
		}
	}
	return nil
}

// escaped takes the meaning that a pattern gives them from the characters of a path.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func exists(folder, name string) bool {
	_, err := os.Stat(filepath.Join(folder, name))
	return err == nil
}

func isManifest(path string) bool {
	switch filepath.Ext(path) {
	case ".yaml", ".yml", ".json":
		return true
	default:
		return false
	}
}

// add reads a file that is not larger than what Documents takes.
func (in *Input) add(to *[]Document, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	limit := int64(documentLimits().file)
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = problem.New(problem.Usage, "cut it into several files", "%s has more than %d bytes", path, limit)
	}
	*to = append(*to, Document{Source: filepath.ToSlash(path), Data: data})
	return err
}

// Report reads what is in an input: its documents and its packs' values. Its
// charts are not looked at.
func (in Input) Report() (Report, error) {
	report, err := Documents(in.Documents)
	for _, v := range in.Values {
		values, failed := PackValues(v.Source, v.Data)
		report, err = report.Merge(values), errors.Join(err, failed)
	}
	return report, err
}
