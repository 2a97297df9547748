package content

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Media types of Docker's image manifest version 2, schema 2, which registries
// serve beside the OCI ones. Source: distribution, "Image Manifest V 2, Schema 2".
const (
	MediaTypeDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	MediaTypeDockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	mediaTypeDockerSchema1  = "application/vnd.docker.distribution.manifest.v1"
	mediaTypeDockerForeign  = "application/vnd.docker.image.rootfs.foreign"
	mediaTypeDockerConfig   = "application/vnd.docker.container.image.v1+json"
)

// Errors of ParseManifest, to be matched with errors.Is.
var (
	// ErrManifest: the bytes are no manifest that a bundle can carry.
	ErrManifest = errors.New("not a usable manifest")
	// ErrForeignLayer: a layer's bytes live at a URL outside of the registry.
	ErrForeignLayer = errors.New("foreign layer")
)

// Manifest is what moving content has to know of a manifest or an index.
type Manifest struct {
	MediaType string
	// Manifests are the children of an index, in their order; nil otherwise.
	Manifests []Descriptor
	// Config is the configuration of an image manifest; nil for an index.
	Config *Descriptor
	// Layers are the layers of an image manifest, in their order, with repeats.
	Layers []Descriptor
	// Subject is the manifest that this one refers to, if any.
	Subject *Descriptor
	// ArtifactType is the type that the manifest states for itself, if any.
	ArtifactType string
	// Annotations are the manifest's own.
	Annotations map[string]string
}

// IsIndex tells whether a media type is that of an index (a manifest list).
func IsIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == MediaTypeDockerIndex
}

// IsManifest tells whether a media type is that of an image manifest or index.
func IsManifest(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageManifest || mediaType == MediaTypeDockerManifest || IsIndex(mediaType)
}

// IsImage tells whether m is a container image (an index is not, its children
// are): its configuration names operating system and architecture.
func (m *Manifest) IsImage() bool {
	return m.Config != nil && (m.Config.MediaType == ocispec.MediaTypeImageConfig || m.Config.MediaType == mediaTypeDockerConfig)
}

// Children returns every descriptor that m needs to be whole, each digest
// once: the manifests of an index, or configuration and layers.
func (m *Manifest) Children() []Descriptor {
	all := m.all()
	seen := make(map[string]bool, len(all))
	return slices.DeleteFunc(all, func(d Descriptor) bool {
		was := seen[d.Digest.String()]
		seen[d.Digest.String()] = true
		return was
	})
}

// all returns the same descriptors with their repeats.
func (m *Manifest) all() []Descriptor {
	all := slices.Clone(m.Manifests)
	if m.Config != nil {
		all = append(all, *m.Config)
	}
	return append(all, m.Layers...)
}

// ParseManifest reads a manifest or index of the media type that d states.
// It fails with ErrManifest when the bytes are something else (one error names
// every fault) and with ErrForeignLayer when a layer cannot be carried.
func ParseManifest(d Descriptor, data []byte) (*Manifest, error) {
	if strings.HasPrefix(d.MediaType, mediaTypeDockerSchema1) {
		return nil, fmt.Errorf("%s has the retired Docker schema 1 format: %w", d.Digest, ErrManifest)
	}
	if !IsManifest(d.MediaType) {
		return nil, fmt.Errorf("%s has media type %q: %w", d.Digest, d.MediaType, ErrManifest)
	}
	var raw struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		ArtifactType  string            `json:"artifactType"`
		Manifests     []Descriptor      `json:"manifests"`
		Config        *Descriptor       `json:"config"`
		Layers        []Descriptor      `json:"layers"`
		Subject       *Descriptor       `json:"subject"`
		Annotations   map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", d.Digest, ErrManifest, err)
	}
	m := &Manifest{MediaType: d.MediaType, Manifests: raw.Manifests, Config: raw.Config, Layers: raw.Layers,
		Subject: raw.Subject, ArtifactType: raw.ArtifactType, Annotations: raw.Annotations}
	var faults []error
	if raw.SchemaVersion != 2 {
		faults = append(faults, fmt.Errorf("schemaVersion is %d, not 2", raw.SchemaVersion))
	}
	if raw.MediaType != "" && raw.MediaType != d.MediaType {
		faults = append(faults, fmt.Errorf("it calls itself %q but is described as %q", raw.MediaType, d.MediaType))
	}
	faults = append(faults, m.faults()...)
	if len(faults) > 0 {
		return nil, fmt.Errorf("%s: %w: %w", d.Digest, ErrManifest, errors.Join(faults...))
	}
	if err := m.foreign(d); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Manifest) faults() []error {
	var faults []error
	switch {
	case IsIndex(m.MediaType) && (m.Config != nil || m.Layers != nil):
		// Refusing what is index and image at once closes CVE-2021-41190.
		faults = append(faults, errors.New("an index must not have config or layers"))
	case !IsIndex(m.MediaType) && m.Manifests != nil:
		faults = append(faults, errors.New("an image manifest must not have manifests"))
	case !IsIndex(m.MediaType) && m.Config == nil:
		faults = append(faults, errors.New("config is missing"))
	}
	sizes := map[digest.Digest]int64{}
	for _, c := range m.all() {
		if size, ok := sizes[c.Digest]; ok && size != c.Size {
			faults = append(faults, fmt.Errorf("%s has the size %d and the size %d", c.Digest, size, c.Size))
		} else if ok {
			continue
		}
		sizes[c.Digest] = c.Size
		if err := c.Digest.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("digest %q: %w", c.Digest, err))
		} else if c.Digest.Algorithm() != "sha256" {
			faults = append(faults, fmt.Errorf("digest %s: only sha256 is carried", c.Digest))
		}
		if c.Size < 0 {
			faults = append(faults, fmt.Errorf("%s has the size %d", c.Digest, c.Size))
		}
	}
	return faults
}

func (m *Manifest) foreign(d Descriptor) error {
	for _, l := range m.Layers {
		if strings.HasPrefix(l.MediaType, mediaTypeDockerForeign) || len(l.URLs) > 0 {
			from := "a place outside of the registry"
			if len(l.URLs) > 0 {
				from = l.URLs[0]
			}
			return fmt.Errorf("layer %s of %s (%s) is kept at %s: %w", l.Digest, d.Digest, l.MediaType, from, ErrForeignLayer)
		}
	}
	return nil
}
