package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/store"
)

// ReplicaKinds are the kinds that Replicas uses.
func ReplicaKinds() []store.Kind {
	return slices.Concat(Kinds(), store.PulseKinds(), auth.Kinds(), audit.Kinds())
}

// Replicas runs what several consoles on one store promise. Open returns an
// empty store as two consoles reach it.
func Replicas(t *testing.T, open func(t *testing.T) (first, second store.Store)) {
	for name, test := range map[string]func(t *testing.T, first, second store.Store){
		"reads are of now":            readsAreOfNow,
		"tables decide":               tablesDecide,
		"one read for many":           oneReadForMany,
		"a pulse from elsewhere":      aPulseFromElsewhere,
		"tables follow":               tablesFollow,
		"own changes are shown":       ownChangesAreShown,
		"the revoked are out at once": theRevokedAreOutAtOnce,
		"an end that is cut short":    anEndThatIsCutShort,
	} {
		t.Run(name, func(t *testing.T) {
			first, second := open(t)
			test(t, first, second)
		})
	}
}

// readsAreOfNow: what one console was answered, every other reads from then on.
func readsAreOfNow(t *testing.T, first, second store.Store) {
	for i := range 30 {
		a, b := things(first), things(second)
		if i%2 == 1 {
			a, b = b, a
		}
		name := fmt.Sprintf("n%d", i)
		version, err := a.Create(t.Context(), store.Item[Thing]{Name: name})
		require.NoError(t, err)
		got, err := b.Get(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, version, got.Version)
		version, err = a.Update(t.Context(), store.Item[Thing]{Name: name, Version: version, Value: Thing{Number: 1}})
		require.NoError(t, err)
		got, err = b.Get(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, store.Item[Thing]{Name: name, Version: version, Value: Thing{Number: 1}}, got)
		require.NoError(t, a.Delete(t.Context(), name, ""))
		_, err = b.Get(t.Context(), name)
		require.ErrorIs(t, err, store.ErrNotFound)
	}
}

// followed is a collection with a table that answers.
func followed(t *testing.T, s store.Store) store.Collection[Thing] {
	t.Helper()
	c := things(s)
	c.Table = &store.Table[Thing]{}
	follow(t, c)
	return c
}

func follow[T any](t *testing.T, c store.Collection[T]) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Follow(ctx, func(kind string, err error) { t.Logf("following %s begins anew: %v", kind, err) })
	}()
	t.Cleanup(func() { cancel(); <-ended })
	require.Eventually(t, c.Table.Current, 10*time.Second, time.Millisecond)
}

func texts(t *testing.T, c store.Collection[Thing], owner string) []string {
	t.Helper()
	out := []string{}
	require.NoError(t, c.Select(t.Context(), owner, func(item *store.Item[Thing]) { out = append(out, item.Name+"="+item.Value.Text) }))
	return out
}

// tablesFollow: what one console changes, the tables of others show soon.
func tablesFollow(t *testing.T, first, second store.Store) {
	a := things(first)
	_, err := a.Create(t.Context(), store.Item[Thing]{Name: "before", Owner: "me", Value: Thing{Text: "1"}})
	require.NoError(t, err)
	b := followed(t, second)
	require.Equal(t, []string{"before=1"}, texts(t, b, "me"))
	shows := func(owner string, want ...string) {
		t.Helper()
		require.EventuallyWithT(t, func(c *assert.CollectT) { require.Equal(c, want, texts(t, b, owner)) }, 10*time.Second, time.Millisecond)
	}
	_, err = a.Create(t.Context(), store.Item[Thing]{Name: "after", Owner: "you", Value: Thing{Text: "1"}})
	require.NoError(t, err)
	shows("", "after=1", "before=1")
	_, err = a.Modify(t.Context(), "before", func(v *Thing) error { v.Text = "2"; return nil })
	require.NoError(t, err)
	shows("me", "before=2")
	require.NoError(t, a.Delete(t.Context(), "before", ""))
	shows("", "after=1")
	_, err = a.Create(t.Context(), store.Item[Thing]{Name: "before", Owner: "you", Value: Thing{Text: "3"}})
	require.NoError(t, err)
	shows("you", "after=1", "before=3")
	require.Empty(t, texts(t, b, "me"))
}

// pulsing is followed with a pulse.
func pulsing(t *testing.T, s store.Store) store.Collection[Thing] {
	t.Helper()
	c := things(s)
	c.Table, c.Pulse = &store.Table[Thing]{}, store.NewPulse(s)
	follow(t, c)
	return c
}

