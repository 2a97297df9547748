package mirror_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/test/images"
	"github.com/sealift/sealift/test/registries"
)

// release makes a base, and a delta over it in which one image is the same,
// one has changed under its tag, one is new with a layer of an image that is
// gone, and one is gone.
func release(t *testing.T) (base, delta *archive.Reader) {
	b := archivetest.New(t)
	b.Root("docker.io/team/same:1", b.Image("amd64", "shared layer", "same"))
	b.Root("docker.io/team/moved:latest", b.Image("amd64", "shared layer", "old"))
	b.Root("docker.io/team/gone:1", b.Image("amd64", "only in gone"))
	base = archivetest.Open(t, b.Write())
	b = archivetest.New(t)
	b.Contents.Version = "1.1.0"
	b.Root("docker.io/team/same:1", b.Image("amd64", "shared layer", "same"))
	b.Root("docker.io/team/moved:latest", b.Image("amd64", "shared layer", "new"))
	b.Root("docker.io/team/added:1", b.Image("amd64", "only in gone", "added"))
	b.Over(base)
	delta = archivetest.Open(t, b.Write())
	require.Len(t, delta.Statement().FromBase, 4, "a configuration and three layers")
	return base, delta
}

func requirePulls(t *testing.T, host string, r *archive.Reader) {
	for _, root := range r.Statement().Roots {
		_, path, _ := strings.Cut(root.Reference, "/")
		got, err := images.Pull(host + "/site/" + path)
		require.NoError(t, err, root.Reference)
		require.Equal(t, root.Descriptor.Digest.String(), got)
	}
}

func TestDeltaAfterItsBase(t *testing.T) {
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			base, delta := release(t)
			_, err := push(t, host, mirror.PushOptions{}, base)
			require.NoError(t, err)
			result, err := push(t, host, mirror.PushOptions{}, delta)
			require.NoError(t, err)
			require.Equal(t, int64(len("new")+len("added")), result.Bytes, "only what the base has not")
			requirePulls(t, host, delta)
			r := result.Receipt(time.Now())
			for _, d := range delta.Statement().FromBase {
				require.True(t, r.Has(d), "the receipt has what was seen, whoever sent it")
			}
		})
	}
}

// TestDeltaWithoutMounts covers a registry that does not mount: what only the
// registry has is copied, over as many attempts as it takes.
func TestDeltaWithoutMounts(t *testing.T) {
	noMount := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("mount") != "" {
				r.URL.RawQuery = ""
			}
			h.ServeHTTP(w, r)
		})
	}
	var stored atomic.Int32
	copied := digest.FromString("only in gone").String()
	wrap := func(h http.Handler) http.Handler {
		return noMount(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && r.URL.Query().Get("digest") == copied && strings.Contains(r.URL.Path, "/added/") && stored.Add(1) == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(w, r)
		}))
	}
	host := registries.Host(registries.Distribution(t, registries.Options{Wrap: wrap}))
	base, delta := release(t)
	_, err := push(t, host, mirror.PushOptions{}, base)
	require.NoError(t, err)
	_, err = push(t, host, mirror.PushOptions{}, delta)
	require.NoError(t, err)
	require.Equal(t, int32(2), stored.Load(), "once more after it failed")
	requirePulls(t, host, delta)
}

func TestDeltaWithoutItsBase(t *testing.T) {
	for _, opts := range []mirror.PushOptions{{}, {DryRun: true}, {Shard: mirror.Shard{Index: 1, Of: 3}}} {
		t.Run(fmt.Sprintf("%+v", opts), func(t *testing.T) {
			seen := registries.NewRequests()
			host := registries.Host(registries.Distribution(t, registries.Options{Wrap: seen.Wrap}))
			_, delta := release(t)
			_, err := push(t, host, opts, delta)
			require.ErrorIs(t, err, mirror.ErrBaseMissing)
			require.ErrorContains(t, err, "nothing was sent: content of the base is missing: 4 blobs, ")
			require.ErrorContains(t, err, " for docker.io/team/added:1")
			require.Equal(t, problem.Failed, problem.KindOf(err))
			require.Contains(t, problem.Remedies(err)[0], "mirror push DELTA BASE "+host+"/site,")
			lines := seen.Lines()
			require.Equal(t, len(lines), registries.Count(lines, "HEAD ")+registries.Count(lines, "GET /v2/_catalog"), "%v", lines)
		})
	}
}

// TestDeltaListsLittle covers a base of which very much is missing.
func TestDeltaListsLittle(t *testing.T) {
	var l mirror.Lacking
	require.NoError(t, l.Err(""))
	b := archivetest.New(t)
	for i := range 25 {
		d := b.Blob("application/octet-stream", []byte(strings.Repeat("x", i)))
		l.Add(d, "docker.io/team/b:1")
		l.Add(d, "docker.io/team/a:1")
	}
	err := l.Err("do something")
	require.ErrorContains(t, err, "25 blobs, 300 B:")
	require.ErrorContains(t, err, "24 B, for docker.io/team/a:1")
	require.ErrorContains(t, err, "and 5 more")
	require.NotContains(t, err.Error(), "team/b")
}

func TestDeltaWithItsBase(t *testing.T) {
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			base, delta := release(t)
			result, err := push(t, host, mirror.PushOptions{}, base, delta)
			require.NoError(t, err)
			requirePulls(t, host, delta)
			_, err = images.Pull(host + "/site/team/gone:1")
			require.NoError(t, err, "what only the base has goes too")
			require.Len(t, result.Images, 4)
			require.Len(t, result.Receipt(time.Now()).Bundles, 2)
		})
	}
}

// TestDeltaOverDelta covers a chain: each link counts before those below it.
func TestDeltaOverDelta(t *testing.T) {
	base, delta := release(t)
	b := archivetest.New(t)
	b.Contents.Version = "1.2.0"
	b.Root("docker.io/team/moved:latest", b.Image("amd64", "shared layer", "newest"))
	b.Over(delta, base)
	newest := archivetest.Open(t, b.Write())
	host := registries.Host(registries.Distribution(t, registries.Options{}))
	_, err := push(t, host, mirror.PushOptions{}, newest, base, delta)
	require.NoError(t, err)
	requirePulls(t, host, newest)
	got, err := images.Pull(host + "/site/team/moved:latest")
	require.NoError(t, err)
	require.Equal(t, newest.Statement().Roots[0].Descriptor.Digest.String(), got)
}

// TestStrangersStillCollide covers two bundles of which neither is the other's base.
func TestStrangersStillCollide(t *testing.T) {
	base, _ := release(t)
	b := archivetest.New(t)
	b.Root("docker.io/team/moved:latest", b.Image("amd64", "of others"))
	_, err := push(t, "127.0.0.1:1", mirror.PushOptions{}, base, archivetest.Open(t, b.Write()))
	require.ErrorIs(t, err, mirror.ErrCollision)
}

// TestNotClosed covers a bundle that needs what nobody promised.
func TestNotClosed(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/team/x:1", b.Image("amd64", "left out"))
	b.Contents.Blobs = b.Contents.Blobs[:1:1] // the configuration
	for d := range b.Contents.Documents {
		blob := b.Contents.Roots[0].Descriptor
		require.Equal(t, d, blob.Digest)
		b.Contents.Blobs = append(b.Contents.Blobs, blob)
	}
	_, err := push(t, "127.0.0.1:1", mirror.PushOptions{}, archivetest.Open(t, b.Write()))
	require.ErrorIs(t, err, archive.ErrNotClosed)
}
