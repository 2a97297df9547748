package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// Target is a store that a backup takes the place of.
type Target struct {
	Store  store.Store
	Keeper seal.Keeper
	Kinds  []string // that are replaced: of others nothing is touched
	// Known are kinds of which an object comes back only when it is still
	// there: what was revoked stays revoked.
	Known []string
	// Dropped are kinds that are emptied.
	Dropped []string
}

// Replace makes the objects of a store those of a backup. The file is read
// twice: nothing is changed before all of it has been checked. When it fails
// on its way it can be done again, with the same end.
func Replace(ctx context.Context, r io.ReadSeeker, to Target) (objects int, err error) {
	if _, err := Check(ctx, to.Keeper, r); err != nil {
		return 0, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("reading the backup again: %w", err)
	}
	there := map[string]map[string]bool{} // kind, then name: what the backup has
	_, err = scan(ctx, to.Keeper, r, func(o store.Object) error {
		if !slices.Contains(to.Kinds, o.Kind) && !slices.Contains(to.Known, o.Kind) {
			return nil
		}
		if there[o.Kind] == nil {
			there[o.Kind] = map[string]bool{}
		}
		there[o.Kind][o.Name] = true
		objects++
		return bring(ctx, to, o)
	})
	if err != nil {
		return objects, err
	}
	for _, kind := range slices.Concat(to.Kinds, to.Known) {
		if err := drop(ctx, to.Store, kind, there[kind]); err != nil {
			return objects, err
		}
	}
	for _, kind := range to.Dropped {
		if err := drop(ctx, to.Store, kind, nil); err != nil {
			return objects, err
		}
	}
	return objects, nil
}

// bring makes one object what it is in the backup.
func bring(ctx context.Context, to Target, o store.Object) error {
	for {
		current, err := to.Store.Get(ctx, o.Kind, o.Name)
		switch {
		case errors.Is(err, store.ErrNotFound) && slices.Contains(to.Known, o.Kind):
			return nil
		case errors.Is(err, store.ErrNotFound):
			_, err = to.Store.Create(ctx, o)
		case err != nil:
			return err
		case current.Owner != o.Owner: // which never changes: it is another object
			if err = to.Store.Delete(ctx, o.Kind, o.Name, current.Version); err == nil {
				_, err = to.Store.Create(ctx, o)
			}
		default:
			o.Version = current.Version
			_, err = to.Store.Update(ctx, o)
		}
		if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrExists) || ctx.Err() != nil {
			return err
		}
		o.Version = ""
	}
}

// drop removes the objects of a kind that are not to stay.
func drop(ctx context.Context, s store.Store, kind string, stay map[string]bool) error {
	opts := store.ListOptions{}
	for {
		page, err := s.List(ctx, kind, opts)
		if err != nil {
			return err
		}
		for _, o := range page.Objects {
			if stay[o.Name] {
				continue
			}
			if err := s.Delete(ctx, kind, o.Name, ""); err != nil && !errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("removing %s %s: %w", kind, o.Name, err)
			}
		}
		if opts.Continue = page.Continue; opts.Continue == "" {
			return nil
		}
	}
}
