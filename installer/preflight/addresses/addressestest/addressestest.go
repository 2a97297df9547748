// Package addressestest makes a network with one other host, so that tests ask
// a kernel whether its addresses are in use.
package addressestest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Network is an Ethernet of this host and another, a network namespace.
type Network struct {
	t      testing.TB
	space  string
	prefix string // the first three bytes of its addresses
}

// Start makes a network that ends with the test. It needs root.
func Start(t testing.TB) *Network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network is made by root only")
	}
	for range maxTries { // tests of other packages run at the same time
		i := rand.IntN(254)
		n := &Network{t: t, space: fmt.Sprintf("preflight-%d", i), prefix: fmt.Sprintf("10.231.%d.", i)}
		if exec.Command("ip", "netns", "add", n.space).Run() != nil {
			continue
		}
		t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", n.space).Run() })
		here, there := fmt.Sprintf("pfh%d", i), fmt.Sprintf("pft%d", i)
		if exec.Command("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", n.space).Run() != nil {
			continue
		}
		t.Cleanup(func() { _ = exec.Command("ip", "link", "del", here).Run() }) // its other end goes with it
		n.ip("addr", "add", n.prefix+"1/24", "dev", here)
		n.ip("link", "set", here, "up")
		n.ip("-n", n.space, "link", "set", there, "up")
		n.ip("-n", n.space, "link", "set", "lo", "up")
		n.ip("-n", n.space, "addr", "add", n.prefix+"2/24", "dev", there)
		return n
	}
	t.Fatal("no network could be made: look at ip netns list")
	return nil
}

// maxTries is how many numbers of networks are tried.
const maxTries = 50

func (n *Network) ip(args ...string) {
	n.t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Address returns the address of the network that ends with a number. This host
// is 1 and the other is 2.
func (n *Network) Address(last int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf("%s%d", n.prefix, last))
}

// Silence lets the other host answer nothing but ARP, as behind a firewall.
func (n *Network) Silence() {
	n.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", n.space, "iptables", "-A", "INPUT", "-j", "DROP").CombinedOutput()
	if err != nil {
		n.t.Fatalf("iptables: %v: %s", err, out)
	}
}

// Far returns an address of a network that no route leads to.
func (n *Network) Far() netip.Addr {
	n.t.Helper()
	far := netip.MustParseAddr(strings.Replace(n.prefix, "10.231.", "10.232.", 1) + "9")
	n.ip("route", "add", "blackhole", far.String())
	n.t.Cleanup(func() { _ = exec.Command("ip", "route", "del", "blackhole", far.String()).Run() })
	return far
}
