package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/resolve"
	"github.com/sealift/sealift/internal/problem"
)

func requireRemedy(t *testing.T, err error, part string) {
	t.Helper()
	require.Contains(t, strings.Join(problem.Remedies(err), "\n"), part)
}

// about makes the descriptor that BuildKit gives an attestation of d.
func about(d, attestation content.Descriptor) content.Descriptor {
	attestation.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": d.Digest.String()}
	return attestation
}

func TestAttestations(t *testing.T) {
	s := newShelf()
	amd64, arm64 := s.image("linux/amd64", s.put("l", "1")), s.image("linux/arm64", s.put("l", "2"))
	ofAMD64, ofARM64 := s.image("unknown/unknown", s.put("l", "3")), s.image("unknown/unknown", s.put("l", "4"))
	// Attestations may stand before what they speak of.
	s.tag("x", s.index(about(amd64, ofAMD64), about(arm64, ofARM64), on("linux/amd64", amd64), on("linux/arm64", arm64)))
	got, err := s.one(t, "linux/arm64")
	require.NoError(t, err)
	require.Equal(t, []string{"linux/arm64"}, got.Roots[0].Platforms)
	require.Equal(t, digests(amd64, ofAMD64), digests(got.Roots[0].Absent...))
	require.Subset(t, blobDigests(got), digests(arm64, ofARM64))
	require.NotContains(t, blobDigests(got), ofAMD64.Digest.String())
	require.Zero(t, s.fetched[amd64.Digest]+s.fetched[ofAMD64.Digest], "what is left out is not fetched")

	got, err = s.one(t)
	require.NoError(t, err)
	require.Equal(t, []string{"linux/amd64", "linux/arm64"}, got.Roots[0].Platforms)
	require.Empty(t, got.Roots[0].Absent)
	require.Len(t, got.Blobs, 1+4+3+4, "index, manifests, three configurations, layers")
}

func TestPlatformBeatsAttestationAnnotation(t *testing.T) {
	s := newShelf()
	amd64 := on("linux/amd64", s.image("linux/amd64"))
	amd64.Annotations = map[string]string{"vnd.docker.reference.digest": digest.FromString("nothing here").String()}
	s.tag("x", s.index(amd64))
	got, err := s.one(t, "linux/amd64")
	require.NoError(t, err)
	require.Empty(t, got.Roots[0].Absent)
	require.Contains(t, blobDigests(got), amd64.Digest.String())
}

func TestIndexThatStatesNoPlatforms(t *testing.T) {
	s := newShelf()
	amd64, arm64 := s.image("linux/amd64", s.put("l", "1")), s.image("linux/arm64", s.put("l", "2"))
	s.tag("x", s.index(amd64, arm64))
	got, err := s.one(t, "linux/arm64")
	require.NoError(t, err, "the configurations tell")
	require.Equal(t, []string{"linux/arm64"}, got.Roots[0].Platforms)
	require.Equal(t, digests(amd64), digests(got.Roots[0].Absent...))
	require.Equal(t, platformOf("linux/amd64"), got.Roots[0].Absent[0].Platform)
	require.NotContains(t, blobDigests(got), amd64.Digest.String())
	_, err = s.one(t, "linux/s390x")
	require.ErrorContains(t, err, "it has linux/amd64, linux/arm64")
}

func TestManifestThatStandsTwice(t *testing.T) {
	s := newShelf()
	img := s.image("linux/arm", s.put("l", "1"))
	for name, children := range map[string][]content.Descriptor{
		"wanted last":        {on("linux/arm/v5", img), on("linux/arm/v7", img)},
		"wanted first":       {on("linux/arm/v7", img), on("linux/arm/v5", img)},
		"no platform at all": {on("linux/arm/v5", img), img},
	} {
		t.Run(name, func(t *testing.T) {
			s.tag("x", s.index(children...))
			got, err := s.one(t, "linux/arm/v7")
			require.NoError(t, err)
			require.Empty(t, got.Roots[0].Absent, "it is there")
			require.Len(t, got.Blobs, 4)
		})
	}
}

func TestArtifacts(t *testing.T) {
	s := newShelf()
	artifact := s.json(ocispec.MediaTypeImageManifest, object{"schemaVersion": 2, "artifactType": "application/x",
		"config": s.put("application/vnd.oci.empty.v1+json", "{}"), "layers": []any{s.put("text/plain", "a chart")}})
	for name, d := range map[string]content.Descriptor{"alone": artifact, "in an index": s.index(artifact)} {
		t.Run(name, func(t *testing.T) {
			s.tag("x", d)
			got, err := s.one(t, "linux/amd64")
			require.NoError(t, err)
			require.Empty(t, got.Roots[0].Platforms)
			require.Empty(t, got.Roots[0].Absent)
			require.Contains(t, blobDigests(got), digest.FromString("a chart").String())
		})
	}
}

