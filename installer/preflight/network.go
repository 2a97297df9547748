package preflight

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/sealift/sealift/installer/preflight/addresses"
)

// maxProbed is how many addresses of a range are asked.
const maxProbed = 1024

func (e *examination) addressChecks() []check {
	return []check{
		{name: "addresses-known", needs: []string{"vcenter-login"}, run: e.addressesKnown},
		{name: "addresses-free", run: e.addressesFree},
		{name: "endpoint-free", run: e.endpointFree},
	}
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
	var taken []string
	for _, ip := range e.addresses() {
		if name, ok := guests[ip]; ok {
			taken = append(taken, fmt.Sprintf("%s is machine %s", ip, name))
		}
	}
	if len(taken) > 0 {
		return failed("choose other addresses, or remove these machines", "%s", strings.Join(taken, "; "))
	}
	return ok("none is reported by a machine of the vCenter (it knows %d addresses)", len(guests))
}

func (e *examination) addressesFree(ctx context.Context) finding {
	all := e.site.Spec.Network.Addresses.All()
	if len(all) == 0 {
		return skipped("addresses come by DHCP")
	}
	return probe(ctx, all[:min(len(all), maxProbed)], "choose another range, or take these hosts out of it")
}

func (e *examination) endpointFree(ctx context.Context) finding {
	vip, err := netip.ParseAddr(e.site.Spec.Network.ControlPlaneEndpoint)
	if err != nil {
		return failedWith(err)
	}
	return probe(ctx, []netip.Addr{vip}, "choose another spec.network.controlPlaneEndpoint, or take this host away")
}

func probe(ctx context.Context, list []netip.Addr, remedy string) finding {
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
