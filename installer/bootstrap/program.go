package bootstrap

import (
	"archive/tar"
	"cmp"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/layers"
	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// ErrNoProgram means: an image has no program that could run on this host.
var ErrNoProgram = errors.New("the image has no such program")

// maxProgram is the largest program that is taken out of an image, in bytes.
const maxProgram = 512 << 20

// ImagePrograms takes programs out of images, one file of each.
type ImagePrograms struct {
	from   content.Fetcher
	images map[string]content.Descriptor
	dir    string
}

var _ Programs = (*ImagePrograms)(nil)

// NewImagePrograms returns the programs of images by their full references.
// They are written to dir, a private folder, with names that hold the digest
// of their image: a program is taken out once.
func NewImagePrograms(from content.Fetcher, images map[string]content.Descriptor, dir string) *ImagePrograms {
	return &ImagePrograms{from: from, images: images, dir: dir}
}

// Program implements Programs.
func (p *ImagePrograms) Program(ctx context.Context, image, name string) (string, error) {
	d, ok := p.images[image]
	if !ok {
		return "", problem.New(problem.Preflight, "make the bundle again with it", "image %s is not in the bundle: %w", image, content.ErrNotFound)
	}
	file, err := p.take(ctx, d, name)
	if err != nil {
		return "", fmt.Errorf("taking the program %s out of %s: %w", cmp.Or(name, "of the entrypoint"), image, err)
	}
	return file, nil
}

func (p *ImagePrograms) take(ctx context.Context, d content.Descriptor, name string) (string, error) {
	manifest, d, err := p.manifest(ctx, d)
	if err != nil {
		return "", err
	}
	config, err := p.config(ctx, manifest)
	if err != nil {
		return "", err
	}
	candidates := places(config, name)
	if len(candidates) == 0 {
		return "", fmt.Errorf("it has no entrypoint: %w", ErrNoProgram)
	}
	file := filepath.Join(p.dir, fileName(candidates[0])+"-"+d.Digest.Encoded()[:16])
	if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() {
		return file, nil // it was verified before it had its name
	}
	if err := private(p.dir); err != nil {
		return "", err
	}
	return file, p.search(ctx, manifest.Layers, candidates, file)
}

// config returns how an image is run.
func (p *ImagePrograms) config(ctx context.Context, m *content.Manifest) (ocispec.ImageConfig, error) {
	if m.Config == nil {
		return ocispec.ImageConfig{}, fmt.Errorf("it has no configuration: %w", ErrNoProgram)
	}
	data, err := content.ReadAll(ctx, p.from, *m.Config, content.MaxManifestSize)
	if err != nil {
		return ocispec.ImageConfig{}, err
	}
	var image ocispec.Image
	if err := json.Unmarshal(data, &image); err != nil {
		return ocispec.ImageConfig{}, problem.As(problem.Verification, fmt.Errorf("reading the image's configuration: %w", err))
	}
	return image.Config, nil
}

// manifest returns the manifest of an image for this host.
func (p *ImagePrograms) manifest(ctx context.Context, d content.Descriptor) (*content.Manifest, content.Descriptor, error) {
	for range 3 { // an index of indexes is as deep as it gets
		data, err := content.ReadAll(ctx, p.from, d, content.MaxManifestSize)
		if err != nil {
			return nil, d, err
		}
		m, err := content.ParseManifest(d, data)
		if err != nil {
			return nil, d, err
		}
		if !content.IsIndex(d.MediaType) {
			return m, d, nil
		}
		i := slices.IndexFunc(m.Manifests, runsHere)
		if i < 0 {
			return nil, d, fmt.Errorf("it is not for linux/%s: %w", runtime.GOARCH, ErrNoProgram)
		}
		d = content.Bare(m.Manifests[i])
	}
	return nil, d, fmt.Errorf("its indexes have no end: %w", ErrNoProgram)
}

func runsHere(d content.Descriptor) bool {
	return d.Platform == nil || (d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH)
}

// defaultPath is the PATH of images that set none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// places returns where in an image a program may be, the most likely first.
func places(config ocispec.ImageConfig, name string) []string {
	if name == "" && len(config.Entrypoint) > 0 {
		name = config.Entrypoint[0]
	}
	switch {
	case name == "":
		return nil
	case strings.Contains(name, "/"):
		return []string{path.Join("/", config.WorkingDir, name), path.Clean("/" + name)}
	}
	search := defaultPath
	for _, v := range config.Env {
		if set, ok := strings.CutPrefix(v, "PATH="); ok {
			search = set
		}
	}
	var out []string
	for _, dir := range strings.Split(search, ":") {
		out = append(out, path.Join("/", dir, name))
	}
	return append(out, "/"+name)
}

// fileName makes a safe file name of a path in an image.
func fileName(place string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", r) {
			return r
		}
		return '_'
	}, path.Base(place))
}

// search writes the first of the candidates that the topmost layer has.
func (p *ImagePrograms) search(ctx context.Context, from []content.Descriptor, candidates []string, file string) error {
	for _, layer := range slices.Backward(from) {
		found, hidden, err := p.layer(ctx, layer, candidates, file)
		if err != nil || found {
			return err
		}
		candidates = slices.DeleteFunc(candidates, func(c string) bool { return hidden[c] })
	}
	return fmt.Errorf("looked for %s: %w", strings.Join(candidates, ", "), ErrNoProgram)
}

// layer looks for the candidates in one layer, and tells which of them it
// hides from the layers below.
func (p *ImagePrograms) layer(ctx context.Context, d content.Descriptor, candidates []string, file string) (found bool, hidden map[string]bool, err error) {
	best := len(candidates)
	partial := file + ".partial"
	hidden = map[string]bool{}
	err = layers.Walk(ctx, p.from, d, func(h *tar.Header, r io.Reader) error {
		for _, c := range candidates {
			hidden[c] = hidden[c] || layers.Hides(h, c)
		}
		i := slices.Index(candidates, layers.Path(h))
		if i < 0 || i > best || h.Typeflag == tar.TypeDir {
			return nil
		}
		best = i
		return writeProgram(partial, h, r)
	})
	if err == nil && best < len(candidates) {
		if err = checkProgram(partial); err == nil {
			return true, hidden, durable.Rename(partial, file)
		}
	}
	if removed := os.Remove(partial); removed != nil && !errors.Is(removed, fs.ErrNotExist) {
		err = errors.Join(err, removed)
	}
	return false, hidden, err
}

// writeProgram writes one entry of a layer to a path that the layer has no
// say in.
func writeProgram(path string, h *tar.Header, r io.Reader) error {
	if h.Typeflag != tar.TypeReg {
		return problem.New(problem.Verification, "", "%s is a link or a device, not a file: %w", layers.Path(h), ErrNoProgram)
	}
	if h.Size > maxProgram {
		return problem.New(problem.Verification, "", "%s has %d bytes, the limit is %d: %w", layers.Path(h), h.Size, maxProgram, content.ErrTooLarge)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	if _, err = io.Copy(f, r); err != nil {
		err = fmt.Errorf("%s: %w", layers.Path(h), err)
	}
	return errors.Join(err, f.Chmod(0o755), f.Sync(), f.Close())
}

// checkProgram refuses what this host cannot run without the rest of its image.
func checkProgram(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return problem.New(problem.Verification, "", "it is no program of Linux: %w: %w", ErrNoProgram, err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	if slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP }) {
		return problem.New(problem.Failed, "use an image whose program is linked statically, or bootstrap: kind", "it needs libraries of its image: %w", ErrNoProgram)
	}
	return nil
}
