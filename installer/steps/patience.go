package steps

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/retry"
	"github.com/sealift/sealift/mirror/registry"
)

// How long registry and vCenter may be away in the middle of a step, and how
// often they are asked meanwhile. A vCenter that restarts takes some minutes.
const (
	defaultPatience = 15 * time.Minute
	askAgain        = 2 * time.Second
	// gotOn is how long work has run at least that began while the other side
	// was back: what cannot be reached is given up before.
	gotOn = 5 * time.Minute
)

func (in *Installation) patience() time.Duration {
	if in.Patience > 0 {
		return in.Patience
	}
	return defaultPatience
}

// away tells whether a failure means that the other side cannot be reached or
// cannot answer now. A step has reached it before: its name and address are good.
func away(err error) bool {
	return retry.Connection(err) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) ||
		errors.Is(err, registry.ErrUnavailable) || vsphere.Starting(err)
}

// untilBack does work again and again while the other side is away, until
// patience ends. When it is away a second time, that is another absence.
func (in *Installation) untilBack(ctx context.Context, whose string, say step.Say, work func(context.Context) error) error {
	var gone time.Time
	for {
		began := time.Now()
		err := work(ctx)
		switch {
		case err == nil || !away(err) || ctx.Err() != nil:
			return err
		case gone.IsZero() || time.Since(began) > gotOn:
			gone = time.Now()
		case time.Since(gone) > in.patience():
			return fmt.Errorf("%s was away for %s: %w", whose, time.Since(gone).Round(time.Second), err)
		}
		say("%s is away since %s, and is asked again: %v", whose, gone.Format(time.TimeOnly), err)
		if cause := retry.Sleep(ctx, askAgain); cause != nil {
			return errors.Join(cause, err)
		}
	}
}

// pastRestarts does work again that failed because the vCenter restarted: it has
// ended the session then. What fails for another reason fails.
func (in *Installation) pastRestarts(ctx context.Context, say step.Say, work func(context.Context) error) error {
	for end := time.Now().Add(in.patience()); ; {
		err := work(ctx)
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		var renewed bool
		cause := in.untilBack(ctx, "the vCenter", say, func(ctx context.Context) (failed error) {
			renewed, failed = in.VCenter.Renew(ctx)
			return failed
		})
		if cause != nil || !renewed {
			return errors.Join(err, cause)
		}
		say("the vCenter was restarted; beginning again")
	}
}
