package images

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layerFile is a compressed layer in a file. Its digests are known from when
// it was written, so that nothing is read or compressed twice.
type layerFile struct {
	path           string
	digest, diffID v1.Hash
	size           int64
}

var _ v1.Layer = (*layerFile)(nil)

// Digest implements v1.Layer.
func (l *layerFile) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID implements v1.Layer.
func (l *layerFile) DiffID() (v1.Hash, error) { return l.diffID, nil }

// Size implements v1.Layer.
func (l *layerFile) Size() (int64, error) { return l.size, nil }

// MediaType implements v1.Layer.
func (l *layerFile) MediaType() (types.MediaType, error) { return types.OCILayer, nil }

// Compressed implements v1.Layer.
func (l *layerFile) Compressed() (io.ReadCloser, error) { return os.Open(l.path) }

// Uncompressed implements v1.Layer.
func (l *layerFile) Uncompressed() (io.ReadCloser, error) {
	f, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// Compress writes a layer into a file of the folder dir: write gives its tar
// archive.
func Compress(dir string, write func(io.Writer) error) (v1.Layer, error) {
	f, err := os.CreateTemp(dir, "layer-*.tar.gz")
	if err != nil {
		return nil, err
	}
	l := &layerFile{path: f.Name()}
	if err := errors.Join(l.fill(f, write), f.Close()); err != nil {
		return nil, fmt.Errorf("writing layer %s: %w", filepath.Base(l.path), err)
	}
	return l, nil
}

func (l *layerFile) fill(f io.Writer, write func(io.Writer) error) error {
	digest, diffID := sha256.New(), sha256.New()
	counted := &counter{w: io.MultiWriter(f, digest)}
	z, err := gzip.NewWriterLevel(counted, gzip.BestSpeed)
	if err != nil {
		return err
	}
	if err := write(io.MultiWriter(z, diffID)); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	l.digest, l.diffID, l.size = sum(digest), sum(diffID), counted.n
	return nil
}

func sum(h hash.Hash) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// New returns an image of layers for this machine's architecture.
func New(config v1.Config, layers ...v1.Layer) (v1.Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Created, file.Config = "linux", runtime.GOARCH, v1.Time{Time: epoch()}, config
	return mutate.ConfigFile(img, file)
}

// index wraps an image as upstream does: an index of platforms, of which there
// is one here.
func index(img v1.Image) v1.ImageIndex {
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add:        img,
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}},
	})
}
