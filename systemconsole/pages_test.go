package systemconsole_test

import (
	"context"
	"net/http"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/test/consoles"
	"github.com/sealift/sealift/test/lab/controlplane"
)

// A browser goes through the first login.
func TestFirstLoginInABrowser(t *testing.T) {
	b := start(t).chromium(t)
	b.Visit("/")
	b.Wait("#name")
	b.looks("login")
	b.Fill("name", "admin", "password", "wrong")
	b.Press("main button", "[role=alert]")
	b.Fill("name", "admin", "password", "admin")
	b.Press("main button", "#current")
	b.looks("forced-change")
	b.Fill("current", "admin", "password", goodPassword, "again", goodPassword)
	b.Press("main form .first", "nav.side")
	require.Contains(t, b.Text("main"), "Your password was changed.")
	b.looks("summary-empty")
}

// enterpriseCluster is the console of the lab's cluster.
func enterpriseCluster(t *testing.T, opts systemconsole.Options) (*console, *controlplane.Cluster) {
	t.Helper()
	config := controlplane.Start(t)
	objects, err := controlplane.Populate(t.Context(), config)
	require.NoError(t, err)
	go objects.Beat(t.Context()) // pictures take longer than a node may be silent
	opts.Cluster = func(ctx context.Context) (enterprise.Source, error) {
		return enterprise.Connect(ctx, config, enterprise.Options{})
	}
	return startWith(t, opts), objects
}

// signIn goes through the first login.
func (b *chromium) signIn() {
	b.t.Helper()
	consoles.SignIn(b.Browser, goodPassword)
}

func TestScalingInABrowser(t *testing.T) {
	c, objects := enterpriseCluster(t, systemconsole.Options{})
	b := c.chromium(t)
	b.signIn()
	b.Visit("/")
	b.looks("summary")
	b.Visit("/cluster")
	b.looks("cluster")
	for _, page := range []string{"nodes", "events", "certificates", "new-pool"} {
		b.Visit("/cluster/" + page)
		b.looks("cluster-" + page)
	}
	b.Visit("/cluster/nodes/enterprise-default-1")
	b.looks("cluster-node")

	b.Visit("/cluster/pools/enterprise-control-plane")
	b.looks("cluster-control-plane")
	b.Press(`input[name=machines][value="5"]`, "main")
	b.Press("form[action$=scale] button", ".says.good")
	require.Contains(t, b.Text("#live"), "Scaling: 3 of 5 machines")
	b.shot("cluster-scaling-light-1280")
	require.NoError(t, objects.Settle(t.Context()))
	b.Wait(".chip.good")
	b.Until(`document.querySelectorAll("#live tbody tr").length == 5`)

	b.Visit("/cluster/pools/enterprise-default")
	b.Press("a.danger", "dialog[open] #expect")
	b.accessible("dialog")
	b.shot("cluster-remove-dialog-light-1280")
	b.Press("dialog [data-close]", "main")
	b.Visit("/cluster/pools/enterprise-default/remove")
	b.looks("cluster-remove")
	b.Fill("expect", "enterprise-default")
	b.Press("main .danger.first", "[role=alert]")
	require.Contains(t, b.Text("[role=alert]"), "last pool")
	b.Visit("/cluster/pools/enterprise-default")
	b.Fill("machines", "4")
	b.Press("form[action$=scale] button", ".says.good")
	b.Press(`input[name=size][value="medium"]`, "main")
	b.Press("form[action$=resize] button", "main")
	b.Until(`document.querySelector("main").textContent.includes("The size was changed")`)
	o, err := enterprise.Connect(t.Context(), objects.Config, enterprise.Options{})
	require.NoError(t, err)
	overview, err := o.Overview(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4, overview.Pools[1].Desired)
	require.Equal(t, 32<<10, overview.Pools[1].Size.MemoryMiB)
	b.Quiet()
}

// Without JavaScript a page loads itself anew, without what it said of the
// change before, and keeps no session open.
func TestAPageThatLoadsItselfAnew(t *testing.T) {
	var ahead atomic.Int64
	c, _ := enterpriseCluster(t, systemconsole.Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	b := c.admin(t)
	b.get("/administration/security").send("/administration/security", policy("idleMinutes", "5")...)
	const pool = "/cluster/pools/enterprise-default"
	require.NotContains(t, b.get(pool).page, `http-equiv="refresh"`, "nothing goes on, and the form stays as it is filled")
	b.send(pool+"/scale", "machines", "no number")
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	b.send(pool+"/scale", "machines", "4")
	require.Equal(t, pool+"?notice=scaled", b.path)
	require.Contains(t, b.page, "The number of machines was changed")
	m := regexp.MustCompile(`<noscript><meta http-equiv="refresh" content="5; url=([^"]+)">`).FindStringSubmatch(b.page)
	require.NotNil(t, m, b.page)
	require.Equal(t, "/cluster/pools/enterprise-default?live=1", m[1])
	require.NotContains(t, b.send(pool+"/scale", "machines", "no number").page, `http-equiv="refresh"`, "an answer stands still")
	ahead.Store(int64(4 * time.Minute))
	require.Equal(t, m[1], b.get(m[1]).path)
	require.NotContains(t, b.page, "The number of machines was changed")
	ahead.Store(int64(8 * time.Minute))
	require.Contains(t, b.get(m[1]).path, "/login?")
}

// A page whose live part gets no answer says so, and goes on when it gets one.
// It keeps no session open; when that has ended, it is the login.
func TestLivePartsInABrowser(t *testing.T) {
	var ahead atomic.Int64
	c, objects := enterpriseCluster(t, systemconsole.Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	admin := c.admin(t)
	b := c.chromium(t)
	b.Visit("/login")
	b.Fill("name", "admin", "password", goodPassword)
	b.Press("main form .first", "#navigation")
	b.Visit("/cluster/pools/enterprise-default")
	var d clusterv1.MachineDeployment
	require.NoError(t, objects.Get(t.Context(), client.ObjectKey{Namespace: controlplane.Namespace, Name: "enterprise-default"}, &d))
	d.Status.Conditions[0].Reason = "NoneIsAvailable"
	require.NoError(t, objects.Status().Update(t.Context(), &d))
	b.Until(`document.querySelector("#conditions").innerText.includes("NoneIsAvailable")`)

	b.Offline(true)
	b.Wait(".toasts .warn")
	require.Contains(t, b.Text(".toasts .warn"), "The console has not answered since")
	b.accessible("silence")
	b.shot("cluster-silence-light-1280")
	b.Offline(false)
	b.Wait(".toasts .good")
	b.Run(chromedp.WaitNotPresent(".toasts .warn", chromedp.ByQuery))

	admin.get("/administration/security").send("/administration/security", policy("idleMinutes", "5")...)
	b.Visit("/cluster/pools/enterprise-default")
	ahead.Store(int64(4 * time.Minute))
	b.Run(chromedp.Evaluate(`document.addEventListener("htmx:afterSwap", () => { window.loads = (window.loads ?? 0) + 1 })`, nil), chromedp.Poll(`window.loads > 1`, nil))
	ahead.Store(int64(8 * time.Minute))
	b.Wait("form[action^='/login'] #password")
	b.Fill("name", "admin", "password", goodPassword)
	b.Press("main form .first", "#navigation")
	require.Equal(t, "enterprise-default", b.Text("h1"), "the login leads back")
}
