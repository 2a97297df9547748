package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/store"
)

// ReplicaKinds are the kinds that Replicas uses.
func ReplicaKinds() []store.Kind { return append(append(Kinds(), auth.Kinds()...), audit.Kinds()...) }

// Replicas runs what several consoles on one store promise. Open returns an
// empty store as two consoles reach it.
func Replicas(t *testing.T, open func(t *testing.T) (first, second store.Store)) {
	for name, test := range map[string]func(t *testing.T, first, second store.Store){
		"reads are of now":            readsAreOfNow,
		"tables follow":               tablesFollow,
		"own changes are shown":       ownChangesAreShown,
		"the revoked are out at once": theRevokedAreOutAtOnce,
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
	item, known := b.Table.Peek("before")
	require.True(t, known)
	require.Equal(t, "you", item.Owner)
	_, known = b.Table.Peek("nothing")
	require.False(t, known)
	_, known = (&store.Table[Thing]{}).Peek("before")
	require.False(t, known, "it follows nothing")
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

	_, err = store.Collection[auth.Account]{Store: first, Kind: auth.AccountKind}.Modify(ctx, "ada", func(v *auth.Account) error { v.Disabled = true; return nil })
	require.NoError(t, err)
	_, _, err = b.Identify(ctx, left)
	require.ErrorIs(t, err, auth.ErrNoSession, "the account alone is enough")
}