func at(t *testing.T, c store.Collection[Thing], name string) (store.Item[Thing], error) {
	t.Helper()
	now, err := c.Pulse.Now(t.Context())
	require.NoError(t, err)
	return c.At(t.Context(), now, name)
}

// tablesDecide: what one console was answered, every other finds from then on,
// by its table or without it.
func tablesDecide(t *testing.T, first, second store.Store) {
	a, b := pulsing(t, first), pulsing(t, second)
	deaf := pulsing(t, stuck{second})
	all := []store.Collection[Thing]{a, b, deaf}
	for i := range 30 {
		name := fmt.Sprintf("n%d", i)
		writer := all[i%2]
		item := store.Item[Thing]{Name: name, Owner: "me"}
		for n := range 3 {
			var err error
			if item.Value.Number = n; n == 0 {
				item.Version, err = writer.Create(t.Context(), item)
			} else {
				item.Version, err = writer.Update(t.Context(), item)
			}
			require.NoError(t, err)
			for _, c := range all {
				got, err := at(t, c, name)
				require.NoError(t, err)
				require.Equal(t, item, got)
			}
		}
		require.NoError(t, writer.Delete(t.Context(), name, ""))
		for _, c := range all {
			if got, err := at(t, c, name); err == nil {
				require.Equal(t, item, got, "of what is deleted, the last that was told is known")
			} else {
				require.ErrorIs(t, err, store.ErrNotFound)
			}
		}
	}
}

// counted is a store that counts what is read by name, and takes its time for it.
type counted struct {
	store.Store
	pulse, others atomic.Int32
}

// Get implements store.Reader.
func (c *counted) Get(ctx context.Context, kind, name string) (store.Object, error) {
	if kind == store.PulseKind {
		c.pulse.Add(1)
	} else {
		c.others.Add(1)
	}
	time.Sleep(20 * time.Millisecond)
	return c.Store.Get(ctx, kind, name)
}

// oneReadForMany: who asks at the same time shares one read, and the objects
// themselves are in memory.
func oneReadForMany(t *testing.T, first, second store.Store) {
	_, err := pulsing(t, first).Create(t.Context(), store.Item[Thing]{Name: "one", Value: Thing{Number: 1}})
	require.NoError(t, err)
	s := &counted{Store: second}
	c := pulsing(t, s)
	_, err = at(t, c, "one") // has to wait until the table heard of it
	require.NoError(t, err)
	s.pulse.Store(0)
	s.others.Store(0)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			item, err := at(t, c, "one")
			assert.NoError(t, err)
			assert.Equal(t, 1, item.Value.Number)
		})
	}
	all.Wait()
	require.Less(t, s.pulse.Load(), int32(20))
	require.Zero(t, s.others.Load())
}

// aPulseFromElsewhere: what a backup of another store brought does no harm.
func aPulseFromElsewhere(t *testing.T, first, second store.Store) {
	_, err := first.Create(t.Context(), store.Object{Kind: store.PulseKind, Name: "answered", Data: []byte(`{"newest":{"Thing":9000000000000}}`)})
	require.NoError(t, err)
	a, b := pulsing(t, first), pulsing(t, stuck{second})
	version, err := a.Create(t.Context(), store.Item[Thing]{Name: "one"})
	require.NoError(t, err)
	_, err = at(t, b, "one")
	require.NoError(t, err)
	_, err = a.Update(t.Context(), store.Item[Thing]{Name: "one", Version: version, Value: Thing{Number: 2}})
	require.NoError(t, err)
	got, err := at(t, b, "one")
	require.NoError(t, err)
	require.Equal(t, 2, got.Value.Number, "it beats again")
}

// ownChangesAreShown: what a console changed itself it shows at once, whether or
// not the watch told of it.
func ownChangesAreShown(t *testing.T, first, second store.Store) {
	for rounds, c := range map[int]store.Collection[Thing]{20: followed(t, first), 2: followed(t, stuck{second})} {
		for i := range rounds {
			name := fmt.Sprintf("n%d", i)
			_, err := c.Create(t.Context(), store.Item[Thing]{Name: name, Owner: "me", Value: Thing{Text: "1"}})
			require.NoError(t, err)
			require.Equal(t, []string{name + "=1"}, texts(t, c, "me"))
			_, err = c.Modify(t.Context(), name, func(v *Thing) error { v.Text = "2"; return nil })
			require.NoError(t, err)
			require.Equal(t, []string{name + "=2"}, texts(t, c, ""))
			require.NoError(t, c.Delete(t.Context(), name, ""))
			require.Empty(t, texts(t, c, "me"))
		}
	}
}

