package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
)

// Item is an object with its value decoded.
type Item[T any] struct {
	Name    string
	Owner   string
	Version string
	Value   T
}

// Collection is the objects of one kind as values of one type.
type Collection[T any] struct {
	Store Store
	Kind  string
	Table *Table[T] // what Select reads, or nil; see Follow
	Pulse *Pulse    // tells other processes of what is created and updated, or nil; see At
}

// Get returns an item.
func (c Collection[T]) Get(ctx context.Context, name string) (Item[T], error) {
	o, err := c.Store.Get(ctx, c.Kind, name)
	if err != nil {
		return Item[T]{}, err
	}
	return c.Decode(o)
}

// At returns an item as it was at a moment of the collection's pulse, or later:
// from the table when that has heard of so much, else as Get does. It is as good
// as Get for a decision, but for one thing: the pulse does not tell of what is
// deleted. What must not be found any more has to be updated first, so that it
// says so itself. Nobody may change the item, which others see as well.
func (c Collection[T]) At(ctx context.Context, m Moment, name string) (Item[T], error) {
	if item, found := c.Table.at(ctx, m[c.Kind], name); found {
		return item, nil
	}
	return c.Get(ctx, name)
}

// List returns a page of items, and what continues it.
func (c Collection[T]) List(ctx context.Context, opts ListOptions) ([]Item[T], string, error) {
	page, err := c.Store.List(ctx, c.Kind, opts)
	if err != nil {
		return nil, "", err
	}
	items := make([]Item[T], 0, len(page.Objects))
	for _, o := range page.Objects {
		item, err := c.Decode(o)
		if err != nil {
			return nil, "", err
		}
		items = append(items, item)
	}
	return items, page.Continue, nil
}

// All goes through every item, of one owner when it is named. It ends at the
// first error.
func (c Collection[T]) All(ctx context.Context, owner string) iter.Seq2[Item[T], error] {
	return func(yield func(Item[T], error) bool) {
		opts := ListOptions{Owner: owner}
		for {
			items, next, err := c.List(ctx, opts)
			if err != nil {
				yield(Item[T]{}, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			opts.Continue = next
		}
	}
}

// Select goes through the items, of one owner when it is named, for showing
// them: from the table when there is one that is current, else from the store.
// Another process' change may be missing for a moment. Nobody may change the
// items, which others see as well, nor call the store in do.
func (c Collection[T]) Select(ctx context.Context, owner string, do func(*Item[T])) error {
	if c.Table.each(ctx, owner, do) {
		return nil
	}
	for item, err := range c.All(ctx, owner) {
		if err != nil {
			return err
		}
		do(&item)
	}
	return nil
}

// Create adds an item and returns its version.
func (c Collection[T]) Create(ctx context.Context, item Item[T]) (string, error) {
	o, err := c.encode(item)
	if err != nil {
		return "", err
	}
	version, err := c.Store.Create(ctx, o)
	return version, c.wrote(ctx, o, version, err)
}

// Update replaces the value of an item and returns its version.
func (c Collection[T]) Update(ctx context.Context, item Item[T]) (string, error) {
	o, err := c.encode(item)
	if err != nil {
		return "", err
	}
	version, err := c.Store.Update(ctx, o)
	return version, c.wrote(ctx, o, version, err)
}

// wrote tells of a change.
func (c Collection[T]) wrote(ctx context.Context, o Object, version string, err error) error {
	if err != nil {
		return err
	}
	c.Table.written(version)
	if err := c.Pulse.beat(ctx, c.Kind, version); err != nil {
		return fmt.Errorf("%s %s is changed, but not every console may know of it yet: %w", o.Kind, o.Name, err)
	}
	return nil
}

// Tell lets the pulse beat for what is there, which somebody wrote past the
// collection.
func (c Collection[T]) Tell(ctx context.Context) error {
	var newest Item[T]
	for item, err := range c.All(ctx, "") {
		if err != nil {
			return err
		}
		if number(item.Version) > number(newest.Version) {
			newest = item
		}
	}
	return c.Pulse.beat(ctx, c.Kind, newest.Version)
}

// attempts is how often Modify tries before it gives up: each failure means
// that somebody else got a change through.
const attempts = 50

// Modify changes the value of an item, again and again until nobody else
// changed it in between. An error of change ends it and is returned as it is.
func (c Collection[T]) Modify(ctx context.Context, name string, change func(*T) error) (Item[T], error) {
	for range attempts {
		item, err := c.Get(ctx, name)
		if err != nil {
			return item, err
		}
		if err := change(&item.Value); err != nil {
			return item, err
		}
		item.Version, err = c.Update(ctx, item)
		if !errors.Is(err, ErrConflict) {
			return item, err
		}
	}
	return Item[T]{}, fmt.Errorf("changing %s %s: %w", c.Kind, name, ErrConflict)
}

// Delete removes an item of a version, or of any when none is given.
func (c Collection[T]) Delete(ctx context.Context, name, version string) error {
	err := c.Store.Delete(ctx, c.Kind, name, version)
	if err == nil {
		c.Table.removed(name)
	}
	return err
}

// Decode makes an item of an object.
func (c Collection[T]) Decode(o Object) (Item[T], error) {
	item := Item[T]{Name: o.Name, Owner: o.Owner, Version: o.Version}
	if err := json.Unmarshal(o.Data, &item.Value); err != nil {
		return item, fmt.Errorf("reading %s %s: %w", o.Kind, o.Name, err)
	}
	return item, nil
}

func (c Collection[T]) encode(item Item[T]) (Object, error) {
	data, err := json.Marshal(item.Value)
	if err != nil {
		return Object{}, fmt.Errorf("writing %s %s: %w", c.Kind, item.Name, err)
	}
	return Object{Kind: c.Kind, Name: item.Name, Owner: item.Owner, Version: item.Version, Data: data}, nil
}
