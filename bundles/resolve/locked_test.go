package resolve_test

import (
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/resolve"
	"github.com/sealift/sealift/test/images"
)

// A lock says which image it is; what refers to it travels with the platforms
// that are asked for now.
func TestLockOfOtherPlatforms(t *testing.T) {
	r := startRegistry(t)
	_, signer := keyPair(t)
	index := multi(t, 1, "linux/amd64", "linux/arm64")
	r.push(t, "library/a:1", index)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	for _, m := range manifest.Manifests {
		require.NoError(t, images.Sign(t.Context(), r.host+"/library/a@"+m.Digest.String(), signer))
	}
	resolved := func(o resolve.Options, platforms ...string) *resolve.Result {
		out, err := resolve.Resolve(t.Context(), bundle(t, platforms, r.host+"/library/a:1"), r, o)
		require.NoError(t, err)
		return out
	}
	one, both := resolved(resolve.Options{}, "linux/amd64"), resolved(resolve.Options{}, "linux/amd64", "linux/arm64")
	require.Len(t, one.Roots, 2)
	require.Len(t, both.Roots, 3)
	wider := resolved(resolve.Options{Lock: one.Lock}, "linux/amd64", "linux/arm64")
	require.Equal(t, both.Roots, wider.Roots)
	require.Equal(t, both.Lock, wider.Lock)
	narrower := resolved(resolve.Options{Lock: both.Lock}, "linux/amd64")
	require.Equal(t, one.Roots, narrower.Roots)
	require.Equal(t, one.Lock, narrower.Lock)
}

// Two charts that depend on a third one of a registry name it once in the lock,
// which can be read again.
func TestLockNamesEachOnce(t *testing.T) {
	s := newShelf()
	common, err := charts.LoadFS(fstest.MapFS{"Chart.yaml": {Data: []byte("apiVersion: v2\nname: common\nversion: 1.0.0\n")}})
	require.NoError(t, err)
	a, err := common.Artifact()
	require.NoError(t, err)
	for d, data := range a.Blobs {
		s.content[d] = string(data)
	}
	s.content[a.Descriptor.Digest] = string(a.Manifest)
	s.tag("1.0.0", a.Descriptor)
	chart := func(name string) string {
		return "apiVersion: v2\nname: " + name + "\nversion: 1.0.0\ndependencies: [{name: common, version: 1.0.0, repository: 'oci://reg.example/charts'}]\n"
	}
	def := definitionIn(t, map[string]string{"bundle.yaml": definitionHead + "spec: {charts: [{path: a}, {path: b}]}\n", "a/Chart.yaml": chart("a"), "b/Chart.yaml": chart("b")})
	got, err := resolve.Resolve(t.Context(), def, s, resolve.Options{})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "lock")
	require.NoError(t, got.Lock.Save(path))
	lock, err := definition.LoadLock(path)
	require.NoError(t, err)
	require.Len(t, lock.Images, 1)
}
