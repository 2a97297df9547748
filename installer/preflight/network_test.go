package preflight_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/preflight"
)

func TestAddressesInUse(t *testing.T) {
	l := newLab(t)
	l.network.Silence()
	n := l.network
	l.edit("{dhcp: true}", "{range: "+n.Address(2).String()+"-"+n.Address(8).String()+", prefix: 24, gateway: "+n.Address(254).String()+"}")
	all := l.require("addresses-free", preflight.Failed, n.Address(2).String()+" answers ARP from ")
	requireState(t, all["endpoint-free"], preflight.OK, "nobody answers to ARP, TCP and ping")

	l.edit(n.Address(2).String(), n.Address(3).String(), "controlPlaneEndpoint: "+n.Address(10).String(), "controlPlaneEndpoint: "+n.Address(2).String())
	all = l.require("endpoint-free", preflight.Failed, n.Address(2).String()+" answers ARP from ")
	requireState(t, all["addresses-free"], preflight.OK, "(6): nobody answers to ARP, TCP and ping")

	l.edit("controlPlaneEndpoint: "+n.Address(2).String(), "controlPlaneEndpoint: "+n.Address(1).String())
	l.require("endpoint-free", preflight.Failed, "is this host's own")
}

func TestAddressesThatCannotBeProven(t *testing.T) {
	l := newLab(t)
	far := l.network.Far()
	l.edit(l.network.Address(10).String(), far.String())
	all := l.require("endpoint-free", preflight.Warning, "this host is not in the network of "+far.String())
	require.Contains(t, all["endpoint-free"].Remedy, "as root")
}

func TestNames(t *testing.T) {
	l := newLab(t)
	l.edit("console.north.example", "console", "searchDomains: [north.example]", "searchDomains: [north.example, south.example]", `ntp: ["`, `ntp: ["time.north.example", "`)
	all := l.require("dns-forward", preflight.Failed, "a time server: time.north.example at "+l.names.address+": there is no such name")
	require.NotContains(t, all["dns-forward"].Evidence, "example.", "what no file says")
	requireState(t, all["dns-reverse"], preflight.Skipped, "because of dns-forward")
	l.names.add("time.north.example", "127.0.0.1")
	all = l.require("dns-forward", preflight.OK, "console.north.example is 192.0.2.1, time.north.example is 127.0.0.1")
	requireState(t, all["dns-reverse"], preflight.OK, "lead back")
	requireState(t, all["dns-search"], preflight.OK, "no name with two meanings")

	l.names.add("console.south.example", "192.0.2.9")
	l.require("dns-search", preflight.Warning, "console.north.example is 192.0.2.1, but console.south.example is 192.0.2.9")
	l.names.set(func() { l.names.names[netip.MustParseAddr("192.0.2.1")] = "other.example" })
	l.require("dns-reverse", preflight.Warning, "192.0.2.1 is other.example, which is another address")
	l.names.set(func() { delete(l.names.names, netip.MustParseAddr("192.0.2.1")) })
	l.require("dns-reverse", preflight.Warning, "there is no such name")

	l.names.set(func() { l.names.wild["south.example"] = netip.MustParseAddr("192.0.2.66") })
	l.require("dns-search", preflight.Failed, "south.example answers to any name, with 192.0.2.66")

	l.names.set(func() {
		clear(l.names.hosts)
		clear(l.names.wild)
		l.names.hosts["time.north.example"] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	})
	all = l.require("dns-forward", preflight.Warning, "the console: ")
	require.Contains(t, all["dns-forward"].Remedy, "add console to the site's DNS")
	l.names.set(func() { l.names.refuse = true })
	l.require("dns-forward", preflight.Failed, "the name server cannot answer: Refused")

	l.edit("nameservers: ["+l.names.address, "nameservers: [127.77.99.99")
	all = l.require("dns-servers", preflight.Failed, "connection refused")
	requireState(t, all["dns-forward"], preflight.Skipped, "because of dns-servers")
}

func TestNoNameServers(t *testing.T) {
	l := newLab(t)
	l.edit("nameservers: ["+l.names.address+"]", "")
	all := l.require("dns-servers", preflight.Skipped, "by DHCP")
	requireState(t, all["dns-reverse"], preflight.Skipped, "because of dns-forward")
	l.edit("{dhcp: true}", "{range: 127.77.0.1-127.77.0.8, prefix: 24, gateway: 127.77.0.254}", l.network.Address(10).String(), "127.77.0.10")
	l.require("dns-servers", preflight.Failed, "no name server is named, and the console is console.north.example")
}

func TestClocks(t *testing.T) {
	l := newLab(t)
	all := l.require("clocks", preflight.OK, "registry ")
	require.Contains(t, all["clocks"].Evidence, "vCenter ")
	require.Contains(t, all["clocks"].Evidence, "time server "+l.clock.address)
	for ahead, state := range map[time.Duration]preflight.State{10 * time.Second: preflight.Warning, -2 * time.Hour: preflight.Failed} {
		l.clock.mu.Lock()
		l.clock.ahead = ahead
		l.clock.mu.Unlock()
		l.require("clocks", state, "time server "+l.clock.address)
	}
}

func TestTimeServers(t *testing.T) {
	l := newLab(t)
	l.edit(`ntp: ["`, `ntp: ["127.0.0.1:9", "`)
	l.require("ntp", preflight.Warning, "127.0.0.1:9: ")
	l.edit(`, "`+l.clock.address+`"`, "")
	l.require("ntp", preflight.Failed, "no time server answers: 127.0.0.1:9: ")
	l.edit(`ntp: ["127.0.0.1:9"]`, "")
	l.require("ntp", preflight.Warning, "no time server is named")
}
