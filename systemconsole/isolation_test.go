package systemconsole_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
)

// visitor is somebody of a tenant who is logged in.
type visitor struct {
	*browser
	tenant  string
	user    string // name of an own user
	session string // secret of the session
	form    string // token of its forms
}

// secretOf returns the cookie of a browser.
func (c *console) secretOf(t *testing.T, b *browser, name string) string {
	t.Helper()
	base, err := url.Parse(c.URL)
	require.NoError(t, err)
	for _, cookie := range b.client.Jar.Cookies(base) {
		if cookie.Name == name {
			return cookie.Value
		}
	}
	require.Fail(t, "there is no cookie "+name)
	return ""
}

// enters sets a password with a link and logs in.
func (c *console) enters(t *testing.T, tenant, email, link string) visitor {
	t.Helper()
	b := c.browser(t)
	b.get(link).send(link, "password", goodPassword, "again", goodPassword)
	require.Contains(t, b.path, "/login?notice=password", b.page)
	b.send("/t/"+tenant+"/login", "email", email, "password", goodPassword)
	require.Equal(t, "/t/"+tenant+"/", b.path, b.page)
	v := visitor{browser: b, tenant: tenant, session: c.secretOf(t, b, "__Host-tenant"), form: b.formToken()}
	return v
}

// linkIn returns the link that a page shows.
func linkIn(t *testing.T, page string) string {
	t.Helper()
	link := regexp.MustCompile(`/link/[A-Za-z0-9_-]+`).FindString(page)
	require.NotEmpty(t, link, page)
	return link
}

// tenantOf makes a tenant with an administrator who is logged in.
func (c *console) tenantOf(t *testing.T, admin *browser, name string) visitor {
	t.Helper()
	email := "ada@" + name + ".example"
	admin.get("/new-tenant").send("/tenants", "organization", name, "firstName", "Ada", "lastName", "of "+name, "email", email)
	admin.send("/tenants/" + name + "/activate")
	v := c.enters(t, name, email, linkIn(t, admin.page))
	v.get("/t/" + name + "/users")
	v.user = regexp.MustCompile(name + `\.[0-9a-f]{32}`).FindString(v.page)
	require.NotEmpty(t, v.user, v.page)
	return v
}

// attempt is a request with whatever somebody may hold.
type attempt struct {
	cookies map[string]string
	token   string // of forms
	bearer  string
}

// try makes the request of a route and returns the answer; no redirect is
// followed.
func (c *console) try(t *testing.T, method, path string, a attempt) *http.Response {
	t.Helper()
	var body *strings.Reader
	if method != http.MethodGet && method != http.MethodHead {
		body = strings.NewReader(url.Values{"form-token": {a.token}, "role": {"member"}, "confirm": {"x"}}.Encode())
	} else {
		body = strings.NewReader("")
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.URL+path, body)
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, value := range a.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	if a.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+a.bearer)
	}
	client := *c.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp
}

// refused fails when an answer is anything but a refusal.
func refused(t *testing.T, resp *http.Response, what string) {
	t.Helper()
	switch resp.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
	case http.StatusSeeOther:
		require.Contains(t, resp.Header.Get("Location"), "/login", what)
	default:
		require.Fail(t, fmt.Sprintf("%s was answered %s", what, resp.Status))
	}
}

// filled puts names into the path of a pattern.
func filled(path, tenant, user string) string {
	path = strings.NewReplacer("{tenant}", tenant, "{user}", user, "{name}", tenant, "{$}", "", "{secret}", "x", "{id}", strings.Repeat("a", 32)).Replace(path)
	return regexp.MustCompile(`\{[a-z.]+\}`).ReplaceAllString(path, "x")
}

