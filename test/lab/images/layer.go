package images

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// epoch is the time of every file and image, so that the same content has the
// same digest.
func epoch() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// Files is the content of a layer, by path without a leading slash.
type Files map[string]File

// File is one entry of a layer: a file on this machine, a text, a symbolic
// link, or with neither an empty folder.
type File struct {
	Source string      // file on this machine
	Text   string      // content, if there is no Source
	Link   string      // target of a symbolic link
	Dir    bool        // a folder
	Mode   fs.FileMode // 0 means 0644, for folders 0755; a Source that can be executed is 0755
}

// Program is an executable file of this machine.
func Program(source string) File { return File{Source: source, Mode: 0o755} }

// AddTree adds all files of a folder on this machine below a path.
func (f Files) AddTree(source, below string) error {
	return filepath.WalkDir(source, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		f[path.Join(below, filepath.ToSlash(rel))] = File{Source: file}
		return nil
	})
}

// WriteLayer writes the files as a tar archive, which is the same for the same
// files: sorted, with one time and with root as the owner.
func WriteLayer(w io.Writer, files Files) error {
	tw := tar.NewWriter(w)
	made := map[string]bool{".": true}
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := writeDirs(tw, made, files, path.Dir(name)); err != nil {
			return err
		}
		if made[name] {
			continue
		}
		made[name] = files[name].Dir
		if err := writeEntry(tw, name, files[name]); err != nil {
			return fmt.Errorf("layer: %s: %w", name, err)
		}
	}
	return tw.Close()
}

// writeDirs writes the folders that lead to an entry, each once.
func writeDirs(tw *tar.Writer, made map[string]bool, files Files, dir string) error {
	if made[dir] {
		return nil
	}
	if err := writeDirs(tw, made, files, path.Dir(dir)); err != nil {
		return err
	}
	made[dir] = true
	entry := files[dir]
	if entry.Dir || entry == (File{}) {
		entry.Dir = true
		return writeEntry(tw, dir, entry)
	}
	return fmt.Errorf("layer: %s is a file, and a folder of others", dir)
}

func writeEntry(tw *tar.Writer, name string, f File) error {
	h := &tar.Header{Name: name, ModTime: epoch(), Format: tar.FormatPAX}
	switch {
	case f.Link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
		return tw.WriteHeader(h)
	case f.Dir:
		h.Typeflag, h.Mode, h.Name = tar.TypeDir, tarMode(f.Mode, 0o755), name+"/"
		return tw.WriteHeader(h)
	case f.Source != "":
		return writeSource(tw, h, f)
	}
	h.Typeflag, h.Mode, h.Size = tar.TypeReg, tarMode(f.Mode, 0o644), int64(len(f.Text))
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(tw, strings.NewReader(f.Text))
	return err
}

func writeSource(tw *tar.Writer, h *tar.Header, f File) error {
	in, err := os.Open(f.Source)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	otherwise := fs.FileMode(0o644)
	if info.Mode()&0o111 != 0 {
		otherwise = 0o755
	}
	h.Typeflag, h.Mode, h.Size = tar.TypeReg, tarMode(f.Mode, otherwise), info.Size()
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(tw, in)
	return err
}

// tarMode is the mode as tar has it; Go keeps the sticky bit elsewhere.
func tarMode(mode, otherwise fs.FileMode) int64 {
	if mode == 0 {
		mode = otherwise
	}
	bits := int64(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}
