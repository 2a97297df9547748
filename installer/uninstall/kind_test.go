package uninstall_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/uninstall"
	"github.com/sealift/sealift/internal/problem"
)

// A kind cluster that an installation left makes machines for as long as it
// lives: it is removed first, even if the site asks for another bootstrap now,
// and nothing else is touched as long as it cannot be.
func TestAKindClusterThatIsLeft(t *testing.T) {
	l := start(t)
	l.machine("enterprise-abcde", "north/enterprise")
	require.NoError(t, os.MkdirAll(filepath.Join(l.dir, "bootstrap", "node"), 0o700))
	u, err := uninstall.New(t.Context(), uninstall.Options{Site: l.site, VCenter: l.client, Dir: l.dir})
	require.NoError(t, err)
	plan, err := u.Plan(t.Context())
	require.NoError(t, err)
	require.Contains(t, plan.Removed, uninstall.Item{Kind: "bootstrap", Name: filepath.Join(l.dir, "bootstrap"), Why: "on this host, with the kind cluster sealift-north"})

	t.Setenv("PATH", t.TempDir()) // there is no engine
	before := l.names()
	_, err = step.Run(t.Context(), u.Steps(), step.Options{})
	require.ErrorContains(t, err, "removing the kind cluster sealift-north")
	require.NotEmpty(t, problem.Remedies(err))
	require.Equal(t, before, l.names())
}
