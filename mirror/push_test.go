package mirror_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/images"
	"github.com/sealift/sealift/test/registries"
)

func push(t *testing.T, host string, opts mirror.PushOptions, readers ...*archive.Reader) (*mirror.PushResult, error) {
	client, err := registry.NewClient(registry.Options{PlainHTTP: []string{host}, MinWait: time.Millisecond, MaxAttempts: 2})
	require.NoError(t, err)
	m, err := mirror.ParseMapping("site", nil)
	require.NoError(t, err)
	return mirror.Push(t.Context(), readers, client, host, m, opts)
}

// whole makes a bundle whose indexes are complete, and that shares a layer
// between two repositories.
func whole(t *testing.T) *archive.Reader {
	b := archivetest.New(t)
	b.Root("docker.io/library/plain:1", b.Image("amd64", "shared layer", "plain", ""))
	b.Root("docker.io/library/plain:latest", b.Image("amd64", "shared layer", "plain", ""))
	b.Root("quay.io/team/multi:2", b.Index(b.Image("amd64", "shared layer", "multi amd64"), b.Image("arm64", "multi arm64")))
	return archivetest.Open(t, b.Write())
}

func TestPush(t *testing.T) {
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			r := whole(t)
			dry, err := push(t, host, mirror.PushOptions{DryRun: true}, r)
			require.NoError(t, err)
			first, err := push(t, host, mirror.PushOptions{}, r)
			require.NoError(t, err)
			require.Equal(t, dry.Blobs.Sent+dry.Blobs.Mounted+dry.Blobs.There, first.Blobs.Sent+first.Blobs.Mounted+first.Blobs.There)
			require.Equal(t, 4, first.Manifests.Sent)
			require.Len(t, first.Images, 3)
			for _, root := range r.Statement().Roots {
				_, path, _ := strings.Cut(root.Reference, "/")
				got, err := images.Pull(host + "/site/" + path)
				require.NoError(t, err)
				require.Equal(t, root.Descriptor.Digest.String(), got)
			}
			other := archivetest.New(t)
			other.Root("docker.io/library/plain:1", other.Image("amd64", "another layer"))
			for _, opts := range []mirror.PushOptions{{DryRun: true}, {}} { // a tag that moves is told
				moved, err := push(t, host, opts, archivetest.Open(t, other.Write()))
				require.NoError(t, err)
				require.Equal(t, r.Statement().Roots[0].Descriptor.Digest.String(), moved.Images[0].Previous)
			}
			back, err := push(t, host, mirror.PushOptions{}, r)
			require.NoError(t, err)
			require.True(t, back.Images[0].Sent)
			require.NotEmpty(t, back.Images[0].Previous)
			again, err := push(t, host, mirror.PushOptions{}, r)
			require.NoError(t, err)
			require.Empty(t, again.Images[0].Previous)
			require.Zero(t, again.Bytes+int64(again.Blobs.Sent+again.Blobs.Mounted+again.Manifests.Sent))
		})
	}
}

func TestSecondPushSendsOnlyHEAD(t *testing.T) {
	seen := registries.NewRequests()
	host := registries.Host(registries.Distribution(t, registries.Options{Wrap: seen.Wrap}))
	r := archivetest.Open(t, archivetest.Sample(t).Write())
	_, err := push(t, host, mirror.PushOptions{}, r)
	require.NoError(t, err)
	lines := seen.Lines()
	sent := 0
	digests := map[string]bool{}
	for _, b := range r.Statement().Blobs {
		digests[b.Digest.String()] = true
	}
	for _, l := range lines {
		if strings.HasPrefix(l, "PUT ") && strings.Contains(l, "/blobs/uploads/") {
			sent++
		}
	}
	require.Equal(t, len(digests)-1-6, sent, "each blob once: all but the definition and six manifests")
	_, err = push(t, host, mirror.PushOptions{}, r)
	require.NoError(t, err)
	lines = seen.Lines()
	require.NotEmpty(t, lines)
	require.Equal(t, len(lines), registries.Count(lines, "HEAD "), "%v", lines)
}

