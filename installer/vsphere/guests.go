package vsphere

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vmware/govmomi/view"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// Guest is a machine whose guest reports an address.
type Guest struct {
	Name string
	Ref  types.ManagedObjectReference
}

// GuestAddresses returns the addresses that the guests of all machines report.
func (c *Client) GuestAddresses(ctx context.Context) (map[netip.Addr]Guest, error) {
	seen, err := view.NewManager(c.vim).CreateContainerView(ctx, c.vim.ServiceContent.RootFolder, []string{"VirtualMachine"}, true)
	if err != nil {
		return nil, fmt.Errorf("looking through the machines: %w", err)
	}
	defer func() { _ = seen.Destroy(context.WithoutCancel(ctx)) }() // it ends with the session at the latest
	var machines []mo.VirtualMachine
	if err := seen.Retrieve(ctx, []string{"VirtualMachine"}, []string{"name", "guest.net", "guest.ipAddress"}, &machines); err != nil {
		return nil, fmt.Errorf("reading the machines' addresses: %w", err)
	}
	out := map[netip.Addr]Guest{}
	for _, vm := range machines {
		if vm.Guest == nil {
			continue
		}
		guest := Guest{vm.Name, vm.Self}
		addresses := []string{vm.Guest.IpAddress}
		for _, card := range vm.Guest.Net {
			addresses = append(addresses, card.IpAddress...)
		}
		for _, a := range addresses {
			if ip, err := netip.ParseAddr(a); err == nil {
				out[ip.Unmap()] = guest
			}
		}
	}
	return out, nil
}
