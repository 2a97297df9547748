package retry

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWait(t *testing.T) {
	b := Backoff{Attempts: 5, Min: time.Second, Max: time.Minute}
	for attempt, most := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 30: time.Minute} {
		for range 50 {
			d := b.Wait(attempt, nil)
			require.GreaterOrEqual(t, d, most/2)
			require.LessOrEqual(t, d, most)
		}
	}
	answer := func(v string) http.Header { return http.Header{"Retry-After": {v}} }
	require.Equal(t, 7*time.Second, b.Wait(1, answer("7")))
	require.Equal(t, time.Minute, b.Wait(1, answer("99999999999")))
	require.Equal(t, time.Duration(0), b.Wait(1, answer("-5")))
	date := b.Wait(1, answer(time.Now().Add(20*time.Second).UTC().Format(http.TimeFormat)))
	require.InDelta(t, 20, date.Seconds(), 2)
	require.LessOrEqual(t, b.Wait(1, answer("soon")), time.Second)
}

func TestWhatMayWorkNextTime(t *testing.T) {
	for _, code := range []int{408, 429, 500, 502, 503, 504} {
		require.True(t, Status(code), code)
	}
	for _, code := range []int{200, 400, 401, 403, 404, 416, 501} {
		require.False(t, Status(code), code)
	}
	for _, err := range []error{io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.ECONNREFUSED, ErrStalled, &net.DNSError{IsTemporary: true}} {
		require.True(t, Connection(err), err)
	}
	for _, err := range []error{nil, context.Canceled, &net.DNSError{IsNotFound: true}, errors.New("certificate")} {
		require.False(t, Connection(err), err)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	require.ErrorIs(t, Sleep(ctx, time.Hour), cause)
}

// silent gives nothing until its request has ended.
type silent struct{ ctx context.Context }

func (s silent) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func TestWatch(t *testing.T) {
	w := Watch(t.Context(), 20*time.Millisecond, 20*time.Millisecond)
	_, err := io.ReadAll(w.Body(io.NopCloser(silent{w.Context})))
	require.ErrorIs(t, err, ErrStalled)

	w = Watch(t.Context(), time.Hour, time.Hour)
	rc := w.Body(io.NopCloser(strings.NewReader("bytes")))
	data, err := io.ReadAll(rc)
	require.NoError(t, err)
	require.Equal(t, "bytes", string(data))
	require.NoError(t, rc.Close())
	require.Error(t, w.Context.Err(), "closing the body ends the request")
}
