package release

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/manifests"
)

// ErrExists means: a file would have been replaced.
var ErrExists = errors.New("it exists")

// Write writes what an enterprise bundle is made of into a folder, which is
// made if it is not there: the definition bundle.yaml, release.yaml and the
// manifests that these name. The machine image is all that is missing then. No
// file is replaced: where one is there, nothing is written, and the error is
// ErrExists. It returns the paths of the files.
func Write(dir string) ([]string, error) {
	sources := map[string][]byte{}
	var out []string
	err := fs.WalkDir(manifests.Enterprise(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(name, "cluster/") { // the installer's own
			return err
		}
		data, err := fs.ReadFile(manifests.Enterprise(), name)
		path := filepath.Join(dir, filepath.FromSlash(name))
		sources[path], out = data, append(out, path)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := checkAbsent(out); err != nil {
		return nil, err
	}
	for _, path := range out {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("writing the enterprise bundle's sources: %w", err)
		}
		if err := durable.WriteFile(path, sources[path], 0o644); err != nil {
			return nil, fmt.Errorf("writing the enterprise bundle's sources: %w", err)
		}
	}
	return out, nil
}

// checkAbsent fails with ErrExists when one of the files is there.
func checkAbsent(paths []string) error {
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			return problem.New(problem.Usage, "give a folder that is empty or not there, and carry your changes over",
				"writing the enterprise bundle's sources: %s: %w", path, ErrExists)
		}
	}
	return nil
}
