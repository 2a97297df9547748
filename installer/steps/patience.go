package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/retry"
	"github.com/sealift/sealift/mirror/registry"
)

// patience is how long registry and vCenter may be away in the middle of a step.
func (in *Installation) patience() time.Duration { return cmp.Or(in.Patience, retry.LongAbsence) }

// away tells whether a failure means that the other side cannot be reached or
// cannot answer now. A step has reached it before: its name and address are good.
func away(err error) bool {
	return retry.Unreached(err) || errors.Is(err, registry.ErrUnavailable) || vsphere.Starting(err)
}

// untilBack does work again and again while the other side is away.
func (in *Installation) untilBack(ctx context.Context, whose string, say step.Say, work func(context.Context) error) error {
	p := retry.Patience{Away: away, Limit: in.patience(), Say: func(since time.Time, err error) {
		say("%s is away since %s, and is asked again: %v", whose, since.Format(time.TimeOnly), err)
	}}
	gone, err := p.Do(ctx, work)
	if gone > 0 {
		return fmt.Errorf("%s was away for %s: %w", whose, gone.Round(time.Second), err)
	}
	return err
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
