package registry_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/registries"
)

// asHarbor returns a client of a Harbor, and its address.
func asHarbor(t *testing.T, h *registries.Harbor) (*registry.Client, string) {
	t.Helper()
	host := registries.Host(registries.Start(t, http.NotFoundHandler(), registries.Options{Wrap: h.Wrap}))
	c, err := registry.NewClient(registry.Options{Host: host, Username: "robot", Password: "Harbor-1!", PlainHTTP: []string{host}, MaxAttempts: 1})
	require.NoError(t, err)
	return c, host
}

func TestHarborMakesAProject(t *testing.T) {
	h := &registries.Harbor{User: "robot", Password: "Harbor-1!", Restriction: "everyone"}
	c, host := asHarbor(t, h)
	found, err := c.HarborProject(t.Context(), host, "sealift")
	require.NoError(t, err)
	require.Equal(t, &registry.Project{Creatable: true}, found)
	require.NoError(t, c.MakeHarborProject(t.Context(), host, "sealift"))
	require.NoError(t, c.MakeHarborProject(t.Context(), host, "sealift"), "somebody else made it meanwhile")
	require.Len(t, h.Made(), 1)
	require.JSONEq(t, `{"project_name": "sealift", "metadata": {"public": "false"}}`, h.Made()[0], "it is private")
	found, err = c.HarborProject(t.Context(), host, "sealift")
	require.NoError(t, err)
	require.True(t, found.Exists)
}

func TestHarborRefuses(t *testing.T) {
	c, host := asHarbor(t, &registries.Harbor{User: "robot", Restriction: "adminonly"})
	err := c.MakeHarborProject(t.Context(), host, "sealift")
	require.ErrorIs(t, err, registry.ErrForbidden)
	require.ErrorContains(t, err, "Only system admin can create project", "Harbor's own words")
	require.Contains(t, strings.Join(problem.Remedies(err), "; "), "let this user create projects")

	c, host = asHarbor(t, &registries.Harbor{User: "somebody else", Restriction: "everyone"})
	err = c.MakeHarborProject(t.Context(), host, "sealift")
	require.ErrorIs(t, err, registry.ErrUnauthorized)
	require.NotContains(t, err.Error(), "Harbor-1!")

	c, host = asHarbor(t, &registries.Harbor{User: "robot", Down: true, Restriction: "everyone"})
	require.ErrorContains(t, c.MakeHarborProject(t.Context(), host, "sealift"), "the database is down")
}
