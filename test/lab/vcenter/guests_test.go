package vcenter

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/types"
)

// lateEvents is a runtime during whose work with a machine the vCenter tells
// something else of it, as when a guest ends by itself while it is removed.
type lateEvents struct {
	Runtime
	of *guests
}

func (r lateEvents) Destroy(_ context.Context, id string) error {
	for _, e := range []event{powerOff, shutdown, powerOn} {
		r.of.tell(types.ManagedObjectReference{Type: "VirtualMachine", Value: id}, e)
	}
	return nil
}

func (lateEvents) Stop(context.Context, string, time.Duration) error { return nil }

// A vCenter that closes waits for no machine that is heard of meanwhile.
func TestCloseDuringLateEvents(t *testing.T) {
	v := &VCenter{}
	g := newGuests(v)
	v.options.Runtime = lateEvents{of: g}
	ref := types.ManagedObjectReference{Type: "VirtualMachine", Value: "vm-1"}
	one := &guest{guests: g, ref: ref, queue: make(chan event, 64)}
	g.queues[ref] = one.queue
	g.wg.Go(one.run)
	closed := make(chan struct{})
	go func() { g.close(); close(closed) }()
	select {
	case <-closed:
		require.Empty(t, g.queues)
	case <-time.After(10 * time.Second):
		require.Fail(t, "it does not close")
	}
}
