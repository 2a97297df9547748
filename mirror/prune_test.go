package mirror_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/images"
	"github.com/sealift/sealift/test/registries"
)

func (s *site) prune(t *testing.T, dryRun bool, drop *archive.Reader, keep ...*archive.Reader) (*mirror.PruneResult, error) {
	t.Helper()
	return mirror.Prune(t.Context(), []*archive.Reader{drop}, keep, s.client, s.host, s.mapping, mirror.PruneOptions{DryRun: dryRun})
}

// has tells whether REPOSITORY:TAG or REPOSITORY@DIGEST is in the registry.
func (s *site) has(t *testing.T, name string) bool {
	t.Helper()
	repository, ref, tagged := strings.Cut(name, ":")
	if r, d, ok := strings.Cut(name, "@"); ok {
		repository, ref, tagged = r, d, true
	}
	require.True(t, tagged)
	repo, err := s.client.Repository(s.host + "/site/" + repository)
	require.NoError(t, err)
	_, err = repo.Resolve(t.Context(), ref)
	if err != nil {
		require.ErrorIs(t, err, content.ErrNotFound)
	}
	return err == nil
}

// tag makes a tag of what is in the registry.
func (s *site) tag(t *testing.T, repository, ref, tag string) {
	t.Helper()
	repo, err := s.client.Repository(s.host + "/site/" + repository)
	require.NoError(t, err)
	d, err := repo.Resolve(t.Context(), ref)
	require.NoError(t, err)
	data, err := content.ReadAll(t.Context(), repo, d, content.MaxManifestSize)
	require.NoError(t, err)
	require.NoError(t, repo.PushManifest(t.Context(), d, data, tag))
}

func states(r *mirror.PruneResult) map[string]string {
	out := map[string]string{}
	for _, image := range r.Images {
		_, name, _ := strings.Cut(image.Target, "/site/")
		out[name] = image.State
	}
	return out
}

// versions makes two versions of a bundle, and names the manifests of the old
// one: what both have, there or elsewhere, an image that moved under its tag, one that is gone, an
// index that shares a platform with that of the new one, and signatures.
func versions(t *testing.T) (older, newer *archive.Reader, of map[string]content.Descriptor) {
	of = map[string]content.Descriptor{}
	b := archivetest.New(t)
	of["same"] = b.Image("amd64", "same")
	of["moved"] = b.Image("amd64", "shared layer", "old")
	of["gone"] = b.Image("amd64", "shared layer", "only in gone")
	of["elsewhere"] = b.Image("amd64", "elsewhere")
	of["amd64"], of["arm64"] = b.Image("amd64", "multi amd64"), b.Image("arm64", "multi arm64")
	of["multi"] = b.Index(of["amd64"], of["arm64"])
	of["signature"] = b.Artifact(signatureType, "a signature", ptr(of["gone"]))
	of["cosign"] = b.Artifact(signatureType, "a signature by tag", nil)
	b.Root("docker.io/team/same:1", of["same"])
	b.Root("docker.io/team/same:once", of["same"])
	b.Root("docker.io/team/moved:latest", of["moved"])
	b.Root("docker.io/team/gone:1", of["gone"])
	b.Root("docker.io/team/multi:1", of["multi"])
	b.Root("docker.io/team/elsewhere:1", of["elsewhere"])
	b.Referrer("docker.io/team/gone@"+of["signature"].Digest.String(), of["signature"], of["gone"])
	b.Referrer("docker.io/team/gone:"+registry.ReferrersTag(of["gone"].Digest)+".sig", of["cosign"], of["gone"])
	older = archivetest.Open(t, b.Write())
	b = archivetest.New(t)
	b.Contents.Version = "1.1.0"
	b.Root("docker.io/team/same:1", b.Image("amd64", "same"))
	b.Root("docker.io/team/moved:latest", b.Image("amd64", "shared layer", "new"))
	b.Root("docker.io/team/here:1", b.Image("amd64", "elsewhere"))
	b.Root("docker.io/team/multi:2", b.Index(b.Image("amd64", "multi amd64"), b.Image("arm64", "a new arm64")))
	return older, archivetest.Open(t, b.Write()), of
}

func ptr(d content.Descriptor) *content.Descriptor { return &d }

