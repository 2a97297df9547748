package vsphere

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// Machine is what one machine takes.
type Machine struct {
	CPUs   int
	Memory int64 // bytes
	Disk   int64 // bytes
}

// HostCapacity is what a host has.
type HostCapacity struct {
	Name    string
	Threads int    // logical processors
	Memory  int64  // bytes
	Free    int64  // bytes of memory that no machine uses now
	Reason  string // why it takes no machines; "" when it does
}

// DatastoreCapacity is what a datastore has, in bytes.
type DatastoreCapacity struct {
	Name           string
	Capacity, Free int64
	Reason         string // why nothing can be put there; "" when it can
}

// PoolCapacity is what a resource pool lets its machines have.
type PoolCapacity struct {
	Name       string
	MemoryLeft int64 // bytes; negative when there is no limit
}

// Hosts returns what the hosts of a cluster have.
func (c *Client) Hosts(ctx context.Context, hosts []Object) ([]HostCapacity, error) {
	if len(hosts) == 0 {
		return nil, nil
	}
	refs := make([]types.ManagedObjectReference, 0, len(hosts))
	for _, h := range hosts {
		refs = append(refs, h.Ref)
	}
	var found []mo.HostSystem
	err := property.DefaultCollector(c.vim).Retrieve(ctx, refs, []string{"name", "summary.hardware", "summary.quickStats", "runtime"}, &found)
	if err != nil {
		return nil, fmt.Errorf("reading the hosts: %w", err)
	}
	out := make([]HostCapacity, 0, len(found))
	for _, h := range found {
		host := HostCapacity{Name: h.Name, Reason: unavailable(h.Runtime)}
		if hw := h.Summary.Hardware; hw != nil {
			host.Threads, host.Memory = int(hw.NumCpuThreads), hw.MemorySize
		}
		host.Free = max(0, host.Memory-int64(h.Summary.QuickStats.OverallMemoryUsage)<<20)
		out = append(out, host)
	}
	slices.SortFunc(out, func(a, b HostCapacity) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func unavailable(r types.HostRuntimeInfo) string {
	switch {
	case r.ConnectionState != types.HostSystemConnectionStateConnected:
		return "it is " + string(r.ConnectionState)
	case r.InMaintenanceMode:
		return "it is in maintenance mode"
	case r.PowerState == types.HostSystemPowerStateStandBy || r.PowerState == types.HostSystemPowerStatePoweredOff:
		return "it is " + string(r.PowerState)
	default:
		return ""
	}
}

// DatastoreSpace returns what a datastore has now.
func (c *Client) DatastoreSpace(ctx context.Context, o Object) (DatastoreCapacity, error) {
	out := DatastoreCapacity{Name: o.Name()}
	var ds mo.Datastore
	if err := c.properties(ctx, o.Ref, []string{"summary"}, &ds); err != nil {
		return out, fmt.Errorf("reading datastore %s: %w", o.Path, err)
	}
	out.Capacity, out.Free = ds.Summary.Capacity, ds.Summary.FreeSpace
	if !ds.Summary.Accessible {
		out.Reason = "it is not accessible"
	} else if mode := ds.Summary.MaintenanceMode; mode != "" && mode != string(types.DatastoreSummaryMaintenanceModeStateNormal) {
		out.Reason = "it is in maintenance mode"
	}
	return out, nil
}

// PoolRoom returns what a resource pool leaves.
func (c *Client) PoolRoom(ctx context.Context, o Object) (PoolCapacity, error) {
	out := PoolCapacity{Name: o.Name(), MemoryLeft: -1}
	var pool mo.ResourcePool
	if err := c.properties(ctx, o.Ref, []string{"config.memoryAllocation", "runtime"}, &pool); err != nil {
		return out, fmt.Errorf("reading resource pool %s: %w", o.Path, err)
	}
	if limit := pool.Config.MemoryAllocation.Limit; limit != nil && *limit >= 0 {
		out.MemoryLeft = max(0, *limit<<20-pool.Runtime.Memory.OverallUsage)
	}
	return out, nil
}

// Fit puts machines on hosts, the largest first, each where the most memory is
// free, and returns how many found no host.
func Fit(machines []Machine, hosts []HostCapacity) (left int) {
	hosts = slices.DeleteFunc(slices.Clone(hosts), func(h HostCapacity) bool { return h.Reason != "" })
	machines = slices.Clone(machines)
	slices.SortFunc(machines, func(a, b Machine) int { return cmp.Compare(b.Memory, a.Memory) })
	for _, m := range machines {
		best := -1
		for i, h := range hosts {
			if h.Threads >= m.CPUs && h.Free >= m.Memory && (best < 0 || h.Free > hosts[best].Free) {
				best = i
			}
		}
		if best < 0 {
			left++
			continue
		}
		hosts[best].Free -= m.Memory
	}
	return left
}
