package mirror_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/receipt"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/images"
	"github.com/sealift/sealift/test/registries"
)

func TestParseShard(t *testing.T) {
	s, err := mirror.ParseShard("2/4")
	require.NoError(t, err)
	require.Equal(t, mirror.Shard{Index: 2, Of: 4}, s)
	require.Equal(t, "2/4", s.String())
	require.False(t, s.Last())
	require.True(t, mirror.Shard{Index: 4, Of: 4}.Last())
	require.True(t, mirror.Shard{}.Last())
	for _, bad := range []string{"", "2", "0/4", "5/4", "-1/4", "0/0", "1/0", "a/b", "1/4/4", "1/1001", "1/99999999999999999999"} {
		_, err := mirror.ParseShard(bad)
		require.Equal(t, problem.Usage, problem.KindOf(err), bad)
	}
}

// many makes a bundle of some images that share layers across repositories.
func many(t *testing.T) *archive.Reader {
	b := archivetest.New(t)
	for i := range 12 {
		own := strings.Repeat(fmt.Sprintf("layer %d ", i), 1000*(i+1))
		b.Root(fmt.Sprintf("docker.io/team/app%d:1", i), b.Image("amd64", "in all", fmt.Sprintf("in some %d", i%3), own))
	}
	return archivetest.Open(t, b.Write())
}

func pushShard(ctx context.Context, host string, r *archive.Reader, opts mirror.PushOptions) (*mirror.PushResult, error) {
	client, err := registry.NewClient(registry.Options{PlainHTTP: []string{host}, MinWait: time.Millisecond, MaxAttempts: 2})
	if err != nil {
		return nil, err
	}
	m, err := mirror.ParseMapping("site", nil)
	if err != nil {
		return nil, err
	}
	return mirror.Push(ctx, []*archive.Reader{r}, client, host, m, opts)
}

// TestShards runs four shards at once, cuts one of them off while it sends, and
// runs it again.
func TestShards(t *testing.T) {
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			host, r := start(t), many(t)
			const of = 4
			results := make([]*mirror.PushResult, of)
			var g errgroup.Group
			for i := range of {
				g.Go(func() error {
					opts := mirror.PushOptions{Shard: mirror.Shard{Index: i + 1, Of: of}, ShardTimeout: 20 * time.Second, Jobs: 2}
					if i == 1 {
						if err := cutOff(t, host, r, opts); err != nil {
							return err
						}
					}
					var err error
					results[i], err = pushShard(t.Context(), host, r, opts)
					return err
				})
			}
			require.NoError(t, g.Wait())
			requireWhole(t, host, r)
			requireDivided(t, results)
			requireSameReceipt(t, host, r, results[of-1])
		})
	}
}

// cutOff runs a shard until its first blob was sent.
func cutOff(t *testing.T, host string, r *archive.Reader, opts mirror.PushOptions) error {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opts.Jobs, opts.Progress = 1, &cutter{after: 1, cut: cancel}
	_, err := pushShard(ctx, host, r, opts)
	if err == nil {
		return fmt.Errorf("the shard was to be cut off, and went through")
	}
	return nil
}

func requireWhole(t *testing.T, host string, r *archive.Reader) {
	for _, root := range r.Statement().Roots {
		_, path, _ := strings.Cut(root.Reference, "/")
		got, err := images.Pull(host + "/site/" + path)
		require.NoError(t, err)
		require.Equal(t, root.Descriptor.Digest.String(), got)
	}
}

// requireDivided checks that no blob was two shards' and no manifest but the last's.
func requireDivided(t *testing.T, results []*mirror.PushResult) {
	places := 0
	for i, r := range results {
		require.Equal(t, fmt.Sprintf("%d/%d", i+1, len(results)), r.Shard)
		places += r.Blobs.Sent + r.Blobs.Mounted + r.Blobs.There
		require.NotZero(t, r.Blobs.Sent+r.Blobs.There, "each shard has something to do")
		if i < len(results)-1 {
			require.Empty(t, r.Images)
			require.Nil(t, r.Receipt(time.Now()))
		}
	}
	require.Equal(t, 12*4, places, "config and three layers of each image, each once")
	require.Len(t, results[len(results)-1].Images, 12)
}

