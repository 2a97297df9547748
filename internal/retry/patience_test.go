package retry_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealift/sealift/internal/retry"
)

var errAway = errors.New("nobody is there")

func away(err error) bool { return errors.Is(err, errAway) }

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls, said := 0, 0
		p := retry.Patience{Away: away, Say: func(time.Time, error) { said++ }}
		gone, err := p.Do(t.Context(), func(context.Context) error {
			if calls++; calls < 4 {
				return errAway
			}
			return nil
		})
		if err != nil || gone != 0 || calls != 4 || said != 3 {
			t.Errorf("%v after %s, %d calls and %d words", err, gone, calls, said)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		gone, err := retry.Patience{Away: away, Limit: time.Minute}.Do(t.Context(), func(context.Context) error { return errAway })
		if !errors.Is(err, errAway) || gone < time.Minute || gone > 65*time.Second {
			t.Errorf("%v after %s", err, gone)
		}
	})
	synctest.Test(t, func(t *testing.T) { // each absence has a patience of its own
		left := 3
		gone, err := retry.Patience{Away: away, Limit: 10 * time.Minute}.Do(t.Context(), func(context.Context) error {
			time.Sleep(8 * time.Minute)
			if left--; left > 0 {
				return errAway
			}
			return nil
		})
		if err != nil || gone != 0 {
			t.Errorf("%v after %s", err, gone)
		}
	})
}

// A wait that is interrupted ends as an interruption, and what is no absence at once.
func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := retry.Patience{Away: away, Say: func(time.Time, error) { cancel() }}.Do(ctx, func(context.Context) error { return errAway })
		if !errors.Is(err, context.Canceled) || !errors.Is(err, errAway) {
			t.Error(err)
		}
	})
	for _, p := range []retry.Patience{{}, {Away: away}} {
		calls, other := 0, syscall.ENOSPC
		if _, err := p.Do(t.Context(), func(context.Context) error { calls++; return other }); !errors.Is(err, other) || calls != 1 {
			t.Errorf("%v after %d calls", err, calls)
		}
	}
}

func TestUnreached(t *testing.T) {
	for err, want := range map[error]bool{syscall.EHOSTUNREACH: true, syscall.ENETUNREACH: true, syscall.ECONNREFUSED: true, syscall.ENOSPC: false} {
		if retry.Unreached(err) != want {
			t.Errorf("%v: %v", err, !want)
		}
	}
}
