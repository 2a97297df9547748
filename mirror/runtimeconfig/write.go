package runtimeconfig

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// WriteOptions is how files are written.
type WriteOptions struct {
	// Overwrite replaces files that are there and differ. Without it they are an
	// error, and nothing is written.
	Overwrite bool
}

// Write writes files below dir, which stands for the root of a node, and
// returns their paths. Each is durable and whole or not there; what is there
// already is left alone. Files that exist and differ are fs.ErrExist.
func Write(dir string, files []File, opts WriteOptions) ([]string, error) {
	var paths []string
	var missing []File
	var taken []error
	for _, f := range files {
		path := filepath.Join(dir, filepath.FromSlash(f.Path))
		paths = append(paths, path)
		there, err := compare(path, f)
		switch {
		case errors.Is(err, fs.ErrExist):
			taken = append(taken, err)
		case err != nil:
			return nil, err
		}
		if !there {
			missing = append(missing, f)
		}
	}
	if len(taken) > 0 && !opts.Overwrite {
		return nil, problem.WithRemedy(errors.Join(taken...), "look at them, then give --overwrite; or write to another folder")
	}
	for _, f := range missing {
		if err := write(filepath.Join(dir, filepath.FromSlash(f.Path)), f, opts); err != nil {
			return nil, err
		}
	}
	return paths, nil
}

// compare tells whether a file is there as it should be. One that differs is
// fs.ErrExist.
func compare(path string, f File) (bool, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if info.Mode() == f.Mode && info.Size() == int64(len(f.Content)) {
		have, err := os.ReadFile(path)
		if err != nil || bytes.Equal(have, f.Content) {
			return err == nil, err
		}
	}
	return false, fmt.Errorf("%s: %w, with other content", path, fs.ErrExist)
}

func write(path string, f File, opts WriteOptions) error {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	if opts.Overwrite {
		return durable.WriteFile(path, f.Content, f.Mode)
	}
	return durable.WriteNew(path, f.Content, f.Mode)
}

// makeFolder makes a folder and those above it, durably.
func makeFolder(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.SyncDir(parent)
}

// WriteTar writes files as a tar archive to be unpacked at the root of a node.
// The same files give the same bytes.
func WriteTar(w io.Writer, files []File) error {
	tw := tar.NewWriter(w)
	for _, f := range files {
		err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: strings.TrimPrefix(f.Path, "/"), Mode: int64(f.Mode),
			Size: int64(len(f.Content)), ModTime: time.Unix(0, 0), Uname: "root", Gname: "root", Format: tar.FormatUSTAR})
		if err == nil {
			_, err = tw.Write(f.Content)
		}
		if err != nil {
			return fmt.Errorf("writing %s to the archive: %w", f.Path, err)
		}
	}
	return tw.Close()
}

// CloudConfig returns files as the write_files section of a cloud-config. Its
// items also fit spec.files of Cluster API's KubeadmConfig.
func CloudConfig(files []File) ([]byte, error) {
	type item struct {
		Path        string `yaml:"path"`
		Owner       string `yaml:"owner"`
		Permissions string `yaml:"permissions"`
		Content     string `yaml:"content"`
	}
	var doc struct {
		WriteFiles []item `yaml:"write_files"`
	}
	for _, f := range files {
		doc.WriteFiles = append(doc.WriteFiles, item{f.Path, "root:root", fmt.Sprintf("%04o", f.Mode.Perm()), string(f.Content)})
	}
	return encodeYAML("#cloud-config", doc)
}

// encodeYAML returns v after a comment.
func encodeYAML(comment string, v any) ([]byte, error) {
	out := bytes.NewBufferString(comment + "\n")
	enc := yaml.NewEncoder(out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(v), enc.Close()); err != nil {
		return nil, fmt.Errorf("writing YAML: %w", err)
	}
	return out.Bytes(), nil
}
