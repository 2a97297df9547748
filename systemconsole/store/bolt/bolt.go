// Package bolt keeps the console's objects in one file, with bbolt.
//
// A change is synced to the disk before it is answered. The file belongs to
// one process at a time.
package bolt

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/store"
)

// The buckets. objects has KIND \0 NAME, owned has KIND \0 OWNER \0 NAME. The
// sequence of objects counts changes and gives versions.
const (
	objects = "objects"
	owned   = "owned"
)

// Store is a store in a file.
type Store struct {
	db  *bbolt.DB
	hub hub
}

var _ store.Store = (*Store)(nil)

// record is the value of an object in the file.
type record struct {
	Owner   string          `json:"owner,omitempty"`
	Version string          `json:"version"`
	Data    json.RawMessage `json:"data"`
}

// Open opens the file at path, and makes it when there is none.
func Open(path string) (*Store, error) {
	_, statErr := os.Stat(path)
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, problem.New(problem.Failed, "end the other program, or choose another folder", "opening %s: another program uses it", path)
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, first := tx.CreateBucketIfNotExists([]byte(objects))
		_, second := tx.CreateBucketIfNotExists([]byte(owned))
		return errors.Join(first, second)
	})
	if err == nil && errors.Is(statErr, fs.ErrNotExist) {
		err = durable.SyncDir(filepath.Dir(path)) // the name of a new file
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", path, err), db.Close())
	}
	return &Store{db: db}, nil
}

// Close ends all watches and closes the file.
func (s *Store) Close() error {
	s.hub.close()
	return s.db.Close()
}

// Get returns an object.
func (s *Store) Get(_ context.Context, kind, name string) (store.Object, error) {
	var o store.Object
	err := s.db.View(func(tx *bbolt.Tx) error {
		var err error
		o, err = get(tx, kind, name)
		return err
	})
	return o, err
}

func get(tx *bbolt.Tx, kind, name string) (store.Object, error) {
	value := tx.Bucket([]byte(objects)).Get(key(kind, name))
	if value == nil {
		return store.Object{}, fmt.Errorf("%s %s: %w", kind, name, store.ErrNotFound)
	}
	return decode(kind, name, value)
}

func decode(kind, name string, value []byte) (store.Object, error) {
	var r record
	if err := json.Unmarshal(value, &r); err != nil {
		return store.Object{}, fmt.Errorf("reading %s %s: %w", kind, name, err)
	}
	return store.Object{Kind: kind, Name: name, Owner: r.Owner, Version: r.Version, Data: r.Data}, nil
}

// List returns a page; it continues after the last name of the page before.
func (s *Store) List(_ context.Context, kind string, opts store.ListOptions) (store.Page, error) {
	var page store.Page
	err := s.db.View(func(tx *bbolt.Tx) error {
		bucket, prefix := objects, key(kind, "")
		if opts.Owner != "" {
			bucket, prefix = owned, key(kind, opts.Owner, "")
		}
		c := tx.Bucket([]byte(bucket)).Cursor()
		k, _ := c.Seek(append(bytes.Clone(prefix), opts.Continue...))
		if opts.Continue != "" && bytes.Equal(k, append(bytes.Clone(prefix), opts.Continue...)) {
			k, _ = c.Next()
		}
		for ; k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
			if len(page.Objects) == opts.PageSize() {
				page.Continue = page.Objects[len(page.Objects)-1].Name
				return nil
			}
			o, err := get(tx, kind, string(k[len(prefix):]))
			if err != nil {
				return err
			}
			page.Objects = append(page.Objects, o)
		}
		return nil
	})
	return page, err
}

// Create adds an object.
func (s *Store) Create(_ context.Context, o store.Object) (string, error) {
	if err := check(o); err != nil {
		return "", err
	}
	return s.change(store.Added, func(tx *bbolt.Tx) (store.Object, error) {
		if tx.Bucket([]byte(objects)).Get(key(o.Kind, o.Name)) != nil {
			return o, fmt.Errorf("%s %s: %w", o.Kind, o.Name, store.ErrExists)
		}
		if o.Owner != "" {
			if err := tx.Bucket([]byte(owned)).Put(key(o.Kind, o.Owner, o.Name), nil); err != nil {
				return o, err
			}
		}
		return put(tx, o)
	})
}

// Update replaces the data of an object.
func (s *Store) Update(_ context.Context, o store.Object) (string, error) {
	if err := check(o); err != nil {
		return "", err
	}
	return s.change(store.Modified, func(tx *bbolt.Tx) (store.Object, error) {
		old, err := newest(tx, o.Kind, o.Name, o.Version)
		if err != nil {
			return o, err
		}
		o.Owner = old.Owner
		return put(tx, o)
	})
}

// Delete removes an object.
func (s *Store) Delete(_ context.Context, kind, name, version string) error {
	_, err := s.change(store.Deleted, func(tx *bbolt.Tx) (store.Object, error) {
		old, err := get(tx, kind, name)
		if err == nil && version != "" {
			old, err = newest(tx, kind, name, version)
		}
		if err != nil {
			return old, err
		}
		if old.Owner != "" {
			if err := tx.Bucket([]byte(owned)).Delete(key(kind, old.Owner, name)); err != nil {
				return old, err
			}
		}
		return old, tx.Bucket([]byte(objects)).Delete(key(kind, name))
	})
	return err
}

// Watch returns the changes of a kind.
func (s *Store) Watch(ctx context.Context, kind string) (<-chan store.Event, error) {
	return s.hub.watch(ctx, kind), nil
}

// change runs a change in a transaction of its own and tells of it. The lock
// keeps events in the order of the changes.
func (s *Store) change(what store.Change, do func(*bbolt.Tx) (store.Object, error)) (string, error) {
	s.hub.order.Lock()
	defer s.hub.order.Unlock()
	var o store.Object
	err := s.db.Update(func(tx *bbolt.Tx) error {
		var err error
		o, err = do(tx)
		return err
	})
	if err != nil {
		return "", err
	}
	s.hub.tell(store.Event{Change: what, Object: o})
	return o.Version, nil
}

// newest returns an object when version is the one that it has.
func newest(tx *bbolt.Tx, kind, name, version string) (store.Object, error) {
	o, err := get(tx, kind, name)
	if err == nil && o.Version != version {
		err = fmt.Errorf("%s %s: %w", kind, name, store.ErrConflict)
	}
	return o, err
}

func put(tx *bbolt.Tx, o store.Object) (store.Object, error) {
	b := tx.Bucket([]byte(objects))
	n, err := b.NextSequence()
	if err != nil {
		return o, err
	}
	o.Version = strconv.FormatUint(n, 10)
	value, err := json.Marshal(record{Owner: o.Owner, Version: o.Version, Data: o.Data})
	if err != nil {
		return o, fmt.Errorf("writing %s %s: %w", o.Kind, o.Name, err)
	}
	return o, b.Put(key(o.Kind, o.Name), value)
}

// check fails for what a cluster would refuse too.
func check(o store.Object) error {
	if err := store.CheckName(o.Name); err != nil {
		return err
	}
	if o.Owner != "" {
		if err := store.CheckName(o.Owner); err != nil {
			return err
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(o.Data, &fields); err != nil || fields == nil {
		return fmt.Errorf("%s %s: the data is no JSON object", o.Kind, o.Name)
	}
	return nil
}

// key joins parts with a byte that no name holds.
func key(parts ...string) []byte {
	out := []byte(parts[0])
	for _, p := range parts[1:] {
		out = append(append(out, 0), p...)
	}
	return out
}
