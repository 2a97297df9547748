package systemconsole_test

import (
	"net/http"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
)

// The first administrator of a tenant brings in others and sends them off.
func TestATenantsAdministratorManagesUsers(t *testing.T) {
	c := start(t)
	admin := c.admin(t)
	ada := c.tenantOf(t, admin, "acme")
	admin.get("/tenants/acme").send("/tenants/acme/limits", "users", "2")
	require.Contains(t, admin.page, "The limits were changed.")

	ada.get("/t/acme/new-user").send("/t/acme/users", "firstName", "Grace", "lastName", "", "email", "nobody", "role", "emperor")
	require.Equal(t, http.StatusUnprocessableEntity, ada.status)
	require.Contains(t, ada.page, `value="Grace"`, "what was entered stays")
	require.Contains(t, ada.page, "choose a role")
	ada.send("/t/acme/users", "firstName", "Grace", "lastName", "Hopper", "email", "Grace@acme.example", "role", "member")
	first := linkIn(t, ada.page)
	ada.send("/t/acme/users", "firstName", "Grace", "lastName", "Hopper", "email", "other@acme.example", "role", "member")
	require.Equal(t, http.StatusUnprocessableEntity, ada.status, "two users, no more")
	ada.get("/t/acme/users")
	require.Contains(t, ada.page, "2 of 2 users")
	require.Contains(t, ada.page, "Invited")
	user := regexp.MustCompile(`/t/acme/users/(acme\.[0-9a-f]{32})">Grace`).FindStringSubmatch(ada.page)
	require.NotNil(t, user, ada.page)
	page := "/t/acme/users/" + user[1]

	ada.get(page).send(page + "/reset")
	second := linkIn(t, ada.page)
	grace := c.browser(t)
	require.Equal(t, http.StatusGone, grace.get(first).status, "a new link ends the one before")
	in := c.enters(t, "acme", "grace@acme.example", second)

	ada.get(page).send(page+"/role", "role", "administrator")
	require.Contains(t, ada.page, "The user was changed.")
	in.get("/t/acme/users")
	require.Equal(t, http.StatusOK, in.status, "the new role counts at once")
	in.get("/t/acme/users/"+ada.user).send("/t/acme/users/"+user[1]+"/role", "role", "member")
	require.Equal(t, http.StatusUnprocessableEntity, in.status, "nobody shuts themselves out")

	ada.get(page).send(page + "/disable")
	in.get("/t/acme/")
	require.Contains(t, in.path, "/login", "out at once")
	in.send("/t/acme/login", "email", "grace@acme.example", "password", goodPassword)
	require.Equal(t, http.StatusUnauthorized, in.status)
	ada.send(page + "/reset")
	require.Equal(t, http.StatusUnprocessableEntity, ada.status, "enable the user first")
	ada.send(page + "/enable")
	in.send("/t/acme/login", "email", "grace@acme.example", "password", goodPassword)
	require.Equal(t, "/t/acme/", in.path)

	ada.get(page + "/delete").send(page + "/delete")
	require.Contains(t, ada.page, "The user was deleted.")
	in.get("/t/acme/")
	require.Contains(t, in.path, "/login")
	require.Equal(t, http.StatusNotFound, ada.get(page).status)

	admin.get("/audit")
	for _, action := range []string{"create", "reset", "role", "disable", "enable", "delete", "password", "login"} {
		require.Contains(t, admin.page, "tenant.user."+action)
	}
	require.NotContains(t, admin.page, "Hopper", "the record names no persons")
}

// A user's own password needs the present one, and ends all other sessions.
func TestATenantsUserChangesThePassword(t *testing.T) {
	c := start(t)
	ada := c.tenantOf(t, c.admin(t), "acme")
	other := c.browser(t)
	other.get("/t/acme/login").send("/t/acme/login", "email", "ada@acme.example", "password", goodPassword)
	require.Equal(t, "/t/acme/", other.path)
	const path = "/t/acme/account/password"
	ada.get("/t/acme/account")
	for _, fields := range [][]string{
		{"current", "wrong", "password", goodPassword + "2", "again", goodPassword + "2"},
		{"current", goodPassword, "password", goodPassword + "2", "again", goodPassword},
		{"current", goodPassword, "password", "short", "again", "short"},
		{"current", goodPassword, "password", goodPassword, "again", goodPassword},
	} {
		ada.send(path, fields...)
		require.Equal(t, http.StatusUnprocessableEntity, ada.status, "%q", fields)
	}
	ada.send(path, "current", goodPassword, "password", goodPassword+"2", "again", goodPassword+"2")
	require.Contains(t, ada.page, "Your password was changed.")
	ada.get("/t/acme/")
	require.Equal(t, "/t/acme/", ada.path)
	other.get("/t/acme/")
	require.Contains(t, other.path, "/login")
	for range 5 {
		ada.get("/t/acme/account").send(path, "current", "guess", "password", goodPassword+"3", "again", goodPassword+"3")
	}
	ada.send(path, "current", goodPassword+"2", "password", goodPassword+"3", "again", goodPassword+"3")
	require.Equal(t, http.StatusUnprocessableEntity, ada.status, "locked")
}

