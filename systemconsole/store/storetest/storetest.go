// Package storetest holds what every store promises: one suite of tests that
// all implementations pass.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/store"
)

// Thing is the value of the suite's objects.
type Thing struct {
	Text   string            `json:"text"`
	Number int               `json:"number,omitempty"`
	List   []string          `json:"list,omitempty"`
	Map    map[string]string `json:"map,omitempty"`
}

// Kinds are the kinds that the suite uses; a store that wants to know them
// beforehand has to.
func Kinds() []store.Kind {
	return []store.Kind{{Name: "Thing", Value: Thing{}}, {Name: "Other", Value: Thing{}}}
}

// Run runs the suite. Open returns an empty store.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	for name, test := range map[string]func(*testing.T, store.Store){
		"create and get":         createAndGet,
		"kinds are apart":        kindsAreApart,
		"create once":            createOnce,
		"update the newest":      updateTheNewest,
		"update keeps the owner": updateKeepsTheOwner,
		"delete":                 deletes,
		"pages":                  pages,
		"owners":                 owners,
		"watch":                  watches,
		"a watch ends":           aWatchEnds,
		"bad objects":            badObjects,
		"one creator wins":       oneCreatorWins,
		"no change is lost":      noChangeIsLost,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func things(s store.Store) store.Collection[Thing] {
	return store.Collection[Thing]{Store: s, Kind: "Thing"}
}

func createAndGet(t *testing.T, s store.Store) {
	c := things(s)
	in := Thing{Text: "<text> & \"more\" \u00e9", Number: -7, List: []string{"b", "a"}, Map: map[string]string{"x.y/z": "1"}}
	version, err := c.Create(t.Context(), store.Item[Thing]{Name: "one.two-3", Owner: "somebody", Value: in})
	require.NoError(t, err)
	got, err := c.Get(t.Context(), "one.two-3")
	require.NoError(t, err)
	require.Equal(t, store.Item[Thing]{Name: "one.two-3", Owner: "somebody", Version: version, Value: in}, got)
	_, err = c.Get(t.Context(), "two")
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = c.Get(t.Context(), "NOT/a name")
	require.ErrorIs(t, err, store.ErrNotFound)
}

func kindsAreApart(t *testing.T, s store.Store) {
	_, err := things(s).Create(t.Context(), store.Item[Thing]{Name: "one"})
	require.NoError(t, err)
	_, err = s.Get(t.Context(), "Other", "one")
	require.ErrorIs(t, err, store.ErrNotFound)
	page, err := s.List(t.Context(), "Other", store.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, page)
}

func createOnce(t *testing.T, s store.Store) {
	c := things(s)
	_, err := c.Create(t.Context(), store.Item[Thing]{Name: "one", Value: Thing{Text: "first"}})
	require.NoError(t, err)
	_, err = c.Create(t.Context(), store.Item[Thing]{Name: "one", Value: Thing{Text: "second"}})
	require.ErrorIs(t, err, store.ErrExists)
	got, err := c.Get(t.Context(), "one")
	require.NoError(t, err)
	require.Equal(t, "first", got.Value.Text)
}

func updateTheNewest(t *testing.T, s store.Store) {
	c := things(s)
	first, err := c.Create(t.Context(), store.Item[Thing]{Name: "one", Value: Thing{Text: "first", Number: 1}})
	require.NoError(t, err)
	second, err := c.Update(t.Context(), store.Item[Thing]{Name: "one", Version: first, Value: Thing{Text: "second"}})
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	for _, version := range []string{first, ""} {
		_, err = c.Update(t.Context(), store.Item[Thing]{Name: "one", Version: version, Value: Thing{Text: "third"}})
		require.ErrorIs(t, err, store.ErrConflict)
	}
	got, err := c.Get(t.Context(), "one")
	require.NoError(t, err)
	require.Equal(t, store.Item[Thing]{Name: "one", Version: second, Value: Thing{Text: "second"}}, got, "the value is replaced, not merged")
	_, err = c.Update(t.Context(), store.Item[Thing]{Name: "two", Version: second})
	require.ErrorIs(t, err, store.ErrNotFound)
}

func updateKeepsTheOwner(t *testing.T, s store.Store) {
	c := things(s)
	version, err := c.Create(t.Context(), store.Item[Thing]{Name: "one", Owner: "first"})
	require.NoError(t, err)
	_, err = c.Update(t.Context(), store.Item[Thing]{Name: "one", Owner: "second", Version: version})
	require.NoError(t, err)
	items, _, err := c.List(t.Context(), store.ListOptions{Owner: "first"})
	require.NoError(t, err)
	require.Len(t, items, 1)
	require.Equal(t, "first", items[0].Owner)
}

