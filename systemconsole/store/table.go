package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Table is the items of one kind in memory, in the order of their names, for
// pages that list them. It follows the store's watch and is a moment behind it
// when another process changes something: it is for showing. Collection.Select
// reads it, and reads the store instead while the table follows nothing, or does
// not hear of what its own collection changed. Nothing may be decided by it, but
// for what Collection.At finds in it. The zero value is a table that follows
// nothing.
type Table[T any] struct {
	// Trim takes away what no page shows, before an item is kept. Nil keeps all.
	Trim func(*T)
	// Most is how many items are kept at most; 0 means 50,000. A kind that has
	// more is read from the store.
	Most int
	// Keep is how long the table answers after the end of its watch, while it is
	// filled anew; 0 means 15 s.
	Keep time.Duration

	mu      sync.RWMutex
	rows    rows[T]
	state   state
	ended   time.Time           // when the watch ended; zero while there is one
	seen    uint64              // the newest version that was heard of
	whole   uint64              // everything up to this version is in it
	wrote   uint64              // the newest version that the collection wrote
	doomed  map[string]struct{} // what the collection removed and is still here
	waiting chan struct{}       // closed at the next change; nil when nobody waits
}

// state is how far a table is.
type state int

const (
	idle    state = iota // it has nothing
	filling              // for the first time
	live                 // it has everything
)

const (
	defaultMost = 50_000
	defaultKeep = 15 * time.Second
)

// How long a reader waits for the table before it reads the store itself.
const (
	untilFilled = 5 * time.Second
	untilHeard  = 500 * time.Millisecond // of an own change
	untilWhole  = 50 * time.Millisecond  // who decides reads one object, which is quick
)

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
		c.Table.end()
		if ctx.Err() != nil {
			return
		}
		report(c.Kind, err)
		pause := followAgain
		if errors.Is(err, ErrTooMany) {
			pause = followIfLess
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// follow watches first and lists then: no change falls in between. What the
// watch tells of twice does no harm, for versions grow. What was listed may be
// of different moments, but all of it is as new as the pulse was before.
func (c Collection[T]) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := c.Store.Watch(ctx, c.Kind)
	if err != nil {
		return err
	}
	c.Table.fill()
	var before Moment
	if c.Pulse != nil {
		if before, err = c.Pulse.Now(ctx); err != nil {
			return err
		}
	}
	var filled rows[T]
	var newest uint64
	for item, err := range c.All(ctx, "") {
		if err != nil {
			return err
		}
		if len(filled.all) >= c.Table.most() {
			return ErrTooMany
		}
		filled.put(c.Table.trimmed(item))
		newest = max(newest, number(item.Version))
	}
	c.Table.begin(filled, newest, before[c.Kind])
	for e := range events {
		if err := c.hear(e); err != nil {
			return err
		}
	}
	return ErrWatchEnded
}

// hear takes a change over.
func (c Collection[T]) hear(e Event) error {
	if e.Change == Deleted {
		c.Table.change(number(e.Object.Version), func(t *Table[T]) {
			delete(t.doomed, e.Object.Name)
			t.rows.remove(e.Object.Name, e.Object.Version)
			t.whole = max(t.whole, number(e.Object.Version))
		})
		return nil
	}
	item, err := c.Decode(e.Object)
	if err != nil {
		return err
	}
	kept := c.Table.trimmed(item)
	size := 0
	c.Table.change(number(item.Version), func(t *Table[T]) {
		if now := number(item.Version); now > t.whole { // else it was listed, or deleted since
			t.rows.put(kept)
			t.whole = now
		}
		size = len(t.rows.all)
	})
	if size > c.Table.most() {
		return ErrTooMany
	}
	return nil
}

func (t *Table[T]) most() int {
	if t.Most == 0 {
		return defaultMost
	}
	return t.Most
}

func (t *Table[T]) trimmed(item Item[T]) *Item[T] {
	if t.Trim != nil {
		t.Trim(&item.Value)
	}
	return &item
}

