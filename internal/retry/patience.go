package retry

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// LongAbsence is how long somebody may be away who comes back by themselves: a
// vCenter or a machine that starts again takes some minutes.
const LongAbsence = 15 * time.Minute

const (
	askAgain = 2 * time.Second
	// gotOn is how long work has run at least that began while the other side
	// was back: what cannot be reached is given up before.
	gotOn = 5 * time.Minute
)

// Patience is how somebody is waited for who is away for a moment.
type Patience struct {
	Away  func(error) bool                 // whether a failure means that; nil means never
	Limit time.Duration                    // from the first such failure; 0 means LongAbsence
	Say   func(since time.Time, err error) // is told of each; nil tells nobody
}

// Do does work again and again while the other side is away, until patience
// ends; then away is for how long that was, and else 0. When the other side is
// away a second time, that is another absence.
func (p Patience) Do(ctx context.Context, work func(context.Context) error) (away time.Duration, err error) {
	var since time.Time
	for {
		began := time.Now()
		err := work(ctx)
		switch {
		case err == nil || ctx.Err() != nil || p.Away == nil || !p.Away(err):
			return 0, err
		case since.IsZero() || time.Since(began) > gotOn:
			since = time.Now()
		case time.Since(since) > cmp.Or(p.Limit, LongAbsence):
			return time.Since(since), err
		}
		if p.Say != nil {
			p.Say(since, err)
		}
		if cause := Sleep(ctx, askAgain); cause != nil {
			return 0, errors.Join(cause, err)
		}
	}
}