func deletes(t *testing.T, s store.Store) {
	c := things(s)
	first, err := c.Create(t.Context(), store.Item[Thing]{Name: "one", Owner: "me"})
	require.NoError(t, err)
	second, err := c.Update(t.Context(), store.Item[Thing]{Name: "one", Version: first, Value: Thing{Text: "x"}})
	require.NoError(t, err)
	require.ErrorIs(t, c.Delete(t.Context(), "one", first), store.ErrConflict)
	require.NoError(t, c.Delete(t.Context(), "one", second))
	require.ErrorIs(t, c.Delete(t.Context(), "one", second), store.ErrNotFound)
	require.ErrorIs(t, c.Delete(t.Context(), "one", ""), store.ErrNotFound)
	items, _, err := c.List(t.Context(), store.ListOptions{Owner: "me"})
	require.NoError(t, err)
	require.Empty(t, items)
	again, err := c.Create(t.Context(), store.Item[Thing]{Name: "one"})
	require.NoError(t, err, "the name is free again")
	require.NotContains(t, []string{first, second}, again, "but not the version")
	require.NoError(t, c.Delete(t.Context(), "one", ""))
}

func pages(t *testing.T, s store.Store) {
	c := things(s)
	for _, i := range []int{3, 1, 4, 0, 2} {
		_, err := c.Create(t.Context(), store.Item[Thing]{Name: fmt.Sprintf("n%d", i), Value: Thing{Number: i}})
		require.NoError(t, err)
	}
	var got []string
	opts := store.ListOptions{Limit: 2}
	for {
		items, next, err := c.List(t.Context(), opts)
		require.NoError(t, err)
		require.LessOrEqual(t, len(items), 2)
		for _, item := range items {
			got = append(got, item.Name)
		}
		if next == "" {
			break
		}
		opts.Continue = next
	}
	require.Equal(t, []string{"n0", "n1", "n2", "n3", "n4"}, got)
}

func owners(t *testing.T, s store.Store) {
	c := things(s)
	for _, i := range []int{0, 1, 2, 3, 4, 5} {
		_, err := c.Create(t.Context(), store.Item[Thing]{Name: fmt.Sprintf("n%d", i), Owner: []string{"a", "ab", ""}[i%3]})
		require.NoError(t, err)
	}
	var got []string
	opts := store.ListOptions{Owner: "a", Limit: 1}
	for {
		items, next, err := c.List(t.Context(), opts)
		require.NoError(t, err)
		for _, item := range items {
			got = append(got, item.Name)
		}
		if next == "" {
			break
		}
		opts.Continue = next
	}
	require.Equal(t, []string{"n0", "n3"}, got)
	count := 0
	for _, err := range c.All(t.Context(), "") {
		require.NoError(t, err)
		count++
	}
	require.Equal(t, 6, count)
}

func watches(t *testing.T, s store.Store) {
	c := things(s)
	_, err := c.Create(t.Context(), store.Item[Thing]{Name: "before"})
	require.NoError(t, err)
	events, err := s.Watch(t.Context(), "Thing")
	require.NoError(t, err)
	version, err := c.Create(t.Context(), store.Item[Thing]{Name: "one", Owner: "me", Value: Thing{Text: "1"}})
	require.NoError(t, err)
	_, err = store.Collection[Thing]{Store: s, Kind: "Other"}.Create(t.Context(), store.Item[Thing]{Name: "other"})
	require.NoError(t, err)
	_, err = c.Update(t.Context(), store.Item[Thing]{Name: "one", Version: version, Value: Thing{Text: "2"}})
	require.NoError(t, err)
	require.NoError(t, c.Delete(t.Context(), "one", ""))
	for i, want := range []store.Change{store.Added, store.Modified, store.Deleted} {
		select {
		case e := <-events:
			require.Equal(t, want, e.Change)
			item, err := c.Decode(e.Object)
			require.NoError(t, err)
			require.Equal(t, "one", item.Name)
			require.Equal(t, "me", item.Owner)
			require.Equal(t, []string{"1", "2", "2"}[i], item.Value.Text)
		case <-time.After(10 * time.Second):
			t.Fatalf("no event of %s", want)
		}
	}
}

func aWatchEnds(t *testing.T, s store.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	events, err := s.Watch(ctx, "Thing")
	require.NoError(t, err)
	cancel()
	select {
	case _, open := <-events:
		require.False(t, open)
	case <-time.After(10 * time.Second):
		t.Fatal("the watch does not end")
	}
}

func badObjects(t *testing.T, s store.Store) {
	for _, name := range []string{"", "Upper", "a b", "-a", "a/b", "a\x00b", "\u00e4", "a.", "a..b", "a.-b", "a-.b"} {
		_, err := things(s).Create(t.Context(), store.Item[Thing]{Name: name})
		require.Error(t, err, "name %q", name)
	}
	_, err := things(s).Create(t.Context(), store.Item[Thing]{Name: "a", Owner: "B"})
	require.Error(t, err)
	for _, data := range []string{"", "null", "[]", "1", "{"} {
		_, err := s.Create(t.Context(), store.Object{Kind: "Thing", Name: "a", Data: []byte(data)})
		require.Error(t, err, "data %q", data)
	}
}

func oneCreatorWins(t *testing.T, s store.Store) {
	var won atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := things(s).Create(t.Context(), store.Item[Thing]{Name: "one"})
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, store.ErrExists) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load())
}

func noChangeIsLost(t *testing.T, s store.Store) {
	c := things(s)
	_, err := c.Create(t.Context(), store.Item[Thing]{Name: "one"})
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if _, err := c.Modify(t.Context(), "one", func(v *Thing) error { v.Number++; return nil }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	got, err := c.Get(t.Context(), "one")
	require.NoError(t, err)
	require.Equal(t, 40, got.Value.Number)
}
