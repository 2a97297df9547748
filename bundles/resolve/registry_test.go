package resolve_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/resolve"
)

// source is the older kind of source of random numbers that random.Image takes.
type source struct{ pcg *rand.PCG }

func (s source) Int63() int64    { return int64(s.pcg.Uint64() >> 1) }
func (s source) Seed(seed int64) { s.pcg.Seed(uint64(seed), 0) }

// image returns an image of random layers; the same seed gives the same one.
func image(t *testing.T, seed int64, platform string) v1.Image {
	t.Helper()
	img, err := random.Image(512, 2, random.WithSource(source{rand.NewPCG(uint64(seed), 0)}))
	require.NoError(t, err)
	p, err := v1.ParsePlatform(platform)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	img, err = mutate.ConfigFile(img, config)
	require.NoError(t, err)
	return img
}

func oci(img v1.Image) v1.Image {
	return mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
}

// multi returns an index of an image for each platform.
func multi(t *testing.T, seed int64, platforms ...string) v1.ImageIndex {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, platform := range platforms {
		p, err := v1.ParsePlatform(platform)
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: oci(image(t, seed*100+int64(i), platform)), Descriptor: v1.Descriptor{Platform: p}})
	}
	return index
}

// parts returns the digests of everything that an image consists of.
func parts(t *testing.T, img v1.Image) []string {
	t.Helper()
	m, err := img.Manifest()
	require.NoError(t, err)
	out := []string{digestOf(t, img), m.Config.Digest.String()}
	for _, l := range m.Layers {
		out = append(out, l.Digest.String())
	}
	return out
}

func sorted(all ...[]string) []string {
	out := slices.Concat(all...)
	slices.Sort(out)
	return slices.Compact(out)
}

func TestTagAndDigest(t *testing.T) {
	r := startRegistry(t)
	img := image(t, 1, "linux/amd64") // Docker schema 2
	d := r.push(t, "library/plain:1", img)
	other := r.push(t, "library/plain:moved", image(t, 2, "linux/amd64"))
	repo := r.host + "/library/plain"
	for ref, want := range map[string]string{":1": d, "@" + d: d, ":moved@" + d: d, ":moved": other} {
		t.Run(strings.ReplaceAll(ref, ":", "_"), func(t *testing.T) {
			got, err := resolve.Resolve(t.Context(), bundle(t, []string{"linux/amd64"}, repo+ref), r, resolve.Options{})
			require.NoError(t, err)
			require.Equal(t, repo+ref, got.Roots[0].Requested)
			require.Equal(t, repo+ref, got.Roots[0].Reference)
			require.Equal(t, repo+"@"+want, got.Roots[0].Resolved)
			require.Equal(t, want, got.Roots[0].Descriptor.Digest.String())
			require.Equal(t, []string{"linux/amd64"}, got.Roots[0].Platforms)
			require.Empty(t, got.Roots[0].Absent)
			require.Equal(t, ref == ":moved@"+d, len(got.Warnings) == 1, got.Warnings)
			if want == d {
				require.Equal(t, sorted(parts(t, img)), blobDigests(got))
				require.Equal(t, descriptorOf(t, img), got.Roots[0].Descriptor)
			}
		})
	}
}

func TestATagThatLeftItsDigest(t *testing.T) {
	r := startRegistry(t)
	d := r.push(t, "library/plain:1", image(t, 1, "linux/amd64"))
	other := r.push(t, "library/plain:2", image(t, 2, "linux/amd64"))
	repo := r.host + "/library/plain"
	got, err := resolve.Resolve(t.Context(), bundle(t, nil, repo+":2@"+d, repo+":3@"+d), r, resolve.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{
		repo + ":2@" + d + ": the tag 2 names " + other + " by now; what the digest names is carried",
		repo + ":3@" + d + ": the registry has no tag 3 any more; what the digest names is carried",
	}, got.Warnings)
}

func TestDefaultTag(t *testing.T) {
	s := newShelf()
	s.tag("latest", s.image("linux/amd64"))
	got, err := resolve.Resolve(t.Context(), bundle(t, nil, "redis"), s, resolve.Options{})
	require.NoError(t, err)
	require.Equal(t, "redis", got.Roots[0].Requested)
	require.Equal(t, "docker.io/library/redis:latest", got.Roots[0].Reference)
	require.Equal(t, "docker.io/library/redis@"+got.Roots[0].Descriptor.Digest.String(), got.Roots[0].Resolved)
}

