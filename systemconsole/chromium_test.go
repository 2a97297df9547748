package systemconsole_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// axePath is the accessibility checker, which go generate takes from npm.
const axePath = "web/node_modules/axe-core/axe.min.js"

// screenshots names the folder that pictures of the pages are kept in.
const screenshots = "SEALIFT_SCREENSHOTS"

// chromium is a real browser, for one test.
type chromium struct {
	t      *testing.T
	ctx    context.Context
	base   string
	mu     sync.Mutex
	errors []string // what pages logged as errors, such as breaches of the Content-Security-Policy
}

// chromium starts a browser. It needs Debian's chromium; make test installs it.
func (c *console) chromium(t *testing.T) *chromium {
	t.Helper()
	if testing.Short() {
		t.Skip("a real browser takes a while")
	}
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.NoSandbox)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), flags...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &chromium{t: t, ctx: ctx, base: c.URL}
	chromedp.ListenTarget(ctx, b.listen)
	require.NoError(t, chromedp.Run(ctx, runtime.Enable()))
	b.size(1280, 900)
	return b
}

// listen notes exceptions and errors in the console of the page.
func (b *chromium) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.errors = append(b.errors, e.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError {
			b.errors = append(b.errors, fmt.Sprint(string(e.Args[0].Value)))
		}
	}
}

// quiet fails when a page logged errors.
func (b *chromium) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.errors)
}

func (b *chromium) run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		var path, text string
		_ = chromedp.Run(b.ctx, chromedp.Location(&path), chromedp.Text("main", &text, chromedp.AtLeast(0)))
		require.NoError(b.t, err, "on %s:\n%s", path, text)
	}
}

func (b *chromium) visit(path string) {
	b.t.Helper()
	b.run(chromedp.Navigate(b.base + path))
}

// fill types values into fields, which are named by their ids.
func (b *chromium) fill(fields ...string) {
	b.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		id := "#" + fields[i]
		b.run(chromedp.WaitVisible(id, chromedp.ByQuery), chromedp.Evaluate(`document.querySelector("`+id+`").value = ""`, nil), chromedp.SendKeys(id, fields[i+1], chromedp.ByQuery))
	}
}

// press clicks what a CSS selector finds, and waits for what another one does.
// The click is the element's own: live parts may move it under the pointer.
func (b *chromium) press(selector, wait string) {
	b.t.Helper()
	b.wait(selector)
	b.run(chromedp.Evaluate(fmt.Sprintf("document.querySelector(%q).click()", selector), nil))
	b.wait(wait)
}

func (b *chromium) wait(selector string) {
	b.t.Helper()
	b.run(chromedp.WaitVisible(selector, chromedp.ByQuery))
}

func (b *chromium) text(selector string) string {
	b.t.Helper()
	var text string
	b.run(chromedp.Text(selector, &text, chromedp.ByQuery))
	return text
}

func (b *chromium) size(width, height int64) {
	b.t.Helper()
	b.run(emulation.SetDeviceMetricsOverride(width, height, 1, false))
}

func (b *chromium) theme(name string) {
	b.t.Helper()
	b.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name},
		{Name: "prefers-reduced-motion", Value: "reduce"}}))
}

// shot keeps a picture of the page in SEALIFT_SCREENSHOTS, when that is set.
func (b *chromium) shot(name string) {
	b.t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	var picture []byte
	b.run(chromedp.FullScreenshot(&picture, 100))
	require.NoError(b.t, os.MkdirAll(dir, 0o755))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644))
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
	b.run(chromedp.Evaluate(string(axe)+";0", nil), chromedp.Evaluate(`axe.run().then(r => JSON.stringify(r.violations))`, &text, awaited))
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
			b.size(width, height)
			what := fmt.Sprintf("%s-%s-%d", name, theme, width)
			if thorough || theme == "light" && width == 1280 || theme == "dark" && width == 360 {
				b.accessible(what)
			}
			b.fits(what)
			b.shot(what)
		}
	}
	b.theme("light")
	b.size(1280, 900)
	b.quiet()
}

// fits fails when the page is wider than the window.
func (b *chromium) fits(what string) {
	b.t.Helper()
	var wide bool
	b.run(chromedp.Evaluate(`document.documentElement.scrollWidth > window.innerWidth`, &wide))
	require.False(b.t, wide, "%s is wider than the window", what)
}
