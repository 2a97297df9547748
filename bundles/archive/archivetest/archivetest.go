// Package archivetest makes small bundles for tests: real content, laid out
// and written by package archive, with a signature that only Verifier accepts.
package archivetest

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/location"
)

// Signature is the signature of every bundle made here.
const Signature = "c2VhbGlmdA=="

// Verifier accepts Signature for any payload.
type Verifier struct{}

// Verify compares the signature with Signature.
func (Verifier) Verify(_, signature []byte) error {
	if strings.TrimSpace(string(signature)) != Signature {
		return errors.New("not signed by archivetest")
	}
	return nil
}

// Builder collects content. Its methods fail the test on any error.
type Builder struct {
	t        testing.TB
	Contents archive.Contents
	Data     map[digest.Digest][]byte // every blob but documents
}

// New returns a builder of a bundle "test" of version "1.0.0".
func New(t testing.TB) *Builder {
	return &Builder{t: t, Data: map[digest.Digest][]byte{}, Contents: archive.Contents{Name: "test", Version: "1.0.0",
		Definition: []byte("kind: Bundle\n"), Documents: map[digest.Digest][]byte{}}}
}

// Blob adds a blob.
func (b *Builder) Blob(mediaType string, data []byte) content.Descriptor {
	d := content.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	for _, have := range b.Contents.Blobs {
		if have.Digest == d.Digest {
			return d
		}
	}
	b.Contents.Blobs = append(b.Contents.Blobs, d)
	b.Data[d.Digest] = data
	return d
}

// Document adds a manifest or index.
func (b *Builder) Document(mediaType string, v any) content.Descriptor {
	data, err := json.Marshal(v)
	require.NoError(b.t, err)
	d := b.Blob(mediaType, data)
	delete(b.Data, d.Digest)
	b.Contents.Documents[d.Digest] = data
	return d
}

// Image adds an image manifest for linux/ARCH with layers of these bytes and
// returns its descriptor, with the platform set.
func (b *Builder) Image(arch string, layers ...string) content.Descriptor {
	config, err := json.Marshal(ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: arch}, RootFS: ocispec.RootFS{Type: "layers"}})
	require.NoError(b.t, err)
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: b.Blob(ocispec.MediaTypeImageConfig, config), Layers: []content.Descriptor{}}
	for _, l := range layers {
		m.Layers = append(m.Layers, b.Blob(ocispec.MediaTypeImageLayer, []byte(l)))
	}
	d := b.Document(ocispec.MediaTypeImageManifest, m)
	d.Platform = &ocispec.Platform{OS: "linux", Architecture: arch}
	return d
}

// Index adds an index over manifests, which may be absent ones.
func (b *Builder) Index(manifests ...content.Descriptor) content.Descriptor {
	return b.Document(ocispec.MediaTypeImageIndex, ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex, Manifests: manifests})
}

// Root asks for a manifest under a full reference with a tag.
func (b *Builder) Root(reference string, d content.Descriptor, absent ...content.Descriptor) {
	b.Contents.Roots = append(b.Contents.Roots, archive.Root{Kind: archive.RootImage, Requested: reference, Reference: reference,
		Resolved: reference + "@" + d.Digest.String(), Descriptor: content.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size},
		Platforms: []string{}, Absent: absent})
}

// Artifact adds an artifact of one layer. With a subject it is a referrer.
func (b *Builder) Artifact(artifactType, layer string, subject *content.Descriptor) content.Descriptor {
	config := ocispec.DescriptorEmptyJSON
	config.Data = nil
	b.Blob(config.MediaType, []byte("{}"))
	if subject != nil {
		bare := content.Bare(*subject)
		subject = &bare
	}
	return b.Document(ocispec.MediaTypeImageManifest, ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: artifactType, Config: config, Layers: []content.Descriptor{b.Blob("application/octet-stream", []byte(layer))}, Subject: subject})
}

// File asks for a text that travels as an artifact of its own: of a root of
// kind archive.RootFile or archive.RootManifests, which it returns.
func (b *Builder) File(kind, name, text string) *archive.Root {
	a, err := artifact.New(artifact.TypeFile, []artifact.Layer{artifact.Bytes("application/yaml", name, []byte(text))}, artifact.Options{})
	require.NoError(b.t, err)
	folder := map[string]string{archive.RootFile: "files", archive.RootManifests: "manifests"}[kind]
	return b.Made(kind, "sealift.local/"+folder+"/"+name+":1.0.0", a)
}