func TestPrune(t *testing.T) {
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, start(t))
			older, newer, of := versions(t)
			s.fill(t, older)
			s.fill(t, newer)
			dry, err := s.prune(t, true, older, newer)
			require.NoError(t, err)
			require.True(t, s.has(t, "team/gone:1"))
			done, err := s.prune(t, false, older, newer)
			require.NoError(t, err)
			once := mirror.PruneRemoved
			if name == "docker-registry" { // version 2.8 removes tags only with their manifests
				once = mirror.PruneStays
			} else {
				require.Equal(t, states(dry), states(done))
			}
			require.Equal(t, dry.Manifests, done.Manifests)
			require.Equal(t, dry.Bytes, done.Bytes)
			require.Equal(t, map[string]string{
				"team/same:once": once,
				"team/moved@" + of["moved"].Digest.String(): mirror.PruneRemoved,
				"team/gone:1":      mirror.PruneRemoved,
				"team/elsewhere:1": mirror.PruneRemoved,
				"team/multi:1":     mirror.PruneRemoved,
				"team/gone@" + of["signature"].Digest.String():                   mirror.PruneRemoved,
				"team/gone:" + registry.ReferrersTag(of["gone"].Digest) + ".sig": mirror.PruneRemoved,
			}, states(done))
			require.Equal(t, 1, done.Shared)
			require.Equal(t, 7, done.Manifests, "moved, gone, its two signatures, elsewhere, the index and its arm64")
			for _, gone := range []string{"team/gone:1", "team/multi:1", "team/gone@" + of["signature"].Digest.String(),
				"team/moved@" + of["moved"].Digest.String(), "team/multi@" + of["arm64"].Digest.String(),
				"team/gone:" + registry.ReferrersTag(of["gone"].Digest)} {
				require.False(t, s.has(t, gone), gone)
			}
			require.Equal(t, once == mirror.PruneStays, s.has(t, "team/same:once"))
			requirePulls(t, s.host, newer)
			pushed, err := mirror.Pushed(t.Context(), s.client, s.host, s.mapping)
			require.NoError(t, err)
			require.Len(t, pushed, 1)
			require.Equal(t, "1.1.0", pushed[0].Version)
			again, err := s.prune(t, false, older, newer)
			require.NoError(t, err)
			require.Zero(t, again.Manifests+int(again.Bytes))
			for _, image := range again.Images {
				if strings.HasSuffix(image.Target, "/team/same:once") {
					continue
				}
				require.Equal(t, mirror.PruneAbsent, image.State, image.Target)
			}
		})
	}
}

// TestPruneCountsWhatIsFreed: a blob counts once, and not when what stays has it.
func TestPruneCountsWhatIsFreed(t *testing.T) {
	s := newSite(t, registries.Host(registries.Distribution(t, registries.Options{})))
	older, newer, of := versions(t)
	s.fill(t, older)
	s.fill(t, newer)
	done, err := s.prune(t, false, older, newer)
	require.NoError(t, err)
	want := int64(len("old") + len("only in gone") + len("multi arm64") + len("a signature") + len("a signature by tag") + len("{}"))
	for _, name := range []string{"moved", "gone", "multi", "arm64", "signature", "cosign"} {
		want += of[name].Size
	}
	require.Equal(t, want, done.Bytes, "the configurations and the shared layer stay")
}

// TestPrunePushed: of a bundle whose file is gone the head in the registry is enough.
func TestPrunePushed(t *testing.T) {
	s := newSite(t, registries.Host(registries.Distribution(t, registries.Options{})))
	older, newer, _ := versions(t)
	s.fill(t, older)
	s.fill(t, newer)
	of := func(tag string) *archive.Reader {
		r, err := s.open(t, tag, archivetest.Verifier{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, r.Close()) })
		return r
	}
	done, err := s.prune(t, false, of("test-1.0.0"), of("test-1.1.0"))
	require.NoError(t, err)
	require.Equal(t, 7, done.Manifests)
	_, err = s.open(t, "test-1.0.0", archivetest.Verifier{})
	require.ErrorIs(t, err, mirror.ErrNoHead)
	requirePulls(t, s.host, newer)
}

// TestPruneLeavesOthersTheirs: what somebody else has tagged stays, with all
// that it needs and its signatures.
func TestPruneLeavesOthersTheirs(t *testing.T) {
	for name, start := range registries.All() {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, start(t))
			older, newer, of := versions(t)
			s.fill(t, older)
			s.fill(t, newer)
			s.tag(t, "team/gone", "1", "backup")
			b := archivetest.New(t)
			b.Root("docker.io/team/multi:mine", b.Index(b.Image("arm64", "multi arm64"))) // an index of the site's own
			_, err := mirror.Push(t.Context(), []*archive.Reader{archivetest.Open(t, b.Write())}, s.client, s.host, s.mapping, mirror.PushOptions{})
			require.NoError(t, err)
			done, err := s.prune(t, false, older, newer)
			require.NoError(t, err)
			require.Equal(t, mirror.PruneStays, states(done)["team/gone:1"])
			require.Equal(t, mirror.PruneStays, states(done)["team/gone@"+of["signature"].Digest.String()])
			for _, image := range done.Images {
				if image.State == mirror.PruneStays && !strings.HasSuffix(image.Target, "/team/same:once") {
					require.Contains(t, image.Why, "tag backup")
				}
			}
			require.False(t, s.has(t, "team/multi:1"))
			for _, stays := range []string{"team/gone:backup", "team/multi:mine", "team/multi@" + of["arm64"].Digest.String(), "team/gone@" + of["signature"].Digest.String()} {
				require.True(t, s.has(t, stays), stays)
			}
			_, err = images.Pull(s.host + "/site/team/gone:backup")
			require.NoError(t, err)
			requirePulls(t, s.host, newer)
		})
	}
}

