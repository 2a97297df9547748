package backup

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sealift/sealift/systemconsole/store"
)

// RunKind is the kind of the object that tells of the last backup; there is
// one, of the name RunName.
const (
	RunKind = "BackupRun"
	RunName = "console"
)

// Kinds are the kinds of this package's objects.
func Kinds() []store.Kind { return []store.Kind{{Name: RunKind, Value: Run{}}} }

// Run is what came of the last backup.
type Run struct {
	Started  time.Time `json:"started,omitzero"`
	Alive    time.Time `json:"alive,omitzero"`    // when who writes it last said so
	Finished time.Time `json:"finished,omitzero"` // zero while it is written
	Name     string    `json:"name,omitempty"`
	Size     int64     `json:"size,omitempty"`    // bytes
	Failure  string    `json:"failure,omitempty"` // empty when it is good everywhere
	Since    time.Time `json:"since,omitzero"`    // of the first failure in a row
	Good     time.Time `json:"good,omitzero"`     // when the last good one was written
}

const (
	// beat is how often who writes a backup says so.
	beat = time.Minute
	// silence is how long nothing may be heard before another one is begun: who
	// began it is gone.
	silence = 3 * beat
	// longest is how long a backup may take: a place that hangs holds up others
	// no longer.
	longest = time.Hour
)

// cutShort is why a backup failed that nobody ended.
const cutShort = "it was cut short: the console that wrote it ended"

// Busy tells whether a backup is being written.
func (r Run) Busy(now time.Time) bool {
	return r.Finished.IsZero() && !r.Started.IsZero() && now.Sub(r.heard()) < silence
}

// heard is when something was last heard of the backup.
func (r Run) heard() time.Time {
	if r.Alive.After(r.Started) {
		return r.Alive
	}
	return r.Started
}

// judged is the run as it counts now: one that did not end, and that nobody
// writes any more, has failed.
func (r Run) judged(now time.Time) Run {
	if r.Finished.IsZero() && !r.Started.IsZero() && !r.Busy(now) {
		r.fail(r.heard(), cutShort)
	}
	return r
}

func (r *Run) fail(at time.Time, why string) {
	r.Finished, r.Failure = at, why
	if r.Since.IsZero() {
		r.Since = at
	}
}

// ErrBusy means: another backup is being written.
var ErrBusy = errors.New("a backup is being written already")

// Runs keeps what came of the last backup, for all servers over one store.
type Runs struct{ objects store.Collection[Run] }

// NewRuns returns the runs in a store.
func NewRuns(s store.Store) Runs { return Runs{store.Collection[Run]{Store: s, Kind: RunKind}} }

// Last returns what came of the last backup; the zero value when there was none.
func (r Runs) Last(ctx context.Context, now time.Time) (Run, error) {
	item, err := r.objects.Get(ctx, RunName)
	if errors.Is(err, store.ErrNotFound) {
		return Run{}, nil
	}
	return item.Value.judged(now), err
}

// Do writes a backup when may allows it, and keeps what came of it. Of several
// servers one does: the others have ErrBusy.
func (r Runs) Do(ctx context.Context, now func() time.Time, may func(Run) bool, write func() (File, error)) (File, error) {
	return r.do(ctx, now, may, write, func(v *Run, _ Run, why string) { v.fail(now(), why) })
}

// Try writes a backup to prove new places. One that fails concerns who tries
// alone: what came of the last one stays.
func (r Runs) Try(ctx context.Context, now func() time.Time, write func() (File, error)) (File, error) {
	always := func(Run) bool { return true }
	return r.do(ctx, now, always, write, func(v *Run, last Run, _ string) { *v = last })
}

// do writes a backup; failed keeps that it failed, beside the one before.
func (r Runs) do(ctx context.Context, now func() time.Time, may func(Run) bool, write func() (File, error), failed func(v *Run, last Run, why string)) (File, error) {
	if _, err := r.objects.Create(ctx, store.Item[Run]{Name: RunName}); err != nil && !errors.Is(err, store.ErrExists) {
		return File{}, err
	}
	started := now()
	var last Run
	_, err := r.objects.Modify(ctx, RunName, func(v *Run) error {
		*v = v.judged(started)
		if v.Busy(started) || !may(*v) {
			return ErrBusy
		}
		last = *v
		v.Started, v.Alive, v.Finished = started, started, time.Time{}
		return nil
	})
	if err != nil {
		return File{}, err
	}
	beating, stop := context.WithTimeout(ctx, longest)
	var beats sync.WaitGroup
	beats.Go(func() { r.beat(beating, now, started) })
	file, err := write()
	stop()
	beats.Wait()
	_, kept := r.change(context.WithoutCancel(ctx), started, func(v *Run) {
		if v.Name, v.Size = file.Name, file.Size; err == nil {
			v.Finished, v.Failure, v.Since, v.Good = now(), "", time.Time{}, now()
			return
		}
		why := err.Error()
		if errors.Is(ctx.Err(), context.Canceled) {
			why = cutShort
		}
		failed(v, last, why)
	})
	return file, errors.Join(err, kept)
}

// beat says that a backup is being written until ctx is done.
func (r Runs) beat(ctx context.Context, now func() time.Time, started time.Time) {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// A store that does not answer is asked again with the next beat.
		_, _ = r.change(ctx, started, func(v *Run) { v.Alive = now() })
	}
}

// change changes the run that began at a time, unless it was taken for dead and
// another one has begun.
func (r Runs) change(ctx context.Context, started time.Time, do func(*Run)) (store.Item[Run], error) {
	return r.objects.Modify(ctx, RunName, func(v *Run) error {
		if v.Started.Equal(started) {
			do(v)
		}
		return nil
	})
}
