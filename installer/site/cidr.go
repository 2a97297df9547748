package site

import (
	"fmt"
	"net/netip"
	"strings"
)

// What Kubernetes makes of networks of pods and services.
const (
	nodeBits4, nodeBits6   = 24, 64 // each node gets a network of this length for its pods
	maxNodeBits            = 16     // by which the network of all pods may be shorter
	minService, maxService = 4, 20  // bits of a service's address
)

// networks checks that pods and services do not take the place of what nodes
// must reach, and that Kubernetes can work with their networks.
func (s Spec) networks(out *problems, at string) {
	var taken []network
	if subnet := s.Network.Addresses.Subnet(); subnet.IsValid() {
		taken = append(taken, network{"the nodes' network " + subnet.String(), subnet})
	}
	for _, f := range []struct {
		field, value string
		fits         func(netip.Prefix) string
	}{{"podCIDR", s.Cluster.PodCIDR, s.Cluster.podsFit}, {"serviceCIDR", s.Cluster.ServiceCIDR, servicesFit}} {
		path := at + "." + f.field
		prefix, err := netip.ParsePrefix(f.value)
		if err != nil {
			out.add(path, "%q is not a network such as 100.64.0.0/16", f.value)
			continue
		}
		if fault := f.fits(prefix); fault != "" {
			out.add(path, "%s %s", prefix, fault)
		}
		s.collisions(out, path, prefix, taken)
		taken = append(taken, network{f.field + " " + prefix.String(), prefix})
	}
}

// network is one whose addresses are in use, and what it is.
type network struct {
	what   string
	prefix netip.Prefix
}

// collisions tells what a network of the cluster would hide from its nodes.
func (s Spec) collisions(out *problems, at string, prefix netip.Prefix, taken []network) {
	for _, other := range taken {
		if prefix.Overlaps(other.prefix) {
			out.add(at, "%s overlaps %s", prefix, other.what)
		}
	}
	subnet := s.Network.Addresses.Subnet()
	for _, host := range s.reached() {
		ip, err := netip.ParseAddr(host.value)
		if err == nil && prefix.Contains(ip) && !subnet.Contains(ip) {
			out.add(at, "%s holds %s, which is %s", prefix, ip, host.path)
		}
	}
	if vip, err := netip.ParseAddr(s.Network.ControlPlaneEndpoint); err == nil && vip.Is4() != prefix.Addr().Is4() {
		out.add(at, "%s is not of the family of controlPlaneEndpoint %s", prefix, vip)
	}
}

// field is a field of a site and its value.
type field struct{ path, value string }

// reached are the hosts that nodes and pods reach, without ports.
func (s Spec) reached() []field {
	out := []field{{"spec.vcenter.server", s.VCenter.Server}, {"spec.registry.endpoint", s.Registry.Endpoint}, {"spec.network.controlPlaneEndpoint", s.Network.ControlPlaneEndpoint}}
	for _, list := range []struct {
		path   string
		values []string
	}{{"spec.registry.tokenServers", s.Registry.TokenServers}, {"spec.network.nameservers", s.Network.Nameservers}, {"spec.network.ntp", s.Network.NTP}} {
		for i, value := range list.values {
			out = append(out, field{fmt.Sprintf("%s[%d]", list.path, i), value})
		}
	}
	for i := range out {
		out[i].value = hostOf(out[i].value)
	}
	return out
}

// hostOf returns the host of HOST, HOST:PORT or an address.
func hostOf(value string) string {
	if at, err := netip.ParseAddrPort(value); err == nil {
		return at.Addr().String()
	}
	return strings.Trim(value, "[]")
}

// podsFit says what is wrong with a network for pods; "" when it is good.
func (c Cluster) podsFit(prefix netip.Prefix) string {
	node := nodeBits6
	if prefix.Addr().Is4() {
		node = nodeBits4
	}
	bits, need := node-prefix.Bits(), c.Nodes()+surge
	switch {
	case bits < 0 || bits <= maxNodeBits && 1<<bits < need:
		return fmt.Sprintf("is too small: each node takes a /%d of it, and %d nodes are needed, one of them for upgrades", node, need)
	case bits > maxNodeBits:
		return fmt.Sprintf("is too large: a /%d is the largest that Kubernetes takes", node-maxNodeBits)
	}
	return ""
}

// servicesFit says what is wrong with a network for services; "" when it is good.
func servicesFit(prefix netip.Prefix) string {
	all := prefix.Addr().BitLen()
	if bits := all - prefix.Bits(); bits < minService || bits > maxService {
		return fmt.Sprintf("is too small or too large: Kubernetes takes a /%d to a /%d", all-maxService, all-minService)
	}
	return ""
}