// Whatever one tenant has opens nothing of another's and nothing of the
// console's, and what the console has opens no tenant's pages: for every route
// of the table, so that none that is added later is forgotten.
func TestTenantsAreApartOnEveryRoute(t *testing.T) {
	c := start(t)
	p := c.program(t)
	admin := c.browser(t)
	admin.get("/login").send("/login", "name", "admin", "password", goodPassword)
	one, two := c.tenantOf(t, admin, "one"), c.tenantOf(t, admin, "two")
	console := c.secretOf(t, admin, "__Host-session")
	admin.get("/me")
	foreign := map[string]attempt{
		"a session of another tenant":                  {cookies: map[string]string{"__Host-tenant": one.session}, token: one.form},
		"a session of another tenant as the console's": {cookies: map[string]string{"__Host-session": one.session}, token: one.form},
		"a session of the console":                     {cookies: map[string]string{"__Host-session": console}, token: admin.formToken()},
		"a session of the console as the tenant's":     {cookies: map[string]string{"__Host-tenant": console}, token: admin.formToken()},
		"a token of the API":                           {bearer: p.token},
		"a token of the API as a session":              {cookies: map[string]string{"__Host-tenant": p.token}},
		"nothing":                                      {},
		"the form's token of another tenant's session": {cookies: map[string]string{"__Host-tenant": two.session}, token: one.form},
	}
	seen := 0
	for _, route := range c.Config.Handler.(*systemconsole.Server).Patterns() {
		method, path, ok := strings.Cut(route.Pattern, " ")
		if !ok || route.Public {
			continue
		}
		if route.Member {
			require.True(t, strings.HasPrefix(path, "/t/{tenant}/"), "%s is for a tenant's users, and has no tenant in its path", path)
			seen++
			for what, a := range foreign {
				if a.cookies["__Host-tenant"] == two.session && method == http.MethodGet {
					continue // its own session, and reading takes no form
				}
				refused(t, c.try(t, method, filled(path, "two", two.user), a), route.Pattern+" with "+what)
			}
			if strings.Contains(path, "{user}") {
				own := attempt{cookies: map[string]string{"__Host-tenant": one.session}, token: one.form}
				require.Equal(t, http.StatusNotFound, c.try(t, method, filled(path, "one", two.user), own).StatusCode, "%s with another tenant's user", route.Pattern)
			}
			continue
		}
		require.False(t, strings.HasPrefix(path, "/t/"), "%s stands among the tenants' pages, and is not for them", path)
		for what, a := range map[string]attempt{
			"a tenant's session":                  {cookies: map[string]string{"__Host-tenant": one.session}, token: one.form},
			"a tenant's session as the console's": {cookies: map[string]string{"__Host-session": one.session}, token: one.form},
			"a tenant's session as a token":       {bearer: one.session},
		} {
			refused(t, c.try(t, method, filled(path, "one", one.user), a), route.Pattern+" with "+what)
		}
	}
	require.Greater(t, seen, 10)
	two.get("/t/two/users")
	require.Equal(t, http.StatusOK, two.status, "nothing of all that did anything")
	require.Contains(t, two.page, "of two")
}

// Members see their own page and account, and nothing that administrators do.
func TestMembersManageNobody(t *testing.T) {
	c := start(t)
	ada := c.tenantOf(t, c.admin(t), "acme")
	ada.get("/t/acme/new-user").send("/t/acme/users", "firstName", "Grace", "lastName", "Hopper", "email", "grace@acme.example", "role", "member")
	grace := c.enters(t, "acme", "grace@acme.example", linkIn(t, ada.page))
	require.NotContains(t, grace.page, "/t/acme/users")
	for _, route := range c.Config.Handler.(*systemconsole.Server).Patterns() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if route.Member && route.Needs != "" {
			a := attempt{cookies: map[string]string{"__Host-tenant": grace.session}, token: grace.form}
			require.Equal(t, http.StatusForbidden, c.try(t, method, filled(path, "acme", ada.user), a).StatusCode, route.Pattern)
		}
	}
	grace.get("/t/acme/account")
	require.Equal(t, http.StatusOK, grace.status)
	require.Contains(t, grace.page, "grace@acme.example")
}
