package serve_test

import (
	"context"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/images"
	"github.com/sealift/sealift/test/registries"
)

// used returns the bytes of all files in a folder.
func used(t *testing.T, dir string) (total int64) {
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		total += info.Size()
		return err
	}))
	return total
}

// serving runs a registry on a folder while do runs.
func serving(t *testing.T, dir string, do func(host string, client *registry.Client, m *mirror.Mapping)) {
	h, stop, err := serve.Registry(t.Context(), serve.RegistryOptions{Data: dir})
	require.NoError(t, err)
	host := registries.Host(registries.Start(t, h, registries.Options{}))
	client, err := registry.NewClient(registry.Options{PlainHTTP: []string{host}, MinWait: time.Millisecond, MaxAttempts: 2})
	require.NoError(t, err)
	m, err := mirror.ParseMapping("", nil)
	require.NoError(t, err)
	do(host, client, m)
	require.NoError(t, stop())
}

// TestCollect: after a version was pruned, its space is free; what the other
// has stays whole, with indexes that lack platforms and with what has no tag.
func TestCollect(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "registry")
	b := archivetest.New(t)
	b.Root("docker.io/team/app:1", b.Image("amd64", "shared layer", strings.Repeat("old", 100_000)))
	b.Root("docker.io/team/gone:1", b.Image("amd64", "only in gone"))
	older := archivetest.Open(t, b.Write())
	b = archivetest.Sample(t)
	b.Contents.Version = "1.1.0"
	app := b.Image("amd64", "shared layer", "new")
	signature := b.Artifact("application/vnd.example.signature", "a signature", &app)
	b.Root("docker.io/team/app:2", app)
	b.Referrer("docker.io/team/app@"+signature.Digest.String(), signature, app)
	newer := archivetest.Open(t, b.Write())

	var upload string
	serving(t, dir, func(host string, client *registry.Client, m *mirror.Mapping) {
		for _, r := range []*archive.Reader{older, newer} {
			_, err := mirror.Push(t.Context(), []*archive.Reader{r}, client, host, m, mirror.PushOptions{})
			require.NoError(t, err)
		}
		resp, err := http.Post("http://"+host+"/v2/team/app/blobs/uploads/", "", nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, resp.Header.Get("Location"), strings.NewReader("cut off"))
		require.NoError(t, err)
		resp, err = http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		upload = resp.Header.Get("Docker-Upload-UUID")
		require.NotEmpty(t, upload)
		_, err = serve.Collect(t.Context(), dir, false)
		require.ErrorIs(t, err, serve.ErrBusy)
	})
	none, err := serve.Collect(t.Context(), dir, false)
	require.NoError(t, err)
	require.Zero(t, none.Blobs)
	require.Equal(t, 1, none.Uploads)
	require.Equal(t, int64(len("cut off")), none.Bytes)
	var freed int64
	serving(t, dir, func(host string, client *registry.Client, m *mirror.Mapping) {
		pruned, err := mirror.Prune(t.Context(), []*archive.Reader{older}, []*archive.Reader{newer}, client, host, m, mirror.PruneOptions{})
		require.NoError(t, err)
		freed = pruned.Bytes
	})
	before := used(t, dir)
	dry, err := serve.Collect(t.Context(), dir, true)
	require.NoError(t, err)
	require.Equal(t, before, used(t, dir), "nothing was removed")
	done, err := serve.Collect(t.Context(), dir, false)
	require.NoError(t, err)
	require.Equal(t, 4, done.Blobs, "two manifests and their own layers")
	require.Equal(t, freed, done.Bytes, "as much as the pruning said")
	require.Equal(t, []string{"team/gone"}, done.Repositories)
	require.LessOrEqual(t, used(t, dir), before-done.Bytes)
	dry.DryRun = false
	require.Equal(t, done, dry)
	serving(t, dir, func(host string, client *registry.Client, m *mirror.Mapping) {
		again, err := mirror.Push(t.Context(), []*archive.Reader{newer}, client, host, m, mirror.PushOptions{DryRun: true})
		require.NoError(t, err)
		require.Zero(t, again.Blobs.Sent+again.Blobs.Mounted+again.Manifests.Sent, "all of it is there")
		_, err = images.Pull(host + "/team/app:2")
		require.NoError(t, err)
		_, body := get(t, http.MethodGet, "http://"+host+"/v2/_catalog")
		require.NotContains(t, body, "team/gone")
		_, err = mirror.Push(t.Context(), []*archive.Reader{older}, client, host, m, mirror.PushOptions{}) // it can come back
		require.NoError(t, err)
		_, err = images.Pull(host + "/team/gone:1")
		require.NoError(t, err)
	})
}

func TestCollectRefuses(t *testing.T) {
	dir := t.TempDir()
	_, err := serve.Collect(t.Context(), filepath.Join(dir, "nothere"), false)
	require.Equal(t, problem.Usage, problem.KindOf(err), err)
	unused, err := serve.Collect(t.Context(), dir, false) // as of a volume at its first start
	require.NoError(t, err)
	require.True(t, unused.Unused)
	entries, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Empty(t, entries)
	serving(t, dir, func(host string, client *registry.Client, m *mirror.Mapping) {
		_, err := mirror.Push(t.Context(), []*archive.Reader{archivetest.Open(t, archivetest.Sample(t).Write())}, client, host, m, mirror.PushOptions{})
		require.NoError(t, err)
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = serve.Collect(ctx, dir, false)
	require.ErrorIs(t, err, context.Canceled)
}