func TestBlobs(t *testing.T) {
	r := startRegistry(t)
	index := multi(t, 1, "linux/amd64")
	r.push(t, "library/multi:1", index)
	r.push(t, "copies/multi:1", index)
	manifest, err := index.RawManifest()
	require.NoError(t, err)
	one, two := r.host+"/library/multi", r.host+"/copies/multi"
	got, err := resolve.Resolve(t.Context(), bundle(t, nil, two+":1", one+":1"), r, resolve.Options{})
	require.NoError(t, err)
	require.Len(t, got.Roots, 2)
	require.Len(t, got.Blobs, 5, "index, manifest, config, two layers: each once")
	documents := 0
	for _, b := range got.Blobs {
		require.Equal(t, []string{two, one}, origins(b), "in the order of the definition")
		require.Equal(t, content.IsManifest(b.Descriptor.MediaType), b.Data != nil)
		if b.Data != nil {
			documents++
			require.Equal(t, b.Descriptor.Digest, digest.FromBytes(b.Data))
		}
		if b.Descriptor.Digest == got.Roots[0].Descriptor.Digest {
			require.Equal(t, string(manifest), string(b.Data), "an index keeps its bytes")
		}
	}
	require.Equal(t, 2, documents)
}

func TestPlatforms(t *testing.T) {
	r := startRegistry(t)
	r.push(t, "library/multi:1", multi(t, 1, "linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7", "windows/amd64"))
	ref := r.host + "/library/multi:1"
	for name, c := range map[string]struct {
		spec, own, given []string
		carried          []string
	}{
		"all":                      {carried: []string{"linux/amd64", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "windows/amd64"}},
		"spec":                     {spec: []string{"linux/amd64"}, carried: []string{"linux/amd64"}},
		"the image's over spec's":  {spec: []string{"linux/amd64"}, own: []string{"windows/amd64"}, carried: []string{"windows/amd64"}},
		"given over spec's":        {spec: []string{"linux/amd64"}, given: []string{"linux/arm64"}, carried: []string{"linux/arm64/v8"}},
		"the image's over given":   {given: []string{"linux/amd64"}, own: []string{"windows/amd64"}, carried: []string{"windows/amd64"}},
		"every variant":            {spec: []string{"linux/arm"}, carried: []string{"linux/arm/v6", "linux/arm/v7"}},
		"one variant":              {spec: []string{"linux/arm/v6"}, carried: []string{"linux/arm/v6"}},
		"arm64 is arm64/v8":        {spec: []string{"linux/arm64"}, carried: []string{"linux/arm64/v8"}},
		"amd64/v1 is amd64":        {spec: []string{"linux/amd64/v1"}, carried: []string{"linux/amd64"}},
		"several, in any order":    {spec: []string{"windows/amd64", "linux/amd64"}, carried: []string{"linux/amd64", "windows/amd64"}},
		"two that fit the same":    {spec: []string{"linux/arm64", "linux/arm64/v8"}, carried: []string{"linux/arm64/v8"}},
		"arm is not taken for v64": {spec: []string{"linux/arm/v7"}, carried: []string{"linux/arm/v7"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := resolve.Resolve(t.Context(), bundle(t, c.spec, definition.Image{Ref: ref, Platforms: c.own}), r, resolve.Options{Platforms: c.given})
			require.NoError(t, err)
			root := got.Roots[0]
			require.Equal(t, c.carried, root.Platforms)
			require.Len(t, root.Absent, 5-len(c.carried))
			require.Len(t, got.Blobs, 1+4*len(c.carried), "the index, and of each image manifest, config and two layers")
			for _, a := range root.Absent {
				require.NotNil(t, a.Platform)
				require.NotContains(t, blobDigests(got), a.Digest.String())
			}
			all, err := resolve.Resolve(t.Context(), bundle(t, nil, ref), r, resolve.Options{})
			require.NoError(t, err)
			require.Equal(t, all.Roots[0].Descriptor, root.Descriptor, "the index keeps its digest")
		})
	}
}

func TestPlatformNotThere(t *testing.T) {
	r := startRegistry(t)
	r.push(t, "library/multi:1", multi(t, 1, "linux/amd64", "linux/arm/v7"))
	r.push(t, "library/plain:1", image(t, 2, "linux/amd64"))
	for ref, has := range map[string]string{"library/multi:1": "linux/amd64, linux/arm/v7", "library/plain:1": "linux/amd64"} {
		_, err := resolve.Resolve(t.Context(), bundle(t, []string{"linux/amd64", "linux/s390x", "linux/arm64"}, r.host+"/"+ref), r, resolve.Options{})
		require.ErrorIs(t, err, resolve.ErrPlatform)
		require.ErrorContains(t, err, r.host+"/"+ref+": platform not there: linux/arm64, linux/s390x; it has "+has)
		requireRemedy(t, err, "platforms: list")
	}
	_, err := resolve.Resolve(t.Context(), bundle(t, nil, r.host+"/library/plain:1"), r, resolve.Options{Platforms: []string{"amd64"}})
	require.ErrorIs(t, err, definition.ErrInvalid)
}

