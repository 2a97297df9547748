// Package images makes small images for tests and pushes them to a registry.
// The same names give the same images.
package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Layer returns a layer of one file of size bytes that follow from the name.
func Layer(name string, size int) v1.Layer {
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	content := bytes.Repeat([]byte(name+"\n"), size/(len(name)+1)+1)[:size]
	_ = tw.WriteHeader(&tar.Header{Name: "file", Mode: 0o644, Size: int64(size), Format: tar.FormatUSTAR}) // a buffer takes everything
	_, _ = tw.Write(content)
	_ = tw.Close()
	return static.NewLayer(buf.Bytes(), types.OCIUncompressedLayer)
}

// Image returns an image for OS/ARCH[/VARIANT] with these layers.
func Image(platform string, layers ...v1.Layer) (v1.Image, error) {
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.AppendLayers(img, layers...)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant, config.Created = p.OS, p.Architecture, p.Variant, v1.Time{Time: time.Unix(0, 0).UTC()}
	return mutate.ConfigFile(img, config)
}

// Index returns an index of one image for each platform. All share a layer
// and have one of their own, of size bytes each.
func Index(seed string, size int, platforms ...string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, platform := range platforms {
		img, err := Image(platform, Layer("shared", size), Layer(seed+" "+platform, size))
		if err != nil {
			return nil, err
		}
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: p}})
	}
	return index, nil
}

// Push makes an image, or with several platforms an index, and pushes it to a
// registry without TLS. seed decides its content, size the bytes of each of its layers.
func Push(ref, seed string, size int, platforms ...string) error {
	to, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return err
	}
	if len(platforms) == 1 {
		img, err := Image(platforms[0], Layer("shared", size), Layer(seed+" "+platforms[0], size))
		if err != nil {
			return err
		}
		return remote.Write(to, img)
	}
	index, err := Index(seed, size, platforms...)
	if err != nil {
		return err
	}
	return remote.WriteIndex(to, index)
}

// Pull reads every byte of an image, or of all images of an index, from a
// registry without TLS, verifies them and returns the digest. missing are the
// platforms that may be absent.
func Pull(ref string, missing ...string) (string, error) {
	from, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return "", err
	}
	d, err := remote.Get(from)
	if err != nil {
		return "", err
	}
	if d.MediaType.IsImage() {
		img, err := d.Image()
		if err != nil {
			return "", err
		}
		return d.Digest.String(), readAll(img)
	}
	index, err := d.ImageIndex()
	if err != nil {
		return "", err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return "", err
	}
	for _, child := range manifest.Manifests {
		if strings.Contains(" "+strings.Join(missing, " ")+" ", " "+child.Platform.String()+" ") {
			continue
		}
		img, err := index.Image(child.Digest)
		if err == nil {
			err = readAll(img)
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", child.Platform, err)
		}
	}
	return d.Digest.String(), nil
}

func readAll(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	if _, err := img.RawConfigFile(); err != nil {
		return err
	}
	for _, l := range layers {
		rc, err := l.Compressed()
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, rc) // the library verifies the digest
		if closeErr := rc.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// PushProgram pushes images that hold one program each, by platform, and
// returns the digest: of the image, or with several platforms of the index.
func PushProgram(ref string, programs map[string]string) (string, error) {
	to, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return "", err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var single v1.Image
	for _, platform := range slices.Sorted(maps.Keys(programs)) {
		layer, err := programLayer(programs[platform])
		if err != nil {
			return "", err
		}
		if single, err = Image(platform, layer); err != nil {
			return "", err
		}
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			return "", err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: single, Descriptor: v1.Descriptor{Platform: p}})
	}
	if len(programs) == 1 {
		digest, err := single.Digest()
		if err != nil {
			return "", err
		}
		return digest.String(), remote.Write(to, single)
	}
	digest, err := index.Digest()
	if err != nil {
		return "", err
	}
	return digest.String(), remote.WriteIndex(to, index)
}

// Program takes one file out of an image in a registry without TLS and writes
// it to a path, as a program. The image's digests are verified.
func Program(ref, file, to string) error {
	from, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return err
	}
	img, err := remote.Image(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	content := mutate.Extract(img)
	defer content.Close() //nolint:errcheck // it was only read
	for tr := tar.NewReader(content); ; {
		header, err := tr.Next()
		if err != nil {
			return fmt.Errorf("looking for %s in %s: %w", file, ref, err)
		}
		if header.Name != file {
			continue
		}
		out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o700)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, tr)
		return errors.Join(err, out.Close())
	}
}

// PushFiles pushes an image of one layer with the files of a folder to a
// registry without TLS and returns its digest.
func PushFiles(ref, platform, dir string) (string, error) {
	to, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		return "", err
	}
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	err = fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			return err
		}
		if err := tw.WriteHeader(&tar.Header{Name: path, Mode: 0o644, Size: int64(len(data)), Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		_, err = tw.Write(data)
		return err
	})
	if err != nil {
		return "", err
	}
	if err := tw.Close(); err != nil {
		return "", err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return "", err
	}
	img, err := Image(platform, layer)
	if err != nil {
		return "", err
	}
	digest, err := img.Digest()
	if err != nil {
		return "", err
	}
	return digest.String(), remote.Write(to, img)
}

// programLayer returns a compressed layer with the program at /usr/bin/NAME.
func programLayer(path string) (v1.Layer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	err = tw.WriteHeader(&tar.Header{Name: "usr/bin/" + filepath.Base(path), Mode: 0o755, Size: int64(len(data)), Format: tar.FormatUSTAR})
	if err != nil {
		return nil, err
	}
	if _, err := tw.Write(data); err != nil {
		return nil, err
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(1))
}