// A theme, an unknown page and a login of a tenant keep to the tenant's pages.
func TestATenantsPagesLeadNowhereElse(t *testing.T) {
	c := start(t)
	ada := c.tenantOf(t, c.admin(t), "acme")
	for _, path := range []string{"/t/acme/", "/t/acme/account", "/t/acme/users", "/t/acme/new-user", "/t/acme/users/" + ada.user, "/t/acme/users/nobody"} {
		ada.get(path)
		for _, m := range regexp.MustCompile(`(?:href|action)="(/[^"]*)"`).FindAllStringSubmatch(ada.page, -1) {
			require.Regexp(t, `^/(t/acme/|assets/|theme$)`, m[1], path)
		}
	}
	ada.send("/t/acme/logout")
	require.Equal(t, "/t/acme/login", ada.path)
}

// A password that expired is changed at the next login, before anything else,
// and what opens that page opens no other.
func TestATenantsPasswordExpires(t *testing.T) {
	var ahead atomic.Int64
	c := startWith(t, systemconsole.Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	admin := c.admin(t)
	admin.get("/administration/security").send("/administration/security", policy("expiryDays", "30")...)
	ada := c.tenantOf(t, admin, "acme")
	c.tenantOf(t, admin, "other")
	ada.get("/t/acme/password")
	require.Equal(t, "/t/acme/password", ada.path, "whoever is logged in may change it here too")
	ahead.Store(int64(31 * 24 * time.Hour))
	login := []string{"email", "ada@acme.example", "password", goodPassword}

	leaves := c.browser(t)
	leaves.get("/t/acme/login").send("/t/acme/login", login...)
	require.Equal(t, "/t/acme/password", leaves.path)
	leaves.send("/t/acme/logout")
	require.Equal(t, "/t/acme/login", leaves.path)
	require.Equal(t, "/t/acme/login", leaves.get("/t/acme/password").path)

	b := c.browser(t)
	b.get("/t/acme/login").send("/t/acme/login", login...)
	require.Equal(t, "/t/acme/password", b.path)
	require.Contains(t, b.page, "Choose a new password before you go on.")
	require.NotContains(t, b.page, "/t/acme/users")
	for _, path := range []string{"/t/acme/", "/t/acme/account", "/t/acme/users", "/t/acme/new-user"} {
		require.Equal(t, "/t/acme/password", b.get(path).path, path)
	}
	for _, path := range []string{"/t/acme/users", "/t/acme/account/password", "/t/acme/users/" + ada.user + "/disable"} {
		require.Equal(t, "/t/acme/password", b.send(path, "current", goodPassword, "password", goodPassword+"2", "again", goodPassword+"2").path, path)
	}
	require.Equal(t, "/t/other/login", b.get("/t/other/password").path)
	require.Contains(t, b.get("/tenants").path, "/login")

	b.get("/t/acme/password")
	for _, fields := range [][]string{
		{"current", "wrong", "password", goodPassword + "2", "again", goodPassword + "2"},
		{"current", goodPassword, "password", goodPassword + "2", "again", goodPassword},
		{"current", goodPassword, "password", goodPassword, "again", goodPassword},
	} {
		require.Equal(t, http.StatusUnprocessableEntity, b.send("/t/acme/password", fields...).status, "%q", fields)
		require.Contains(t, b.page, "before you go on")
	}
	b.send("/t/acme/password", "current", goodPassword, "password", goodPassword+"2", "again", goodPassword+"2")
	require.Equal(t, "/t/acme/?notice=password", b.path, b.page)
	require.Equal(t, "/t/acme/users", b.get("/t/acme/users").path)

	again := c.browser(t)
	again.get("/t/acme/login").send("/t/acme/login", "email", "ada@acme.example", "password", goodPassword+"2")
	require.Equal(t, "/t/acme/", again.path, "the new one is young")
}
