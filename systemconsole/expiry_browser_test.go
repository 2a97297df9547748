package systemconsole_test

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
)

// A session that ends while a bundle is uploaded stops the upload with a word
// about it, and a tenant's user whose password has expired sets another one.
func TestExpiryInABrowser(t *testing.T) {
	var ahead atomic.Int64
	c := startWith(t, systemconsole.Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	admin := c.admin(t)
	admin.get("/administration/security").send("/administration/security", policy("expiryDays", "30")...)
	c.tenantOf(t, admin, "acme")
	b := c.chromium(t)
	b.Visit("/login")
	b.Fill("name", "admin", "password", goodPassword)
	b.Press("main form .first", "#navigation")
	b.Visit("/registries")
	ahead.Store(int64(31 * 24 * time.Hour))
	path, err := filepath.Abs(filepath.Join("..", "test", "vectors", "good.tar"))
	require.NoError(t, err)
	b.Run(chromedp.SetUploadFiles("#bundle", []string{path}, chromedp.ByQuery))
	b.Press("form[data-upload] button", "[data-status]:not(:empty)")
	require.Contains(t, b.Text("[data-status]"), "load this page again to log in")

	b.Visit("/t/acme/login")
	b.Press("a[href='/t/acme/forgot']", "main")
	b.looks("tenant-forgot-without-mail")
	b.Visit("/t/acme/login")
	b.Fill("email", "ada@acme.example", "password", goodPassword)
	b.Press("main form .first", "#again")
	b.looks("tenant-password")
	b.Fill("current", goodPassword, "password", goodPassword+"2", "again", goodPassword+"2")
	b.Press("main form .first", "#navigation")
}
