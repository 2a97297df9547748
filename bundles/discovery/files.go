package discovery

import (
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
	Charts    []string   // paths of charts, which have to be rendered first
	Packs     []string   // paths of packs, which have to be rendered first
}

// Open tells what a path holds: one file of manifests, or a folder and the
// folders in it. A folder with a Chart.yaml, and an archive, is a chart; one
// with a pack.json is a pack; of any other the files *.yaml, *.yml and *.json
// are read. Hidden folders are left out, links are not followed.
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
		err = in.add(path)
	}
	if err != nil {
		return Input{}, problem.As(problem.Usage, fmt.Errorf("reading manifests: %w", err))
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
			in.Packs = append(in.Packs, at)
			return fs.SkipDir
		case d.Type().IsRegular() && isManifest(at):
			return in.add(at)
		default:
			return nil
		}
	})
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
func (in *Input) add(path string) error {
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
	in.Documents = append(in.Documents, Document{Source: filepath.ToSlash(path), Data: data})
	return err
}
