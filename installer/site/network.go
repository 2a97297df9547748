package site

import (
	"fmt"
	"net"
	"net/netip"
)

// APIServer is HOST:PORT of the cluster's API server.
func (n Network) APIServer() string { return net.JoinHostPort(n.ControlPlaneEndpoint, "6443") }

func (n Network) validate(out *problems, at string, cluster Cluster) {
	n.Addresses.validate(out, at+".addresses", cluster)
	n.endpoint(out, at+".controlPlaneEndpoint")
	for i, ns := range n.Nameservers {
		if _, err := netip.ParseAddr(ns); err != nil {
			out.add(fmt.Sprintf("%s.nameservers[%d]", at, i), "%q is not an address", ns)
		}
	}
	for i, d := range n.SearchDomains {
		if len(d) > 253 || !hostPattern.MatchString(d) {
			out.add(fmt.Sprintf("%s.searchDomains[%d]", at, i), "%q is not a domain", d)
		}
	}
	for i, host := range n.NTP {
		checkHost(out, fmt.Sprintf("%s.ntp[%d]", at, i), host)
	}
	n.Proxy.validate(out, at+".proxy")
}

func (a Addresses) validate(out *problems, at string, cluster Cluster) {
	if a.DHCP {
		if a.Range != "" || a.Prefix != 0 || a.Gateway != "" {
			out.add(at, "with dhcp there is no range, prefix or gateway")
		}
		return
	}
	if !out.required(at+".range", a.Range, "FIRST-LAST, or dhcp: true") {
		return
	}
	first, last, err := a.bounds()
	if err != nil {
		out.add(at+".range", "%v", err)
		return
	}
	if has, need := count(first, last), cluster.AddressesNeeded(); has < need {
		out.add(at+".range", "has %d addresses; %d nodes and the one that an upgrade adds need %d, and 5 are the least", has, cluster.Nodes(), need)
	}
	if a.Prefix < 1 || a.Prefix > first.BitLen() {
		out.add(at+".prefix", "is %d, not the length of a network's prefix, such as 24", a.Prefix)
		return
	}
	subnet := a.Subnet()
	if !hosts(subnet, first) || !hosts(subnet, last) {
		out.add(at+".range", "%s does not lie within %s", a.Range, subnet)
	}
	a.gateway(out, at+".gateway", subnet)
}

func (a Addresses) gateway(out *problems, at string, subnet netip.Prefix) {
	gateway, err := netip.ParseAddr(a.Gateway)
	switch {
	case err != nil:
		out.add(at, "%q is not an address", a.Gateway)
	case !hosts(subnet, gateway):
		out.add(at, "%s does not lie within %s", gateway, subnet)
	case a.contains(gateway):
		out.add(at, "%s is one of the range %s", gateway, a.Range)
	}
}

// endpoint checks the virtual address.
func (n Network) endpoint(out *problems, at string) {
	if !out.required(at, n.ControlPlaneEndpoint, "an address outside of the range") {
		return
	}
	vip, err := netip.ParseAddr(n.ControlPlaneEndpoint)
	if err != nil {
		out.add(at, "%q is not an address", n.ControlPlaneEndpoint)
		return
	}
	subnet := n.Addresses.Subnet()
	switch {
	case !subnet.IsValid():
	case !hosts(subnet, vip):
		out.add(at, "%s does not lie within %s: nodes announce it in their own network", vip, subnet)
	case n.Addresses.contains(vip):
		out.add(at, "%s is one of the range %s: a node could be given it", vip, n.Addresses.Range)
	case n.Addresses.Gateway == vip.String():
		out.add(at, "%s is the gateway", vip)
	}
}
