package mirror_test

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
)

func TestMapping(t *testing.T) {
	for _, c := range []struct {
		base, ref, want, tag string
		rules                []string
	}{
		{"", "docker.io/library/nginx:1.27", "library/nginx", "1.27", nil},
		{"", "nginx", "library/nginx", "", nil},
		{"sealift", "quay.io/jetstack/controller:v1", "sealift/jetstack/controller", "v1", nil},
		{"", "127.0.0.1:5000/a/b:x", "a/b", "x", nil},
		{"", "quay.io/jetstack/controller:v1", "quay/jetstack/controller", "v1", []string{"quay.io=quay"}},
		{"", "quay.io/jetstack/controller:v1", "certs/controller", "v1", []string{"quay.io=quay", "quay.io/jetstack=certs"}},
		{"", "quay.io/jetstackery/controller:v1", "quay/jetstackery/controller", "v1", []string{"quay.io=quay", "quay.io/jetstack=certs"}},
		{"p", "quay.io/jetstack/controller:v1", "p/controller", "v1", []string{"quay.io/jetstack="}},
		{"", "quay.io/jetstack/controller:v1", "one/name", "v1", []string{"quay.io/jetstack/controller=one/name"}},
		{"", "docker.io/library/nginx@sha256:" + digest.FromString("x").Encoded(), "library/nginx", "", nil},
	} {
		m, err := mirror.ParseMapping(c.base, c.rules)
		require.NoError(t, err)
		repository, tag, err := m.Repository(c.ref)
		require.NoError(t, err)
		require.Equal(t, c.want, repository, c.ref)
		require.Equal(t, c.tag, tag)
	}
}

func TestMappingRefuses(t *testing.T) {
	for _, c := range []struct {
		base, rule, want string
	}{
		{"", "quay.io", "has no source or no target"},
		{"", "=quay", "has no source or no target"},
		{"Not/Legal", "", `the prefix "Not/Legal"`},
		{"mirror:5000", "", `the prefix "mirror:5000"`},
		{"a//b", "", `the prefix "a//b"`},
		{"../up", "", `the prefix "../up"`},
		{"", "quay.io=Quay", `the target of the mapping "quay.io=Quay"`},
		{"", "quay.io=a b", `the target of the mapping "quay.io=a b"`},
		{"", "quay.io=quay:1", `the target of the mapping "quay.io=quay:1"`},
	} {
		var rules []string
		if c.rule != "" {
			rules = []string{c.rule}
		}
		_, err := mirror.ParseMapping(c.base, rules)
		require.ErrorContains(t, err, c.want)
		require.Equal(t, problem.Usage, problem.KindOf(err))
		require.NotEmpty(t, problem.Remedies(err))
	}
	_, err := mirror.ParseMapping("/site/", []string{"quay.io=/quay/", "ghcr.io="})
	require.NoError(t, err, "slashes at the ends, and an empty target, are fine")
}

// TestMappingTooLong covers a name that is legal in its parts only.
func TestMappingTooLong(t *testing.T) {
	m, err := mirror.ParseMapping(strings.Repeat("long/", 46)+"long", nil)
	require.NoError(t, err)
	_, _, err = m.Repository("quay.io/" + strings.Repeat("x", 30) + "/y:1")
	require.Equal(t, problem.Usage, problem.KindOf(err))
}

func TestPlaceFindsCollisions(t *testing.T) {
	root := func(ref, data string) archive.Root {
		return archive.Root{Reference: ref, Descriptor: content.Descriptor{Digest: digest.FromString(data)}}
	}
	m, err := mirror.ParseMapping("", nil)
	require.NoError(t, err)
	_, err = m.Place([]archive.Root{root("docker.io/a/b:1", "x"), root("quay.io/a/b:1", "y"), root("quay.io/a/b:2", "z")})
	require.ErrorIs(t, err, mirror.ErrCollision)
	require.ErrorContains(t, err, "docker.io/a/b:1 and quay.io/a/b:1 would both be a/b:1")
	require.Contains(t, problem.Remedies(err)[0], "--prefix")
	placed, err := m.Place([]archive.Root{root("docker.io/a/b:1", "x"), root("quay.io/a/b:1", "x"), root("quay.io/a/b:2", "z")})
	require.NoError(t, err)
	require.Len(t, placed, 3)
}

func TestRulesOfNothing(t *testing.T) {
	m, err := mirror.ParseMapping("", []string{"quay.io=quay", "quay.io/jetstack=certs", "docker.io=", "ghcr.io=x"})
	require.NoError(t, err)
	require.Equal(t, []mirror.Rule{{Source: "quay.io", Target: "quay"}, {Source: "ghcr.io", Target: "x"}}, m.Unused([]string{"quay.io/jetstack/a:1", "nginx"}))
}

// A chart that pins a tag by its digest, and an image of the same tag that has
// moved since, both find their place.
func TestPlaceOfDigests(t *testing.T) {
	m, err := mirror.ParseMapping("", nil)
	require.NoError(t, err)
	root := func(suffix, data string) archive.Root {
		d := digest.FromString(data)
		return archive.Root{Reference: "docker.io/library/nginx:1.27" + strings.ReplaceAll(suffix, "DIGEST", d.String()), Descriptor: content.Descriptor{Digest: d}}
	}
	tags := func(roots ...archive.Root) (tags []string) {
		placed, err := m.Place(roots)
		require.NoError(t, err)
		for _, p := range placed {
			tags = append(tags, p.Tag)
		}
		return tags
	}
	require.Equal(t, []string{"", "1.27"}, tags(root("@DIGEST", "old"), root("", "new")))
	require.Equal(t, []string{"1.27", "1.27"}, tags(root("@DIGEST", "new"), root("", "new")))
	require.Equal(t, []string{"1.27", ""}, tags(root("@DIGEST", "a"), root("@DIGEST", "b")))
	require.Equal(t, []string{"1.27"}, tags(root("@DIGEST", "a")))
}
