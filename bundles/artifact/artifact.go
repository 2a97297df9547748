// Package artifact makes OCI artifacts of things that are no container images:
// charts, packs, files, values. An artifact is an image manifest with an
// artifact type of its own and one layer for each file. The same parts give
// the same bytes.
//
// Source: OCI image specification 1.1, "Guidelines for Artifact Usage".
package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/content"
)

// The artifact types that sealift makes. Charts have those of Helm.
const (
	TypeFile      = "application/vnd.sealift.file.v1"
	TypeManifests = "application/vnd.sealift.manifests.v1"
	TypePack      = "application/vnd.sealift.pack.v1"
	TypeValues    = "application/vnd.sealift.values.v1"
	TypeSBOM      = "application/vnd.sealift.sbom.v1"
)

// Artifact is a manifest and the small blobs that belong to it.
type Artifact struct {
	Descriptor content.Descriptor // of the manifest
	Manifest   []byte
	// Blobs are the contents that are held in memory, by digest: the
	// configuration, and every layer that was made with Bytes.
	Blobs map[digest.Digest][]byte
}

// Layer is one layer of an artifact.
type Layer struct {
	Descriptor content.Descriptor
	Data       []byte // nil when the content is somewhere else
}

// Bytes returns a layer of content that is held in memory. name is what tools
// write it to when they pull the artifact; "" leaves it out.
func Bytes(mediaType, name string, data []byte) Layer {
	if data == nil {
		data = []byte{}
	}
	return Layer{Descriptor: describe(mediaType, name, digest.FromBytes(data), int64(len(data))), Data: data}
}

// Elsewhere returns a layer of content that is not held in memory.
func Elsewhere(mediaType, name string, d digest.Digest, size int64) Layer {
	return Layer{Descriptor: describe(mediaType, name, d, size)}
}

func describe(mediaType, name string, d digest.Digest, size int64) content.Descriptor {
	desc := content.Descriptor{MediaType: mediaType, Digest: d, Size: size}
	if name != "" {
		desc.Annotations = map[string]string{ocispec.AnnotationTitle: name}
	}
	return desc
}

// Options is what a manifest says besides its layers. The zero value is a good default.
type Options struct {
	// Config is the configuration; the zero value means the empty JSON object.
	Config      Layer
	Annotations map[string]string
	// Subject is the manifest that this one refers to, if any.
	Subject *content.Descriptor
}

// New makes an artifact.
func New(artifactType string, layers []Layer, opts Options) (*Artifact, error) {
	config := opts.Config
	if config.Descriptor.Digest == "" {
		config = Layer{Descriptor: ocispec.DescriptorEmptyJSON, Data: []byte("{}")}
		config.Descriptor.Data = nil
	}
	a := &Artifact{Blobs: map[digest.Digest][]byte{}}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		ArtifactType: artifactType, Config: config.Descriptor, Layers: []content.Descriptor{}, Subject: opts.Subject, Annotations: opts.Annotations}
	for _, l := range append([]Layer{config}, layers...) {
		if l.Data != nil {
			a.Blobs[l.Descriptor.Digest] = l.Data
		}
	}
	for _, l := range layers {
		m.Layers = append(m.Layers, l.Descriptor)
	}
	var err error
	if a.Manifest, err = json.Marshal(m); err != nil {
		return nil, fmt.Errorf("encoding the manifest of an artifact: %w", err)
	}
	if len(a.Manifest) > content.MaxManifestSize {
		return nil, fmt.Errorf("its manifest would have %d bytes, registries take %d: %w", len(a.Manifest), content.MaxManifestSize, content.ErrTooLarge)
	}
	a.Descriptor = content.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(a.Manifest), Size: int64(len(a.Manifest))}
	return a, nil
}

// Fetch opens a part of the artifact that is held in memory.
func (a *Artifact) Fetch(ctx context.Context, d content.Descriptor) (io.ReadCloser, error) {
	return a.FetchRange(ctx, d, 0, d.Size)
}

// FetchRange opens length bytes, from offset on, of a part that is held in memory.
func (a *Artifact) FetchRange(_ context.Context, d content.Descriptor, offset, length int64) (io.ReadCloser, error) {
	data, ok := a.Blobs[d.Digest]
	if d.Digest == a.Descriptor.Digest {
		data, ok = a.Manifest, true
	}
	if !ok {
		return nil, fmt.Errorf("%s in the artifact: %w", d.Digest, content.ErrNotFound)
	}
	if offset < 0 || length < 0 || offset > int64(len(data))-length {
		return nil, fmt.Errorf("bytes %d to %d of %s, which has %d", offset, offset+length, d.Digest, len(data))
	}
	return io.NopCloser(bytes.NewReader(data[offset : offset+length])), nil
}

var (
	_ content.Fetcher      = (*Artifact)(nil)
	_ content.RangeFetcher = (*Artifact)(nil)
)