func TestEmptyAndRepeatedLayers(t *testing.T) {
	r := startRegistry(t)
	layer, err := random.Layer(100, types.OCILayer)
	require.NoError(t, err)
	img, err := mutate.AppendLayers(oci(empty.Image), layer, layer, layer)
	require.NoError(t, err)
	r.push(t, "library/repeated:1", img)
	r.push(t, "library/empty:1", oci(empty.Image))
	got, err := resolve.Resolve(t.Context(), bundle(t, nil, r.host+"/library/repeated:1", r.host+"/library/empty:1"), r, resolve.Options{})
	require.NoError(t, err)
	require.Equal(t, sorted(parts(t, img), parts(t, oci(empty.Image))), blobDigests(got))
}

func TestNestedIndex(t *testing.T) {
	r := startRegistry(t)
	inner := multi(t, 1, "linux/amd64", "linux/arm64")
	outer := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: inner}, mutate.IndexAddendum{Add: oci(image(t, 7, "linux/s390x")), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "s390x"}}})
	r.push(t, "library/nested:1", outer)
	got, err := resolve.Resolve(t.Context(), bundle(t, []string{"linux/arm64"}, r.host+"/library/nested:1"), r, resolve.Options{})
	require.NoError(t, err)
	require.Equal(t, []string{"linux/arm64"}, got.Roots[0].Platforms)
	require.Len(t, got.Roots[0].Absent, 2)
	require.Len(t, got.Blobs, 6, "two indexes, manifest, config, two layers")
	require.Contains(t, blobDigests(got), digestOf(t, inner))
	_, err = resolve.Resolve(t.Context(), bundle(t, []string{"linux/riscv64"}, r.host+"/library/nested:1"), r, resolve.Options{})
	require.ErrorContains(t, err, "it has linux/amd64, linux/arm64, linux/s390x")
}

func TestDockerIndex(t *testing.T) {
	r := startRegistry(t)
	index := mutate.IndexMediaType(empty.Index, types.DockerManifestList)
	for i, arch := range []string{"amd64", "arm64"} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image(t, int64(i), "linux/"+arch), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	r.push(t, "library/docker:1", index)
	got, err := resolve.Resolve(t.Context(), bundle(t, []string{"linux/arm64"}, r.host+"/library/docker:1"), r, resolve.Options{})
	require.NoError(t, err)
	require.Equal(t, content.MediaTypeDockerIndex, got.Roots[0].Descriptor.MediaType)
	require.Equal(t, []string{"linux/arm64"}, got.Roots[0].Platforms)
	require.Len(t, got.Blobs, 5)
}

func TestEveryFailureIsTold(t *testing.T) {
	r := startRegistry(t)
	r.push(t, "library/plain:1", image(t, 1, "linux/amd64"))
	_, err := resolve.Resolve(t.Context(), bundle(t, []string{"linux/amd64"}, r.host+"/library/a:1", r.host+"/library/plain:1",
		definition.Image{Ref: r.host + "/library/plain:1", Platforms: []string{"linux/arm64"}}, r.host+"/library/b:2"), r, resolve.Options{})
	require.ErrorIs(t, err, content.ErrNotFound)
	require.ErrorIs(t, err, resolve.ErrPlatform)
	lines := strings.Split(err.Error(), "\n")
	require.Len(t, lines, 4)
	require.Equal(t, "resolving: 3 failed:", lines[0])
	for i, ref := range []string{"a:1", "plain:1", "b:2"} {
		require.True(t, strings.HasPrefix(lines[i+1], r.host+"/library/"+ref+": "), lines[i+1])
	}

	var many []any
	for i := range 50 {
		many = append(many, r.host+"/library/a:"+string(rune('a'+i%26))+strings.Repeat("x", i/26))
	}
	_, err = resolve.Resolve(t.Context(), bundle(t, nil, many...), r, resolve.Options{})
	require.ErrorContains(t, err, "resolving: 50 failed:")
	require.ErrorContains(t, err, "\nand 30 more")
	require.Len(t, strings.Split(err.Error(), "\n"), 22)
}

