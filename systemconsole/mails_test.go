package systemconsole_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/test/mails"
)

// mailed sets a mail server on the page, and returns it.
func mailed(t *testing.T, b *browser) *mails.Server {
	t.Helper()
	server := mails.Start(t, "starttls", map[string]string{"console": "Hush-1"})
	b.get("/administration/mail").send("/administration/mail", "host", "127.0.0.1", "port", strconv.Itoa(server.Port), "security", "starttls", "ca", server.CA,
		"from", "console@north.example", "username", "console", "password", "Hush-1", "url", "https://console.north.example/", "to", "admin@north.example")
	require.Equal(t, "/administration/mail?notice=mail-sent", b.path, b.page)
	require.Contains(t, arrives(t, server).Text, "The console can send mail.")
	require.NotContains(t, b.page, "Hush-1")
	return server
}

func arrives(t *testing.T, s *mails.Server) mails.Mail {
	t.Helper()
	select {
	case m := <-s.Arrived:
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("no mail arrived")
		return mails.Mail{}
	}
}

// mailedLink finds the link of a mail and returns its path.
func mailedLink(t *testing.T, m mails.Mail) string {
	t.Helper()
	text := strings.ReplaceAll(strings.ReplaceAll(m.Text, "=\r\n", ""), "=3D", "=")
	link := regexp.MustCompile(`https://console\.north\.example(/link/[A-Za-z0-9_-]+)`).FindStringSubmatch(text)
	require.NotNil(t, link, m.Text)
	return link[1]
}

func TestLinksAreMailed(t *testing.T) {
	c := start(t)
	admin := c.admin(t)
	server := mailed(t, admin)
	admin.get("/new-account").send("/accounts", "name", "ada", "email", "ada@north.example", "role", string(auth.Operations))
	require.Equal(t, http.StatusOK, admin.status, admin.page)
	require.Contains(t, admin.page, "ada@north.example")
	require.NotContains(t, admin.page, "/link/", "who is mailed a link is the only one who has it")
	m := arrives(t, server)
	require.Equal(t, []string{"ada@north.example"}, m.To)
	require.True(t, m.Protected)
	ada := c.browser(t)
	ada.get(mailedLink(t, m)).send(mailedLink(t, m), "password", goodPassword, "again", goodPassword)
	require.Contains(t, ada.path, "/login")

	// An account without an address, and a tenant's first administrator.
	admin.get("/new-account").send("/accounts", "name", "bob", "role", string(auth.Operations))
	require.Contains(t, admin.page, "/link/")
	admin.get("/new-tenant").send("/tenants", "organization", "Acme", "firstName", "Cid", "lastName", "D", "email", "cid@acme.example")
	admin.send("/tenants/acme/activate")
	require.NotContains(t, admin.page, "/link/")
	m = arrives(t, server)
	require.Equal(t, []string{"cid@acme.example"}, m.To)
	ada.get(mailedLink(t, m)).send(mailedLink(t, m), "password", goodPassword, "again", goodPassword)
	require.Contains(t, ada.path, "/t/acme/login")

	// The record tells that links went out, and has neither links nor secrets.
	admin.get("/audit.csv")
	require.Contains(t, admin.page, "link.mail,Account/ada")
	require.NotContains(t, admin.page, "/link/")
	require.NotContains(t, admin.page, "Hush-1")
	require.NotContains(t, admin.page, "cid@acme.example", "what is sealed is not in the record")
}

// A mail server that fails does not keep anybody from a link: it is shown, with
// the reason.
func TestLinksAreShownWhenMailFails(t *testing.T) {
	c := start(t)
	admin := c.admin(t)
	admin.get("/administration/mail").send("/administration/mail", "host", "127.0.0.1", "port", "1", "security", "starttls",
		"from", "console@north.example", "url", "https://console.north.example")
	require.Contains(t, admin.path, "notice=settings", admin.page)
	admin.get("/new-account").send("/accounts", "name", "ada", "email", "ada@north.example", "role", string(auth.Operations))
	require.Contains(t, admin.page, "could not be mailed")
	require.Contains(t, admin.page, "/link/")
}

func TestForgottenPassword(t *testing.T) {
	c := start(t)
	nobody := c.browser(t)
	nobody.get("/forgot")
	require.Contains(t, nobody.page, "cannot send mail")
	admin := c.admin(t)
	server := mailed(t, admin)
	admin.get("/new-account").send("/accounts", "name", "ada", "email", "ada@north.example", "role", string(auth.Operations))
	path := mailedLink(t, arrives(t, server))
	nobody.get(path).send(path, "password", goodPassword, "again", goodPassword)

	// The same answer for every name, and the console's own address in the mail
	// whatever the request says.
	var pages []string
	for _, name := range []string{"ada", "nobody", "<b>"} {
		resp := nobody.post("/forgot", url.Values{"name": {name}}, "Host", "evil.example", "X-Forwarded-Host", "evil.example")
		nobody.show(resp, nil)
		require.Equal(t, http.StatusOK, nobody.status)
		pages = append(pages, nobody.page)
	}
	require.Equal(t, pages[0], pages[1])
	require.Equal(t, pages[0], pages[2])
	m := arrives(t, server)
	require.Equal(t, []string{"ada@north.example"}, m.To)
	require.NotContains(t, m.Text, "evil.example")
	require.Contains(t, m.Text, "If it was not you, ignore")
	const next = "Another-Horse-1-x"
	path = mailedLink(t, m)
	nobody.get(path).send(path, "password", next, "again", next)
	require.Contains(t, nobody.path, "/login")
	nobody.get(path)
	require.Equal(t, http.StatusGone, nobody.status, "single use")
	nobody.get("/login").send("/login", "name", "ada", "password", next)
	require.Equal(t, "/", nobody.path)
	require.Empty(t, server.Arrived)

	// Who asks too often is told so, whichever name they give.
	last := 0
	for range 6 {
		last = nobody.post("/forgot", url.Values{"name": {"x"}}).StatusCode
	}
	require.Equal(t, http.StatusTooManyRequests, last)
}

