package systemconsole_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFirstLoginForcesANewPassword(t *testing.T) {
	c := start(t)
	b := c.browser(t)
	b.get("/")
	require.Equal(t, "/login", b.path, "nobody is logged in")
	b.send("/login", "name", "admin", "password", "wrong")
	require.Equal(t, http.StatusUnauthorized, b.status)
	b.send("/login", "name", "admin", "password", "admin")
	require.Equal(t, "/password", b.path)
	b.get("/")
	require.Equal(t, "/password", b.path, "nothing else can be done")

	b.send("/password", "current", "admin", "password", "short", "again", "short")
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	require.Contains(t, b.page, "14 characters")
	b.send("/password", "current", "admin", "password", goodPassword, "again", goodPassword+"x")
	require.Contains(t, b.page, "differ")
	b.send("/password", "current", "admin", "password", goodPassword, "again", goodPassword)
	require.Equal(t, http.StatusOK, b.status, b.page)
	require.Contains(t, b.page, "Your password was changed.")
	require.Contains(t, b.page, "Tenants")

	b.send("/logout")
	require.Equal(t, "/login", b.path)
	b.send("/login", "name", "admin", "password", "admin")
	require.Equal(t, http.StatusUnauthorized, b.status)
	b.send("/login", "name", "admin", "password", goodPassword)
	require.Equal(t, http.StatusOK, b.status)
}
