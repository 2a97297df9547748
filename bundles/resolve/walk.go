package resolve

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/content"
)

// Limits of what one image may consist of.
const (
	maxDepth    = 4      // indexes in indexes
	maxChildren = 10_000 // of one index
	maxConfig   = 4 << 20
)

// BuildKit attaches attestations to an image as further manifests of its
// index, with the platform unknown/unknown and the digest of the manifest
// that they speak of in this annotation.
const attestedDigest = "vnd.docker.reference.digest"

// walk reads the manifests of the image and lists what has to be carried.
func (r *resolver) walk(ctx context.Context) error {
	r.seen = map[digest.Digest]int64{}
	m, data, err := r.manifest(ctx, r.desc)
	if err != nil {
		return err
	}
	if content.IsIndex(r.desc.MediaType) {
		has, err := r.index(ctx, m, 1)
		if err != nil {
			return err
		}
		if err := r.checkPlatforms(has); err != nil {
			return err
		}
	} else {
		if err := r.plain(ctx, m); err != nil {
			return err
		}
		if err := r.layers(m); err != nil {
			return err
		}
	}
	// A manifest may stand in an index twice, once for a platform that travels.
	r.absent = slices.DeleteFunc(r.absent, func(d content.Descriptor) bool { _, here := r.seen[d.Digest]; return here })
	return r.add(r.desc, data)
}

// manifest fetches, verifies and reads a manifest or index.
func (r *resolver) manifest(ctx context.Context, d content.Descriptor) (*content.Manifest, []byte, error) {
	if !content.IsManifest(d.MediaType) {
		_, err := content.ParseManifest(d, nil) // says what is wrong with the media type
		return nil, nil, err
	}
	data, err := content.ReadAll(ctx, r.src, d, content.MaxManifestSize)
	if err != nil {
		return nil, nil, err
	}
	m, err := content.ParseManifest(d, data)
	return m, data, err
}

// index adds the children of an index that are wanted, and returns the
// platforms of all its children.
func (r *resolver) index(ctx context.Context, m *content.Manifest, depth int) (has []string, err error) {
	if depth > maxDepth || len(m.Manifests) > maxChildren {
		return nil, fmt.Errorf("its index is more than %d deep or has more than %d manifests: %w", maxDepth, maxChildren, content.ErrTooLarge)
	}
	carried := map[digest.Digest]bool{}
	var attestations []content.Descriptor
	for _, d := range m.Manifests {
		if d.Annotations[attestedDigest] != "" {
			attestations = append(attestations, d)
			continue
		}
		p := platform(d.Platform)
		if p != "" {
			has = append(has, p)
		}
		if !r.wants(p) {
			r.leaveOut(d)
			continue
		}
		carried[d.Digest] = true
		if p != "" {
			r.platforms = append(r.platforms, p)
		}
		below, err := r.child(ctx, d, depth)
		if err != nil {
			return nil, err
		}
		has = append(has, below...)
	}
	// What speaks of a manifest travels with it.
	for _, d := range attestations {
		if !carried[digest.Digest(d.Annotations[attestedDigest])] {
			r.leaveOut(d)
			continue
		}
		if _, err := r.child(ctx, d, depth); err != nil {
			return nil, err
		}
	}
	return has, nil
}

// child adds one manifest of an index, or an index within it.
func (r *resolver) child(ctx context.Context, d content.Descriptor, depth int) (has []string, err error) {
	if _, done := r.seen[d.Digest]; done {
		return nil, nil
	}
	m, data, err := r.manifest(ctx, d)
	if err != nil {
		return nil, err
	}
	if content.IsIndex(d.MediaType) {
		has, err = r.index(ctx, m, depth+1)
	} else {
		err = r.layers(m)
	}
	if err != nil {
		return nil, err
	}
	return has, r.add(d, data)
}

func (r *resolver) leaveOut(d content.Descriptor) {
	a := bare(d)
	a.Platform = d.Platform
	r.absent = append(r.absent, a)
}

// layers adds configuration and layers of an image manifest.
func (r *resolver) layers(m *content.Manifest) error {
	for _, d := range m.Children() {
		if err := r.add(d, nil); err != nil {
			return err
		}
	}
	return nil
}

// add notes a blob, each digest once.
func (r *resolver) add(d content.Descriptor, data []byte) error {
	if size, ok := r.seen[d.Digest]; ok {
		if size != d.Size {
			return fmt.Errorf("%s is described with %d bytes and with %d: %w", d.Digest, size, d.Size, content.ErrMismatch)
		}
		return nil
	}
	r.seen[d.Digest] = d.Size
	r.blobs = append(r.blobs, Blob{Descriptor: bare(d), Repositories: []string{r.repo}, Data: data})
	return nil
}

// plain learns the platform of an image that is no index, and checks it.
func (r *resolver) plain(ctx context.Context, m *content.Manifest) error {
	if !m.IsImage() {
		return nil // an artifact runs nowhere, so that it fits everywhere
	}
	data, err := content.ReadAll(ctx, r.src, *m.Config, maxConfig)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	var config ocispec.Platform
	if err := json.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("configuration %s: %w: %w", m.Config.Digest, content.ErrManifest, err)
	}
	p := platform(&config)
	if p == "" {
		return nil
	}
	r.platforms = []string{p}
	return r.checkPlatforms([]string{p})
}

// wants tells whether a platform is to be carried. What has none always is.
func (r *resolver) wants(p string) bool {
	if len(r.wanted) == 0 || p == "" {
		return true
	}
	for _, w := range r.wanted {
		if fits(p, w) {
			return true
		}
	}
	return false
}

// platform returns OS/ARCH[/VARIANT], or "" for none.
func platform(p *ocispec.Platform) string {
	if p == nil || p.OS == "" || p.OS == "unknown" {
		return ""
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// fits tells whether what is there, has, is what is wanted. A wanted platform
// without variant takes every variant; arm64 and arm64/v8 are the same.
func fits(has, want string) bool {
	has, want = normal(has), normal(want)
	return has == want || strings.HasPrefix(has, want+"/")
}

func normal(platform string) string {
	if strings.HasSuffix(platform, "/arm64/v8") {
		return strings.TrimSuffix(platform, "/v8")
	}
	return platform
}
