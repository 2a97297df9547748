package resolve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/content"
)

// Limits of what one image may consist of.
const (
	maxDepth     = 4        // indexes in indexes
	maxChildren  = 10_000   // manifests, of one index and in all
	maxManifests = 64 << 20 // bytes of all manifests
	maxConfig    = 4 << 20
)

// BuildKit attaches attestations to an image as further manifests of its
// index, with the platform unknown/unknown and the digest of the manifest
// that they speak of in this annotation.
const attestedDigest = "vnd.docker.reference.digest"

// walk reads the manifests of the image and lists what has to be carried.
func (r *resolver) walk(ctx context.Context) error {
	if r.at == nil {
		r.at, r.walked = map[digest.Digest]int{}, map[digest.Digest]bool{}
	}
	r.ahead = map[digest.Digest][]byte{}
	m, data, err := r.manifest(ctx, r.desc)
	if err != nil {
		return err
	}
	var has []string
	if content.IsIndex(r.desc.MediaType) {
		has, err = r.index(ctx, m, 1)
	} else {
		has, err = r.plain(ctx, m)
	}
	if err != nil {
		return err
	}
	if err := r.checkPlatforms(has); err != nil {
		return err
	}
	// A manifest may stand in an index twice, once for a platform that travels.
	r.absent = slices.DeleteFunc(r.absent, func(d content.Descriptor) bool { return r.walked[d.Digest] })
	return r.add(r.desc, data)
}

// manifest fetches, verifies and reads a manifest or index.
func (r *resolver) manifest(ctx context.Context, d content.Descriptor) (*content.Manifest, []byte, error) {
	if !content.IsManifest(d.MediaType) {
		_, err := content.ParseManifest(d, nil) // says what is wrong with the media type
		return nil, nil, err
	}
	if len(r.walked) >= maxChildren || r.bytes+d.Size > maxManifests {
		return nil, nil, fmt.Errorf("it has more than %d manifests or %d bytes of them: %w", maxChildren, maxManifests, content.ErrTooLarge)
	}
	r.bytes += d.Size
	data, ok := r.ahead[d.Digest]
	if delete(r.ahead, d.Digest); !ok {
		var err error
		if data, err = content.ReadAll(ctx, r.src, d, content.MaxManifestSize); err != nil {
			return nil, nil, err
		}
	}
	m, err := content.ParseManifest(d, data)
	return m, data, err
}

// maxAhead is how many manifests of one index are read at once.
const maxAhead = 8

// readAhead reads the manifests of an index that will be walked, many at once.
// What fails here is left to the walk, which reads it again and says where.
func (r *resolver) readAhead(ctx context.Context, children []content.Descriptor) {
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(maxAhead)
	total := r.bytes
	for _, d := range children {
		p := platform(d.Platform)
		if total += d.Size; total > maxManifests || !content.IsManifest(d.MediaType) || p == "" || !r.wants(p) {
			continue
		}
		g.Go(func() error {
			data, err := content.ReadAll(ctx, r.src, d, content.MaxManifestSize)
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				r.ahead[d.Digest] = data
			}
			return nil
		})
	}
	_ = g.Wait() // no step returns an error
}

// index adds the children of an index that are wanted, and returns the
// platforms of all its children.
func (r *resolver) index(ctx context.Context, m *content.Manifest, depth int) (has []string, err error) {
	if depth > maxDepth || len(m.Manifests) > maxChildren {
		return nil, fmt.Errorf("its index is more than %d deep or has more than %d manifests: %w", maxDepth, maxChildren, content.ErrTooLarge)
	}
	if len(m.Manifests) > 1 {
		r.readAhead(ctx, m.Manifests)
	}
	var attestations []content.Descriptor
	for _, d := range m.Manifests {
		p := platform(d.Platform)
		if p == "" && d.Annotations[attestedDigest] != "" {
			attestations = append(attestations, d)
			continue
		}
		if p != "" {
			has = append(has, p)
		}
		if !r.wants(p) {
			r.leaveOut(d)
			continue
		}
		below, err := r.child(ctx, d, depth)
		if err != nil {
			return nil, err
		}
		has = append(has, below...)
	}
	// What speaks of a manifest travels with it.
	for _, d := range attestations {
		if !r.walked[digest.Digest(d.Annotations[attestedDigest])] {
			r.leaveOut(d)
			continue
		}
		if _, err := r.child(ctx, d, depth); err != nil {
			return nil, err
		}
	}
	return has, nil
}

