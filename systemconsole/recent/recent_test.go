package recent_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/recent"
)

func TestOneFindsOutForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		v := recent.New(func(context.Context) (int32, error) {
			time.Sleep(time.Second)
			return calls.Add(1), nil
		}, recent.Options{})
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				got, err := v.Get(t.Context())
				require.NoError(t, err)
				require.EqualValues(t, 1, got)
			})
		}
		all.Wait()
		require.EqualValues(t, 1, calls.Load())
	})
}

func TestAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		v := recent.New(func(context.Context) (int, error) { n++; return n, nil }, recent.Options{})
		get := func() int {
			got, err := v.Get(t.Context())
			require.NoError(t, err)
			synctest.Wait()
			return got
		}
		require.Equal(t, 1, get())
		require.Equal(t, 1, get(), "fresh")
		time.Sleep(3 * time.Second)
		require.Equal(t, 1, get(), "old, and found out anew for the next")
		require.Equal(t, 2, get())
		time.Sleep(time.Minute)
		require.Equal(t, 3, get(), "too old")
		v.Forget()
		require.Equal(t, 4, get(), "forgotten")
	})
}

func TestWhatTakesLongIsFoundOutSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		v := recent.New(func(context.Context) (int, error) { time.Sleep(500 * time.Millisecond); n++; return n, nil }, recent.Options{})
		for range 600 { // a minute
			_, err := v.Get(t.Context())
			require.NoError(t, err)
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		require.InDelta(t, 12, n, 1, "half a second in each five")
	})
}

func TestWhatBeganBeforeAChangeIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var state atomic.Int32
		v := recent.New(func(context.Context) (int32, error) {
			seen := state.Load()
			time.Sleep(time.Second)
			return seen, nil
		}, recent.Options{})
		go v.Get(t.Context())
		time.Sleep(500 * time.Millisecond)
		state.Store(1)
		v.Forget()
		got, err := v.Get(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, got)
		time.Sleep(time.Second)
	})
}

func TestErrorsAreNotKept(t *testing.T) {
	fails := true
	v := recent.New(func(context.Context) (int, error) {
		if fails {
			return 0, errors.New("down")
		}
		return 7, nil
	}, recent.Options{})
	_, err := v.Get(t.Context())
	require.ErrorContains(t, err, "down")
	fails = false
	got, err := v.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 7, got)
}

// What was known before is at hand when it cannot be found out: after it became
// too old, after a change, and for whoever does not wait.
func TestTheLastKnownComesWithAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		var fails atomic.Bool
		v := recent.New(func(ctx context.Context) (int, error) {
			if fails.Load() {
				<-ctx.Done() // it does not answer
				return 0, down
			}
			return 7, nil
		}, recent.Options{Fresh: time.Second, Bound: 2 * time.Second, Limit: 5 * time.Second})
		_, err := v.Get(t.Context())
		require.NoError(t, err)
		fails.Store(true)
		time.Sleep(time.Minute)
		for _, change := range []func(){func() {}, v.Forget} {
			change()
			begun := time.Now()
			got, err := v.Get(t.Context())
			require.ErrorIs(t, err, down)
			require.Equal(t, 7, got)
			require.Equal(t, 5*time.Second, time.Since(begun), "no longer than the limit")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := v.Get(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 7, got)
		fails.Store(false)
		time.Sleep(time.Minute)
		got, err = v.Get(t.Context())
		require.NoError(t, err)
		require.Equal(t, 7, got)
	})
}