// Made asks for an artifact under a full reference, and returns its root. Layers
// that are not held in memory are added with Blob.
func (b *Builder) Made(kind, reference string, a *artifact.Artifact) *archive.Root {
	var m ocispec.Manifest
	require.NoError(b.t, json.Unmarshal(a.Manifest, &m))
	for _, part := range append(m.Layers, m.Config) {
		if data, ok := a.Blobs[part.Digest]; ok {
			b.Blob(part.MediaType, data)
		}
	}
	b.Contents.Documents[a.Descriptor.Digest] = a.Manifest
	b.Contents.Blobs = append(b.Contents.Blobs, a.Descriptor)
	b.Root(reference, a.Descriptor)
	root := &b.Contents.Roots[len(b.Contents.Roots)-1]
	root.Kind = kind
	return root
}

// Referrer asks for a referrer under a full reference.
func (b *Builder) Referrer(reference string, d, subject content.Descriptor) {
	b.Root(reference, d)
	root := &b.Contents.Roots[len(b.Contents.Roots)-1]
	root.Kind, root.Subject = archive.RootReferrer, subject.Digest
}

// Over makes the bundle a delta over these.
func (b *Builder) Over(bases ...*archive.Reader) {
	for _, base := range bases {
		s := base.Statement()
		b.Contents.Bases = append(b.Contents.Bases, archive.Base{Name: s.Name, Version: s.Version, Statement: base.StatementDigest()})
	}
	b.Contents.Has = func(d content.Descriptor) bool {
		return slices.ContainsFunc(bases, func(base *archive.Reader) bool {
			have, ok := base.Blob(d.Digest)
			return ok && have.Size == d.Size
		})
	}
}

// Layout plans the bundle.
func (b *Builder) Layout() *archive.Layout {
	l, err := archive.Plan(b.Contents)
	require.NoError(b.t, err)
	return l
}

// Write makes the bundle in a new folder and returns its path.
func (b *Builder) Write() string {
	return b.WriteVolumes(0)
}

// WriteVolumes makes the bundle in a new folder, cut into volumes of so many
// bytes, and returns their common path.
func (b *Builder) WriteVolumes(size int64) string {
	path := filepath.Join(b.t.TempDir(), "test.tar")
	w, err := archive.Create(path, b.Layout(), archive.CreateOptions{VolumeSize: size})
	require.NoError(b.t, err)
	b.Fill(w)
	require.NoError(b.t, w.Finish([]byte(Signature)))
	return path
}

// Fill writes every pending blob.
func (b *Builder) Fill(w *archive.Writer) {
	for _, blob := range w.Pending() {
		bw, err := w.Blob(blob)
		require.NoError(b.t, err)
		_, err = bw.Write(b.Data[blob.Digest][bw.Offset():])
		require.NoError(b.t, err)
		require.NoError(b.t, bw.Commit())
	}
}

// Open opens a bundle made here; it is closed with the test.
func Open(t testing.TB, path string) *archive.Reader {
	h, err := archive.Open(t.Context(), path, location.Options{})
	require.NoError(t, err)
	r, err := h.Authenticate(Verifier{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// Sample makes a bundle of three roots: a plain image, an index of two
// platforms that shares a layer with it, and an index of which only
// linux/amd64 travels. Index sizes and digests follow from the content.
func Sample(t testing.TB) *Builder {
	b := New(t)
	b.Root("docker.io/library/plain:1", b.Image("amd64", "shared layer", "plain", ""))
	b.Root("docker.io/library/multi:2", b.Index(b.Image("amd64", "shared layer", "multi amd64"), b.Image("arm64", "multi arm64")))
	absent := b.Index() // any descriptor that will not travel
	b.forget(absent)
	absent.MediaType, absent.Platform = ocispec.MediaTypeImageManifest, &ocispec.Platform{OS: "linux", Architecture: "s390x"}
	b.Root("quay.io/team/sparse:2", b.Index(b.Image("amd64", "sparse"), absent), absent)
	return b
}

func (b *Builder) forget(d content.Descriptor) {
	delete(b.Contents.Documents, d.Digest)
	for i, have := range b.Contents.Blobs {
		if have.Digest == d.Digest {
			b.Contents.Blobs = append(b.Contents.Blobs[:i], b.Contents.Blobs[i+1:]...)
			return
		}
	}
}
