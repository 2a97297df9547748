package resolve_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory" // the storage of the registry
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	ggcr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/resolve"
)

// registry is a real one, the distribution project's, in this process.
type registry struct {
	offline
	host string
	wrap func(content.Source) content.Source // nil: as it is
}

func startRegistry(t *testing.T) *registry {
	t.Helper()
	config, err := configuration.Parse(strings.NewReader(
		"version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {inmemory: {}, delete: {enabled: true}, maintenance: {uploadpurging: {enabled: false}}}\n"))
	require.NoError(t, err)
	logrus.SetLevel(logrus.PanicLevel)
	server := httptest.NewServer(handlers.NewApp(t.Context(), config))
	t.Cleanup(server.Close)
	return &registry{host: server.Listener.Addr().String()}
}

// Repository implements resolve.Upstream.
func (r *registry) Repository(_ context.Context, name string) (content.Source, error) {
	repo, err := remote.NewRepository(name)
	if err != nil {
		return nil, err
	}
	repo.PlainHTTP = true
	if r.wrap != nil {
		return r.wrap(repository{repo}), nil
	}
	return repository{repo}, nil
}

func (r *registry) push(t *testing.T, ref string, what any) string {
	t.Helper()
	to, err := name.ParseReference(r.host+"/"+ref, name.Insecure)
	require.NoError(t, err)
	switch w := what.(type) {
	case v1.Image:
		require.NoError(t, ggcr.Write(to, w))
	case v1.ImageIndex:
		require.NoError(t, ggcr.WriteIndex(to, w))
	}
	return digestOf(t, what)
}

func (r *registry) remove(t *testing.T, ref string) {
	t.Helper()
	at, err := name.ParseReference(r.host+"/"+ref, name.Insecure)
	require.NoError(t, err)
	require.NoError(t, ggcr.Delete(at))
}

func digestOf(t *testing.T, what any) string {
	t.Helper()
	d, err := what.(interface{ Digest() (v1.Hash, error) }).Digest()
	require.NoError(t, err)
	return d.String()
}

func descriptorOf(t *testing.T, what partial.Describable) content.Descriptor {
	t.Helper()
	d, err := partial.Descriptor(what)
	require.NoError(t, err)
	return content.Descriptor{MediaType: string(d.MediaType), Digest: digest.Digest(d.Digest.String()), Size: d.Size}
}

// offline has no web servers.
type offline struct{}

func (offline) Download(_ context.Context, url string, _ int64) ([]byte, error) {
	return nil, fmt.Errorf("%s: %w", url, content.ErrNotFound)
}

// origins returns the names of where a blob can be fetched.
func origins(b resolve.Blob) []string {
	var out []string
	for _, o := range b.Origins {
		out = append(out, o.Name)
	}
	return out
}

// repository is one repository of the registry.
type repository struct{ repo *remote.Repository }

func (r repository) Resolve(ctx context.Context, ref string) (content.Descriptor, error) {
	d, err := r.repo.Manifests().Resolve(ctx, ref)
	return d, translate(err)
}

func (r repository) Fetch(ctx context.Context, d content.Descriptor) (io.ReadCloser, error) {
	if content.IsManifest(d.MediaType) {
		rc, err := r.repo.Manifests().Fetch(ctx, d)
		return rc, translate(err)
	}
	rc, err := r.repo.Blobs().Fetch(ctx, d)
	return rc, translate(err)
}

func (repository) FetchRange(context.Context, content.Descriptor, int64, int64) (io.ReadCloser, error) {
	return nil, content.ErrNoRange
}

// Referrers implements content.ReferrerLister.
func (r repository) Referrers(ctx context.Context, d content.Descriptor) ([]content.Descriptor, error) {
	var out []content.Descriptor
	err := r.repo.Referrers(ctx, d, "", func(page []content.Descriptor) error {
		out = append(out, page...)
		return nil
	})
	return out, err
}

func translate(err error) error {
	if errors.Is(err, errdef.ErrNotFound) {
		return fmt.Errorf("%w: %w", content.ErrNotFound, err)
	}
	return err
}

// shelf is a place that holds what no registry would take, under every name.
type shelf struct {
	offline
	mu      sync.Mutex
	content map[digest.Digest]string
	tags    map[string]content.Descriptor
	fetched map[digest.Digest]int
	delay   func() time.Duration
}

