package retry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrStalled is the cause of a request that moved no byte for too long.
var ErrStalled error = stalled{}

// stalled is a timeout, as net.Error has them.
type stalled struct{}

// Error implements error.
func (stalled) Error() string { return "the connection stalled" }

// Timeout implements net.Error.
func (stalled) Timeout() bool { return true }

// Temporary implements net.Error.
func (stalled) Temporary() bool { return true }

// Watchdog ends a request that moves no byte for a time.
type Watchdog struct {
	Context context.Context //nolint:containedctx // that of the request it watches
	Limit   time.Duration   // within which something has to move

	cancel context.CancelCauseFunc
	mu     sync.Mutex
	timer  *time.Timer
	ended  bool
}

// Watch begins a watch; nothing has to move before first is over, and then
// something within every limit.
func Watch(ctx context.Context, first, limit time.Duration) *Watchdog {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &Watchdog{Context: ctx, cancel: cancel, Limit: limit}
	w.timer = time.AfterFunc(first, func() { cancel(fmt.Errorf("%w: no byte for %s", ErrStalled, limit)) })
	return w
}

// Alive says that something moved, or that the next wait may take longer.
func (w *Watchdog) Alive(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.timer.Reset(limit)
	}
}

// Stop ends the watch and the request.
func (w *Watchdog) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
	w.cancel(nil)
}

// Cause returns ErrStalled when that is why err happened.
func (w *Watchdog) Cause(err error) error {
	if cause := context.Cause(w.Context); err != nil && errors.Is(cause, ErrStalled) {
		return cause
	}
	return err
}

// Body returns a response's body under watch; closing it ends the request.
func (w *Watchdog) Body(rc io.ReadCloser) io.ReadCloser { return body{rc, w} }

type body struct {
	io.ReadCloser
	w *Watchdog
}

// Read implements io.Reader.
func (b body) Read(p []byte) (int, error) {
	b.w.Alive(b.w.Limit)
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.w.Cause(err)
	}
	return n, err
}

// Close ends the request.
func (b body) Close() error {
	b.w.Stop()
	return b.ReadCloser.Close()
}
