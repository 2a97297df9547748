package systemconsole_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// A tenant from its creation to its first administrator's own page, and every
// page about people on the way.
func TestTenantInABrowser(t *testing.T) {
	c := start(t)
	b := c.chromium(t)
	b.signIn()
	b.looksAt("/tenants", "tenants-empty")
	b.looksAt("/new-tenant", "tenant-new")
	b.set("organization", "Acme <i>Shipping</i>", "firstName", "Ada", "lastName", "Low", "email", "ada@acme.example")
	b.Press("main form .first", "#limits-title")
	require.Equal(t, "Acme <i>Shipping</i>", b.Text("h1"))
	b.looks("tenant")
	b.Press("form[action$=activate] button", "#link")
	b.looks("tenant-link")
	var link string
	b.Run(chromedp.Value("#link", &link, chromedp.ByQuery))
	b.looksAt("/tenants", "tenants")
	b.looksAt("/accounts", "accounts")
	b.looksAt("/new-account", "account-new")
	b.looksAt("/audit", "audit")
	b.looksAt("/me", "me")
	b.looksAt("/nowhere", "not-found")
	b.Visit("/me")
	b.Press("form[action='/logout'] button", "#name")

	b.Visit(strings.TrimPrefix(link, c.URL))
	b.Wait("#again")
	b.looks("tenant-activation")
	b.Fill("password", goodPassword, "again", goodPassword)
	b.Press("main form .first", "main")
	b.Wait("#email")
	b.looks("tenant-login")
	b.Fill("email", "ada@acme.example", "password", goodPassword)
	b.Press("main form .first", "main")
	b.Wait("form[action$=logout]")
	b.looks("tenant-home")
	site := "/t/acme-i-shipping-i/"
	b.looksAt(site+"new-user", "tenant-user-new")
	b.set("firstName", "Wolfeschlegelsteinhausenbergerdorff", "lastName", "Featherstonehaugh-Cholmondeley", "email", "wolfeschlegelsteinhausenbergerdorff@shipping.acme.example")
	b.Press("main form .first", "#link")
	b.looks("tenant-user-link")
	b.looksAt(site+"users", "tenant-users")
	b.Press("tbody th a", "#role-title")
	b.looks("tenant-user")
	b.Press("a.danger", "#dialog .danger")
	b.shot("tenant-user-delete-light-1280")
	b.looksAt(site+"account", "tenant-account")
	b.Visit(site + "nowhere")
	b.looks("tenant-not-found")
}

// No page shows a hash of a password, wherever a template prints a value.
func TestPagesKeepHashes(t *testing.T) {
	b := start(t).admin(t)
	for _, path := range []string{"/", "/me", "/accounts", "/accounts/admin", "/tenants", "/audit", "/cluster", "/registries", "/administration", "/administration/mail"} {
		require.Equal(t, 200, b.get(path).status, path)
		require.NotContains(t, b.page, "argon2", path)
	}
}
