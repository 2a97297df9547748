package systemconsole_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/tenant"
)

// What another server says against a page is shown there: it is in no log that
// an administrator reads.
func TestFailuresOfOtherServersAreShown(t *testing.T) {
	c := startWith(t, systemconsole.Options{Cluster: func(context.Context) (enterprise.Source, error) {
		return nil, errors.New("asking 10.20.0.10:6443: connection refused")
	}})
	b := c.admin(t)
	for _, path := range []string{"/cluster", "/cluster/nodes", "/cluster/events", "/cluster/pools/x"} {
		require.Equal(t, http.StatusBadGateway, b.get(path).status, path)
		require.Contains(t, b.page, "asking 10.20.0.10:6443: connection refused", path)
	}
	require.Equal(t, http.StatusBadGateway, b.send("/cluster/pools/x/scale", "machines", "3").status)
	require.Contains(t, b.page, "connection refused")
	require.Equal(t, http.StatusOK, b.get("/").status)

	b.get("/new-registry").send("/new-registry", "name", "site", "type", "oci", "endpoint", "127.0.0.1:1")
	require.Equal(t, http.StatusBadGateway, b.get("/registries/site/contents/library/busybox").status)
	require.Contains(t, b.page, "listing the tags of 127.0.0.1:1/library/busybox")
	require.Equal(t, http.StatusNotFound, b.get("/registries/none/contents/x").status)
}

// unwilling is a cluster that gives tenants no place.
type unwilling struct{ tenant.Provisioner }

func (unwilling) Exists(context.Context, string) (bool, error) { return false, nil }

func (unwilling) Apply(context.Context, string, tenant.Limits) error {
	return errors.New("making Namespace tenant-acme: denied by a policy of the site")
}

// A tenant that gets no place says why.
func TestAPlaceThatIsRefusedSaysWhy(t *testing.T) {
	c := startWith(t, systemconsole.Options{Tenants: unwilling{}})
	b := c.admin(t)
	b.get("/new-tenant").send("/tenants", "organization", "acme", "firstName", "Ada", "lastName", "L", "email", "ada@acme.example")
	require.Equal(t, http.StatusBadGateway, b.send("/tenants/acme/activate").status)
	require.Contains(t, b.page, "denied by a policy of the site")
}

// speechless is a cluster that keeps its events to itself.
type speechless struct{ enterprise.Source }

func (speechless) Watched(context.Context) (*enterprise.Overview, error) {
	return &enterprise.Overview{Name: "enterprise"}, nil
}

func (speechless) Events(context.Context) ([]enterprise.Event, error) {
	return nil, errors.New("events is forbidden")
}

// The summary does without what cannot be read, and says so.
func TestTheSummaryDoesWithoutEvents(t *testing.T) {
	c := startWith(t, systemconsole.Options{Cluster: func(context.Context) (enterprise.Source, error) { return speechless{}, nil }})
	b := c.admin(t)
	require.Equal(t, http.StatusOK, b.get("/").status)
	require.Contains(t, b.page, "events cannot be read")
	require.Contains(t, b.page, "events is forbidden")
}
