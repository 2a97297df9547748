package vcenter

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	pollInterval  = 500 * time.Millisecond // how often a guest without addresses is asked for them
	calmPolls     = 8                      // of so many polls one is done once it has some
	shutdownGrace = 30 * time.Second       // how long a guest has to end
)

// event is something that happens to a machine.
type event int

const (
	powerOn event = iota
	powerOff
	shutdown
	reset
	removed
)

// guests boots and ends machines. It hears from the registry what happens to
// them; each machine has one goroutine, which does it in that order.
type guests struct {
	v      *VCenter
	ctx    context.Context //nolint:containedctx // ends with the vCenter, not with a call
	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	queues map[types.ManagedObjectReference]chan event
	closed bool // no machine boots any more
}

func newGuests(v *VCenter) *guests {
	g := &guests{v: v, queues: map[types.ManagedObjectReference]chan event{}}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

// Reference names the guests in the registry.
func (g *guests) Reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "Guests", Value: "guests"}
}

// PutObject hears of new objects.
func (g *guests) PutObject(*simulator.Context, mo.Reference) {}

// UpdateObject hears of changes.
func (g *guests) UpdateObject(_ *simulator.Context, o mo.Reference, changes []types.PropertyChange) {
	if o.Reference().Type != "VirtualMachine" {
		return
	}
	for _, c := range changes {
		if c.Name != "runtime.powerState" {
			continue
		}
		if c.Val == types.VirtualMachinePowerStatePoweredOn {
			g.tell(o.Reference(), powerOn)
		} else {
			g.tell(o.Reference(), powerOff)
		}
	}
}

// RemoveObject hears of what is gone.
func (g *guests) RemoveObject(_ *simulator.Context, ref types.ManagedObjectReference) {
	if ref.Type == "VirtualMachine" {
		g.tell(ref, removed)
	}
}

// tell puts an event in the queue of a machine.
func (g *guests) tell(ref types.ManagedObjectReference, e event) {
	if g.v.options.Runtime == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	queue, ok := g.queues[ref]
	if !ok {
		if e != powerOn || g.closed {
			return // it never ran, or is gone and hears of its own end
		}
		queue = make(chan event, 64)
		g.queues[ref] = queue
		guest := &guest{guests: g, ref: ref, queue: queue}
		g.wg.Go(guest.run)
	}
	if e == removed {
		delete(g.queues, ref)
	}
	queue <- e
}

// close ends all machines that are left.
func (g *guests) close() {
	if g == nil {
		return
	}
	g.mu.Lock()
	g.closed = true
	left := make([]types.ManagedObjectReference, 0, len(g.queues))
	for ref := range g.queues {
		left = append(left, ref)
	}
	g.mu.Unlock()
	for _, ref := range left {
		g.tell(ref, removed)
	}
	g.wg.Wait()
	g.cancel()
}

// guest is one machine that runs or ran.
type guest struct {
	*guests
	ref     types.ManagedObjectReference
	queue   chan event
	running bool
	spec    Spec
	last    []Address // as reported
	polls   int
}

func (g *guest) run() {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case e := <-g.queue:
			g.handle(e)
			if e == removed {
				return
			}
		case <-tick.C:
			if g.polls++; len(g.last) > 0 && g.polls%calmPolls != 0 {
				continue
			}
		}
		if g.running {
			g.report()
		}
	}
}

func (g *guest) handle(e event) {
	var err error
	switch runtime := g.v.options.Runtime; e {
	case powerOn:
		if !g.describe() {
			return
		}
		err = runtime.Start(g.ctx, g.spec)
		g.running = err == nil
	case reset:
		g.clear()
		if !g.describe() {
			return
		}
		err = runtime.Reset(g.ctx, g.spec)
	case powerOff:
		g.running = false
		g.clear()
		err = runtime.Stop(g.ctx, g.ref.Value, 0)
	case shutdown:
		g.running = false
		err = runtime.Stop(g.ctx, g.ref.Value, shutdownGrace)
		g.powerWentOff()
	case removed:
		g.running = false
		err = runtime.Destroy(g.ctx, g.ref.Value)
	}
	if err != nil {
		g.v.options.Log.Error("machine", "machine", g.spec.Name, "id", g.ref.Value, "error", err)
	}
}

// machine returns the machine, or nil where it is gone.
func (g *guest) machine() *simulator.VirtualMachine {
	vm, _ := g.v.registry().Get(g.ref).(*simulator.VirtualMachine)
	return vm
}

// describe notes what the machine is like now.
func (g *guest) describe() bool {
	vm := g.machine()
	if vm == nil {
		return false
	}
	g.v.own(g.ctx).WithLock(vm, func() {
		g.spec = Spec{
			ID: g.ref.Value, UUID: vm.Config.Uuid, Name: vm.Name, CPUs: vm.Config.Hardware.NumCPU, MemoryMiB: vm.Config.Hardware.MemoryMB,
			GuestInfo: map[string]string{}, Cards: g.v.cardsOf(vm),
		}
		for _, o := range vm.Config.ExtraConfig {
			value, ok := o.GetOptionValue().Value.(string)
			if key := o.GetOptionValue().Key; ok && strings.HasPrefix(key, "guestinfo.") {
				g.spec.GuestInfo[key] = value
			}
		}
	})
	if origin, ok := g.v.origins.Load(g.ref); ok {
		g.spec.Template = origin.(string)
	}
	if disk, ok := g.v.disks.Load(g.ref); ok {
		g.spec.Disk = disk.(string)
	}
	return true
}

