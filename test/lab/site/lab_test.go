package site_test

import (
	"net"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/lab/site"
)

// openBuilt returns the lab where LAB_TEST asks for tests that take an engine
// and a built lab.
func openBuilt(t *testing.T) *site.Lab {
	t.Helper()
	if os.Getenv("LAB_TEST") == "" {
		t.Skip("set LAB_TEST=1 to make clusters in a built lab")
	}
	lab, err := site.Open(t.Context(), ".", site.Environment(t.Logf))
	require.NoError(t, err)
	require.NoError(t, lab.Ready(t.Context()))
	return lab
}

// upstream serves the lab's images on an address.
func upstream(t *testing.T, lab *site.Lab, address string) (url string) {
	t.Helper()
	data := t.TempDir()
	require.NoError(t, lab.LinkUpstream(data))
	handler, closeRegistry, err := serve.Registry(t.Context(), serve.RegistryOptions{Data: data})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, closeRegistry()) })
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(handler)
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}
