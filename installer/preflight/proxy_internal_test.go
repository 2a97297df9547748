package preflight

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http/httpproxy"

	"github.com/sealift/sealift/installer/site"
)

// An API server that is reached through a proxy would be noticed when the first
// machine has booted.
func TestAProxyBeforeTheSite(t *testing.T) {
	s, err := site.Parse(site.Example(), ".")
	require.NoError(t, err)
	e := &examination{site: s}
	for _, c := range []struct {
		config   httpproxy.Config
		state    State
		evidence string
	}{
		{httpproxy.Config{}, OK, "no proxy stands between"},
		{httpproxy.Config{HTTPProxy: "http://proxy.corp:3128"}, OK, "no proxy stands between"},
		{httpproxy.Config{HTTPSProxy: "http://user:geheim@proxy.corp:3128"}, Failed, "the API server at 10.20.0.10:6443 through proxy.corp:3128, the vCenter at vcenter.north.example:443 through"},
		{httpproxy.Config{HTTPSProxy: "proxy.corp:3128", NoProxy: "10.20.0.0/24"}, Warning, "reach the vCenter at "},
		{httpproxy.Config{HTTPSProxy: "proxy.corp:3128", NoProxy: "10.20.0.0/24,.north.example"}, OK, "no proxy stands between"},
		{httpproxy.Config{HTTPSProxy: "http://user:geheim@proxy.corp:31x8"}, Failed, "the API server at 10.20.0.10:6443 through "},
	} {
		f := e.proxied(&c.config)
		require.Equal(t, c.state, f.state, f.evidence)
		require.Contains(t, f.evidence, c.evidence)
		require.NotContains(t, f.evidence, "geheim")
	}
}
