package archivetest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
)

// Large returns what a bundle of very many images holds, for tests of scale:
// each image an index of two platforms with a configuration and five layers
// each, the first layer shared by hundreds. The layers are descriptors only,
// of size bytes in all, or little less.
func Large(t testing.TB, images int, size int64) archive.Contents {
	l := large{t: t, layer: size / int64(images*2*4), seen: map[digest.Digest]bool{},
		contents: archive.Contents{Name: "large", Version: "1.0.0", Definition: []byte("kind: Bundle\n"), Documents: map[digest.Digest][]byte{}}}
	for i := range images {
		l.image(i)
	}
	return l.contents
}

type large struct {
	t        testing.TB
	contents archive.Contents
	layer    int64 // bytes of each
	seen     map[digest.Digest]bool
}

func (l *large) image(i int) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for _, arch := range []string{"amd64", "arm64"} {
		m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
			Config: l.blob(ocispec.MediaTypeImageConfig, fmt.Sprintf("config %d %s", i, arch), 2000),
			Layers: []content.Descriptor{l.blob(ocispec.MediaTypeImageLayerGzip, fmt.Sprintf("base %d %s", i%50, arch), l.layer)}}
		for n := range 4 {
			m.Layers = append(m.Layers, l.blob(ocispec.MediaTypeImageLayerGzip, fmt.Sprintf("layer %d %s %d", i, arch, n), l.layer))
		}
		d := l.document(ocispec.MediaTypeImageManifest, m)
		d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
		index.Manifests = append(index.Manifests, d)
	}
	d := l.document(ocispec.MediaTypeImageIndex, index)
	ref := fmt.Sprintf("registry.example/team%d/app%d:1.%d", i%100, i%2500, i)
	l.contents.Roots = append(l.contents.Roots, archive.Root{Kind: archive.RootImage, Requested: ref, Reference: ref, Resolved: ref + "@" + d.Digest.String(),
		Descriptor: d, Platforms: []string{"linux/amd64", "linux/arm64"}})
}

func (l *large) blob(mediaType, name string, size int64) content.Descriptor {
	d := content.Descriptor{MediaType: mediaType, Digest: digest.FromString(name), Size: size}
	if !l.seen[d.Digest] {
		l.seen[d.Digest] = true
		l.contents.Blobs = append(l.contents.Blobs, d)
	}
	return d
}

func (l *large) document(mediaType string, v any) content.Descriptor {
	data, err := json.Marshal(v)
	require.NoError(l.t, err)
	d := content.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	l.contents.Blobs = append(l.contents.Blobs, d)
	l.contents.Documents[d.Digest] = data
	return d
}

// WriteSparse makes a bundle that has its head and its documents, and holes
// where data should be, and returns its path. It takes little room on the disk.
func WriteSparse(t testing.TB, layout *archive.Layout, documents map[digest.Digest][]byte) string {
	path := filepath.Join(t.TempDir(), "sparse.tar")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // closed with an error below
	require.NoError(t, f.Truncate(layout.Size()))
	head, err := layout.Head([]byte(Signature))
	require.NoError(t, err)
	_, err = f.WriteAt(head, 0)
	require.NoError(t, err)
	for _, b := range layout.Statement.Blobs {
		if data, ok := documents[b.Digest]; ok {
			_, err := f.WriteAt(data, layout.Place(b))
			require.NoError(t, err)
		}
	}
	require.NoError(t, f.Close())
	return path
}
