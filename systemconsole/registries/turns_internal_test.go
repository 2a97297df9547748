package registries

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
)

// nothing is an upload that is not kept.
type nothing struct{ handler.Upload }

func (nothing) WriteChunk(context.Context, int64, io.Reader) (int64, error) { return 0, nil }

// Who has an upload is told to leave once its body is being written, and never
// when there is none.
func TestWhoLeavesIsToldWhenItWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := turns{memorylocker.New()}
		left := make(chan struct{}, 1)
		lock := func(ctx context.Context) func() {
			l, err := locks.NewLock("one")
			require.NoError(t, err)
			require.NoError(t, l.Lock(ctx, func() { left <- struct{}{} }))
			return func() { require.NoError(t, l.Unlock()) }
		}
		serve := func(do func(context.Context)) {
			ctx, end := context.WithCancel(t.Context()) // as a server ends it
			defer end()
			r := httptest.NewRequestWithContext(ctx, http.MethodPatch, "/", nil)
			noted(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { do(r.Context()) })).ServeHTTP(httptest.NewRecorder(), r)
		}
		next := func() { go serve(func(ctx context.Context) { lock(ctx)() }) }

		serve(func(ctx context.Context) {
			unlock := lock(ctx)
			next()
			synctest.Wait()
			require.Empty(t, left, "it has no body yet")
			_, _ = arriving{nothing{}}.WriteChunk(ctx, 0, nil)
			<-left
			unlock()
		})
		serve(func(ctx context.Context) { // asks for the state alone
			unlock := lock(ctx)
			next()
			synctest.Wait()
			unlock()
		})
		synctest.Wait()
		require.Empty(t, left)
	})
}
