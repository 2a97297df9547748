package registries

import (
	"context"
	"net/http"
	"sync"

	"github.com/tus/tusd/v2/pkg/handler"
)

// turns are locks of uploads: whoever goes on with one takes the place of who
// still sends it. The library tells that one to leave by closing the body of its
// request, and looks for it unguarded, also before there is one: who leaves is
// therefore told once the body is being written, and not before.
type turns struct{ handler.Locker }

// NewLock implements handler.Locker.
func (t turns) NewLock(id string) (handler.Lock, error) {
	lock, err := t.Locker.NewLock(id)
	return turn{lock}, err
}

type turn struct{ lock handler.Lock }

// Lock implements handler.Lock.
func (t turn) Lock(ctx context.Context, leave func()) error {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		told := leave
		leave = func() { go r.whenWriting(told) } // which ends with the request
	}
	return t.lock.Lock(ctx, leave)
}

// Unlock implements handler.Lock.
func (t turn) Unlock() error { return t.lock.Unlock() }

// request is one of the protocol, on its way.
type request struct {
	writes chan struct{} // closed when its body is being written
	once   sync.Once
	ended  <-chan struct{}
}

type requestKey struct{}

// noted lets turns know of requests.
func noted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &request{writes: make(chan struct{}), ended: r.Context().Done()}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestKey{}, v)))
	})
}

// writing notes that the body of the request of a context is being written.
func writing(ctx context.Context) {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		r.once.Do(func() { close(r.writes) })
	}
}

func (r *request) whenWriting(do func()) {
	select {
	case <-r.writes:
		do()
	case <-r.ended:
	}
}