// A manifest may be carried as the layer of an artifact as well: what it
// consists of must not be forgotten for that.
func TestManifestThatIsAlsoALayer(t *testing.T) {
	s := newShelf()
	layer := s.put("l", "1")
	img := s.image("linux/amd64", layer)
	wrapped := img
	wrapped.MediaType = "application/octet-stream"
	wrapper := s.json(ocispec.MediaTypeImageManifest, object{"schemaVersion": 2, "config": s.put("application/vnd.oci.empty.v1+json", "{}"), "layers": []any{wrapped}})
	s.tag("x", s.index(wrapper, on("linux/amd64", img)))
	got, err := s.one(t, "linux/amd64")
	require.NoError(t, err)
	require.Contains(t, blobDigests(got), layer.Digest.String())
	for _, b := range got.Blobs {
		if b.Descriptor.Digest == img.Digest {
			require.Equal(t, img.MediaType, b.Descriptor.MediaType)
			require.NotNil(t, b.Data)
		}
	}
}

func TestRefuses(t *testing.T) {
	foreign := "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
	for name, c := range map[string]struct {
		make  func(s *shelf) content.Descriptor
		is    error
		fault string
	}{
		"schema 1": {func(s *shelf) content.Descriptor {
			return s.put("application/vnd.docker.distribution.manifest.v1+prettyjws", `{"schemaVersion":1}`)
		}, content.ErrManifest, "retired Docker schema 1"},
		"a foreign layer": {func(s *shelf) content.Descriptor { return s.image("linux/amd64", s.put(foreign, "l")) }, content.ErrForeignLayer, "outside of the registry"},
		"a foreign layer in an index": {func(s *shelf) content.Descriptor {
			return s.index(on("linux/amd64", s.image("linux/amd64", s.put(foreign, "l"))))
		}, content.ErrForeignLayer, "outside of the registry"},
		"an index of a layer": {func(s *shelf) content.Descriptor { return s.index(s.put("text/plain", "l")) }, content.ErrManifest, `media type "text/plain"`},
		"no manifest":         {func(s *shelf) content.Descriptor { return s.put("text/html", "<html>") }, content.ErrManifest, `media type "text/html"`},
		"HTML":                {func(s *shelf) content.Descriptor { return s.put(ocispec.MediaTypeImageManifest, "<html>") }, content.ErrManifest, "invalid character"},
		"a child is missing": {func(s *shelf) content.Descriptor {
			d := s.image("linux/amd64")
			i := s.index(d)
			delete(s.content, d.Digest)
			return i
		}, content.ErrNotFound, "sha256:"},
		"a child's size": {func(s *shelf) content.Descriptor { d := s.image("linux/amd64"); d.Size++; return s.index(d) }, content.ErrMismatch, "early"},
		"a child's media type": {func(s *shelf) content.Descriptor {
			d := s.index()
			d.MediaType = ocispec.MediaTypeImageManifest
			return s.index(d)
		}, content.ErrManifest, "an image manifest must not have manifests"},
		"two sizes in an index": {func(s *shelf) content.Descriptor {
			d := s.image("linux/amd64")
			e := d
			e.Size++
			return s.index(d, e)
		}, content.ErrManifest, "has the size"},
		"two sizes in two images": {func(s *shelf) content.Descriptor {
			l := s.put("l", "layer")
			m := l
			m.Size = 99
			return s.index(on("linux/amd64", s.image("linux/amd64", l)), on("linux/arm64", s.image("linux/arm64", m)))
		}, content.ErrMismatch, "is described with 5 bytes and with 99"},
		"other bytes": {func(s *shelf) content.Descriptor {
			d := s.image("linux/amd64")
			s.content[d.Digest] = strings.Replace(s.content[d.Digest], "2", "3", 1)
			return d
		}, content.ErrMismatch, "another digest"},
		"a long manifest": {func(s *shelf) content.Descriptor {
			d := s.image("linux/amd64")
			d.Size = content.MaxManifestSize + 1
			return d
		}, content.ErrTooLarge, "the limit is 4194304"},
		"a size beyond all": {func(s *shelf) content.Descriptor { d := s.image("linux/amd64"); d.Size = 1<<63 - 1; return s.index(d) }, content.ErrTooLarge, "the limit is"},
		"a negative size":   {func(s *shelf) content.Descriptor { d := s.image("linux/amd64"); d.Size = -1; return d }, content.ErrTooLarge, "-1 bytes"},
		"a configuration of text": {func(s *shelf) content.Descriptor {
			return s.json(ocispec.MediaTypeImageManifest, object{"schemaVersion": 2, "config": s.put(ocispec.MediaTypeImageConfig, "text")})
		}, content.ErrManifest, "configuration sha256:"},
		"a long configuration": {func(s *shelf) content.Descriptor {
			config := s.put(ocispec.MediaTypeImageConfig, "{}")
			config.Size = 1 << 30
			return s.json(ocispec.MediaTypeImageManifest, object{"schemaVersion": 2, "config": config})
		}, content.ErrTooLarge, "reading the configuration"},
		"no configuration there": {func(s *shelf) content.Descriptor {
			d := s.image("linux/amd64")
			delete(s.content, digest.FromString(`{"architecture":"amd64","os":"linux","variant":""}`))
			return d
		}, content.ErrNotFound, "reading the configuration"},
		"five indexes deep": {func(s *shelf) content.Descriptor {
			d := s.image("linux/amd64")
			for range 5 {
				d = s.index(d)
			}
			return d
		}, content.ErrTooLarge, "more than 4 deep"},
		"too many manifests": {func(s *shelf) content.Descriptor {
			return s.index(make([]content.Descriptor, 10_001)...)
		}, content.ErrManifest, "invalid checksum digest"},
		"too many manifests that are well described": {func(s *shelf) content.Descriptor {
			many := make([]content.Descriptor, 10_001)
			for i := range many {
				many[i] = content.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString(fmt.Sprint(i)), Size: 1}
			}
			return s.index(many...)
		}, content.ErrTooLarge, "more than 10000 manifests"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf()
			s.tag("x", c.make(s))
			got, err := s.one(t)
			require.Nil(t, got)
			require.ErrorIs(t, err, c.is)
			require.ErrorContains(t, err, c.fault)
			require.ErrorContains(t, err, "example.com/a:x: ")
		})
	}
}