// change makes a change of which the version is known, and wakes who waits.
func (t *Table[T]) change(version uint64, do func(*Table[T])) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = max(t.seen, version)
	do(t)
	if t.waiting != nil {
		close(t.waiting)
		t.waiting = nil
	}
}

// fill notes that a listing is under way. What the table has it still shows.
func (t *Table[T]) fill() {
	t.change(0, func(t *Table[T]) {
		if t.state == idle {
			t.state = filling
		}
	})
}

// begin makes the table answer with what was listed: the newest of it, and up
// to which version it is whole.
func (t *Table[T]) begin(filled rows[T], newest, whole uint64) {
	t.change(newest, func(t *Table[T]) {
		t.state, t.rows, t.whole, t.ended, t.doomed = live, filled, whole, time.Time{}, nil
	})
}

// end notes that the table follows nothing any more.
func (t *Table[T]) end() {
	t.change(0, func(t *Table[T]) {
		if t.state == filling {
			t.state = idle
		}
		if t.ended.IsZero() {
			t.ended = time.Now()
		}
	})
}

// written notes what the collection wrote: it is shown when the watch has told
// of it.
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
	if _, found := find(t.rows.all, name); found {
		if t.doomed == nil {
			t.doomed = map[string]struct{}{}
		}
		t.doomed[name] = struct{}{}
	}
}

// Current tells whether the table answers now.
func (t *Table[T]) Current() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.current()
}

// current is Current with the lock held.
func (t *Table[T]) current() bool { return t.patience() < 0 }

// patience is how long to wait until the table answers: less than nothing when
// it does, nothing when it will not. The lock is held.
func (t *Table[T]) patience() time.Duration {
	keep := t.Keep
	if keep == 0 {
		keep = defaultKeep
	}
	switch {
	case t.state == filling:
		return untilFilled
	case t.state == idle || !t.ended.IsZero() && time.Since(t.ended) > keep:
		return 0
	case t.seen < t.wrote || len(t.doomed) > 0:
		return untilHeard
	default:
		return -1
	}
}

// at returns an item if the table, after a moment at most, has everything up to
// a version, and has it. One that trims has nothing whole.
func (t *Table[T]) at(ctx context.Context, version uint64, name string) (Item[T], bool) {
	if t == nil || t.Trim != nil || !t.await(ctx, func() time.Duration {
		switch {
		case t.state != live:
			return 0
		case t.whole < version:
			return untilWhole
		default:
			return -1
		}
	}) {
		return Item[T]{}, false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	i, found := find(t.rows.all, name)
	if _, doomed := t.doomed[name]; !found || doomed || t.whole < version {
		return Item[T]{}, false
	}
	return *t.rows.all[i], true
}

// each goes through the items, of one owner when it is named, and tells whether
// it could. The items are the table's own: nobody may change them.
func (t *Table[T]) each(ctx context.Context, owner string, do func(*Item[T])) bool {
	if t == nil || !t.wait(ctx) {
		return false
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if !t.current() { // it was a moment ago
		return false
	}
	items := t.rows.all
	if owner != "" {
		items = t.rows.owned[owner]
	}
	for _, item := range items {
		do(item)
	}
	return true
}

// wait waits as long as it is worth it, and tells whether the table answers.
func (t *Table[T]) wait(ctx context.Context) bool { return t.await(ctx, t.patience) }

// await waits for changes of the table until patience, which it calls with the
// lock held, says that there is nothing to wait for any more: less than nothing
// is what it waited for, else it is how long to wait from the beginning on.
func (t *Table[T]) await(ctx context.Context, patience func() time.Duration) bool {
	t.mu.RLock()
	left := patience()
	t.mu.RUnlock()
	begin := time.Now()
	for left >= 0 {
		t.mu.Lock()
		if left = patience(); left < 0 {
			t.mu.Unlock()
			return true
		}
		if t.waiting == nil {
			t.waiting = make(chan struct{})
		}
		news := t.waiting
		t.mu.Unlock()
		if left -= time.Since(begin); left <= 0 {
			return false
		}
		select {
		case <-news:
		case <-time.After(left):
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
