// Package chromium drives a real browser, Debian's Chromium, in tests.
package chromium

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// Browser is a browser with one page, for one test. What fails ends the test.
// Elements are named by CSS selectors.
type Browser struct {
	t      *testing.T
	ctx    context.Context //nolint:containedctx // chromedp's: it is the page
	base   string
	mu     sync.Mutex
	errors []string // what pages logged as errors, such as breaches of the Content-Security-Policy
}

// Start starts a browser for the site at base, whose certificate it takes as it
// is. It needs Debian's chromium, which make installs.
func Start(t *testing.T, base string) *Browser {
	t.Helper()
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.NoSandbox)
	allocator, stop := chromedp.NewExecAllocator(t.Context(), flags...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	b := &Browser{t: t, ctx: ctx, base: base}
	chromedp.ListenTarget(ctx, b.listen)
	require.NoError(t, chromedp.Run(ctx, runtime.Enable()))
	b.Size(1280, 900)
	return b
}

// listen notes exceptions and errors in the console of the page.
func (b *Browser) listen(event any) {
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

// Quiet fails when a page logged errors.
func (b *Browser) Quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.errors)
}

// Run does what has no method here, within a minute.
func (b *Browser) Run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		var path, text string
		_ = chromedp.Run(b.ctx, chromedp.Location(&path), chromedp.Text("main", &text, chromedp.AtLeast(0)))
		require.NoError(b.t, err, "on %s:\n%s", path, text)
	}
}

// Until waits until an expression of JavaScript is true, also when the page loads
// itself anew meanwhile.
func (b *Browser) Until(expression string) {
	b.t.Helper()
	b.Run(chromedp.ActionFunc(func(ctx context.Context) error {
		for {
			var met bool
			if err := chromedp.Evaluate("Boolean("+expression+")", &met).Do(ctx); err == nil && met {
				return nil // an error is a page that is gone, or not there yet
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is not true: %w", expression, ctx.Err())
			case <-time.After(50 * time.Millisecond):
			}
		}
	}))
}

// Visit opens a page of the site. It begins again where the page before loaded
// itself anew at that very moment.
func (b *Browser) Visit(path string) {
	b.t.Helper()
	b.Run(chromedp.ActionFunc(func(ctx context.Context) error {
		err := chromedp.Navigate(b.base + path).Do(ctx)
		if err != nil && ctx.Err() == nil {
			err = chromedp.Navigate(b.base + path).Do(ctx)
		}
		return err
	}))
}

// Fill types values into fields, which are named by their ids.
func (b *Browser) Fill(fields ...string) {
	b.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		id := "#" + fields[i]
		b.Run(chromedp.WaitVisible(id, chromedp.ByQuery), chromedp.Evaluate(`document.querySelector("`+id+`").value = ""`, nil), chromedp.SendKeys(id, fields[i+1], chromedp.ByQuery))
	}
}

// Press clicks what a CSS selector finds, and waits for what another one does.
// The click is the element's own: live parts may move it under the pointer.
func (b *Browser) Press(selector, wait string) {
	b.t.Helper()
	b.Wait(selector)
	b.Run(chromedp.Evaluate(fmt.Sprintf("document.querySelector(%q).click()", selector), nil))
	b.Wait(wait)
}

// Wait waits until an element is seen.
func (b *Browser) Wait(selector string) {
	b.t.Helper()
	b.Run(chromedp.WaitVisible(selector, chromedp.ByQuery))
}

// Text returns what an element shows.
func (b *Browser) Text(selector string) string {
	b.t.Helper()
	var text string
	b.Run(chromedp.Text(selector, &text, chromedp.ByQuery))
	return text
}

// Size sets the size of the window, in pixels.
func (b *Browser) Size(width, height int64) {
	b.t.Helper()
	b.Run(emulation.SetDeviceMetricsOverride(width, height, 1, false))
}

// Offline cuts the browser off from everything, or ends that.
func (b *Browser) Offline(cut bool) {
	b.t.Helper()
	all := []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: -1}}
	b.Run(network.Enable(), chromedp.ActionFunc(func(ctx context.Context) error {
		_, err := network.EmulateNetworkConditionsByRule(cut, all).Do(ctx)
		return err
	}))
}

// Picture keeps a picture of the whole page as a PNG file.
func (b *Browser) Picture(path string) {
	b.t.Helper()
	var picture []byte
	b.Run(chromedp.FullScreenshot(&picture, 100))
	require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(b.t, os.WriteFile(path, picture, 0o644))
}
