package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Table is the items of one kind in memory, in the order of their names, for
// pages that list them. It follows the store's watch and is a moment behind it
// when another process changes something: it is for showing, and nothing may be
// decided by it. Collection.Select reads it, and reads the store instead while
// the table follows nothing, or has not heard yet of what its own collection
// changed. The zero value is a table that follows nothing.
type Table[T any] struct {
	// Trim takes away what no page shows, before an item is kept. Nil keeps all.
	Trim func(*T)
	// Most is how many items are kept at most; 0 means 50,000. A kind that has
	// more is read from the store.
	Most int

	mu     sync.RWMutex
	live   bool
	all    []*Item[T]            // sorted by name
	owned  map[string][]*Item[T] // by owner, sorted by name
	seen   uint64                // the newest version that was heard of
	wrote  uint64                // the newest version that the collection wrote
	doomed map[string]struct{}   // what the collection removed and is still here
}

const defaultMost = 50_000

// The pauses before a kind is followed anew.
const (
	followAgain  = time.Second
	followIfLess = 10 * time.Minute // there were too many
)

// Why following ends.
var (
	ErrTooMany    = errors.New("too many objects to keep in memory")
	ErrWatchEnded = errors.New("the watch has ended") // as each does after a while
)

// Follow fills the collection's table and keeps it current until ctx is done.
// Each time that it has to begin anew it reports why.
func (c Collection[T]) Follow(ctx context.Context, report func(kind string, err error)) {
	for ctx.Err() == nil {
		err := c.follow(ctx)
		c.Table.forget()
		pause := followAgain
		if errors.Is(err, ErrTooMany) {
			pause = followIfLess
		}
		if ctx.Err() == nil {
			report(c.Kind, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// follow watches first and lists then: no change falls in between. What the
// watch tells of twice does no harm, for versions grow.
func (c Collection[T]) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := c.Store.Watch(ctx, c.Kind)
	if err != nil {
		return err
	}
	for item, err := range c.All(ctx, "") {
		if err != nil {
			return err
		}
		if err := c.Table.put(item); err != nil {
			return err
		}
	}
	c.Table.begin()
	for e := range events {
		if e.Change == Deleted {
			c.Table.remove(e.Object.Name, e.Object.Version)
			continue
		}
		item, err := c.Decode(e.Object)
		if err != nil {
			return err
		}
		if err := c.Table.put(item); err != nil {
			return err
		}
	}
	return ErrWatchEnded
}

// begin makes the table answer.
func (t *Table[T]) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live = true
}

// forget makes the table empty, and answer no more.
func (t *Table[T]) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live, t.all, t.owned, t.doomed = false, nil, nil, nil
}

// put keeps an item unless a newer one is known.
func (t *Table[T]) put(item Item[T]) error {
	if t.Trim != nil {
		t.Trim(&item.Value)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = max(t.seen, number(item.Version))
	i, found := find(t.all, item.Name)
	switch {
	case found && number(item.Version) <= number(t.all[i].Version):
		return nil
	case !found && len(t.all) >= t.most():
		return ErrTooMany
	case found:
		t.drop(i)
	}
	t.all = slices.Insert(t.all, i, &item)
	if item.Owner == "" {
		return nil
	}
	if t.owned == nil {
		t.owned = map[string][]*Item[T]{}
	}
	of := t.owned[item.Owner]
	j, _ := find(of, item.Name) // it was dropped
	t.owned[item.Owner] = slices.Insert(of, j, &item)
	return nil
}

func (t *Table[T]) most() int {
	if t.Most == 0 {
		return defaultMost
	}
	return t.Most
}

// remove takes an item away, unless it was made again after the version.
func (t *Table[T]) remove(name, version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = max(t.seen, number(version))
	delete(t.doomed, name)
	if i, found := find(t.all, name); found && number(t.all[i].Version) <= number(version) {
		t.drop(i)
	}
}

// drop takes one out of both orders. The lock is held.
func (t *Table[T]) drop(i int) {
	item := t.all[i]
	t.all = slices.Delete(t.all, i, i+1)
	of := t.owned[item.Owner]
	j, found := find(of, item.Name)
	if !found {
		return
	}
	if of = slices.Delete(of, j, j+1); len(of) == 0 {
		delete(t.owned, item.Owner)
		return
	}
	t.owned[item.Owner] = of
}

// written notes what the collection wrote: until the watch tells of it, the
// store is read.
func (t *Table[T]) written(version string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrote = max(t.wrote, number(version))
}

// removed notes what the collection removed.
func (t *Table[T]) removed(name string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, found := find(t.all, name); found {
		if t.doomed == nil {
			t.doomed = map[string]struct{}{}
		}
		t.doomed[name] = struct{}{}
	}
}

// Current tells whether the table answers now.
func (t *Table[T]) Current() bool { return t.each("", func(*Item[T]) {}) }

// each goes through the items, of one owner when it is named, and tells whether
// it could. The items are the table's own: nobody may change them.
func (t *Table[T]) each(owner string, do func(*Item[T])) bool {
	if t == nil {
		return false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if !t.live || t.seen < t.wrote || len(t.doomed) > 0 {
		return false
	}
	items := t.all
	if owner != "" {
		items = t.owned[owner]
	}
	for _, item := range items {
		do(item)
	}
	return true
}

// find returns where an item is, or belongs.
func find[T any](items []*Item[T], name string) (int, bool) {
	return slices.BinarySearchFunc(items, name, func(item *Item[T], name string) int { return strings.Compare(item.Name, name) })
}

// number orders versions: every store counts its changes.
func number(version string) uint64 {
	n, _ := strconv.ParseUint(version, 10, 64) // what is no number is the oldest
	return n
}
