package systemconsole_test

import (
	"strconv"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/sealift/sealift/test/lab/controlplane"
)

// renewed waits until live parts have loaded themselves anew some times more.
func (b *chromium) renewed(times int) {
	b.t.Helper()
	b.Run(chromedp.Evaluate(`window.loads = 0; window.counting ??= document.addEventListener("htmx:afterSwap", () => { window.loads++ }) ?? true`, nil),
		chromedp.Poll(`window.loads >= `+strconv.Itoa(times), nil))
}

// A part that loads itself anew keeps what the reader does in it: the focus, how
// far a log is read, what is folded. When it has ended, the page is loaded anew
// with all that comes after the end.
func TestLivePartsKeepTheirPlaceInABrowser(t *testing.T) {
	c, u := upgradable(t)
	c.admin(t)
	b := c.chromium(t)
	b.logIn()
	b.Visit("/cluster/pools/enterprise-default")
	b.Run(chromedp.Evaluate(`document.querySelectorAll("#live tbody th a")[1].focus()`, nil))
	b.renewed(2)
	var focused string
	b.Run(chromedp.Evaluate(`document.activeElement.textContent`, &focused))
	require.Equal(t, "enterprise-default-2", focused)

	b.Visit("/cluster/upgrade/bundles/enterprise-1.1.0")
	b.Press(`input[name="value/cluster/controlPlane/size/cpus"][value=live]`, "main")
	b.Press(`input[name="value/console/resources/limits/memory"][value=after]`, "main")
	b.Fill("expect", "enterprise")
	b.Press(`form[action*=bundles] .first`, ".says.good")
	b.Until(`document.querySelector("#live").textContent.includes("waiting for the node")`)
	var top, gap float64
	var open bool
	const low = `[...document.styleSheets].at(-1).insertRule(".log { max-height: 4rem !important; }")`
	const gapOf = `(() => { const l = document.querySelector(".log"); return l.scrollHeight - l.clientHeight - l.scrollTop; })()`
	b.Run(chromedp.Evaluate(low, nil), chromedp.Evaluate(`document.querySelector(".log").scrollTop = 1e6`, nil))
	b.renewed(1)
	b.Run(chromedp.Evaluate(gapOf, &gap))
	require.Less(t, gap, 2.0, "who reads its end follows it")
	b.Run(chromedp.Evaluate(`document.querySelector(".log").scrollTop = 10`, nil))
	b.renewed(1)
	b.Run(chromedp.Evaluate(`document.querySelector(".log").scrollTop`, &top))
	require.InDelta(t, 10, top, 1, "who reads another place stays there")
	b.Run(chromedp.Evaluate(`document.querySelector("#live details").open = false`, nil))
	b.renewed(1)
	b.Run(chromedp.Evaluate(`document.querySelector("#live details").open`, &open))
	require.False(t, open)

	close(u.goOn)
	b.Wait("#bundles-title")
	require.NotContains(t, b.Text("main"), "The upgrade was started.")
	b.Quiet()

	b.Visit("/cluster/pools/enterprise-default")
	var d clusterv1.MachineDeployment
	d.Namespace, d.Name = controlplane.Namespace, "enterprise-default"
	require.NoError(t, u.objects.Delete(t.Context(), &d))
	b.Wait(".toasts .warn")
	require.Contains(t, b.Text(".toasts .warn"), "The console cannot show this since", "it does answer")
}
