package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealift/sealift/systemconsole/store"
)

// Shown is a value that knows what of it may be recorded. Each type lists its
// fields, so that a new secret is left out unless somebody names it.
type Shown interface{ Audit() any }

// Create records and adds an item.
func Create[T Shown](ctx context.Context, l *Log, c store.Collection[T], item store.Item[T], action string) (string, error) {
	var version string
	err := l.change(ctx, Event{Action: action, Object: object(c, item.Name), After: item.Value.Audit()}, func() error {
		var err error
		version, err = c.Create(ctx, item)
		return err
	})
	return version, err
}

// Modify records and makes a change of an item, anew when somebody else
// changed it in between. An error of change ends it, unrecorded.
func Modify[T Shown](ctx context.Context, l *Log, c store.Collection[T], name, action string, change func(*T) error) (store.Item[T], error) {
	for {
		item, err := c.Get(ctx, name)
		if err != nil {
			return item, err
		}
		before := item.Value.Audit()
		if err := change(&item.Value); err != nil {
			return item, err
		}
		e := Event{Action: action, Object: object(c, name), Before: before, After: item.Value.Audit()}
		err = l.change(ctx, e, func() error {
			item.Version, err = c.Update(ctx, item)
			return err
		})
		if !errors.Is(err, store.ErrConflict) || ctx.Err() != nil {
			return item, err
		}
	}
}

// Delete records and removes an item.
func Delete[T Shown](ctx context.Context, l *Log, c store.Collection[T], item store.Item[T], action string) error {
	return l.change(ctx, Event{Action: action, Object: object(c, item.Name), Before: item.Value.Audit()}, func() error {
		return c.Delete(ctx, item.Name, item.Version)
	})
}

// Do records a change that is not of one item, then makes it.
func (l *Log) Do(ctx context.Context, e Event, do func() error) error { return l.change(ctx, e, do) }

func (l *Log) change(ctx context.Context, e Event, do func() error) error {
	first, err := l.Append(ctx, e)
	if err != nil {
		return err
	}
	if err = do(); err == nil {
		return nil
	}
	_, recordErr := l.Append(ctx, Event{Action: e.Action, Object: e.Object, Failure: fmt.Sprintf("record %d did not happen: %.500s", first.Number, err)})
	return errors.Join(err, recordErr)
}

func object[T any](c store.Collection[T], name string) string { return c.Kind + "/" + name }
