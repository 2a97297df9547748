package site_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

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