func TestResultIsTheSameWithLock(t *testing.T) {
	r := startRegistry(t)
	r.push(t, "library/multi:1", multi(t, 1, "linux/amd64", "linux/arm64"))
	r.push(t, "library/plain:1", image(t, 2, "linux/amd64"))
	def := bundle(t, []string{"linux/amd64"}, r.host+"/library/multi:1", r.host+"/library/plain:1")
	first, err := resolve.Resolve(t.Context(), def, r, resolve.Options{})
	require.NoError(t, err)

	// Both tags move, but what they named is still there under its digest.
	r.push(t, "library/multi:1", multi(t, 3, "linux/amd64", "linux/arm64"))
	r.push(t, "library/plain:1", image(t, 4, "linux/amd64"))
	second, err := resolve.Resolve(t.Context(), def, r, resolve.Options{Lock: first.Lock})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(first, second, sameFrom))

	third, err := resolve.Resolve(t.Context(), def, r, resolve.Options{Lock: first.Lock, UpdateLock: true})
	require.NoError(t, err)
	require.Len(t, third.Moved, 2)
	for i, m := range third.Moved {
		require.Equal(t, resolve.Moved{Reference: first.Roots[i].Reference, Old: first.Lock.Images[i].Digest, New: third.Lock.Images[i].Digest}, m)
		require.NotEqual(t, m.Old, m.New)
	}
	fourth, err := resolve.Resolve(t.Context(), def, r, resolve.Options{Lock: third.Lock, UpdateLock: true})
	require.NoError(t, err)
	require.Empty(t, fourth.Moved)
}

func TestLockFollowsTheDefinition(t *testing.T) {
	r := startRegistry(t)
	one := r.push(t, "library/one:1", multi(t, 1, "linux/amd64", "linux/arm64"))
	two := r.push(t, "library/two:1", image(t, 2, "linux/amd64"))
	first, err := resolve.Resolve(t.Context(), bundle(t, nil, r.host+"/library/one:1"), r, resolve.Options{})
	require.NoError(t, err)
	got, err := resolve.Resolve(t.Context(), bundle(t, []string{"linux/arm64", "linux/amd64"}, definition.Image{Ref: r.host + "/library/two:1", Platforms: []string{"linux/amd64"}}, r.host+"/library/one:1"),
		r, resolve.Options{Lock: first.Lock})
	require.NoError(t, err)
	require.Len(t, got.Lock.Images, 2)
	require.Equal(t, r.host+"/library/two:1", got.Lock.Images[0].Ref)
	require.Equal(t, two, got.Lock.Images[0].Digest)
	require.Equal(t, one, got.Lock.Images[1].Digest)
	require.Equal(t, []string{"linux/amd64", "linux/arm64"}, got.Lock.Images[1].Platforms, "sorted")
	require.Equal(t, content.MediaTypeDockerManifest, got.Lock.Images[0].MediaType)
	require.Equal(t, got.Roots[1].Descriptor.Size, got.Lock.Images[1].Size)

	less, err := resolve.Resolve(t.Context(), bundle(t, nil, r.host+"/library/two:1"), r, resolve.Options{Lock: got.Lock})
	require.NoError(t, err)
	require.Len(t, less.Lock.Images, 1, "what the definition no longer has is dropped")
}

func TestGoneUpstream(t *testing.T) {
	r := startRegistry(t)
	old := r.push(t, "library/moved:1", image(t, 1, "linux/amd64"))
	gone := r.push(t, "library/gone:1", image(t, 2, "linux/amd64"))
	def := bundle(t, nil, r.host+"/library/moved:1", r.host+"/library/gone:1")
	first, err := resolve.Resolve(t.Context(), def, r, resolve.Options{})
	require.NoError(t, err)
	r.remove(t, "library/moved@"+old)
	r.remove(t, "library/gone@"+gone)
	now := r.push(t, "library/moved:1", image(t, 3, "linux/amd64"))
	_, err = resolve.Resolve(t.Context(), def, r, resolve.Options{Lock: first.Lock})
	require.ErrorIs(t, err, resolve.ErrMoved)
	require.ErrorIs(t, err, content.ErrNotFound)
	require.ErrorContains(t, err, r.host+"/library/moved:1: it was "+old+" in the lock, "+r.host+"/library/moved now has "+now+" under this tag")
	require.ErrorContains(t, err, r.host+"/library/gone:1: it was "+gone+" in the lock, "+r.host+"/library/gone has neither that nor the tag any more")
	requireRemedy(t, err, "--update-lock")

	// A reference by digest has no tag to fall back on.
	def = bundle(t, nil, r.host+"/library/moved@"+old)
	pinned := definition.NewLock([]definition.LockedImage{{Ref: r.host + "/library/moved@" + old, Digest: old}})
	_, err = resolve.Resolve(t.Context(), def, r, resolve.Options{Lock: pinned})
	require.ErrorIs(t, err, resolve.ErrMoved)
	require.ErrorContains(t, err, "has no such manifest any more")
}