func newShelf() *shelf {
	return &shelf{content: map[digest.Digest]string{}, tags: map[string]content.Descriptor{}, fetched: map[digest.Digest]int{}}
}

func (s *shelf) Repository(context.Context, string) (content.Source, error) { return s, nil }

func (s *shelf) Resolve(ctx context.Context, ref string) (content.Descriptor, error) {
	s.wait(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.tags[ref]; ok {
		return d, nil
	}
	return content.Descriptor{}, fmt.Errorf("%s: %w", ref, content.ErrNotFound)
}

func (s *shelf) Fetch(ctx context.Context, d content.Descriptor) (io.ReadCloser, error) {
	s.wait(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched[d.Digest]++
	data, ok := s.content[d.Digest]
	if !ok {
		return nil, fmt.Errorf("%s: %w", d.Digest, content.ErrNotFound)
	}
	return io.NopCloser(strings.NewReader(data)), nil
}

func (s *shelf) FetchRange(context.Context, content.Descriptor, int64, int64) (io.ReadCloser, error) {
	return nil, content.ErrNoRange
}

func (s *shelf) wait(ctx context.Context) {
	if s.delay == nil {
		return
	}
	select {
	case <-time.After(s.delay()):
	case <-ctx.Done():
	}
}

// put lays data on the shelf.
func (s *shelf) put(mediaType, data string) content.Descriptor {
	d := content.Descriptor{MediaType: mediaType, Digest: digest.FromString(data), Size: int64(len(data))}
	s.content[d.Digest] = data
	return d
}

// tag gives a manifest a name, and lets it be found by its digest.
func (s *shelf) tag(name string, d content.Descriptor) content.Descriptor {
	d.Platform, d.Annotations = nil, nil
	s.tags[name], s.tags[d.Digest.String()] = d, d
	return d
}

type object map[string]any

func (s *shelf) json(mediaType string, o object) content.Descriptor {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return s.put(mediaType, string(data))
}

// image lays an image on the shelf; its descriptor states no platform.
func (s *shelf) image(platform string, layers ...content.Descriptor) content.Descriptor {
	p := platformOf(platform)
	config := s.json(ocispec.MediaTypeImageConfig, object{"os": p.OS, "architecture": p.Architecture, "variant": p.Variant})
	return s.json(ocispec.MediaTypeImageManifest, object{"schemaVersion": 2, "config": config, "layers": append([]content.Descriptor{}, layers...)})
}

func (s *shelf) index(children ...content.Descriptor) content.Descriptor {
	return s.json(ocispec.MediaTypeImageIndex, object{"schemaVersion": 2, "manifests": append([]content.Descriptor{}, children...)})
}

// on states the platform of a descriptor.
func on(platform string, d content.Descriptor) content.Descriptor {
	d.Platform = platformOf(platform)
	return d
}

func platformOf(s string) *ocispec.Platform {
	p := strings.Split(s+"//", "/")
	return &ocispec.Platform{OS: p[0], Architecture: p[1], Variant: p[2]}
}

// bundle returns a definition of images: references, or images with platforms.
func bundle(t *testing.T, platforms []string, images ...any) *definition.Bundle {
	t.Helper()
	b := &definition.Bundle{APIVersion: definition.APIVersion, Kind: definition.KindBundle,
		Metadata: definition.Metadata{Name: "example", Version: "1.0.0"}, Spec: definition.Spec{Platforms: platforms}}
	for _, img := range images {
		if ref, ok := img.(string); ok {
			img = definition.Image{Ref: ref}
		}
		b.Spec.Images = append(b.Spec.Images, img.(definition.Image))
	}
	return b
}

// one resolves a single image that is tagged x on the shelf.
func (s *shelf) one(t *testing.T, platforms ...string) (*resolve.Result, error) {
	t.Helper()
	return resolve.Resolve(t.Context(), bundle(t, platforms, "example.com/a:x"), s, resolve.Options{})
}

func digests(descriptors ...content.Descriptor) []string {
	out := []string{}
	for _, d := range descriptors {
		out = append(out, d.Digest.String())
	}
	return out
}

func blobDigests(r *resolve.Result) []string {
	out := []string{}
	for _, b := range r.Blobs {
		out = append(out, b.Descriptor.Digest.String())
	}
	return out
}

// sameFrom compares origins by their names.
var sameFrom = cmp.Options{cmpopts.IgnoreFields(resolve.Origin{}, "From"), cmpopts.IgnoreUnexported(resolve.Result{})}
