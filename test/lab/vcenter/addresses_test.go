package vcenter

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAddressesOfGuestAndEngine(t *testing.T) {
	list, err := guestAddresses([]byte(`[
		{"ifname":"lo","link_type":"loopback","address":"00:00:00:00:00:00","addr_info":[{"local":"127.0.0.1","prefixlen":8,"scope":"host"}]},
		{"ifname":"eth0","link_type":"ether","address":"00:50:56:80:00:01","addr_info":[
			{"family":"inet","local":"192.0.2.7","prefixlen":24,"scope":"global"},
			{"family":"inet","local":"192.0.2.100","prefixlen":32,"scope":"global"},
			{"family":"inet6","local":"fe80::1","prefixlen":64,"scope":"link"}]},
		{"ifname":"eth1","link_type":"ether","address":"00:50:56:80:00:02","addr_info":[]}]`))
	require.NoError(t, err)
	require.Equal(t, []Address{{MAC: "00:50:56:80:00:01", IPs: []string{"192.0.2.7/24", "192.0.2.100/32"}}}, list)

	list, err = engineAddresses([]byte(`{"b":{"IPAddress":"","MacAddress":""},"a":{"IPAddress":"192.0.2.7","IPPrefixLen":24,"MacAddress":"00:50:56:80:00:01"}}`))
	require.NoError(t, err)
	require.Equal(t, []Address{{MAC: "00:50:56:80:00:01", IPs: []string{"192.0.2.7/24"}}}, list)
}

func FuzzAddresses(f *testing.F) {
	f.Add([]byte(`[{"link_type":"ether","address":"x","addr_info":[{"local":"192.0.2.7","prefixlen":240,"scope":"global"}]}]`))
	f.Add([]byte(`{"a":{"IPAddress":"nonsense","IPPrefixLen":-1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		guest, _ := guestAddresses(data)
		engine, _ := engineAddresses(data)
		for _, a := range append(guest, engine...) {
			nic := nicInfo(Card{MAC: a.MAC}, []Address{a})
			for i, ip := range nic.IpAddress {
				addr, err := netip.ParseAddr(ip)
				require.NoError(t, err, "what is reported is an address")
				require.LessOrEqual(t, int(nic.IpConfig.IpAddress[i].PrefixLength), addr.BitLen())
			}
		}
	})
}
