package sites_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/test/sites"
)

// What a test decides is what the site says.
func TestText(t *testing.T) {
	least := sites.Site{Registry: sites.Server{Address: "r:5000"}, VCenter: sites.Server{Address: "v"}}
	s, err := site.Parse([]byte(least.Text(t)), t.TempDir())
	require.NoError(t, err)
	require.True(t, s.Spec.Network.Addresses.DHCP)
	require.Equal(t, 1, s.Spec.Cluster.ControlPlane.Replicas)
	require.Empty(t, s.Spec.Cluster.Workers)

	all := sites.Site{
		Bootstrap: "kind", Template: "node-1.34", ControlPlanes: 3, Workers: 2, Hostname: "console.north.example",
		Registry: sites.Server{Address: "r:5000", CAFile: "r.crt", Login: "R"},
		VCenter:  sites.Server{Address: "v", Thumbprint: "01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67", Login: "V"},
		Network: sites.Network{Addresses: "{range: 192.0.2.20-192.0.2.40, prefix: 24, gateway: 192.0.2.1}", Endpoint: "192.0.2.11",
			Nameservers: []string{"192.0.2.2", "192.0.2.3"}, SearchDomains: []string{"north.example"}, NTP: []string{"192.0.2.2", "time.north.example"}},
	}
	s, err = site.Parse([]byte(all.Text(t)), t.TempDir())
	require.NoError(t, err)
	require.Equal(t, "kind", string(s.Spec.Bootstrap))
	require.Equal(t, "R", s.Spec.Registry.Credentials.FromEnv)
	require.Equal(t, "r.crt", s.Spec.Registry.CAFile)
	require.Equal(t, all.VCenter.Thumbprint, s.Spec.VCenter.Thumbprint)
	require.Equal(t, all.Network.Nameservers, s.Spec.Network.Nameservers)
	require.Equal(t, all.Network.NTP, s.Spec.Network.NTP)
	require.Equal(t, "192.0.2.11", s.Spec.Network.ControlPlaneEndpoint)
	require.Equal(t, 2, s.Spec.Cluster.Workers[0].Replicas)
	require.Equal(t, "node-1.34", s.Spec.Cluster.Template)
	require.Equal(t, "console.north.example", s.Spec.Console.Hostname)
}
