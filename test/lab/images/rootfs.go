package images

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// Rootfs is what a root file system has below the folders of programs and
// libraries, read from its tar archive.
type Rootfs struct {
	files map[string][]byte // by path
	links map[string]string // targets, by path
}

// ReadRootfs reads the programs that are wanted and every library of the tar
// archive of a root file system.
func ReadRootfs(archive string, want ...string) (*Rootfs, error) {
	f, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	r := &Rootfs{files: map[string][]byte{}, links: map[string]string{}}
	wanted := map[string]bool{}
	for _, name := range want {
		wanted[name] = true
	}
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", archive, err)
		}
		if err := r.keep(h, tr, wanted); err != nil {
			return nil, fmt.Errorf("reading %s of %s: %w", h.Name, archive, err)
		}
	}
}

func (r *Rootfs) keep(h *tar.Header, content io.Reader, wanted map[string]bool) error {
	name := path.Clean(strings.TrimPrefix(h.Name, "./"))
	if !wanted[name] && !isLibrary(name) {
		return nil
	}
	switch h.Typeflag {
	case tar.TypeSymlink:
		r.links[name] = resolve(name, h.Linkname)
	case tar.TypeLink:
		r.links[name] = path.Clean(strings.TrimPrefix(h.Linkname, "./"))
	case tar.TypeReg:
		data, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		r.files[name] = data
	}
	return nil
}

// isLibrary tells whether a path is a shared library.
func isLibrary(name string) bool {
	return strings.HasPrefix(name, "usr/lib") && (strings.Contains(path.Base(name), ".so"))
}

// resolve returns the path that a link at name leads to.
func resolve(name, target string) string {
	if path.IsAbs(target) {
		return strings.TrimPrefix(path.Clean(target), "/")
	}
	return path.Join(path.Dir(name), target)
}

// read follows links to the content of a file.
func (r *Rootfs) read(name string) ([]byte, error) {
	for range 10 {
		if data, ok := r.files[name]; ok {
			return data, nil
		}
		target, ok := r.links[name]
		if !ok {
			break
		}
		name = target
	}
	return nil, fmt.Errorf("%s is not in the root file system", name)
}

// Closure returns the programs at these paths with the loader, the libraries
// they need, and the libraries that these need.
func (r *Rootfs) Closure(programs ...string) (Files, error) {
	out := Files{}
	for queue := programs; len(queue) > 0; queue = queue[1:] {
		name := queue[0]
		if _, ok := out[name]; ok {
			continue
		}
		data, err := r.read(name)
		if err != nil {
			return nil, err
		}
		out[name] = File{Text: string(data), Mode: 0o755}
		needs, err := r.needs(data)
		if err != nil {
			return nil, fmt.Errorf("reading what %s needs: %w", name, err)
		}
		queue = append(queue, needs...)
	}
	return out, nil
}

// needs returns the paths of the loader and the libraries of an ELF file.
func (r *Rootfs) needs(data []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	libraries, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, library := range libraries {
		name, err := r.find(library)
		if err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			loader, err := io.ReadAll(p.Open())
			if err != nil {
				return nil, err
			}
			// Debian 13 has /lib64 only as a link to /usr/lib64.
			out = append(out, "usr"+strings.TrimRight(string(loader), "\x00"))
		}
	}
	return out, nil
}

// find returns the path of a library by its name.
func (r *Rootfs) find(library string) (string, error) {
	for _, dir := range []string{"usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib"} {
		name := path.Join(dir, library)
		if _, err := r.read(name); err == nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("library %s is not in the root file system", library)
}

// Extensions returns the paths of the extensions that iptables loads, of which
// some are links to others.
func (r *Rootfs) Extensions() []string {
	var out []string
	for name := range r.files {
		out = append(out, name)
	}
	for name := range r.links {
		out = append(out, name)
	}
	out = slices.DeleteFunc(out, func(name string) bool { return path.Base(path.Dir(name)) != "xtables" })
	slices.Sort(out)
	return out
}
