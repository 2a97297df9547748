package preflight_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/sites"
)

// withHosts is the site's inventory with hosts that have addresses of this
// machine as their names.
func withHosts(addresses ...string) vcenter.Options {
	inventory := vcenter.Site()
	for i, address := range addresses {
		old := inventory.Hosts[i]
		inventory.Hosts[i] = address
		for u, user := range inventory.Users {
			for g, grant := range user.Grants {
				inventory.Users[u].Grants[g].Path = strings.Replace(grant.Path, old, address, 1)
			}
		}
	}
	return vcenter.Options{Inventory: &inventory}
}

// esx takes connections on port 443 of an address, as a host does.
func esx(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(address, "443"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
}

func TestHostsThatTakeTheTemplate(t *testing.T) {
	var hosts []string
	for i := range 3 {
		hosts = append(hosts, fmt.Sprintf("127.77.44.%d", i+1))
	}
	l := newLabWith(t, sites.Options{VCenter: withHosts(hosts...)})
	t.Parallel()
	all := l.require("hosts-upload", preflight.Failed, "127.77.44.2:443: connect: connection refused")
	require.Contains(t, all["hosts-upload"].Remedy, "TCP 443")
	esx(t, hosts[0])
	l.require("hosts-upload", preflight.Warning, "good: 127.77.44.1: the vCenter chooses one")
	esx(t, hosts[1])
	esx(t, hosts[2])
	l.require("hosts-upload", preflight.OK, "127.77.44.1, 127.77.44.2, 127.77.44.3 take connections on port 443")
}

func TestHostsWhoseNamesAreNotFound(t *testing.T) {
	l := newLab(t)
	l.require("hosts-upload", preflight.Warning, "esx-1.north.example: its name is not found")
}