// report puts the guest's addresses where clients look for them, when they
// have changed.
func (g *guest) report() {
	addresses, err := g.v.options.Runtime.Addresses(g.ctx, g.ref.Value)
	if errors.Is(err, ErrEnded) {
		g.running = false
		g.powerWentOff()
		return
	}
	if err != nil || len(addresses) == 0 {
		return // the guest does not answer yet
	}
	if slices.EqualFunc(addresses, g.last, func(a, b Address) bool { return a.MAC == b.MAC && slices.Equal(a.IPs, b.IPs) }) {
		return
	}
	g.last = addresses
	var nics []types.GuestNicInfo
	first := ""
	for _, card := range g.spec.Cards {
		nic := nicInfo(card, addresses)
		for _, ip := range nic.IpAddress {
			if a, err := netip.ParseAddr(ip); err == nil && first == "" && a.Is4() {
				first = ip
			}
		}
		nics = append(nics, nic)
	}
	g.update([]types.PropertyChange{
		{Name: "guest.net", Val: nics},
		{Name: "guest.ipAddress", Val: first}, {Name: "summary.guest.ipAddress", Val: first},
		{Name: "guest.hostName", Val: g.spec.Name}, {Name: "summary.guest.hostName", Val: g.spec.Name},
		{Name: "guest.guestState", Val: string(types.VirtualMachineGuestStateRunning)},
	}, types.VirtualMachineToolsStatusToolsOk, types.VirtualMachineToolsRunningStatusGuestToolsRunning)
}

func nicInfo(card Card, addresses []Address) types.GuestNicInfo {
	nic := types.GuestNicInfo{
		Network: card.Network, MacAddress: card.MAC, Connected: true, DeviceConfigId: card.key, IpConfig: &types.NetIpConfigInfo{},
	}
	for _, a := range addresses {
		if !strings.EqualFold(a.MAC, card.MAC) {
			continue
		}
		for _, ip := range a.IPs {
			prefix, err := netip.ParsePrefix(ip)
			if err != nil {
				addr, err := netip.ParseAddr(ip)
				if err != nil {
					continue
				}
				prefix = netip.PrefixFrom(addr, addr.BitLen())
			}
			nic.IpAddress = append(nic.IpAddress, prefix.Addr().String())
			nic.IpConfig.IpAddress = append(nic.IpConfig.IpAddress, types.NetIpConfigInfoIpAddress{
				IpAddress: prefix.Addr().String(), PrefixLength: int32(prefix.Bits()),
				State: string(types.NetIpConfigInfoIpAddressStatusPreferred),
			})
		}
	}
	return nic
}

// clear takes the addresses of a guest away that runs no longer.
func (g *guest) clear() {
	g.last = nil
	g.update([]types.PropertyChange{
		{Name: "guest.net", Val: []types.GuestNicInfo{}},
		{Name: "guest.ipAddress", Val: ""}, {Name: "summary.guest.ipAddress", Val: ""},
		{Name: "guest.guestState", Val: string(types.VirtualMachineGuestStateNotRunning)},
	}, types.VirtualMachineToolsStatusToolsNotRunning, types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)
}

func (g *guest) update(changes []types.PropertyChange, status types.VirtualMachineToolsStatus, running types.VirtualMachineToolsRunningStatus) {
	vm := g.machine()
	if vm == nil {
		return
	}
	changes = append(changes,
		// Cluster API's provider for vSphere takes for granted that it is told.
		types.PropertyChange{Name: "guest.guestStateChangeSupported", Val: running == types.VirtualMachineToolsRunningStatusGuestToolsRunning},
		types.PropertyChange{Name: "guest.toolsStatus", Val: status},
		types.PropertyChange{Name: "summary.guest.toolsStatus", Val: status},
		types.PropertyChange{Name: "guest.toolsRunningStatus", Val: string(running)},
		types.PropertyChange{Name: "summary.guest.toolsRunningStatus", Val: string(running)})
	ctx := g.v.own(g.ctx)
	ctx.WithLock(vm, func() { ctx.Update(vm, changes) })
}

// powerWentOff notes that the guest has ended by itself. The registry tells
// of the power in turn; stopping what has stopped does no harm.
func (g *guest) powerWentOff() {
	vm := g.machine()
	if vm == nil {
		return
	}
	ctx := g.v.own(g.ctx)
	ctx.WithLock(vm, func() {
		ctx.Update(vm, []types.PropertyChange{
			{Name: "runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOff},
			{Name: "summary.runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOff},
		})
	})
}
