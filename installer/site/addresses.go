package site

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"
)

// What the nodes need addresses for besides themselves.
const (
	surge        = 1 // an upgrade makes the new node before it removes the old one
	minAddresses = 5
	maxAddresses = 1 << 16
)

// Nodes returns the number of machines of the cluster.
func (c Cluster) Nodes() int {
	n := c.ControlPlane.Replicas
	for _, w := range c.Workers {
		n += w.Replicas
	}
	return n
}

// AddressesNeeded returns how many addresses the range must have: one for each
// node and one for the node that an upgrade makes first, but not less than five.
// The control plane's endpoint is not among them.
func (c Cluster) AddressesNeeded() int { return max(minAddresses, c.Nodes()+surge) }

// All returns the addresses of the range in order; none with DHCP.
func (a Addresses) All() []netip.Addr {
	first, last, err := a.bounds()
	if err != nil {
		return nil
	}
	out := make([]netip.Addr, 0, count(first, last))
	for at := first; at.IsValid() && at.Compare(last) <= 0; at = at.Next() {
		out = append(out, at)
	}
	return out
}

// Subnet returns the network that the range lies in; the zero value with DHCP.
func (a Addresses) Subnet() netip.Prefix {
	first, _, err := a.bounds()
	if err != nil {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(first, a.Prefix).Masked()
}

var errNoRange = errors.New("there is no range")

// bounds reads the range.
func (a Addresses) bounds() (first, last netip.Addr, err error) {
	if a.Range == "" {
		return first, last, errNoRange
	}
	from, to, ok := strings.Cut(a.Range, "-")
	if first, err = netip.ParseAddr(strings.TrimSpace(from)); err == nil && ok {
		last, err = netip.ParseAddr(strings.TrimSpace(to))
	}
	switch {
	case !ok || err != nil || first.Zone()+last.Zone() != "":
		return first, last, fmt.Errorf("%q is not FIRST-LAST, such as 10.20.0.20-10.20.0.40", a.Range)
	case first.BitLen() != last.BitLen():
		return first, last, fmt.Errorf("%s mixes IPv4 and IPv6", a.Range)
	case last.Less(first):
		return first, last, fmt.Errorf("%s ends before it begins", a.Range)
	case count(first, last) > maxAddresses:
		return first, last, fmt.Errorf("%s has more than %d addresses", a.Range, maxAddresses)
	}
	return first, last, nil
}

// count returns how many addresses lie between two, both included; more than
// maxAddresses is just that.
func count(first, last netip.Addr) int {
	a, b := first.As16(), last.As16()
	var low, high, borrow uint64
	low, borrow = bits.Sub64(word(b[8:]), word(a[8:]), 0)
	high, _ = bits.Sub64(word(b[:8]), word(a[:8]), borrow)
	if high > 0 || low >= maxAddresses {
		return maxAddresses + 1
	}
	return int(low) + 1
}

func word(b []byte) (n uint64) {
	for _, v := range b[:8] {
		n = n<<8 | uint64(v)
	}
	return n
}

// contains tells whether an address is of the range.
func (a Addresses) contains(ip netip.Addr) bool {
	first, last, err := a.bounds()
	return err == nil && first.Compare(ip) <= 0 && ip.Compare(last) <= 0
}

// hosts tells whether ip can be a host of the subnet: not the network's own
// address nor the broadcast address.
func hosts(subnet netip.Prefix, ip netip.Addr) bool {
	if !subnet.Contains(ip) {
		return false
	}
	if !ip.Is4() || subnet.Bits() >= 31 {
		return true
	}
	return ip != subnet.Masked().Addr() && subnet.Contains(ip.Next())
}
