// Package recent keeps what is dear to find out and asked for by every page.
//
// A value is handed out as long as it is fresh. After that it is still handed
// out, and found out anew in the background; one that is older than the bound
// is waited for. At most one finds out at a time, however many ask. When finding
// out fails, whoever waited gets the error with the last value that was known:
// it is theirs to say whether that one will do. What takes long to find out is
// fresh for longer: no more than a tenth of the time goes into it.
package recent

import (
	"context"
	"sync"
	"time"
)

// Options say how old a value may be. The zero value is usable.
type Options struct {
	Fresh time.Duration // until it is found out anew, at least; 0 means 2 s
	Bound time.Duration // the oldest that is ever handed out; 0 means 15 s
	Limit time.Duration // for finding out; 0 means 30 s
}

// Value is a value that Find finds out.
type Value[T any] struct {
	find func(context.Context) (T, error)
	opts Options

	mu   sync.Mutex
	last T             // that was known; the zero value when none was
	at   time.Time     // when finding out last began; zero when it has to be found out anew
	took time.Duration // that
	call *call[T]      // under way
}

type call[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// New returns a value. It is shared by those who get it: none may change it.
func New[T any](find func(context.Context) (T, error), opts Options) *Value[T] {
	if opts.Fresh == 0 {
		opts.Fresh = 2 * time.Second
	}
	if opts.Bound == 0 {
		opts.Bound = 15 * time.Second
	}
	if opts.Limit == 0 {
		opts.Limit = 30 * time.Second
	}
	return &Value[T]{find: find, opts: opts}
}

// Get returns the value. An error is that of finding out, or of ctx, and is not
// kept: the next Get finds out anew. The value beside it is the last known.
func (v *Value[T]) Get(ctx context.Context) (T, error) {
	v.mu.Lock()
	age := time.Since(v.at)
	last := v.last
	if age < v.fresh() {
		v.mu.Unlock()
		return last, nil
	}
	c := v.begin(ctx)
	v.mu.Unlock()
	if age < v.opts.Bound {
		return last, nil
	}
	select {
	case <-c.done:
		if c.err != nil {
			return last, c.err
		}
		return c.value, nil
	case <-ctx.Done():
		return last, ctx.Err()
	}
}

// fresh is how long the value is handed out before it is found out anew. The
// lock is held.
func (v *Value[T]) fresh() time.Duration {
	return max(v.opts.Fresh, min(10*v.took, v.opts.Bound/2))
}

// Forget makes the next Get find out anew, and wait for it: what is under way
// began before the change that is the reason.
func (v *Value[T]) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.at, v.call = time.Time{}, nil
}

// begin finds out, unless that is under way. The lock is held.
func (v *Value[T]) begin(ctx context.Context) *call[T] {
	if v.call != nil {
		return v.call
	}
	c := &call[T]{done: make(chan struct{})}
	v.call = c
	begun := time.Now()
	// Who asked first may leave while others wait.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.opts.Limit)
	go func() {
		defer cancel()
		c.value, c.err = v.find(ctx)
		v.mu.Lock()
		if v.call == c {
			v.call = nil
			if c.err == nil {
				v.last, v.at, v.took = c.value, begun, time.Since(begun)
			}
		}
		v.mu.Unlock()
		close(c.done)
	}()
	return c
}
