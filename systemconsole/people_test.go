package systemconsole_test

import (
	"html"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"
)

func TestSecondFactorOnThePages(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	b.get("/me").send("/me/second-factor")
	require.Equal(t, "/me/second-factor", b.path)
	secret := regexp.MustCompile(`[A-Z2-7]{32}`).FindString(b.page)
	require.NotEmpty(t, secret)
	resp, err := b.client.Get(c.URL + "/me/second-factor/qr.png")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "image/png", resp.Header.Get("Content-Type"))
	b.send("/me/second-factor/confirm", "code", "000000", "current", goodPassword)
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	code, err := totp.GenerateCode(secret, time.Now())
	require.NoError(t, err)
	b.send("/me/second-factor/confirm", "code", code, "current", goodPassword)
	require.Equal(t, http.StatusOK, b.status, b.page)
	recovery := regexp.MustCompile(`<code>([a-z2-7]{16})</code>`).FindAllStringSubmatch(b.page, -1)
	require.Len(t, recovery, 10)

	v := c.browser(t)
	v.get("/login").send("/login", "name", "admin", "password", goodPassword)
	require.Equal(t, "/second-factor", v.path)
	v.get("/tenants")
	require.Equal(t, "/second-factor", v.path, "nothing before the code")
	v.send("/second-factor", "code", code)
	require.Equal(t, http.StatusUnauthorized, v.status, "a code is good once")
	v.send("/second-factor", "code", recovery[0][1])
	require.Equal(t, "/", v.path)
	v.get("/me").send("/me/second-factor/remove", "current", goodPassword)
	require.Contains(t, v.page, "turned off")
}

func TestAccountsOnThePages(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	b.get("/new-account").send("/accounts", "name", "ada", "fullName", "Ada L", "email", "ada@example.com", "role", "account-administrator")
	link := regexp.MustCompile(`/link/[A-Za-z0-9_-]+`).FindString(b.page)
	require.NotEmpty(t, link, b.page)
	v := c.browser(t)
	v.get(link).send(link, "password", goodPassword, "again", goodPassword+"x")
	require.Contains(t, v.page, "differ")
	v.send(link, "password", goodPassword, "again", goodPassword)
	require.Equal(t, "/login?notice=password", v.path)
	v.send("/login", "name", "ada", "password", goodPassword)
	require.Equal(t, "/", v.path)
	require.Contains(t, v.page, "/accounts")
	require.NotContains(t, v.page, `href="/tenants"`, "what the role may not do is not offered")
	v.get("/tenants")
	require.Equal(t, http.StatusForbidden, v.status)
	v.get("/accounts/admin").send("/accounts/admin/reset")
	require.Equal(t, http.StatusForbidden, v.status, "root is out of reach")

	b.get("/accounts/ada").send("/accounts/ada", "fullName", "Ada", "email", "no address", "role", "operations")
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	require.Contains(t, html.UnescapeString(b.page), "no address", "what was entered stays")
	b.send("/accounts/ada", "fullName", "Ada", "email", "", "role", "operations")
	require.Contains(t, b.page, "The account was changed.")
	v.get("/tenants")
	require.Equal(t, http.StatusOK, v.status, "the new role counts at once")
	b.send("/accounts/ada/disable")
	v.get("/tenants")
	require.Contains(t, v.path, "/login", "and so does disabling")
	b.send("/accounts/ada/enable")
	b.send("/accounts/ada/delete")
	require.Equal(t, "/accounts?notice=account-deleted", b.path)
	b.get("/accounts/ada")
	require.Equal(t, http.StatusNotFound, b.status)

	b.get("/audit")
	require.Contains(t, b.page, "account.delete")
	b.send("/audit/verify")
	require.Contains(t, b.page, "are as they were written")
	b.get("/audit.csv")
	require.Contains(t, b.page, "account.delete,Account/ada")
}

// An account is deleted after a question, and unlocked where it is locked.
func TestAnAccountIsDeletedAfterAQuestion(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	b.get("/new-account").send("/accounts", "name", "ada", "role", "operations")
	link := linkIn(t, b.page)
	c.browser(t).get(link).send(link, "password", goodPassword, "again", goodPassword)
	require.NotContains(t, b.get("/accounts/ada").page, "Unlock")
	for range 5 {
		c.browser(t).get("/login").send("/login", "name", "ada", "password", "wrong")
	}
	require.Contains(t, b.get("/accounts/ada").page, "Unlock")
	require.NotContains(t, b.page, `action="/accounts/ada/delete"`)
	require.Contains(t, b.page, `href="/accounts/ada/delete"`)
	b.get("/accounts/ada/delete")
	require.Contains(t, b.page, "This cannot be undone.")
	require.Contains(t, b.page, `action="/accounts/ada/delete"`)
	b.send("/accounts/ada/delete")
	require.Equal(t, "/accounts?notice=account-deleted", b.path)
	require.Equal(t, http.StatusNotFound, b.get("/accounts/ada/delete").status)
}

func TestTenantsOnThePages(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	b.get("/new-tenant").send("/tenants", "organization", "Acme", "firstName", "Ada", "lastName", "L", "email", "wrong")
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	require.Contains(t, b.page, `value="Acme"`, "what was entered stays")
	b.send("/tenants", "organization", "Acme", "firstName", "Ada", "lastName", "L", "email", "ada@example.com")
	require.Equal(t, "/tenants/acme?notice=tenant-created", b.path)
	require.Contains(t, b.page, "Ada L, ada@example.com")
	b.send("/tenants/acme/disable")
	require.Equal(t, http.StatusUnprocessableEntity, b.status, "it is not active")
	b.send("/tenants/acme/limits", "cpu", "8", "pods", "")
	require.Contains(t, b.page, "The limits were changed.")
	require.Contains(t, b.page, `value="8"`)
	b.get("/tenants/acme/delete").send("/tenants/acme/delete", "confirm", "acm")
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	b.send("/tenants/acme/delete", "confirm", "acme")
	require.Contains(t, b.page, "data key of acme")
	b.get("/tenants")
	require.Contains(t, b.page, "No tenants")
}