// stuck is a store of which the watch never tells anything, as when the
// connection hangs.
type stuck struct{ store.Store }

// Watch implements store.Watcher.
func (stuck) Watch(ctx context.Context, _ string) (<-chan store.Event, error) {
	events := make(chan store.Event)
	context.AfterFunc(ctx, func() { close(events) })
	return events, nil
}

// theRevokedAreOutAtOnce: whom one console shut out, every other refuses from
// then on, also when it hears nothing of changes and its pages still show what
// was.
func theRevokedAreOutAtOnce(t *testing.T, first, second store.Store) {
	ctx := t.Context()
	a := auth.New(first, audit.New(first, audit.Options{}), auth.Options{})
	b := auth.New(stuck{second}, audit.New(second, audit.Options{}), auth.Options{})
	root := auth.Identity{Account: "root", Role: auth.Root, Permissions: auth.Permissions()}
	for _, name := range []string{"root", "ada"} {
		_, err := store.Collection[auth.Account]{Store: first, Kind: auth.AccountKind}.Create(ctx, store.Item[auth.Account]{Name: name, Value: auth.Account{Role: auth.Root}})
		require.NoError(t, err)
	}
	open := func() (secret, session string) {
		secret, _, err := a.OpenSession(ctx, auth.AccountOwner("ada"), auth.Session{Account: "ada", Purpose: auth.Full}, auth.Client{})
		require.NoError(t, err)
		id, _, err := b.Identify(ctx, secret)
		require.NoError(t, err, "the other console knows the session at once")
		return secret, id.Session
	}
	ended, session := open()
	left, _ := open()
	text, token, err := a.CreateToken(ctx, root, auth.NewToken{Label: "x", Scopes: []auth.Permission{auth.ReadTenants}, Days: 1})
	require.NoError(t, err)
	_, err = b.IdentifyToken(ctx, text)
	require.NoError(t, err)
	following, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); b.Follow(following, func(string, error) {}) }()
	t.Cleanup(func() { stop(); <-done })
	require.Eventually(t, b.Following, 10*time.Second, time.Millisecond)

	require.NoError(t, a.CloseSession(ctx, session))
	_, _, err = b.Identify(ctx, ended)
	require.ErrorIs(t, err, auth.ErrNoSession)
	require.NoError(t, a.RevokeToken(ctx, "root", token.Name))
	_, err = b.IdentifyToken(ctx, text)
	require.ErrorIs(t, err, auth.ErrNoSession)
	shown, err := b.Sessions(ctx, "ada")
	require.NoError(t, err)
	require.Len(t, shown, 2, "the page of the other console is behind; else this test would prove nothing")

	require.NoError(t, a.UpdateAccount(ctx, root, auth.Draft{Name: "ada", Role: auth.Operations}))
	id, _, err := b.Identify(ctx, left)
	require.NoError(t, err)
	require.Equal(t, auth.Operations, id.Role)
	_, err = store.Collection[auth.Account]{Store: first, Kind: auth.AccountKind, Pulse: store.NewPulse(first)}.Modify(ctx, "ada", func(v *auth.Account) error { v.Disabled = true; return nil })
	require.NoError(t, err)
	_, _, err = b.Identify(ctx, left)
	require.ErrorIs(t, err, auth.ErrNoSession, "the account alone is enough")
}

// keeping is a store in which nothing can be deleted: the console that tries
// dies before.
type keeping struct{ store.Store }

var errDied = errors.New("died")

// Delete implements store.Writer.
func (keeping) Delete(context.Context, string, string, string) error { return errDied }

// anEndThatIsCutShort: a session that was to be deleted and was not is over, also
// for a console whose clock is behind.
func anEndThatIsCutShort(t *testing.T, first, second store.Store) {
	ctx := t.Context()
	a := auth.New(keeping{first}, audit.New(first, audit.Options{}), auth.Options{})
	b := auth.New(second, audit.New(second, audit.Options{}), auth.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	_, err := store.Collection[auth.Account]{Store: first, Kind: auth.AccountKind}.Create(ctx, store.Item[auth.Account]{Name: "ada", Value: auth.Account{Role: auth.Root}})
	require.NoError(t, err)
	secret, _, err := a.OpenSession(ctx, auth.AccountOwner("ada"), auth.Session{Account: "ada", Purpose: auth.Full}, auth.Client{})
	require.NoError(t, err)
	id, _, err := b.Identify(ctx, secret)
	require.NoError(t, err)
	require.ErrorIs(t, a.CloseSession(ctx, id.Session), errDied)
	_, _, err = b.Identify(ctx, secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
}
