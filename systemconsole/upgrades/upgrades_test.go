package upgrades_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/systemconsole/upgrades"
)

// work is an upgrade of three steps, of which a test says how each goes. Like a
// real one it asks what is done and goes past it.
type work struct {
	enterprise.Upgrader
	mu   sync.Mutex
	done int
	step func(ctx context.Context, n int) error
	runs atomic.Int32
	at   chan int // the step that begins
}

func (w *work) Run(ctx context.Context, _ string, _ upgrade.Choices, o upgrade.Observer) error {
	w.runs.Add(1)
	o.Steps([]string{"fill", "roll", "console"})
	for n := range 3 {
		w.mu.Lock()
		before := n < w.done
		w.mu.Unlock()
		if before {
			o.Step(n, upgrade.Before, "it is there")
			continue
		}
		o.Step(n, upgrade.Running, "it begins")
		w.at <- n
		if err := w.step(ctx, n); err != nil {
			o.Step(n, upgrade.Failed, err.Error())
			return err
		}
		w.mu.Lock()
		w.done = n + 1
		w.mu.Unlock()
		o.Step(n, upgrade.Done, "it is done")
	}
	return nil
}

func newWork(step func(ctx context.Context, n int) error) *work {
	return &work{step: step, at: make(chan int, 10)}
}

func newStore(t *testing.T) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// replica is a console over a store.
type replica struct {
	*upgrades.Service
	stop func()
}

func start(t *testing.T, s store.Store, w *work, lease time.Duration) *replica {
	t.Helper()
	r := &replica{Service: upgrades.New(s, audit.New(s, audit.Options{}), w, upgrades.Options{Lease: lease, Tick: 10 * time.Millisecond})}
	ctx, cancel := context.WithCancel(context.Background())
	var tending sync.WaitGroup
	tending.Go(func() { r.Tend(ctx) })
	r.stop = func() { cancel(); tending.Wait() }
	t.Cleanup(r.stop)
	return r
}

func (r *replica) ended(t *testing.T) *upgrades.Upgrade {
	t.Helper()
	var u *upgrades.Upgrade
	require.Eventually(t, func() bool {
		var err error
		u, err = r.Last(t.Context())
		return err == nil && u.State != enterprise.Running
	}, 20*time.Second, 10*time.Millisecond)
	return u
}

func bundle() upgrade.Bundle {
	return upgrade.Bundle{ID: "enterprise-2", Name: "enterprise", Version: "2.0.0", Statement: "sha256:1234"}
}

func TestUpgrade(t *testing.T) {
	s := newStore(t)
	goOn := make(chan struct{})
	w := newWork(func(context.Context, int) error {
		<-goOn
		return nil
	})
	r := start(t, s, w, time.Minute)
	last, err := r.Last(t.Context())
	require.NoError(t, err)
	require.Nil(t, last)
	require.NoError(t, r.Idle(t.Context()))
	require.ErrorIs(t, r.Resume(t.Context()), enterprise.ErrInvalid)

	ctx := audit.WithActor(t.Context(), audit.Actor{Name: "ada", Via: "page", Source: "192.0.2.1"})
	require.NoError(t, r.Start(ctx, bundle(), upgrade.Choices{"/console/replicas": upgrade.Live}))
	require.Zero(t, <-w.at)
	require.ErrorIs(t, r.Idle(t.Context()), enterprise.ErrBusy)
	require.ErrorIs(t, r.Start(ctx, bundle(), nil), enterprise.ErrBusy)
	require.Eventually(t, func() bool {
		last, err := r.Last(t.Context())
		return err == nil && len(last.Steps) == 3 && last.Steps[0].State == upgrade.Running
	}, 20*time.Second, 10*time.Millisecond)
	close(goOn)
	u := r.ended(t)
	require.Equal(t, enterprise.Done, u.State)
	require.Equal(t, "ada", u.By)
	require.Equal(t, upgrade.Done, u.Steps[2].State)
	require.Contains(t, u.Log, "roll: it is done")
	require.Equal(t, 1, u.Taken)

	var records []audit.Record
	require.Eventually(t, func() bool { // the end is recorded after it is told
		records, err = audit.New(s, audit.Options{}).Newest(t.Context(), 0, 10)
		return err == nil && len(records) >= 2
	}, 20*time.Second, 10*time.Millisecond)
	require.Len(t, records, 2, "the refused ones are not begun")
	require.Equal(t, "cluster.upgrade.end", records[0].Action)
	require.Contains(t, string(records[0].After), "done")
	require.Equal(t, "cluster.upgrade", records[1].Action)
	require.Equal(t, "192.0.2.1", records[1].Source)
	require.Contains(t, string(records[1].After), "/console/replicas")
}

