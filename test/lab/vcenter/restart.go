package vcenter

import (
	"context"
	"net/http"
	"time"
)

// Restart lets the vCenter be away for some time, as when its services are
// started again: connections are cut off, none is answered, and afterwards
// every session has ended. Machines and the inventory stay as they are, and
// tasks that were under way go on. It returns when the vCenter is back.
func (v *VCenter) Restart(ctx context.Context, away time.Duration) {
	v.away.Store(true)
	v.server.CloseClientConnections()
	v.pause(away)
	v.ExpireSessions(ctx)
	v.away.Store(false)
}

// unlessAway cuts a request off while the vCenter is away.
func (v *VCenter) unlessAway(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if v.away.Load() {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}
