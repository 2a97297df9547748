package vcenter

import (
	"context"
	"net/http"
	"time"
)

// How a vCenter is away: first nobody takes connections, then its proxy answers
// that the services behind it start.
const (
	up int32 = iota
	down
	starting
)

// Restart lets the vCenter be away for some time, as when its services are
// started again: connections are cut off, none is answered, then 503, and
// afterwards every session has ended. Machines and the inventory stay as they
// are, and tasks that were under way go on. It returns when the vCenter is back.
func (v *VCenter) Restart(ctx context.Context, away time.Duration) {
	v.state.Store(down)
	v.server.CloseClientConnections()
	v.pause(away / 2)
	v.state.Store(starting)
	v.pause(away / 2)
	v.ExpireSessions(ctx)
	v.state.Store(up)
}

// unlessAway cuts a request off while the vCenter is away.
func (v *VCenter) unlessAway(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch v.state.Load() {
		case down:
			panic(http.ErrAbortHandler)
		case starting:
			http.Error(w, "503 Service Unavailable (Failed to connect to endpoint)", http.StatusServiceUnavailable)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
