package preflight

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/preflight/addresses"
	"github.com/sealift/sealift/installer/vsphere"
)

// maxProbed is how many addresses of a range are asked.
const maxProbed = 1024

func (e *examination) addressChecks() []check {
	return []check{
		{name: "address-family", run: e.addressFamily},
		{name: "addresses-known", needs: []string{"vcenter-login"}, run: e.addressesKnown},
		{name: "addresses-free", follows: []string{"addresses-known"}, run: e.addressesFree},
		{name: "endpoint-free", follows: []string{"addresses-known"}, run: e.endpointFree},
	}
}

// addressFamily fails for a network of IPv6 alone: network and cloud provider
// of the release give pods and nodes addresses of IPv4.
func (e *examination) addressFamily(context.Context) finding {
	vip, err := netip.ParseAddr(e.site.Spec.Network.ControlPlaneEndpoint)
	if err != nil {
		return failedWith(err)
	}
	if vip.Is6() {
		return failed("give the nodes addresses of IPv4; --ignore address-family is for a release whose network and cloud provider you have set up for IPv6",
			"%s is an address of IPv6, and the release's network and cloud provider are set up for IPv4", vip)
	}
	return ok("the nodes have addresses of IPv4")
}

// addresses returns those of the range and the endpoint.
func (e *examination) addresses() []netip.Addr {
	out := e.site.Spec.Network.Addresses.All()
	if vip, err := netip.ParseAddr(e.site.Spec.Network.ControlPlaneEndpoint); err == nil {
		out = append(out, vip)
	}
	return out
}

// addressesKnown asks the vCenter, whose machines may be silent or in a network
// that this host does not see.
func (e *examination) addressesKnown(ctx context.Context) finding {
	guests, err := e.vcenter.client.GuestAddresses(ctx)
	if err != nil {
		return failedWith(err)
	}
	e.vcenter.own = map[netip.Addr]bool{}
	var taken []string
	for _, ip := range e.addresses() {
		guest, known := guests[ip]
		if !known {
			continue
		}
		own, err := e.ours(ctx, guest)
		switch {
		case err != nil:
			return failedWith(err)
		case own:
			e.vcenter.own[ip] = true // an earlier installation of this cluster, which goes on
		default:
			taken = append(taken, fmt.Sprintf("%s is machine %s", ip, guest.Name))
		}
	}
	if len(taken) > 0 {
		return failed("choose other addresses, or remove these machines", "%s", strings.Join(taken, "; "))
	}
	return ok("of %d addresses that machines report, none is of the range but %d of this cluster's own", len(guests), len(e.vcenter.own))
}

// ours tells whether a machine is of this cluster.
func (e *examination) ours(ctx context.Context, guest vsphere.Guest) (bool, error) {
	owner, err := e.vcenter.client.Owner(ctx, guest.Ref)
	return clusterapi.Owns(e.site, guest.Name, owner), err
}

func (e *examination) addressesFree(ctx context.Context) finding {
	all := e.site.Spec.Network.Addresses.All()
	if len(all) == 0 {
		return skipped("addresses come by DHCP")
	}
	return e.probe(ctx, all[:min(len(all), maxProbed)], "choose another range, or take these hosts out of it")
}

func (e *examination) endpointFree(ctx context.Context) finding {
	vip, err := netip.ParseAddr(e.site.Spec.Network.ControlPlaneEndpoint)
	if err != nil {
		return failedWith(err)
	}
	return e.probe(ctx, []netip.Addr{vip}, "choose another spec.network.controlPlaneEndpoint, or take this host away")
}

func (e *examination) probe(ctx context.Context, list []netip.Addr, remedy string) finding {
	list = slices.DeleteFunc(slices.Clone(list), func(ip netip.Addr) bool { return e.vcenter.own[ip] })
	if len(list) == 0 {
		return ok("the machines of this cluster have them")
	}
	s := addresses.Look(ctx, list, addresses.Options{})
	what := list[0].String()
	if len(list) > 1 {
		what = fmt.Sprintf("%s to %s (%d)", list[0], list[len(list)-1], len(list))
	}
	if len(s.Taken) > 0 {
		var taken []string
		for _, ip := range s.Addresses() {
			taken = append(taken, fmt.Sprintf("%s %s", ip, s.Taken[ip]))
		}
		return failed(remedy, "%s", strings.Join(taken[:min(len(taken), maxTold)], "; ")+more(len(taken)-maxTold))
	}
	if s.Doubt != "" {
		return warning("run it as root on a host in that network to have it proven by ARP", "%s: nobody answers to TCP and ping, which a silent host may not do either; %s", what, s.Doubt)
	}
	return ok("%s: nobody answers to ARP, TCP and ping", what)
}

// maxTold is how many of many things are told one by one.
const maxTold = 10

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf("; and %d more", n)
}

// unique returns a sorted list without doubles and empty strings.
func unique(list []string) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
	slices.Sort(list)
	return slices.Compact(list)
}