// A tenant's user gets a link by the address of the own tenant; nobody learns
// whether there is one.
func TestATenantsUserForgotThePassword(t *testing.T) {
	c := start(t)
	nobody := c.browser(t)
	require.Contains(t, nobody.get("/t/acme/forgot").page, "cannot send mail")
	admin := c.admin(t)
	server := mailed(t, admin)
	for _, name := range []string{"acme", "other"} {
		admin.get("/new-tenant").send("/tenants", "organization", strings.ToUpper(name), "firstName", "Ada", "lastName", "L", "email", "ada@acme.example")
		admin.send("/tenants/" + name + "/activate")
		path := mailedLink(t, arrives(t, server))
		nobody.get(path).send(path, "password", goodPassword, "again", goodPassword)
		require.Contains(t, nobody.path, "/t/"+name+"/login")
	}
	require.Contains(t, nobody.page, `href="/t/other/forgot"`)

	var pages []string
	for _, one := range [][2]string{{"acme", "ada@acme.example"}, {"acme", "nobody@acme.example"}, {"acme", "<b>"}, {"nowhere", "ada@acme.example"}} {
		resp := nobody.post("/t/"+one[0]+"/forgot", url.Values{"name": {one[1]}}, "Host", "evil.example", "X-Forwarded-Host", "evil.example")
		nobody.show(resp, nil)
		require.Equal(t, http.StatusOK, nobody.status)
		pages = append(pages, strings.ReplaceAll(nobody.page, one[0], "acme"))
	}
	for _, page := range pages {
		require.Equal(t, pages[0], page)
	}
	m := arrives(t, server)
	require.Equal(t, []string{"ada@acme.example"}, m.To)
	require.NotContains(t, m.Text, "evil.example")
	require.Contains(t, m.Text, "If it was not you, ignore")
	require.Contains(t, m.Text, "your account at ACME (acme)")
	const next = "Another-Horse-1-x"
	path := mailedLink(t, m)
	nobody.get(path).send(path, "password", next, "again", next)
	require.Contains(t, nobody.path, "/t/acme/login")
	require.Equal(t, http.StatusGone, nobody.get(path).status, "single use")
	nobody.get("/t/acme/login").send("/t/acme/login", "email", "ada@acme.example", "password", next)
	require.Equal(t, "/t/acme/", nobody.path)
	require.Empty(t, server.Arrived)
	nobody.get("/t/other/login").send("/t/other/login", "email", "ada@acme.example", "password", goodPassword)
	require.Equal(t, "/t/other/", nobody.path, "the other tenant's is as it was")

	last := 0
	for range 6 {
		last = nobody.post("/t/acme/forgot", url.Values{"name": {"x"}}).StatusCode
	}
	require.Equal(t, http.StatusTooManyRequests, last)
}

// Where links are mailed to decides who becomes root: it is root's to say.
func TestOnlyRootSetsTheMailServer(t *testing.T) {
	c := start(t)
	admin := c.admin(t)
	admin.get("/new-account").send("/accounts", "name", "ops", "role", string(auth.Operations))
	link := regexp.MustCompile(`/link/[A-Za-z0-9_-]+`).FindString(admin.page)
	ops := c.browser(t)
	ops.get(link).send(link, "password", goodPassword, "again", goodPassword)
	ops.get("/login").send("/login", "name", "ops", "password", goodPassword)
	for _, path := range []string{"/administration/mail", "/administration/security"} {
		ops.get(path)
		require.Equal(t, http.StatusOK, ops.status)
		require.NotContains(t, ops.page, ">Save<")
		ops.send(path, policy()...)
		require.Equal(t, http.StatusForbidden, ops.status, path)
	}
}

// The level of the log changes while the console runs.
func TestLogLevelChangesAtOnce(t *testing.T) {
	log, level := newLog()
	c := startWith(t, systemconsole.Options{Logger: log.logger, Level: level})
	admin := c.admin(t)
	admin.get("/me")
	require.NotContains(t, log.text(), "path=/me")
	admin.get("/administration").send("/administration", "banner", "", "logLevel", "debug")
	admin.get("/me")
	require.Eventually(t, func() bool { return strings.Contains(log.text(), "path=/me") }, 10*time.Second, 10*time.Millisecond, "it is logged after the answer")
	admin.get("/administration").send("/administration", "banner", "", "logLevel", "error")
	log.reset()
	admin.get("/me")
	require.Empty(t, log.text())
}
