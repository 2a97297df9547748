package systemconsole_test

import (
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// logIn logs an administrator in whose password was changed.
func (b *chromium) logIn() {
	b.t.Helper()
	b.Visit("/login")
	b.Fill("name", "admin", "password", goodPassword)
	b.Press("main form .first", "#navigation")
}

// A question that has a page of its own is left by Cancel, and what is typed
// there has a label.
func TestQuestionsInABrowser(t *testing.T) {
	c := start(t)
	admin := c.admin(t)
	c.tenantOf(t, admin, "acme")
	admin.get("/new-account").send("/accounts", "name", "ada", "role", "operations")
	b := c.chromium(t)
	b.logIn()
	b.Visit("/tenants/acme/delete")
	b.looks("tenant-delete")
	b.Press("main form .actions a", "#limits-title")
	b.Visit("/accounts/ada")
	b.Press("a.danger", "dialog[open] .danger")
	var focused string
	b.Run(chromedp.Evaluate(`document.activeElement.textContent`, &focused))
	require.Equal(t, "Cancel", focused, "a second Enter deletes nothing")
	b.accessible("account-delete")
	b.shot("account-delete-light-1280")
	b.Press("dialog [data-close]", "a.danger")
	b.Run(chromedp.WaitNotPresent("dialog[open]", chromedp.ByQuery))
	b.Visit("/accounts/ada/delete")
	b.Press("main [data-close]", "#fullName")
	b.Press("a.danger", "dialog[open] .danger")
	b.Press("dialog .danger", ".says.good")
	require.Contains(t, b.Text("main"), "The account was deleted.")
	b.Quiet()
}

// What a dialog cannot show is said: that the console does not answer, or, on a
// page of its own, why not.
func TestADialogThatFailsInABrowser(t *testing.T) {
	c := start(t)
	admin := c.admin(t)
	admin.get("/new-account").send("/accounts", "name", "ada", "role", "operations")
	b := c.chromium(t)
	b.logIn()
	b.Visit("/accounts/ada")
	b.Offline(true)
	b.Press("a.danger", ".toasts .bad")
	require.Contains(t, b.Text(".toasts .bad"), "The console does not answer.")
	b.Offline(false)
	admin.get("/accounts/ada").send("/accounts/ada/delete")
	b.Press("a.danger", "main .remedy, main .empty")
	require.Contains(t, b.Text("h1"), "Not found")
}

// A form whose button is pressed again while it is under way is sent once. Who
// ends the wait with Escape can send it anew.
func TestAFormIsSentOnceInABrowser(t *testing.T) {
	b := start(t).chromium(t)
	b.signIn()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	require.NoError(t, err)
	defer silent.Close()
	var calls atomic.Int32
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			time.AfterFunc(2*time.Second, func() { _ = conn.Close() })
		}
	}()
	_, port, err := net.SplitHostPort(silent.Addr().String())
	require.NoError(t, err)
	b.Visit("/administration/mail")
	b.set("host", "127.0.0.1", "port", port, "from", "console@north.example", "to", "admin@north.example")
	// A browser that waits for a page answers no debugger: the page itself does all.
	const press = `const press = () => document.querySelector("main form .first").click();`
	b.Run(chromedp.Evaluate(`{`+press+`press(); setTimeout(press, 150); setTimeout(press, 700); }`, nil))
	b.Wait("#to-error")
	require.EqualValues(t, 1, calls.Load())
	b.Run(chromedp.Evaluate(`{`+press+`press();
		setTimeout(() => { document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" })); press(); }, 700); }`, nil))
	require.Eventually(t, func() bool { return calls.Load() == 3 }, 10*time.Second, 50*time.Millisecond)
}

// What was done is said once, and a page that was left by logging out does not
// come back.
func TestAPageThatIsSeenAgainInABrowser(t *testing.T) {
	c := start(t)
	c.tenantOf(t, c.admin(t), "acme")
	b := c.chromium(t)
	b.logIn()
	b.Visit("/tenants/acme")
	b.set("pods", "7")
	b.Press("form[action$=limits] button", ".says.good")
	b.Run(chromedp.Reload())
	b.Wait("#limits-title")
	require.NotContains(t, b.Text("main"), "The limits were changed.")
	b.Press("form[action='/logout'] button", "#name")
	b.Run(chromedp.Evaluate(`history.back()`, nil), chromedp.Sleep(500*time.Millisecond))
	b.Wait("#name")
	require.NotContains(t, b.Text("body"), "acme")
}

// Who leaves the page of an upload is asked; one that the console does not
// answer says so.
func TestAnUploadIsLeftInABrowser(t *testing.T) {
	b := start(t).chromium(t)
	b.signIn()
	b.Visit("/registries")
	path, err := filepath.Abs(filepath.Join("..", "test", "vectors", "good.tar"))
	require.NoError(t, err)
	asks := func() (asks bool) {
		b.Run(chromedp.Evaluate(`!window.dispatchEvent(new Event("beforeunload", { cancelable: true }))`, &asks))
		return asks
	}
	require.False(t, asks())
	b.Run(chromedp.SetUploadFiles("#bundle", []string{path}, chromedp.ByQuery))
	b.Run(chromedp.Evaluate(`document.querySelector("form[data-upload]").dataset.chunk = 1024`, nil))
	b.Run(chromedp.Evaluate(`{
		const real = window.fetch;
		window.fetch = (url, request) => request.method === "PATCH" ? Promise.reject(new TypeError("Failed to fetch")) : real(url, request);
	}`, nil))
	b.Run(chromedp.Click("form[data-upload] button", chromedp.ByQuery))
	b.Until(`document.querySelector("[data-status]").textContent.includes("the console does not answer. Trying again")`)
	require.True(t, asks())

	// A form that is sent asks, too; who stays can send it later.
	const send = `!document.querySelector("form[action='/logout']").dispatchEvent(new Event("submit", { bubbles: true, cancelable: true }))`
	var refused bool
	b.Run(chromedp.Evaluate(send, nil), chromedp.Evaluate(send, &refused))
	require.True(t, refused, "it is on its way")
	require.True(t, asks())
	b.Run(chromedp.Sleep(100*time.Millisecond), chromedp.Evaluate(send, &refused))
	require.False(t, refused)
}