func TestFourIndexesDeep(t *testing.T) {
	s := newShelf()
	d := on("linux/amd64", s.image("linux/amd64"))
	for range 4 {
		d = s.index(d)
	}
	s.tag("x", d)
	got, err := s.one(t, "linux/amd64")
	require.NoError(t, err)
	require.Len(t, got.Blobs, 6)
}

// Indexes in indexes could otherwise name as many manifests as they like.
func TestManifestsOfAllIndexesTogetherAreLimited(t *testing.T) {
	s := newShelf()
	pad := strings.Repeat(" ", 3<<20)
	var children []content.Descriptor
	for i := range 30 {
		children = append(children, s.put(ocispec.MediaTypeImageIndex, fmt.Sprintf(`{"schemaVersion":2,"manifests":[],"annotations":{"n":"%d"}}%s`, i, pad)))
	}
	s.tag("x", s.index(children...))
	_, err := s.one(t)
	require.ErrorIs(t, err, content.ErrTooLarge)
	require.ErrorContains(t, err, "bytes of them")
}

func TestSizesOfTwoImagesDiffer(t *testing.T) {
	s := newShelf()
	l := s.put("l", "layer")
	m := l
	m.Size = 99
	s.tag("x", s.image("linux/amd64", l))
	s.tag("y", s.image("linux/amd64", m))
	_, err := resolve.Resolve(t.Context(), bundle(t, nil, "example.com/a:x", "example.com/b:y"), s, resolve.Options{})
	require.ErrorIs(t, err, content.ErrMismatch)
	require.ErrorContains(t, err, "has 5 bytes in example.com/a and 99 in example.com/b")
}

func TestAnswerWithAnotherDigest(t *testing.T) {
	s := newShelf()
	asked, answered := s.image("linux/amd64"), s.image("linux/arm64")
	s.tags[asked.Digest.String()] = answered
	_, err := resolve.Resolve(t.Context(), bundle(t, nil, "example.com/a@"+asked.Digest.String()), s, resolve.Options{})
	require.ErrorIs(t, err, content.ErrMismatch)
	require.ErrorContains(t, err, "asked for "+asked.Digest.String()+", the registry answered with "+answered.Digest.String())
}

// broken fails with an error that brings its remedy.
type broken struct {
	offline
	err error
}

func (b broken) Repository(context.Context, string) (content.Source, error) { return b, nil }
func (b broken) Resolve(context.Context, string) (content.Descriptor, error) {
	return content.Descriptor{}, b.err
}
func (b broken) Fetch(context.Context, content.Descriptor) (io.ReadCloser, error) { return nil, b.err }
func (b broken) FetchRange(context.Context, content.Descriptor, int64, int64) (io.ReadCloser, error) {
	return nil, b.err
}

