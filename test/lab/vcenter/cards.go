package vcenter

import (
	"fmt"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// settleCards gives a network card an address where it has none, or one that
// belongs to another machine, as a clone's copy has; an address that was set
// by hand stays. The lock of vm and v.provision are held.
func (v *VCenter) settleCards(ctx *simulator.Context, vm *simulator.VirtualMachine) {
	changed := false
	for _, d := range vm.Config.Hardware.Device {
		c, ok := d.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		card := c.GetVirtualEthernetCard()
		if v.macs[card.MacAddress] == vm.Self && card.MacAddress != "" {
			continue
		}
		if !strings.EqualFold(card.AddressType, string(types.VirtualEthernetCardMacTypeManual)) {
			card.AddressType = string(types.VirtualEthernetCardMacTypeAssigned)
			card.MacAddress = v.newMAC()
			changed = true
		}
		v.macs[card.MacAddress] = vm.Self
		for i := range vm.Guest.Net {
			if vm.Guest.Net[i].DeviceConfigId == card.Key {
				vm.Guest.Net[i].MacAddress = card.MacAddress
			}
		}
	}
	if changed {
		ctx.Update(vm, []types.PropertyChange{{Name: "config.hardware.device", Val: []types.BaseVirtualDevice(vm.Config.Hardware.Device)}})
	}
}

// newMAC returns the next address of those that a vCenter assigns.
func (v *VCenter) newMAC() string {
	for {
		v.lastMAC++
		n := v.lastMAC
		mac := fmt.Sprintf("00:50:56:%02x:%02x:%02x", 0x80|(n>>16)&0x3f, n>>8&0xff, n&0xff)
		if _, taken := v.macs[mac]; !taken {
			return mac
		}
	}
}

// forget frees the addresses of a machine that is gone. v.provision is held.
func (v *VCenter) forget(vm types.ManagedObjectReference) {
	for mac, owner := range v.macs {
		if owner == vm {
			delete(v.macs, mac)
		}
	}
	v.origins.Delete(vm)
}

// cardsOf describes the network cards of a machine. Its lock is held.
func (v *VCenter) cardsOf(vm *simulator.VirtualMachine) []Card {
	var cards []Card
	for _, d := range object.VirtualDeviceList(vm.Config.Hardware.Device) {
		c, ok := d.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		card := Card{MAC: c.GetVirtualEthernetCard().MacAddress, key: c.GetVirtualEthernetCard().Key}
		if ref := v.networkOf(c.GetVirtualEthernetCard().Backing); ref != nil {
			card.Network = nameOf(v.registry().Get(*ref))
		}
		cards = append(cards, card)
	}
	return cards
}
