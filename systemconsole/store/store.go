// Package store keeps the console's objects.
//
// An object has a kind, a name that is its own within the kind, and a value in
// JSON. A change of one object is atomic and durable; nothing spans several
// objects, so that a store can be a file (package bolt) as well as the custom
// resources of a cluster (package kube). What must not happen twice or at the
// same time is built on the two guarantees that both give: Create fails when
// the name is taken, Update and Delete fail when the version is not the newest.
//
// An object may belong to an owner, as sessions belong to an account and users
// to a tenant; the objects of an owner can be listed alone.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The errors that every store returns, wrapped with kind and name.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("changed by somebody else in the meantime")
	ErrExists   = errors.New("exists already")
	// ErrExpired means: the listing went on for too long and has to begin anew.
	ErrExpired = errors.New("the listing has expired")
)

// Object is one object.
type Object struct {
	Kind    string          // such as Account
	Name    string          // see CheckName
	Owner   string          // name of what it belongs to, or nothing; never changes
	Version string          // set by the store with each change
	Data    json.RawMessage // a JSON object
}

// Reader finds objects.
type Reader interface {
	// Get returns an object, or ErrNotFound.
	Get(ctx context.Context, kind, name string) (Object, error)
	// List returns a page of the objects of a kind, in the order of their names.
	List(ctx context.Context, kind string, opts ListOptions) (Page, error)
}

// Writer changes objects. When it returns nil the change is durable.
type Writer interface {
	// Create adds an object and returns its version. ErrExists when the name
	// is taken.
	Create(ctx context.Context, o Object) (version string, err error)
	// Update replaces the data of the object that has o's version and returns
	// the new version. ErrConflict when there is a newer one, ErrNotFound when
	// it is gone.
	Update(ctx context.Context, o Object) (version string, err error)
	// Delete removes the object of a version, or whatever version it has when
	// none is given. ErrNotFound when it is gone, ErrConflict as Update.
	Delete(ctx context.Context, kind, name, version string) error
}

// Watcher tells of changes.
type Watcher interface {
	// Watch returns every change of a kind that is made after it returned, in
	// order. The channel is closed when ctx is done, or when the reader was too
	// slow or the connection broke: then list and watch again.
	Watch(ctx context.Context, kind string) (<-chan Event, error)
}

// Store is all of it.
type Store interface {
	Reader
	Writer
	Watcher
}

// ListOptions select a page. The zero value is the first page of everything.
type ListOptions struct {
	Owner    string // only what belongs to it
	Limit    int    // most objects of a page; 0 means MaxPage
	Continue string // Page.Continue of the page before
}

// MaxPage is the most objects that one page holds.
const MaxPage = 500

// PageSize returns the number of objects that a page may hold.
func (o ListOptions) PageSize() int {
	if o.Limit <= 0 || o.Limit > MaxPage {
		return MaxPage
	}
	return o.Limit
}

// Page is a part of a listing.
type Page struct {
	Objects  []Object
	Continue string // for the next page; empty on the last
}

// Change tells what happened to an object.
type Change string

// The changes.
const (
	Added    Change = "added"
	Modified Change = "modified"
	Deleted  Change = "deleted"
)

// Event is one change. Object is as it was after the change, or before its
// deletion.
type Event struct {
	Change Change
	Object Object
}

// CheckName fails for what cannot be the name or owner of an object: names
// are DNS subdomains in lower case, as Kubernetes has them.
func CheckName(name string) error {
	ok := len(name) > 0 && len(name) <= 253
	for part := range strings.SplitSeq(name, ".") {
		ok = ok && label(part)
	}
	if !ok {
		return fmt.Errorf("%.60q cannot be a name: use lower-case letters, digits, dots and hyphens", name)
	}
	return nil
}

// label tells whether a part between dots begins and ends with a letter or digit.
func label(part string) bool {
	for _, r := range part {
		if r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return part != "" && part[0] != '-' && part[len(part)-1] != '-'
}

// Kind is a kind of objects with the type of their values, of which a cluster
// wants to know the schema.
type Kind struct {
	Name  string
	Value any
}