// TestPruneLooksThroughIndexes: what an index of others names is found in indexes
// below, and where one of those is not there.
func TestPruneLooksThroughIndexes(t *testing.T) {
	s := newSite(t, registries.Host(registries.Distribution(t, registries.Options{})))
	older, newer, of := versions(t)
	s.fill(t, older)
	s.fill(t, newer)
	b := archivetest.New(t)
	absent := b.Index(b.Image("s390x", "is not there"))
	b = archivetest.New(t)
	below := b.Index(b.Image("arm64", "multi arm64"))
	b.Root("docker.io/team/multi:deep", b.Index(absent, below), absent)
	_, err := mirror.Push(t.Context(), []*archive.Reader{archivetest.Open(t, b.Write())}, s.client, s.host, s.mapping, mirror.PushOptions{})
	require.NoError(t, err)
	_, err = s.prune(t, false, older, newer)
	require.NoError(t, err)
	require.True(t, s.has(t, "team/multi@"+of["arm64"].Digest.String()))
	require.True(t, s.has(t, "team/multi@"+below.Digest.String()))
	require.False(t, s.has(t, "team/multi:1"))
}

// TestPruneProvesWhatStays: nothing is removed before the bundles that stay are there.
func TestPruneProvesWhatStays(t *testing.T) {
	s := newSite(t, registries.Host(registries.Distribution(t, registries.Options{})))
	older, newer, _ := versions(t)
	s.fill(t, newer)
	s.fill(t, older) // moved:latest is the old one again
	_, err := s.prune(t, false, older, newer)
	require.ErrorIs(t, err, mirror.ErrIncomplete)
	require.ErrorContains(t, err, "team/moved:latest")
	require.Contains(t, strings.Join(problem.Remedies(err), "\n"), "push it first")
	require.True(t, s.has(t, "team/gone:1"))
	b := archivetest.New(t)
	b.Contents.Version = "2.0.0"
	b.Root("docker.io/team/next:1", b.Image("amd64", "next"))
	_, err = s.prune(t, false, older, archivetest.Open(t, b.Write()))
	require.ErrorIs(t, err, mirror.ErrIncomplete)
	require.True(t, s.has(t, "team/gone:1"))
	_, err = s.prune(t, false, older) // none stays: all of it goes
	require.NoError(t, err)
	require.False(t, s.has(t, "team/gone:1"))
	require.False(t, s.has(t, "team/same:1"))
	require.True(t, s.has(t, "team/multi:2"))
}

func TestPruneWhereNothingIsDeleted(t *testing.T) {
	wrap := registries.Faults(registries.Fault{Method: http.MethodDelete, Do: registries.Status(http.StatusMethodNotAllowed)})
	s := newSite(t, registries.Host(registries.Distribution(t, registries.Options{Wrap: wrap})))
	older, newer, _ := versions(t)
	s.fill(t, older)
	s.fill(t, newer)
	_, err := s.prune(t, false, older, newer)
	require.ErrorIs(t, err, registry.ErrNoDelete)
	require.Equal(t, problem.Failed, problem.KindOf(err))
	require.Contains(t, strings.Join(problem.Remedies(err), "\n"), "REGISTRY_STORAGE_DELETE_ENABLED")
	requirePulls(t, s.host, newer)
}

// TestPruneCutOff: a run that failed in the middle is simply repeated.
func TestPruneCutOff(t *testing.T) {
	var left atomic.Int32
	left.Store(3)
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete && left.Add(-1) < 0 {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	s := newSite(t, registries.Host(registries.Distribution(t, registries.Options{Wrap: wrap})))
	older, newer, _ := versions(t)
	s.fill(t, older)
	s.fill(t, newer)
	_, err := s.prune(t, false, older, newer)
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.Equal(t, problem.Partial, problem.KindOf(err))
	requirePulls(t, s.host, newer)
	left.Store(1000)
	_, err = s.prune(t, false, older, newer)
	require.NoError(t, err)
	for _, gone := range []string{"team/gone:1", "team/same:once", "team/multi:1"} {
		require.False(t, s.has(t, gone), gone)
	}
	requirePulls(t, s.host, newer)
}
