package backup

import (
	"context"
	"errors"
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
	Finished time.Time `json:"finished,omitzero"` // zero while it is written
	Name     string    `json:"name,omitempty"`
	Size     int64     `json:"size,omitempty"`    // bytes
	Failure  string    `json:"failure,omitempty"` // empty when it is good everywhere
	Since    time.Time `json:"since,omitzero"`    // of the first failure in a row
	Good     time.Time `json:"good,omitzero"`     // when the last good one was written
}

// longest is how long a backup may take before another one is begun: who began
// it is gone.
const longest = time.Hour

// Busy tells whether a backup is being written.
func (r Run) Busy(now time.Time) bool {
	return r.Finished.IsZero() && !r.Started.IsZero() && now.Sub(r.Started) < longest
}

// ErrBusy means: another backup is being written.
var ErrBusy = errors.New("a backup is being written already")

// Runs keeps what came of the last backup, for all servers over one store.
type Runs struct{ objects store.Collection[Run] }

// NewRuns returns the runs in a store.
func NewRuns(s store.Store) Runs { return Runs{store.Collection[Run]{Store: s, Kind: RunKind}} }

// Last returns what came of the last backup; the zero value when there was none.
func (r Runs) Last(ctx context.Context) (Run, error) {
	item, err := r.objects.Get(ctx, RunName)
	if errors.Is(err, store.ErrNotFound) {
		return Run{}, nil
	}
	return item.Value, err
}

// Do writes a backup when may allows it, and keeps what came of it. Of several
// servers one does: the others have ErrBusy.
func (r Runs) Do(ctx context.Context, now func() time.Time, may func(Run) bool, write func() (File, error)) (File, error) {
	if _, err := r.objects.Create(ctx, store.Item[Run]{Name: RunName}); err != nil && !errors.Is(err, store.ErrExists) {
		return File{}, err
	}
	started := now()
	_, err := r.objects.Modify(ctx, RunName, func(v *Run) error {
		if v.Busy(started) || !may(*v) {
			return ErrBusy
		}
		v.Started, v.Finished = started, time.Time{}
		return nil
	})
	if err != nil {
		return File{}, err
	}
	file, err := write()
	_, kept := r.objects.Modify(context.WithoutCancel(ctx), RunName, func(v *Run) error {
		v.Finished, v.Name, v.Size = now(), file.Name, file.Size
		if err == nil {
			v.Failure, v.Since, v.Good = "", time.Time{}, v.Finished
			return nil
		}
		v.Failure = err.Error()
		if v.Since.IsZero() {
			v.Since = v.Finished
		}
		return nil
	})
	return file, errors.Join(err, kept)
}
