package systemconsole_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A browser goes through the first login.
func TestFirstLoginInABrowser(t *testing.T) {
	b := start(t).chromium(t)
	b.visit("/")
	b.wait("#name")
	b.looks("login")
	b.fill("name", "admin", "password", "wrong")
	b.press("main button", "[role=alert]")
	b.fill("name", "admin", "password", "admin")
	b.press("main button", "#current")
	b.looks("forced-change")
	b.fill("current", "admin", "password", goodPassword, "again", goodPassword)
	b.press("main form .first", "nav.side")
	require.Contains(t, b.text("main"), "Your password was changed.")
	b.looks("summary-empty")
}