func TestErrorsOfSourcesPassThrough(t *testing.T) {
	sentinel := errors.New("unauthorized")
	b := broken{err: problem.New(problem.Preflight, "log in", "resolving: %w", sentinel)}
	_, err := resolve.Resolve(t.Context(), bundle(t, nil, "example.com/a:x", "example.com/b:x"), b, resolve.Options{})
	require.ErrorIs(t, err, sentinel)
	require.Equal(t, []string{"log in"}, problem.Remedies(err))
	_, err = resolve.Resolve(t.Context(), bundle(t, nil, "example.com/a:x"), noRepositories{err: sentinel}, resolve.Options{})
	require.ErrorIs(t, err, sentinel)
	require.ErrorContains(t, err, "example.com/a:x: ")
}

type noRepositories struct {
	offline
	err error
}

func (n noRepositories) Repository(context.Context, string) (content.Source, error) {
	return nil, n.err
}

func TestCancellation(t *testing.T) {
	s := newShelf()
	s.tag("x", s.image("linux/amd64"))
	s.delay = func() time.Duration { return time.Minute }
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	start := time.Now()
	_, err := resolve.Resolve(ctx, bundle(t, nil, "example.com/a:x"), s, resolve.Options{})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(start), 30*time.Second)
}

// Whatever the registries' speed, the result is the same.
func TestResultDoesNotDependOnTiming(t *testing.T) {
	s := newShelf()
	shared := s.put("l", "shared")
	var images []any
	for i := range 12 {
		amd64, arm64 := s.image("linux/amd64", shared, s.put("l", fmt.Sprint("a", i))), s.image("linux/arm64", s.put("l", fmt.Sprint("b", i)), shared)
		tag := fmt.Sprint("t", i)
		s.tag(tag, s.index(on("linux/amd64", amd64), on("linux/arm64", arm64)))
		images = append(images, fmt.Sprintf("example.com/r%d:%s", i%5, tag))
	}
	def := bundle(t, []string{"linux/arm64"}, images...)
	want, err := resolve.Resolve(t.Context(), def, s, resolve.Options{Jobs: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"example.com/r0", "example.com/r1", "example.com/r2", "example.com/r3", "example.com/r4"}, holders(want, shared))
	s.delay = func() time.Duration { return time.Duration(rand.IntN(3000)) * time.Microsecond }
	for range 5 {
		got, err := resolve.Resolve(t.Context(), def, s, resolve.Options{})
		require.NoError(t, err)
		require.Empty(t, cmp.Diff(want, got, sameFrom))
	}
}

func holders(r *resolve.Result, d content.Descriptor) []string {
	for _, b := range r.Blobs {
		if b.Descriptor.Digest == d.Digest {
			return origins(b)
		}
	}
	return nil
}

// FuzzManifest resolves an index, and an image in it, of any bytes.
func FuzzManifest(f *testing.F) {
	s := newShelf()
	img := s.image("linux/amd64", s.put("l", "1"))
	f.Add([]byte(s.content[s.index(on("linux/amd64", img)).Digest]), []byte(s.content[img.Digest]))
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"size":-1}]}`), []byte(`{"schemaVersion":2,"config":{}}`))
	f.Fuzz(func(t *testing.T, index, manifest []byte) {
		s := newShelf()
		s.put("c", "{}")
		s.tag("index", s.put(ocispec.MediaTypeImageIndex, string(index)))
		child := s.put(ocispec.MediaTypeImageManifest, string(manifest))
		s.tag("outer", s.index(child, on("linux/arm64", child)))
		for _, tag := range []string{"index", "outer"} {
			for _, platforms := range [][]string{nil, {"linux/amd64"}} {
				got, err := resolve.Resolve(t.Context(), bundle(t, platforms, "example.com/a:"+tag), s, resolve.Options{})
				if err == nil {
					requireClosed(t, got)
				}
			}
		}
	})
}

// requireClosed checks that everything that the root reaches is there or absent.
func requireClosed(t *testing.T, r *resolve.Result) {
	t.Helper()
	blobs := map[digest.Digest]resolve.Blob{}
	for _, b := range r.Blobs {
		blobs[b.Descriptor.Digest] = b
	}
	absent := map[digest.Digest]bool{}
	for _, a := range r.Roots[0].Absent {
		absent[a.Digest] = true
	}
	var visit func(d content.Descriptor)
	visit = func(d content.Descriptor) {
		b, ok := blobs[d.Digest]
		require.True(t, ok, d.Digest)
		m, err := content.ParseManifest(d, b.Data)
		require.NoError(t, err)
		for _, c := range m.Manifests {
			if !absent[c.Digest] {
				visit(c)
			}
		}
		if m.Config == nil {
			return
		}
		for _, c := range m.Children() {
			require.Contains(t, blobs, c.Digest)
		}
	}
	visit(r.Roots[0].Descriptor)
}