// child adds one manifest of an index, or an index within it, and returns the
// platforms that it has and d does not tell of.
func (r *resolver) child(ctx context.Context, d content.Descriptor, depth int) (has []string, err error) {
	p := platform(d.Platform)
	if r.walked[d.Digest] {
		r.carry(p)
		return nil, r.add(d, nil)
	}
	m, data, err := r.manifest(ctx, d)
	if err != nil {
		return nil, err
	}
	r.walked[d.Digest] = false
	switch {
	case content.IsIndex(d.MediaType):
		has, err = r.index(ctx, m, depth+1)
	case d.Platform == nil || d.Platform.OS == "":
		if p, err = r.platformOf(ctx, m); p != "" {
			has = []string{p}
		}
	}
	if err != nil {
		return nil, err
	}
	if !r.wants(p) {
		d.Platform = parsePlatform(p)
		r.leaveOut(d)
		return has, nil
	}
	r.carry(p)
	r.walked[d.Digest] = true
	return has, errors.Join(r.parts(m), r.add(d, data))
}

func (r *resolver) carry(platform string) {
	if platform != "" {
		r.platforms = append(r.platforms, platform)
	}
}

func (r *resolver) leaveOut(d content.Descriptor) {
	a := content.Bare(d)
	a.Platform = d.Platform
	r.absent = append(r.absent, a)
}

// parts adds configuration and layers of an image manifest.
func (r *resolver) parts(m *content.Manifest) error {
	if content.IsIndex(m.MediaType) {
		return nil
	}
	for _, d := range m.Children() {
		if err := r.add(d, nil); err != nil {
			return err
		}
	}
	return nil
}

// add notes a blob, each digest once.
func (r *resolver) add(d content.Descriptor, data []byte) error {
	i, known := r.at[d.Digest]
	if !known {
		r.at[d.Digest] = len(r.blobs)
		r.blobs = append(r.blobs, Blob{Descriptor: content.Bare(d), Origins: []Origin{{Name: r.repo, From: r.src}}, Data: data})
		return nil
	}
	have := &r.blobs[i]
	if have.Descriptor.Size != d.Size {
		return fmt.Errorf("%s is described with %d bytes and with %d: %w", d.Digest, have.Descriptor.Size, d.Size, content.ErrMismatch)
	}
	if have.Data == nil && data != nil { // it is also carried as if it were a layer
		have.Data, have.Descriptor.MediaType = data, d.MediaType
	}
	return nil
}

// plain adds an image that is no index and returns its platform.
func (r *resolver) plain(ctx context.Context, m *content.Manifest) (has []string, err error) {
	p, err := r.platformOf(ctx, m)
	if err != nil {
		return nil, err
	}
	if p != "" {
		r.carry(p)
		has = []string{p}
	}
	r.walked[r.desc.Digest] = true
	return has, r.parts(m)
}

// platformOf reads the platform of an image from its configuration. It is ""
// for an artifact, which runs nowhere.
func (r *resolver) platformOf(ctx context.Context, m *content.Manifest) (string, error) {
	if !m.IsImage() {
		return "", nil
	}
	data, err := content.ReadAll(ctx, r.src, *m.Config, maxConfig)
	if err != nil {
		return "", fmt.Errorf("reading the configuration: %w", err)
	}
	var config ocispec.Platform
	if err := json.Unmarshal(data, &config); err != nil {
		return "", fmt.Errorf("configuration %s: %w: %w", m.Config.Digest, content.ErrManifest, err)
	}
	return platform(&config), nil
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

// parsePlatform is the reverse of platform.
func parsePlatform(s string) *ocispec.Platform {
	parts := append(strings.SplitN(s, "/", 3), "", "")
	return &ocispec.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
}

// fits tells whether what is there, has, is what is wanted. A wanted platform
// without variant takes every variant; one with a variant takes that alone,
// where none means the usual one: arm is arm/v7, arm64 is arm64/v8, amd64 is amd64/v1.
func fits(has, want string) bool {
	return has == want || strings.HasPrefix(has, want+"/") || normal(has) == normal(want)
}

func normal(platform string) string {
	p := parsePlatform(platform)
	usual := map[string]string{"arm": "v7", "arm64": "v8", "amd64": "v1"}[p.Architecture]
	if p.Variant == "" && usual != "" {
		return platform + "/" + usual
	}
	return platform
}
