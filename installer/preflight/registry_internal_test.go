package preflight

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/site"
)

// What this host's system trusts, nodes need not.
func TestWhoTrustsTheRegistry(t *testing.T) {
	require.Equal(t, OK, answers(site.Registry{CAFile: "ca.crt"}).state)
	f := answers(site.Registry{Endpoint: "registry.north.example"})
	require.Equal(t, Warning, f.state)
	require.Contains(t, f.remedy, "spec.registry.caFile")
}
