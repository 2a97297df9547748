package steps_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/steps"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/registries"
)

const (
	filling   = "fill the registry"
	importing = "import the node template"
)

// words collects what a step says.
type words struct {
	mu   sync.Mutex
	said []string
}

func (w *words) say(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, fmt.Sprintf(format, args...))
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.said, "\n")
}

// apply takes one step, which has to have something to do.
func apply(t *testing.T, in *steps.Installation, name string) (*words, error) {
	t.Helper()
	s, w := named(t, in, name), &words{}
	status, err := s.Check(t.Context())
	require.NoError(t, err)
	require.False(t, status.Done)
	if err := s.Apply(t.Context(), w.say); err != nil {
		return w, err
	}
	status, err = s.Check(t.Context())
	require.NoError(t, err)
	require.True(t, status.Done, status.Detail)
	return w, nil
}

// gone is a layer before a registry that lets it be away: from the first upload
// on, connections are cut off, then a proxy answers in its place.
type gone struct {
	uploads atomic.Int32
	after   int32 // so many uploads
	away    time.Duration
	began   atomic.Pointer[time.Time]
}

func (g *gone) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && g.uploads.Add(1) == g.after+1 {
			now := time.Now()
			g.began.CompareAndSwap(nil, &now)
		}
		began := g.began.Load()
		switch {
		case began == nil || time.Since(*began) > g.away:
			h.ServeHTTP(w, r)
		case time.Since(*began) > g.away/2:
			http.Error(w, "no upstream", http.StatusServiceUnavailable)
		default:
			panic(http.ErrAbortHandler)
		}
	})
}

// A registry that is gone for a minute while it is filled delays the step. Here
// it is for longer than the client itself tries.
func TestARegistryIsGoneForAMinute(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a minute")
	}
	g := &gone{after: 3, away: time.Minute}
	l := newLab(t, g.wrap, nil)
	t.Parallel()
	said, err := apply(t, l.open(), filling)
	require.NoError(t, err)
	require.Contains(t, said.String(), "the registry is away since ")
	require.NotNil(t, g.began.Load())
	require.Greater(t, time.Since(*g.began.Load()), g.away)
}

// It may be gone as well when all is sent but the bundle's own head.
func TestARegistryIsGoneAtTheEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for retries")
	}
	var began atomic.Pointer[time.Time]
	l := newLab(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			now := time.Now()
			if r.Method != http.MethodGet && r.Method != http.MethodHead && strings.Contains(r.URL.Path, "/bundles/") {
				began.CompareAndSwap(nil, &now)
			}
			if at := began.Load(); at != nil && now.Sub(*at) < 25*time.Second {
				http.Error(w, "no upstream", http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(w, r)
		})
	}, nil)
	t.Parallel()
	said, err := apply(t, l.open(), filling)
	require.NoError(t, err)
	require.Contains(t, said.String(), "the registry is away since ")
}

// One that does not come back ends the step, and the next run goes on.
func TestARegistryThatDoesNotComeBack(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for retries")
	}
	g := &gone{after: 3, away: 30 * time.Second}
	l := newLab(t, g.wrap, nil)
	t.Parallel()
	in := l.open()
	in.Patience = time.Second
	_, err := apply(t, in, filling)
	require.ErrorContains(t, err, "the registry was away for ")
	require.ErrorIs(t, err, registry.ErrUnavailable)
	require.NotEmpty(t, problem.Remedies(err))
	require.Eventually(t, func() bool { return time.Since(*g.began.Load()) > g.away }, time.Minute, time.Second)
	_, err = apply(t, l.open(), filling)
	require.NoError(t, err)
}

// What is no absence fails at once: the registry's disk is full.
func TestARegistryWithoutRoom(t *testing.T) {
	full := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				w.WriteHeader(http.StatusInsufficientStorage)
				return
			}
			h.ServeHTTP(w, r)
		})
	}
	l := newLab(t, full, nil)
	t.Parallel()
	_, err := apply(t, l.open(), filling)
	require.ErrorContains(t, err, "disk is full")
	require.Contains(t, strings.Join(problem.Remedies(err), "; "), "make room on ")
}

