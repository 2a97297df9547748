// Package corpus makes about 400 MB of real images out of Debian packages, so
// that tools can be timed on real content where no public registry is reached.
// Each package is one gzip layer with the package's files; the first image lies
// below all others. Packages and layers are kept in a cache folder.
package corpus

import (
	"bytes"
	"context"
	_ "embed" // the list of images
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

//go:embed images.txt
var list string

// Image is one line of the list.
type Image struct {
	Name          string // NAME:TAG
	Architectures []string
	Packages      []string
}

// List returns the images of the corpus.
func List() []Image {
	var out []Image
	for line := range strings.Lines(list) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		img := Image{Name: words[0], Architectures: []string{"amd64"}}
		for _, w := range words[1:] {
			if w == "+arm64" {
				img.Architectures = append(img.Architectures, "arm64")
			} else {
				img.Packages = append(img.Packages, w)
			}
		}
		out = append(out, img)
	}
	return out
}

// Push makes all images and pushes them to a registry without TLS. say is
// told of each.
func Push(ctx context.Context, registry, cache string, say func(string)) error {
	b := &builder{ctx: ctx, cache: cache, base: map[string][]v1.Layer{}}
	for i, img := range List() {
		if i == 0 {
			img.Architectures = []string{"amd64", "arm64"}
		}
		ref, err := name.NewTag(registry+"/"+img.Name, name.Insecure)
		if err != nil {
			return err
		}
		if err := b.push(ref, img, i == 0); err != nil {
			return fmt.Errorf("%s: %w", img.Name, err)
		}
		say(img.Name)
	}
	return nil
}

type builder struct {
	ctx   context.Context //nolint:containedctx // lives as long as one call of Push
	cache string
	base  map[string][]v1.Layer // by architecture
}

func (b *builder) push(ref name.Reference, img Image, isBase bool) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var last v1.Image
	for _, arch := range img.Architectures {
		var layers []v1.Layer
		for _, p := range img.Packages {
			l, err := b.layer(p, arch)
			if err != nil {
				return fmt.Errorf("%s for %s: %w", p, arch, err)
			}
			layers = append(layers, l)
		}
		if isBase {
			b.base[arch] = layers
		} else {
			layers = append(append([]v1.Layer{}, b.base[arch]...), layers...)
		}
		image, err := assemble(arch, layers)
		if err != nil {
			return err
		}
		last = image
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	if len(img.Architectures) == 1 {
		return remote.Write(ref, last, remote.WithContext(b.ctx))
	}
	return remote.WriteIndex(ref, index, remote.WithContext(b.ctx))
}

func assemble(arch string, layers []v1.Layer) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: time.Unix(0, 0).UTC()}
	return mutate.ConfigFile(img, config)
}

// layer returns the gzip layer of a package, from the cache when it is there.
func (b *builder) layer(pkg, arch string) (v1.Layer, error) {
	deb, err := b.download(pkg, arch)
	if err != nil {
		return nil, err
	}
	gz := deb + ".layer.tar.gz"
	if _, err := os.Stat(gz); err != nil {
		plain, err := exec.CommandContext(b.ctx, "dpkg-deb", "--fsys-tarfile", deb).Output()
		if err != nil {
			return nil, fmt.Errorf("unpacking %s: %w", deb, err)
		}
		if err := compress(plain, gz); err != nil {
			return nil, err
		}
	}
	return tarball.LayerFromFile(gz, tarball.WithMediaType(types.OCILayer))
}

func compress(plain []byte, to string) error {
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(plain)), nil }, tarball.WithCompressionLevel(6))
	if err != nil {
		return err
	}
	rc, err := l.Compressed()
	if err != nil {
		return err
	}
	defer rc.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(rc)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to+".tmp", data, 0o600); err != nil {
		return err
	}
	return os.Rename(to+".tmp", to)
}

// download returns the file of a package.
func (b *builder) download(pkg, arch string) (string, error) {
	if path := b.find(pkg, arch); path != "" {
		return path, nil
	}
	args := []string{"-q", "-oAPT::Sandbox::User=root"}
	if arch != "amd64" {
		// Another architecture's lists, without telling this machine of it.
		lists := filepath.Join(b.cache, "lists-"+arch)
		args = append(args, "-oAPT::Architecture="+arch, "-oAPT::Architectures="+arch, "-oDir::State::lists="+lists)
		if _, err := os.Stat(lists); err != nil {
			if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
				return "", err
			}
			if err := b.apt(append(args, "update")); err != nil {
				return "", err
			}
		}
	}
	if err := b.apt(append(args, "download", pkg)); err != nil {
		return "", err
	}
	if path := b.find(pkg, arch); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("apt-get brought no file of %s", pkg)
}

func (b *builder) find(pkg, arch string) string {
	for _, a := range []string{arch, "all"} {
		if m, _ := filepath.Glob(filepath.Join(b.cache, pkg+"_*_"+a+".deb")); len(m) > 0 {
			return m[0]
		}
	}
	return ""
}

func (b *builder) apt(args []string) error {
	cmd := exec.CommandContext(b.ctx, "apt-get", args...)
	cmd.Dir = b.cache
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get: %w\n%s", err, out)
	}
	return nil
}