// requireSameReceipt compares the receipt of the last shard with that of one
// run for all.
func requireSameReceipt(t *testing.T, host string, r *archive.Reader, last *mirror.PushResult) {
	again, err := pushShard(t.Context(), host, r, mirror.PushOptions{})
	require.NoError(t, err)
	require.Zero(t, again.Bytes)
	at := time.Now()
	require.Empty(t, cmp.Diff(again.Receipt(at), last.Receipt(at)))
	data, err := again.Receipt(at).Encode()
	require.NoError(t, err)
	_, err = receipt.Decode(data)
	require.NoError(t, err)
}

func TestLastShardSaysWhatIsMissing(t *testing.T) {
	host := registries.Host(registries.Distribution(t, registries.Options{}))
	r := many(t)
	_, err := pushShard(t.Context(), host, r, mirror.PushOptions{Shard: mirror.Shard{Index: 2, Of: 3}})
	require.NoError(t, err)
	_, err = pushShard(t.Context(), host, r, mirror.PushOptions{Shard: mirror.Shard{Index: 3, Of: 3}, ShardTimeout: 300 * time.Millisecond})
	require.ErrorIs(t, err, mirror.ErrShardsMissing)
	require.ErrorContains(t, err, "shard 1/3: sha256:")
	require.ErrorContains(t, err, "for docker.io/team/app")
	require.NotContains(t, err.Error(), "shard 2/3: ")
	require.Equal(t, problem.Partial, problem.KindOf(err))
	require.Contains(t, strings.Join(problem.Remedies(err), "\n"), "run them again: 1/3;")
	_, err = images.Pull(host + "/site/team/app1:1")
	require.Error(t, err, "no manifest before all blobs")

	_, err = pushShard(t.Context(), host, r, mirror.PushOptions{Shard: mirror.Shard{Index: 1, Of: 3}})
	require.NoError(t, err)
	_, err = pushShard(t.Context(), host, r, mirror.PushOptions{Shard: mirror.Shard{Index: 3, Of: 3}, ShardTimeout: 300 * time.Millisecond})
	require.NoError(t, err)
	requireWhole(t, host, r)
}

// TestWaitingEnds covers a run that is interrupted, and a registry that goes
// away, while the last shard waits.
func TestWaitingEnds(t *testing.T) {
	r := many(t)
	last := mirror.PushOptions{Shard: mirror.Shard{Index: 2, Of: 2}}
	host := registries.Host(registries.Distribution(t, registries.Options{}))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err := pushShard(ctx, host, r, last)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	full := registries.Faults(registries.Fault{Method: http.MethodHead, Do: registries.Status(http.StatusForbidden)})
	host = registries.Host(registries.Distribution(t, registries.Options{Wrap: full}))
	_, err = pushShard(t.Context(), host, r, last)
	require.ErrorIs(t, err, registry.ErrForbidden)
}

func TestShardThatIsNone(t *testing.T) {
	_, err := pushShard(t.Context(), "127.0.0.1:1", many(t), mirror.PushOptions{Shard: mirror.Shard{Index: 3, Of: 2}})
	require.Equal(t, problem.Usage, problem.KindOf(err))
}

// TestDryRunOfAShard only looks, and waits for nobody.
func TestDryRunOfAShard(t *testing.T) {
	seen := registries.NewRequests()
	host := registries.Host(registries.Distribution(t, registries.Options{Wrap: seen.Wrap}))
	_, err := pushShard(t.Context(), host, many(t), mirror.PushOptions{Shard: mirror.Shard{Index: 2, Of: 2}, DryRun: true})
	require.NoError(t, err)
	lines := seen.Lines()
	require.Equal(t, len(lines), registries.Count(lines, "HEAD "), "%v", lines)
}