// A vCenter that restarts while the template is imported ends the session and
// the import; both are begun again.
func TestAVCenterRestartsDuringTheImport(t *testing.T) {
	l := newLab(t, nil, nil)
	t.Parallel()
	l.VCenter.Inject(vcenter.Fault{Method: "HttpNfcLeaseComplete", Times: 1, Delay: 2 * time.Second})
	in := l.open()
	over := make(chan struct{})
	go func() {
		defer close(over)
		for len(l.VCenter.Sessions()) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		l.VCenter.Restart(t.Context(), 6*time.Second)
	}()
	said, err := apply(t, in, importing)
	<-over
	require.NoError(t, err)
	require.Contains(t, said.String(), "the vCenter is away since ")
	require.Contains(t, said.String(), "the vCenter was restarted; beginning again")
	require.LessOrEqual(t, len(l.VCenter.Sessions()), 1)
}

// A vCenter that was restarted and now refuses the password is asked once.
func TestAPasswordIsTriedOnceAfterARestart(t *testing.T) {
	l := newLab(t, nil, nil)
	t.Parallel()
	in := l.open()
	s := named(t, in, importing)
	l.VCenter.SetPassword(l.VCenterLogin.Username, "changed meanwhile")
	l.VCenter.ExpireSessions(t.Context())
	w := &words{}
	err := s.Apply(t.Context(), w.say)
	require.ErrorIs(t, err, vsphere.ErrLogin)
	require.Contains(t, strings.Join(problem.Remedies(err), "; "), "tried once")
	require.NotContains(t, w.String(), "asked again")
}

// A datastore that becomes full half way ends the import with what to do, and
// leaves nothing; after room was made, the same command goes on.
func TestADatastoreBecomesFullHalfWay(t *testing.T) {
	l := newLab(t, nil, nil)
	t.Parallel()
	l.VCenter.Inject(vcenter.Fault{Method: "HttpNfcLeaseComplete", Times: 1, AtCall: true, Err: &types.NoDiskSpace{Datastore: "vmfs-ssd"}})
	in := l.open()
	results, err := step.Run(t.Context(), in.Steps()[:2], step.Options{})
	require.ErrorContains(t, err, "import the node template: importing template /north/vm/templates/node-1.34: ")
	require.Equal(t, problem.Partial, problem.KindOf(err))
	require.Contains(t, strings.Join(problem.Remedies(err), "; "), "make room on the datastore")
	require.Equal(t, step.Failed, results[1].Outcome)
	_, err = apply(t, l.open(), importing)
	require.NoError(t, err)
}

// A cluster whose machines are there is not made a second time by a host that
// knows nothing of it.
func TestAClusterOfAnotherHost(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil, nil)
	l.machine("enterprise-x7k2p", "north/enterprise/10.20.0.10")
	_, err := l.begin()
	require.ErrorIs(t, err, steps.ErrElsewhere)
	require.ErrorContains(t, err, "one is enterprise-x7k2p")
	require.Equal(t, problem.Preflight, problem.KindOf(err))
	require.NoError(t, os.WriteFile(filepath.Join(l.dir, steps.KubeconfigFile), nil, 0o600))
	_, err = l.begin()
	require.NoError(t, err, "the host that installed it, or has its kubeconfig")

	l = newLab(t, nil, nil)
	l.machine("enterprise-x7k2p", "south/enterprise/10.20.0.10")
	l.machine("clone", "north/enterprise/10.20.0.10")
	_, err = l.begin()
	require.NoError(t, err, "machines of others")
}

// A second run would remove what the first uploads.
func TestTwoInstallationsAtOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t, nil, nil)
	first, second := l.open(), l.open()
	require.NoError(t, first.Hold())
	err := second.Hold()
	require.ErrorIs(t, err, bootstrap.ErrInUse)
	require.NotEmpty(t, problem.Remedies(err))
	require.NoError(t, first.Close(t.Context()))
	require.NoError(t, second.Hold())
}

// A Harbor that lacks the project of the site's prefix gets it, private, before
// anything is pushed; a user who may not make it is told whom to ask.
func TestHarborGetsItsProject(t *testing.T) {
	h := &registries.Harbor{User: "robot", Password: "Registry-1!", Restriction: "everyone"}
	l := newLab(t, h.Wrap, nil)
	t.Parallel()
	said, err := apply(t, l.open(), filling)
	require.NoError(t, err)
	require.Contains(t, said.String(), "making the project sealift in Harbor")
	require.Equal(t, []string{"sealift"}, h.Projects)
	require.Len(t, h.Made(), 1)

	l = newLab(t, (&registries.Harbor{User: "robot", Restriction: "adminonly"}).Wrap, nil)
	_, err = named(t, l.open(), filling).Check(t.Context())
	require.ErrorContains(t, err, "has no project sealift, or does not show it, and this user may not make it")
	require.Contains(t, strings.Join(problem.Remedies(err), "; "), "ask an administrator of Harbor")
}