// The upgrade replaces the replica that works at it: the one that comes next
// goes on with the step that was under way, at once.
func TestTheNextReplicaGoesOn(t *testing.T) {
	s := newStore(t)
	w := newWork(func(ctx context.Context, n int) error {
		if n == 2 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	first := start(t, s, w, time.Hour)
	require.NoError(t, first.Start(t.Context(), bundle(), nil))
	for n := range 3 {
		require.Equal(t, n, <-w.at)
	}
	first.stop()
	last, err := first.Last(t.Context())
	require.NoError(t, err)
	require.Equal(t, enterprise.Running, last.State)
	require.Empty(t, last.Holder)

	w.step = func(context.Context, int) error { return nil }
	second := start(t, s, w, time.Hour)
	require.Equal(t, 2, <-w.at, "what is done is not done again")
	u := second.ended(t)
	require.Equal(t, enterprise.Done, u.State)
	require.Equal(t, upgrade.Before, u.Steps[0].State)
	require.Equal(t, 2, u.Taken)
}

// cut is a store that takes no writes of one replica any more, as when its node
// has lost the network.
type cut struct {
	store.Store
	off atomic.Bool
}

func (c *cut) Update(ctx context.Context, o store.Object) (string, error) {
	if c.off.Load() {
		return "", errors.New("no route to host")
	}
	return c.Store.Update(ctx, o)
}

// A replica that is cut off stops before another one takes over: two never work
// at the same time.
func TestAReplicaThatIsCutOffStops(t *testing.T) {
	s := newStore(t)
	var working, most atomic.Int32
	w := newWork(func(ctx context.Context, _ int) error {
		if now := working.Add(1); now > most.Load() {
			most.Store(now)
		}
		defer working.Add(-1)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(600 * time.Millisecond):
			return nil
		}
	})
	behind := &cut{Store: s}
	first := start(t, behind, w, 400*time.Millisecond)
	require.NoError(t, first.Start(t.Context(), bundle(), nil))
	require.Zero(t, <-w.at)
	behind.off.Store(true)
	second := start(t, s, w, 400*time.Millisecond)
	u := second.ended(t)
	require.Equal(t, enterprise.Done, u.State)
	require.Equal(t, 2, u.Taken)
	require.EqualValues(t, 1, most.Load())
	require.EqualValues(t, 2, w.runs.Load())
}

func TestAFailedUpgradeIsResumed(t *testing.T) {
	s := newStore(t)
	w := newWork(func(_ context.Context, n int) error {
		if n == 1 {
			return problem.New(problem.Failed, "make room", "the datastore is full")
		}
		return nil
	})
	r := start(t, s, w, time.Minute)
	require.NoError(t, r.Start(t.Context(), bundle(), upgrade.Choices{"/a": upgrade.After}))
	u := r.ended(t)
	require.Equal(t, enterprise.Stopped, u.State)
	require.Equal(t, "the datastore is full; make room", u.Failure)
	require.Equal(t, upgrade.Failed, u.Steps[1].State)
	require.NoError(t, r.Idle(t.Context()))

	w.step = func(context.Context, int) error { return nil }
	require.NoError(t, r.Resume(t.Context()))
	u = r.ended(t)
	require.Equal(t, enterprise.Done, u.State)
	require.Empty(t, u.Failure)
	require.Equal(t, upgrade.After, u.Choices["/a"], "what was chosen holds")
}

// Of many that are asked at the same moment one begins.
func TestOneUpgradeAtATime(t *testing.T) {
	s := newStore(t)
	w := newWork(func(ctx context.Context, _ int) error {
		<-ctx.Done()
		return ctx.Err()
	})
	first, second := start(t, s, w, time.Minute), start(t, s, w, time.Minute)
	var begun atomic.Int32
	var all sync.WaitGroup
	for i := range 10 {
		r := []*replica{first, second}[i%2]
		all.Go(func() {
			if err := r.Start(t.Context(), bundle(), nil); err == nil {
				begun.Add(1)
			} else if !errors.Is(err, enterprise.ErrBusy) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, begun.Load())
}

// missed is a store that tells of writes to what is not there.
type missed struct {
	store.Store
	writes chan struct{}
}

func (m *missed) Update(ctx context.Context, o store.Object) (string, error) {
	version, err := m.Store.Update(ctx, o)
	if errors.Is(err, store.ErrNotFound) {
		m.writes <- struct{}{}
	}
	return version, err
}

// An upgrade whose object went away while it ran, as with a restore of a backup,
// holds up no other.
func TestAnUpgradeThatWasRemovedIsLeft(t *testing.T) {
	s := &missed{newStore(t), make(chan struct{}, 10)}
	goOn := make(chan struct{})
	w := newWork(func(_ context.Context, n int) error {
		if n == 2 {
			<-goOn
		}
		return nil
	})
	service := upgrades.New(s, audit.New(s, audit.Options{}), w, upgrades.Options{Tick: time.Hour}) // nothing is renewed before the end
	r := &replica{Service: service}
	ctx, cancel := context.WithCancel(context.Background())
	var tending sync.WaitGroup
	tending.Go(func() { r.Tend(ctx) })
	t.Cleanup(func() { cancel(); tending.Wait() })
	require.NoError(t, r.Start(t.Context(), bundle(), nil))
	for n := range 3 {
		require.Equal(t, n, <-w.at)
	}
	require.NoError(t, s.Delete(t.Context(), upgrades.Kind, upgrades.Name, ""))
	close(goOn)
	<-s.writes
	require.NoError(t, r.Start(t.Context(), bundle(), nil))
	require.Equal(t, enterprise.Done, r.ended(t).State)
}

// Why an upgrade stopped fits into the store, however long the reason is.
func TestALongFailureIsCut(t *testing.T) {
	s := newStore(t)
	r := start(t, s, newWork(func(context.Context, int) error { return errors.New(strings.Repeat("no room \u00e9 ", 1<<20)) }), time.Minute)
	require.NoError(t, r.Start(t.Context(), bundle(), nil))
	u := r.ended(t)
	require.Equal(t, enterprise.Stopped, u.State)
	require.LessOrEqual(t, len(u.Failure), 8<<10)
	require.True(t, utf8.ValidString(u.Failure))
}