func TestDryRunOnlyLooks(t *testing.T) {
	seen := registries.NewRequests()
	host := registries.Host(registries.Distribution(t, registries.Options{Wrap: seen.Wrap}))
	_, err := push(t, host, mirror.PushOptions{DryRun: true}, whole(t))
	require.NoError(t, err)
	lines := seen.Lines()
	require.Equal(t, len(lines), registries.Count(lines, "HEAD "), "%v", lines)
}

// TestSparseIndex covers registries that take an index only with all its manifests.
func TestSparseIndex(t *testing.T) {
	r := archivetest.Open(t, archivetest.Sample(t).Write())
	host := registries.Docker(t)
	_, err := push(t, host, mirror.PushOptions{}, r)
	require.ErrorIs(t, err, registry.ErrSparseIndex)
	require.Contains(t, strings.Join(problem.Remedies(err), "\n"), "all platforms")
	require.Equal(t, problem.Partial, problem.KindOf(err))

	host = registries.Host(registries.Distribution(t, registries.Options{}))
	_, err = push(t, host, mirror.PushOptions{}, r)
	require.NoError(t, err)
	got, err := images.Pull(host+"/site/team/sparse:2", "linux/s390x")
	require.NoError(t, err)
	require.Equal(t, r.Statement().Roots[2].Descriptor.Digest.String(), got)
}

func TestPushFailures(t *testing.T) {
	for name, c := range map[string]struct {
		fault registries.Fault
		is    error
	}{
		"no project":      {registries.Fault{Method: "POST", Do: registries.Status(http.StatusNotFound)}, content.ErrNotFound},
		"no right":        {registries.Fault{Method: "POST", Do: registries.Status(http.StatusForbidden)}, registry.ErrForbidden},
		"manifest denied": {registries.Fault{Method: "PUT", Path: "/manifests/", Do: registries.Status(http.StatusForbidden)}, registry.ErrForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			host := registries.Host(registries.Distribution(t, registries.Options{Wrap: registries.Faults(c.fault)}))
			_, err := push(t, host, mirror.PushOptions{}, whole(t))
			require.ErrorIs(t, err, c.is)
			require.NotEmpty(t, problem.Remedies(err))
		})
	}
}

// TestDamagedBundle covers bytes that changed after the bundle was
// verified: the registry verifies each blob, and sealift each manifest.
func TestDamagedBundle(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/library/x:1", b.Image("amd64", "a layer that will change"))
	path := b.Write()
	r := archivetest.Open(t, path)
	flipIn(t, path, "a layer that will change")
	host := registries.Host(registries.Distribution(t, registries.Options{}))
	_, err := push(t, host, mirror.PushOptions{}, r)
	require.ErrorContains(t, err, "the bundle is damaged")
	require.Equal(t, problem.Verification, problem.KindOf(err))
	_, err = images.Pull(host + "/site/library/x:1")
	require.Error(t, err)
}

// A source that goes away is no damaged bundle.
func TestALostSourceIsNoDamage(t *testing.T) {
	b := archivetest.New(t)
	b.Root("docker.io/library/large:1", b.Image("amd64", strings.Repeat("a large layer ", 1<<20)))
	path := b.Write()
	var away atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.ServeFile(w, r, path)
	}))
	t.Cleanup(server.Close)
	head, err := archive.Open(t.Context(), server.URL+"/bundle", location.Options{PlainHTTP: []string{registries.Host(server)}, MinWait: time.Millisecond, MaxAttempts: 2})
	require.NoError(t, err)
	r, err := head.Authenticate(archivetest.Verifier{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	away.Store(true)
	_, err = push(t, registries.Host(registries.Distribution(t, registries.Options{})), mirror.PushOptions{}, r)
	require.ErrorIs(t, err, location.ErrUnreadable)
	require.NotContains(t, err.Error(), "damaged")
	require.NotEqual(t, problem.Verification, problem.KindOf(err))
}
