package systemconsole_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	browsers "github.com/sealift/sealift/test/chromium"
)

// axePath is the accessibility checker, which go generate takes from npm.
const axePath = "web/node_modules/axe-core/axe.min.js"

// screenshots names the folder that pictures of the pages are kept in.
const screenshots = "SEALIFT_SCREENSHOTS"

// chromium is a real browser that looks at a console.
type chromium struct {
	*browsers.Browser
	t *testing.T
}

// chromium starts a browser.
func (c *console) chromium(t *testing.T) *chromium {
	t.Helper()
	if testing.Short() {
		t.Skip("a real browser takes a while")
	}
	return &chromium{browsers.Start(t, c.URL), t}
}

func (b *chromium) theme(name string) {
	b.t.Helper()
	b.Run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name},
		{Name: "prefers-reduced-motion", Value: "reduce"}}))
}

// shot keeps a picture of the page in SEALIFT_SCREENSHOTS, when that is set.
func (b *chromium) shot(name string) {
	b.t.Helper()
	if dir := os.Getenv(screenshots); dir != "" {
		b.Picture(filepath.Join(dir, name+".png"))
	}
}

// violation is what axe-core found.
type violation struct {
	ID    string `json:"id"`
	Help  string `json:"help"`
	Nodes []struct {
		HTML    string `json:"html"`
		Summary string `json:"failureSummary"`
	} `json:"nodes"`
}

// accessible fails when axe-core finds anything.
func (b *chromium) accessible(what string) {
	b.t.Helper()
	axe, err := os.ReadFile(axePath)
	require.NoError(b.t, err, "make generate takes axe-core from npm")
	var text string
	b.Run(chromedp.Evaluate(string(axe)+";0", nil), chromedp.Evaluate(`axe.run().then(r => JSON.stringify(r.violations))`, &text, awaited))
	var found []violation
	require.NoError(b.t, json.Unmarshal([]byte(text), &found))
	for _, v := range found {
		for _, n := range v.Nodes {
			b.t.Errorf("%s: %s: %s\n%s\n%s", what, v.ID, v.Help, n.HTML, n.Summary)
		}
	}
}

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// looks checks the page in both themes and five widths, and keeps pictures.
// What axe-core finds depends on the theme (contrast) or on the width (what is
// hidden), hardly on both: it sees two of the pairs, and all of them where
// pictures are kept.
func (b *chromium) looks(name string) {
	b.t.Helper()
	thorough := os.Getenv(screenshots) != ""
	for _, theme := range []string{"light", "dark"} {
		b.theme(theme)
		for width, height := range map[int64]int64{360: 800, 768: 1024, 1280: 900, 1920: 1080, 3840: 2160} {
			b.Size(width, height)
			what := fmt.Sprintf("%s-%s-%d", name, theme, width)
			if thorough || theme == "light" && width == 1280 || theme == "dark" && width == 360 {
				b.accessible(what)
			}
			b.fits(what)
			b.shot(what)
		}
	}
	b.theme("light")
	b.Size(1280, 900)
	b.Quiet()
}

// fits fails when the page is wider than the window.
func (b *chromium) fits(what string) {
	b.t.Helper()
	var wide bool
	b.Run(chromedp.Evaluate(`document.documentElement.scrollWidth > window.innerWidth`, &wide))
	require.False(b.t, wide, "%s is wider than the window", what)
}
