// Package audit keeps the record of every change: who, what, before and after,
// when and from where.
//
// Records are numbered, and each holds the hash of the one before: nothing can
// be altered, taken out or put in between without Verify telling. The end of
// the record is anchored by its hash, which the server logs and Verify returns:
// note it elsewhere, and a record that was cut short tells too.
//
// A record is the object of its number. Several servers append to one chain:
// the store lets one of them create each number, and the others go on with the
// next. A record is written before its change, so that nothing changes
// unrecorded; a change that then fails gets a second record that says so.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sealift/sealift/systemconsole/store"
)

// Kind is the kind of the objects that records are.
const Kind = "AuditRecord"

// Actor is who acts, and from where.
type Actor struct {
	Name   string // of the account, such as admin; "tenant/user" for a tenant's user
	Via    string // page, api or system
	Source string // IP address, or nothing for the system itself
}

type actorKey struct{}

// WithActor returns a context whose changes are recorded as the actor's.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns who acts in a context: the system itself when nobody is set.
func ActorOf(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Name: "system", Via: "system"}
}

// Event is what is to be recorded. Before and After are made of what may be
// shown: never of secrets.
type Event struct {
	Action        string // verb and subject, such as "tenant.create"
	Object        string // kind and name of what is changed, such as "Tenant/acme"
	Before, After any
	Failure       string // why the change that was recorded before did not happen
}

// Record is one link of the chain.
type Record struct {
	Number   uint64          `json:"number"` // from 1
	Time     time.Time       `json:"time"`
	Actor    string          `json:"actor"`
	Via      string          `json:"via"`
	Source   string          `json:"source,omitempty"`
	Action   string          `json:"action"`
	Object   string          `json:"object,omitempty"`
	Before   json.RawMessage `json:"before,omitempty"`
	After    json.RawMessage `json:"after,omitempty"`
	Failure  string          `json:"failure,omitempty"`
	Previous string          `json:"previous"` // hash of the record before; of nothing for the first
	Hash     string          `json:"hash"`     // of this record without its hash
}

// Log is the record in a store.
type Log struct {
	records store.Collection[stored]
	logger  *slog.Logger
	now     func() time.Time
	last    atomic.Uint64 // a number that is known to exist; 0 when none is
	kept    *lru.Cache[uint64, Record]
}

// keptRecords is how many records are kept in memory for pages to show: they
// never change. Verify reads the store alone.
const keptRecords = 500

// stored keeps a record as the text that was hashed, so that no store can
// change its form.
type stored struct {
	Record string `json:"record"`
}

// Options complete a log. The zero value is usable.
type Options struct {
	Logger *slog.Logger     // told of every record, as a copy outside of the store
	Now    func() time.Time // nil means time.Now
}

// New returns the log in a store.
func New(s store.Store, opts Options) *Log {
	l := &Log{records: store.Collection[stored]{Store: s, Kind: Kind}, logger: opts.Logger, now: opts.Now}
	if l.logger == nil {
		l.logger = slog.New(slog.DiscardHandler)
	}
	if l.now == nil {
		l.now = time.Now
	}
	l.kept, _ = lru.New[uint64, Record](keptRecords) // fails for no size only
	return l
}

// Append adds an event to the end of the chain, as done by the actor of ctx.
// It is durable when nil is returned.
func (l *Log) Append(ctx context.Context, e Event) (Record, error) {
	// A change that was asked for is recorded, whether or not who asked still waits.
	ctx = context.WithoutCancel(ctx)
	r, err := l.record(ctx, e)
	if err != nil {
		return r, fmt.Errorf("recording %s: %w", e.Action, err)
	}
	for {
		head, err := l.Head(ctx)
		if err != nil {
			return r, fmt.Errorf("recording %s: %w", e.Action, err)
		}
		r.Number, r.Previous = head.Number+1, head.Hash
		r.Time = l.now().UTC().Truncate(time.Microsecond)
		r.Hash = r.sum()
		_, err = l.records.Create(ctx, store.Item[stored]{Name: name(r.Number), Value: stored{Record: r.text()}})
		if errors.Is(err, store.ErrExists) {
			continue // another server took the number
		}
		if err != nil {
			return r, fmt.Errorf("recording %s: %w", e.Action, err)
		}
		l.seen(r.Number)
		l.logger.InfoContext(ctx, "audit", "number", r.Number, "actor", r.Actor, "source", r.Source, "action", r.Action,
			"object", r.Object, "hash", r.Hash)
		return r, nil
	}
}

func (l *Log) record(ctx context.Context, e Event) (Record, error) {
	actor := ActorOf(ctx)
	r := Record{Actor: actor.Name, Via: actor.Via, Source: actor.Source, Action: e.Action, Object: e.Object, Failure: e.Failure}
	var err error
	if r.Before, err = shown(e.Before); err != nil {
		return r, err
	}
	r.After, err = shown(e.After)
	return r, err
}

func shown(v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	return json.Marshal(v)
}

// Head returns the newest record; its number is 0 when there is none.
func (l *Log) Head(ctx context.Context) (Record, error) {
	// The numbers have no holes: gallop to one that is free, then halve.
	low := l.last.Load()
	high := low + 1
	for step := uint64(1); ; step *= 2 {
		ok, err := l.exists(ctx, high)
		if err != nil {
			return Record{}, err
		}
		if !ok {
			break
		}
		low, high = high, high+step
	}
	for high-low > 1 {
		middle := low + (high-low)/2
		ok, err := l.exists(ctx, middle)
		if err != nil {
			return Record{}, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}
	l.seen(low)
	if low == 0 {
		return Record{}, nil
	}
	return l.Get(ctx, low)
}

func (l *Log) exists(ctx context.Context, number uint64) (bool, error) {
	_, err := l.records.Get(ctx, name(number))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// seen raises the number that is known to exist.
func (l *Log) seen(number uint64) {
	for {
		last := l.last.Load()
		if number <= last || l.last.CompareAndSwap(last, number) {
			return
		}
	}
}

// Get returns a record.
func (l *Log) Get(ctx context.Context, number uint64) (Record, error) {
	item, err := l.records.Get(ctx, name(number))
	if err != nil {
		return Record{}, err
	}
	return parse(item)
}

func parse(item store.Item[stored]) (Record, error) {
	var r Record
	if err := json.Unmarshal([]byte(item.Value.Record), &r); err != nil {
		return r, fmt.Errorf("reading record %s: %w", item.Name, err)
	}
	return r, nil
}

// name sorts as the number does.
func name(number uint64) string { return fmt.Sprintf("%020d", number) }

// sum returns the hash of a record without its hash.
func (r Record) sum() string {
	r.Hash = ""
	sum := sha256.Sum256([]byte(r.text()))
	return hex.EncodeToString(sum[:])
}

func (r Record) text() string {
	data, err := json.Marshal(r)
	if err != nil {
		panic("a record cannot fail to be JSON: " + strconv.Quote(err.Error()))
	}
	return string(data)
}

// Kinds are the kinds of this package's objects.
func Kinds() []store.Kind { return []store.Kind{{Name: Kind, Value: stored{}}} }
