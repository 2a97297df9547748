package preflight

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/site"
)

func TestAddressFamily(t *testing.T) {
	for address, state := range map[string]State{"10.20.0.10": OK, "fd00::10": Failed} {
		e := &examination{site: &site.Site{}}
		e.site.Spec.Network.ControlPlaneEndpoint = address
		require.Equal(t, state, e.addressFamily(t.Context()).state, address)
	}
}
