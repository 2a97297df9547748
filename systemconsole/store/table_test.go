package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/systemconsole/store/storetest"
)

// cut is a store whose watches end when they are cut.
type cut struct {
	store.Store
	cut chan struct{}
}

// Watch implements store.Watcher.
func (c cut) Watch(ctx context.Context, kind string) (<-chan store.Event, error) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		select {
		case <-c.cut:
		case <-ctx.Done():
		}
	}()
	return c.Store.Watch(ctx, kind)
}

type things = store.Collection[storetest.Thing]

// open returns the things of a store in a file, with a table.
func open(t *testing.T, table *store.Table[storetest.Thing]) (things, chan struct{}) {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "objects.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	c := cut{s, make(chan struct{})}
	return things{Store: c, Kind: "Thing", Table: table}, c.cut
}

func follow(t *testing.T, c things) (failures chan error) {
	failures = make(chan error, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Follow(ctx, func(_ string, err error) { failures <- err })
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return failures
}

func names(t *testing.T, c things) []string {
	var out []string
	require.NoError(t, c.Select(t.Context(), "", func(item *store.Item[storetest.Thing]) { out = append(out, item.Name+item.Value.Text) }))
	return out
}

func create(t *testing.T, c things, name string) {
	_, err := c.Create(t.Context(), store.Item[storetest.Thing]{Name: name, Value: storetest.Thing{Text: " sealed"}})
	require.NoError(t, err)
}

// While the watch is cut for too long, the store is read; then memory again.
func TestACutWatchIsNotBelieved(t *testing.T) {
	c, ends := open(t, &store.Table[storetest.Thing]{Keep: time.Nanosecond})
	failures := follow(t, c)
	require.Eventually(t, c.Table.Current, 5*time.Second, time.Millisecond)
	ends <- struct{}{}
	require.ErrorIs(t, <-failures, store.ErrWatchEnded)
	require.False(t, c.Table.Current())
	create(t, things{Store: c.Store, Kind: "Thing"}, "meanwhile")
	require.Equal(t, []string{"meanwhile sealed"}, names(t, c))
	require.Eventually(t, c.Table.Current, 5*time.Second, time.Millisecond)
	require.Equal(t, []string{"meanwhile sealed"}, names(t, c))
}

// A watch ends now and then: nobody reads everything from the store for that.
func TestATableAnswersWhileItIsFilledAnew(t *testing.T) {
	c, ends := open(t, &store.Table[storetest.Thing]{})
	create(t, c, "one")
	failures := follow(t, c)
	require.Eventually(t, c.Table.Current, 5*time.Second, time.Millisecond)
	ends <- struct{}{}
	require.ErrorIs(t, <-failures, store.ErrWatchEnded)
	require.True(t, c.Table.Current())
	create(t, things{Store: c.Store, Kind: "Thing"}, "others")
	require.Equal(t, []string{"one sealed"}, names(t, c), "a moment behind")
	require.Eventually(t, func() bool { return len(names(t, c)) == 2 }, 5*time.Second, 10*time.Millisecond)
	ends <- struct{}{}
	create(t, c, "own")
	require.Len(t, names(t, c), 3, "what this process changed is shown at once")
}

func TestTooManyAreNotKept(t *testing.T) {
	c, _ := open(t, &store.Table[storetest.Thing]{Most: 3, Keep: time.Nanosecond})
	failures := follow(t, c)
	require.Eventually(t, c.Table.Current, 5*time.Second, time.Millisecond)
	for i := range 4 {
		create(t, c, fmt.Sprintf("n%d", i))
	}
	require.ErrorIs(t, <-failures, store.ErrTooMany)
	require.Len(t, names(t, c), 4)
}

// What pages do not show is not kept, and is still read.
func TestTrim(t *testing.T) {
	c, _ := open(t, &store.Table[storetest.Thing]{Trim: func(v *storetest.Thing) { v.Text = "" }})
	create(t, c, "before")
	follow(t, c)
	require.Eventually(t, c.Table.Current, 5*time.Second, time.Millisecond)
	create(t, c, "later")
	require.Eventually(t, c.Table.Current, 5*time.Second, time.Millisecond)
	require.Equal(t, []string{"before", "later"}, names(t, c))
	item, err := c.Get(t.Context(), "later")
	require.NoError(t, err)
	require.Equal(t, " sealed", item.Value.Text)
}

func TestWithoutATable(t *testing.T) {
	c, _ := open(t, nil)
	create(t, c, "one")
	require.Equal(t, []string{"one sealed"}, names(t, c))
	require.NoError(t, c.Delete(t.Context(), "one", ""))
	require.Empty(t, names(t, c))
}
