package store

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"
)

// PulseKind is the kind of the object behind a Pulse.
const PulseKind = "Pulse"

// pulseName is the name of the only object of PulseKind.
const pulseName = "answered"

// PulseKinds are the kinds of this package's own objects.
func PulseKinds() []Kind { return []Kind{{Name: PulseKind, Value: beats{}}} }

// beats is the value of that object.
type beats struct {
	Newest Moment `json:"newest"`
}

// Moment says, by kind, which version the newest change had that anybody was
// told of. It is for Collection.At.
type Moment map[string]uint64

// Pulse tells every process how new the newest change is that anybody was told
// of, whichever process made it: a collection that has one lets it beat at each
// change, before that is answered. A table that has heard of that much is not
// behind, and may be decided by: Collection.At.
type Pulse struct {
	object Collection[beats]

	mu      sync.Mutex
	reading bool
	next    *reading // begins when the one under way ends; nil when nobody waits
}

// reading is the answer to all who came before it began.
type reading struct {
	done   chan struct{}
	moment Moment
	err    error
}

// NewPulse returns the pulse of a store.
func NewPulse(s Store) *Pulse { return &Pulse{object: Collection[beats]{Store: s, Kind: PulseKind}} }

// pulseWithin is how long a beat or a read of the pulse may take, whether or not
// whoever asked for it has left.
const pulseWithin = 10 * time.Second

// beat tells every process of a change. A nil pulse tells nobody.
func (p *Pulse) beat(ctx context.Context, kind, version string) error {
	if p == nil {
		return nil
	}
	// The change is made: who asked for it may be gone, those who have to hear
	// of it are not.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pulseWithin)
	defer cancel()
	for {
		err := p.tell(ctx, kind, number(version))
		if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrExists) && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
}

// tell tries once to write what is new. Another process that did it in between
// is ErrConflict, ErrExists or ErrNotFound.
func (p *Pulse) tell(ctx context.Context, kind string, version uint64) error {
	item, err := p.object.Get(ctx, pulseName)
	if errors.Is(err, ErrNotFound) {
		_, err = p.object.Create(ctx, Item[beats]{Name: pulseName, Value: beats{Newest: Moment{kind: version}}})
		return err
	}
	if err != nil {
		return err
	}
	told := sound(item)
	if told[kind] >= version {
		return nil
	}
	if told == nil {
		told = Moment{}
	}
	told[kind] = version
	item.Value.Newest = told
	_, err = p.object.Update(ctx, item)
	return err
}

// sound returns what an object of the pulse says, without what it cannot know:
// an object that came from another store, out of a backup, tells of versions
// that this one does not have yet.
func sound(item Item[beats]) Moment {
	own := number(item.Version)
	maps.DeleteFunc(item.Value.Newest, func(_ string, version uint64) bool { return version > own })
	return item.Value.Newest
}

// Now returns the moment of this call. All who ask at the same time get it by
// one read of one object.
func (p *Pulse) Now(ctx context.Context) (Moment, error) {
	p.mu.Lock()
	if p.next == nil {
		p.next = &reading{done: make(chan struct{})}
	}
	r := p.next // not the one under way: it may have begun before a change that was told of by now
	if !p.reading {
		p.reading = true
		go p.read(context.WithoutCancel(ctx))
	}
	p.mu.Unlock()
	select {
	case <-r.done:
		return r.moment, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read reads as long as somebody waits.
func (p *Pulse) read(ctx context.Context) {
	for {
		p.mu.Lock()
		r := p.next
		p.next, p.reading = nil, r != nil
		p.mu.Unlock()
		if r == nil {
			return
		}
		r.moment, r.err = p.moment(ctx)
		close(r.done)
	}
}

func (p *Pulse) moment(ctx context.Context) (Moment, error) {
	ctx, cancel := context.WithTimeout(ctx, pulseWithin)
	defer cancel()
	item, err := p.object.Get(ctx, pulseName)
	if errors.Is(err, ErrNotFound) {
		return nil, nil // nobody was told of anything
	}
	return sound(item), err
}
