package systemconsole_test

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/test/lab/controlplane"
)

// A browser goes through the first login.
func TestFirstLoginInABrowser(t *testing.T) {
	b := start(t).chromium(t)
	b.visit("/")
	b.wait("#name")
	b.looks("login")
	b.fill("name", "admin", "password", "wrong")
	b.press("main button", "[role=alert]")
	b.fill("name", "admin", "password", "admin")
	b.press("main button", "#current")
	b.looks("forced-change")
	b.fill("current", "admin", "password", goodPassword, "again", goodPassword)
	b.press("main form .first", "nav.side")
	require.Contains(t, b.text("main"), "Your password was changed.")
	b.looks("summary-empty")
}

// enterpriseCluster is the console of the lab's cluster.
func enterpriseCluster(t *testing.T) (*console, *controlplane.Cluster) {
	t.Helper()
	config := controlplane.Start(t)
	objects, err := controlplane.Populate(t.Context(), config)
	require.NoError(t, err)
	go objects.Beat(t.Context()) // pictures take longer than a node may be silent
	c := startWith(t, systemconsole.Options{Cluster: func(ctx context.Context) (enterprise.Source, error) {
		return enterprise.Connect(ctx, config, enterprise.Options{})
	}})
	return c, objects
}

// signIn goes through the first login.
func (b *chromium) signIn() {
	b.t.Helper()
	b.visit("/")
	b.fill("name", "admin", "password", "admin")
	b.press("main button", "#current")
	b.fill("current", "admin", "password", goodPassword, "again", goodPassword)
	b.press("main form .first", "nav.side")
}

func TestScalingInABrowser(t *testing.T) {
	c, objects := enterpriseCluster(t)
	b := c.chromium(t)
	b.signIn()
	b.visit("/")
	b.looks("summary")
	b.visit("/cluster")
	b.looks("cluster")
	for _, page := range []string{"nodes", "events", "certificates", "new-pool"} {
		b.visit("/cluster/" + page)
		b.looks("cluster-" + page)
	}
	b.visit("/cluster/nodes/enterprise-default-1")
	b.looks("cluster-node")

	b.visit("/cluster/pools/enterprise-control-plane")
	b.looks("cluster-control-plane")
	b.press(`input[name=machines][value="5"]`, "main")
	b.press("form[action$=scale] button", ".says.good")
	require.Contains(t, b.text("#live"), "Scaling: 3 of 5 machines")
	b.shot("cluster-scaling-light-1280")
	require.NoError(t, objects.Settle(t.Context()))
	b.wait(".chip.good")
	b.run(chromedp.Poll(`document.querySelectorAll("#live tbody tr").length == 5`, nil))

	b.visit("/cluster/pools/enterprise-default")
	b.press("a.danger", "dialog[open] #expect")
	b.accessible("dialog")
	b.shot("cluster-remove-dialog-light-1280")
	b.press("dialog [data-close]", "main")
	b.visit("/cluster/pools/enterprise-default/remove")
	b.looks("cluster-remove")
	b.fill("expect", "enterprise-default")
	b.press("main .danger.first", "[role=alert]")
	require.Contains(t, b.text("[role=alert]"), "last pool")
	b.visit("/cluster/pools/enterprise-default")
	b.fill("machines", "4")
	b.press("form[action$=scale] button", ".says.good")
	b.press(`input[name=size][value="medium"]`, "main")
	b.press("form[action$=resize] button", "main")
	b.run(chromedp.Poll(`document.querySelector("main").textContent.includes("The size was changed")`, nil))
	o, err := enterprise.Connect(t.Context(), objects.Config, enterprise.Options{})
	require.NoError(t, err)
	overview, err := o.Overview(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4, overview.Pools[1].Desired)
	require.Equal(t, 32<<10, overview.Pools[1].Size.MemoryMiB)
	b.quiet()
}
