package mirror_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/registries"
)

// signedBy accepts one signature.
type signedBy string

func (s signedBy) Verify(_, signature []byte) error {
	if string(signature) != string(s) {
		return errors.New("the signature does not verify")
	}
	return nil
}

// site is a registry that bundles are pushed to.
type site struct {
	host    string
	client  *registry.Client
	mapping *mirror.Mapping
}

func newSite(t *testing.T, host string) *site {
	t.Helper()
	client, err := registry.NewClient(registry.Options{PlainHTTP: []string{host}, MinWait: time.Millisecond, MaxAttempts: 2})
	require.NoError(t, err)
	m, err := mirror.ParseMapping("site", nil)
	require.NoError(t, err)
	return &site{host, client, m}
}

func (s *site) fill(t *testing.T, r *archive.Reader) {
	t.Helper()
	_, err := mirror.Push(t.Context(), []*archive.Reader{r}, s.client, s.host, s.mapping, mirror.PushOptions{})
	require.NoError(t, err)
	require.NoError(t, mirror.KeepHead(t.Context(), r, s.client, s.host, s.mapping))
}

func (s *site) open(t *testing.T, tag string, v archive.Verifier) (*archive.Reader, error) {
	t.Helper()
	return mirror.OpenPushed(t.Context(), s.client, s.host, s.mapping, tag, v)
}

// signature tags an artifact beside the heads, as a registry that signs does.
func (s *site) signature(t *testing.T) {
	t.Helper()
	repo, err := s.client.Repository(s.host + "/site/bundles")
	require.NoError(t, err)
	a, err := artifact.New("application/vnd.example.signature", []artifact.Layer{artifact.Bytes("text/plain", "signature", []byte("signed"))}, artifact.Options{})
	require.NoError(t, err)
	for d, data := range a.Blobs {
		require.NoError(t, repo.Push(t.Context(), content.Descriptor{MediaType: "text/plain", Digest: d, Size: int64(len(data))}, bytes.NewReader(data)))
	}
	require.NoError(t, repo.PushManifest(t.Context(), a.Descriptor, a.Manifest, "sha256-0000.sig"))
}

// A bundle that was pushed is read again from the registry, blob by blob.
func TestOpenPushed(t *testing.T) {
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			s, r := newSite(t, start(t)), whole(t)
			none, err := mirror.Pushed(t.Context(), s.client, s.host, s.mapping)
			require.NoError(t, err)
			require.Empty(t, none)
			_, err = s.open(t, "test-1.0.0", archivetest.Verifier{})
			require.ErrorIs(t, err, mirror.ErrNoHead)
			s.fill(t, r)
			s.fill(t, r)
			s.signature(t)
			pushed, err := mirror.Pushed(t.Context(), s.client, s.host, s.mapping)
			require.NoError(t, err)
			require.Equal(t, []mirror.PushedBundle{{Tag: "test-1.0.0", Name: "test", Version: "1.0.0", Statement: r.StatementDigest()}}, pushed)

			again, err := s.open(t, "test-1.0.0", archivetest.Verifier{})
			require.NoError(t, err)
			require.Equal(t, r.StatementDigest(), again.StatementDigest())
			require.Equal(t, r.Size(), again.Size())
			for _, b := range r.Statement().Blobs {
				if b.MediaType == archive.MediaTypeDefinition {
					continue // which is nobody's to pull
				}
				_, err := content.ReadAll(t.Context(), again, b.Descriptor(), 1<<20) // which verifies
				require.NoError(t, err, b.MediaType)
			}
			dry, err := mirror.Push(t.Context(), []*archive.Reader{again}, s.client, s.host, s.mapping, mirror.PushOptions{DryRun: true})
			require.NoError(t, err)
			require.Zero(t, dry.Blobs.Sent+dry.Manifests.Sent)
		})
	}
}

// What the registry has lost is named, without any of it being read.
func TestOpenPushedNamesWhatIsMissing(t *testing.T) {
	full, empty := newSite(t, registries.All()["distribution 3"](t)), newSite(t, registries.All()["distribution 3"](t))
	full.fill(t, whole(t))
	require.NoError(t, mirror.KeepHead(t.Context(), whole(t), empty.client, empty.host, empty.mapping))
	r, err := empty.open(t, "test-1.0.0", archivetest.Verifier{})
	require.NoError(t, err)
	dry, err := mirror.Push(t.Context(), []*archive.Reader{r}, empty.client, empty.host, empty.mapping, mirror.PushOptions{DryRun: true})
	require.NoError(t, err)
	var missing []string
	for _, i := range dry.Images {
		require.True(t, i.Sent)
		missing = append(missing, i.Source)
	}
	require.Contains(t, missing, "quay.io/team/multi:2")
	for _, b := range r.Statement().Blobs {
		if !content.IsManifest(b.MediaType) && b.MediaType != archive.MediaTypeDefinition && b.Size > 0 {
			_, err := content.ReadAll(t.Context(), r, b.Descriptor(), 1<<20)
			require.ErrorIs(t, err, content.ErrNotFound)
			require.Contains(t, problem.Remedies(err), "push the bundle again: the registry has lost it")
		}
	}
}

func TestOpenPushedBelievesNothing(t *testing.T) {
	s, r := newSite(t, registries.All()["distribution 3"](t)), whole(t)
	s.fill(t, r)
	_, err := s.open(t, "test-1.0.0", signedBy("another"))
	require.ErrorContains(t, err, "the signature does not verify")

	// Somebody who may write into the registry puts another artifact there.
	repo, err := s.client.Repository(s.host + "/site/bundles")
	require.NoError(t, err)
	d, err := repo.Resolve(t.Context(), "test-1.0.0")
	require.NoError(t, err)
	good, err := content.ReadAll(t.Context(), repo, d, 1<<20)
	require.NoError(t, err)
	for what, data := range map[string][]byte{
		"another type":   bytes.Replace(good, []byte("bundle.head.v1\""), []byte("bundle.toes.v1\""), 1),
		"no size":        bytes.Replace(good, []byte("dev.sealift.bundle.size"), []byte("dev.sealift.bundle.sizz"), 1),
		"another size":   bytes.Replace(good, []byte(`dev.sealift.bundle.size":"`), []byte(`dev.sealift.bundle.size":"9`), 1),
		"layers swapped": swapLayers(t, good),
	} {
		require.NotEqual(t, good, data, what)
		fake := content.Descriptor{MediaType: d.MediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
		require.NoError(t, repo.PushManifest(t.Context(), fake, data, "test-1.0.0"), what)
		_, err := s.open(t, "test-1.0.0", archivetest.Verifier{})
		require.Error(t, err, what)
		require.Equal(t, problem.Verification, problem.KindOf(err), "%s: %v", what, err)
	}
}

// swapLayers puts the manifests in the head's place.
func swapLayers(t *testing.T, data []byte) []byte {
	t.Helper()
	var m ocispec.Manifest
	require.NoError(t, json.Unmarshal(data, &m))
	m.Layers[0], m.Layers[1] = m.Layers[1], m.Layers[0]
	out, err := json.Marshal(m)
	require.NoError(t, err)
	return out
}
