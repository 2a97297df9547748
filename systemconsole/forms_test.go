package systemconsole_test

import (
	"net/http"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
)

// A form that is sent when the session has ended comes to nothing: the login
// says so, and leads back to the form.
func TestAFormAfterTheSession(t *testing.T) {
	var ahead atomic.Int64
	c := startWith(t, systemconsole.Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	b := c.admin(t)
	member := c.tenantOf(t, b, "acme")
	member.get("/t/acme/account")
	b.get("/tenants/acme")
	ahead.Store(int64(5 * time.Hour))
	b.send("/tenants/acme/limits", "cpu", "8")
	require.Equal(t, "/login?next=%2Ftenants%2Facme&unsent=1", b.path)
	require.Contains(t, b.page, "Your session has ended, and nothing was changed.")
	b.send("/login", "name", "admin", "password", goodPassword, "next", b.hidden("next"))
	require.Equal(t, "/tenants/acme", b.path)
	require.NotContains(t, b.page, "Your session has ended")

	member.send("/t/acme/account/password", "current", goodPassword, "password", "x", "again", "x")
	require.Equal(t, "/t/acme/login?unsent=1", member.path)
	require.Contains(t, member.page, "Your session has ended, and nothing was changed.")
	require.NotContains(t, c.browser(t).get("/tenants").page, "Your session has ended", "there was none")
}

// A login of several steps leads to the page that was asked for, as one of a
// single step does.
func TestTheLoginLeadsBackAfterEachStep(t *testing.T) {
	c := start(t)
	b := c.browser(t)
	b.get("/accounts?page=1").send("/login", "name", "admin", "password", "admin", "next", b.hidden("next"))
	require.Equal(t, "/password?next=%2Faccounts%3Fpage%3D1", b.path)
	b.send("/password", "current", "admin", "password", goodPassword, "again", "x", "next", b.hidden("next"))
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	b.send("/password", "current", "admin", "password", goodPassword, "again", goodPassword, "next", b.hidden("next"))
	require.Equal(t, "/accounts?page=1&notice=password", b.path)

	b.get("/me").send("/me/second-factor")
	code, err := totp.GenerateCode(regexp.MustCompile(`[A-Z2-7]{32}`).FindString(b.page), time.Now())
	require.NoError(t, err)
	b.send("/me/second-factor/confirm", "code", code, "current", goodPassword)
	recovery := regexp.MustCompile(`<code>([a-z2-7]{16})</code>`).FindStringSubmatch(b.page)
	v := c.browser(t)
	v.get("/tenants").send("/login", "name", "admin", "password", goodPassword, "next", v.hidden("next"))
	require.Equal(t, "/second-factor?next=%2Ftenants", v.path)
	v.send("/second-factor", "code", "000000", "next", v.hidden("next"))
	require.Equal(t, http.StatusUnauthorized, v.status)
	v.send("/second-factor", "code", recovery[1], "next", v.hidden("next"))
	require.Equal(t, "/tenants", v.path)
	w := c.browser(t)
	w.get("/login").send("/login", "name", "admin", "password", goodPassword, "next", "//elsewhere.example/")
	require.Equal(t, "/second-factor", w.path, "it leads nowhere else")
}

// The switch of the theme returns to the page that it is on; where a form was
// answered, to the one that has the form.
func TestTheThemeReturnsToThePage(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	c.tenantOf(t, b, "acme")
	for _, p := range []struct{ form, back string }{
		{"/tenants/acme/limits", "/tenants/acme"}, {"/tenants", "/tenants"}, {"/audit/verify", "/audit"}, {"/me/tokens", "/me"},
		{"/administration/security", "/administration/security"}, {"/administration/backup/now", "/administration/backup"}, {"/nowhere/at/all", "/"},
	} {
		b.get("/me").send(p.form, "cpu", "-5")
		require.Equal(t, p.form, b.path)
		require.Equal(t, p.back, b.hidden("back"))
		require.Equal(t, http.StatusOK, b.send("/theme", "theme", "dark", "back", b.hidden("back")).status, p.form)
	}
	require.Equal(t, "/tenants?filter=acm&page=1", b.get("/tenants?page=1&filter=acm&notice=limits").hidden("back"))
}

// Pages of errors speak to people, and lead where they can go.
func TestPagesOfErrors(t *testing.T) {
	c := start(t)
	b := c.browser(t)
	require.Equal(t, http.StatusGone, b.get("/link/used").status)
	require.Contains(t, b.page, "<h1>No longer valid</h1>")
	require.NotContains(t, b.page, "To the ")
	require.Equal(t, http.StatusNotFound, b.get("/nowhere").status)
	require.Contains(t, b.page, "<h1>Not found</h1>")
	require.Contains(t, b.page, "To the login")
	require.Contains(t, c.admin(t).get("/nowhere").page, "To the first page")
}

// A page that a tenant does not have leads back into the tenant's own, never to
// the console.
func TestATenantsMissingPage(t *testing.T) {
	c := start(t)
	admin := c.admin(t)
	b := c.tenantOf(t, admin, "acme")
	for _, b := range []*browser{b.browser, admin, c.browser(t)} {
		require.Equal(t, http.StatusNotFound, b.get("/t/acme/nowhere/at/all").status)
		require.Contains(t, b.page, `<a class="button first" href="/t/acme/">`)
		require.NotContains(t, b.page, `href="/"`)
	}
}
