package systemconsole_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/store/kube"
)

// post sends a form as it is, with headers; no redirect is followed.
func (b *browser) post(path string, form url.Values, headers ...string) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.base+path, strings.NewReader(form.Encode()))
	require.NoError(b.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := *b.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

func (b *browser) formToken() string {
	b.t.Helper()
	m := regexp.MustCompile(`name="form-token" value="([^"]+)"`).FindStringSubmatch(b.page)
	require.NotNil(b.t, m, b.page)
	return m[1]
}

func TestForgedRequestsChangeNothing(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	b.get("/new-tenant")
	form := url.Values{"organization": {"Acme"}, "firstName": {"A"}, "lastName": {"B"}, "email": {"a@example.com"}}
	require.Equal(t, http.StatusForbidden, b.post("/tenants", form).StatusCode, "no token")
	form.Set("form-token", "x")
	require.Equal(t, http.StatusForbidden, b.post("/tenants", form).StatusCode, "a wrong token")
	other := c.browser(t)
	other.get("/login").send("/login", "name", "admin", "password", goodPassword)
	form.Set("form-token", other.formToken())
	require.Equal(t, http.StatusForbidden, b.post("/tenants", form).StatusCode, "the token of another session")
	form.Set("form-token", b.formToken())
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		require.Equal(t, http.StatusForbidden, b.post("/tenants", form, headers...).StatusCode, "%q", headers)
		require.Equal(t, http.StatusForbidden, b.post("/login", url.Values{"name": {"x"}}, headers...).StatusCode, "a login planted by another site: %q", headers)
	}
	b.get("/tenants")
	require.NotContains(t, b.page, "Acme")
	require.Equal(t, http.StatusSeeOther, b.post("/tenants", form, "Sec-Fetch-Site", "same-origin").StatusCode)
}

func TestSessionsCannotBePlanted(t *testing.T) {
	c := start(t)
	c.admin(t)
	b := c.browser(t)
	base, err := url.Parse(c.URL)
	require.NoError(t, err)
	planted := &http.Cookie{Name: "__Host-session", Value: "planted", Secure: true, Path: "/"}
	b.client.Jar.SetCookies(base, []*http.Cookie{planted})
	b.get("/login").send("/login", "name", "admin", "password", goodPassword)
	require.Equal(t, "/", b.path)
	first := b.client.Jar.Cookies(base)[0].Value
	require.NotEqual(t, "planted", first)
	resp := b.post("/login", url.Values{"name": {"admin"}, "password": {goodPassword}})
	cookie := resp.Cookies()[0]
	require.NotEqual(t, first, cookie.Value)
	require.True(t, cookie.Secure && cookie.HttpOnly && cookie.SameSite == http.SameSiteLaxMode && cookie.Path == "/" && cookie.Domain == "")
	b.client.Jar.SetCookies(base, []*http.Cookie{{Name: "__Host-session", Value: first, Secure: true, Path: "/"}})
	b.get("/")
	require.Contains(t, b.path, "/login", "the session before has ended")
}

func TestBruteForceIsLockedOut(t *testing.T) {
	c := start(t)
	c.admin(t)
	b := c.browser(t)
	var pages []string
	for range 5 {
		b.send("/login", "name", "admin", "password", "guess")
		require.Equal(t, http.StatusUnauthorized, b.status)
		pages = append(pages, b.page)
	}
	b.send("/login", "name", "admin", "password", goodPassword)
	require.Equal(t, http.StatusUnauthorized, b.status, "even the right one")
	require.Equal(t, pages[0], b.page, "which nobody can tell")
	b.send("/login", "name", "nobody", "password", "guess")
	require.Equal(t, strings.ReplaceAll(pages[0], `value="admin"`, `value="nobody"`), b.page, "an account that is not there looks the same")
}

// payload would run, or break out of an attribute, where it is not escaped.
const payload = `"><img src=x onerror=alert(1)>'</script><script>alert(1)</script>{{.}}`

func TestEveryFieldIsShownAsText(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	agent := c.browser(t)
	agent.client.Transport = withAgent{agent.client.Transport}
	agent.get("/login").send("/login", "name", "admin", "password", goodPassword)

	b.get("/new-tenant").send("/tenants", "organization", payload, "firstName", payload, "lastName", payload, "email", "a@example.com")
	require.Equal(t, http.StatusOK, b.status, b.page)
	name := strings.TrimSuffix(strings.TrimPrefix(b.path, "/tenants/"), "?notice=tenant-created")
	tenantPage := "/tenants/" + name
	escaped(t, b)
	b.get("/new-tenant").send("/tenants", "organization", payload, "firstName", payload, "lastName", payload, "email", payload)
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	escaped(t, b)
	b.get(tenantPage).send(tenantPage+"/limits", "cpu", payload)
	escaped(t, b)
	b.get(tenantPage+"/delete").send(tenantPage+"/delete", "confirm", payload)
	escaped(t, b)
	b.get("/new-account").send("/accounts", "name", "ada", "fullName", payload, "role", "operations")
	require.Equal(t, http.StatusOK, b.status, b.page)
	b.get("/new-account").send("/accounts", "name", payload, "fullName", payload, "email", payload, "role", payload)
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	escaped(t, b)
	b.get("/me").send("/me/tokens", "label", payload, "days", "1", "scopes", "self")
	require.Equal(t, http.StatusOK, b.status)
	b.get("/me").send("/me/tokens", "label", payload+payload, "days", payload, "scopes", payload)
	escaped(t, b)
	for _, path := range []string{"/", "/tenants", tenantPage, "/accounts", "/accounts/ada", "/me", "/audit", "/login?next=" + url.QueryEscape(payload),
		"/?notice=" + url.QueryEscape(payload), "/" + url.PathEscape(payload), "/tenants/" + url.PathEscape(payload), "/t/" + url.PathEscape(payload) + "/login",
		"/audit?before=" + url.QueryEscape(payload), "/tenants?continue=" + url.QueryEscape(payload), "/link/" + url.PathEscape(payload)} {
		escaped(t, b.get(path))
	}
	b.send("/login", "name", payload, "password", payload, "next", payload)
	escaped(t, b)
	b.send("/t/"+name+"/login", "email", payload, "password", payload)
	escaped(t, b)
}

// escaped reads the page as a browser does, and checks that the payload made no
// element and that nothing is inline.
func escaped(t *testing.T, b *browser) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(b.page))
	for z.Next() != html.ErrorToken {
		token := z.Token()
		if token.Type != html.StartTagToken && token.Type != html.SelfClosingTagToken {
			continue
		}
		attributes := map[string]string{}
		for _, a := range token.Attr {
			attributes[a.Key] = a.Val
			require.False(t, a.Key == "style" || strings.HasPrefix(a.Key, "on"), "%s: %s", b.path, token)
			require.False(t, strings.HasPrefix(a.Val, "javascript:"), "%s: %s", b.path, token)
		}
		require.NotEqual(t, "style", token.Data, b.path)
		if token.Data == "script" || token.Data == "img" {
			require.Regexp(t, "^/(assets|me)/", attributes["src"], "%s: %s", b.path, token)
		}
	}
	require.ErrorIs(t, z.Err(), io.EOF)
}

// withAgent calls itself what should not run.
type withAgent struct{ http.RoundTripper }

func (w withAgent) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("User-Agent", payload)
	return w.RoundTripper.RoundTrip(r)
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	for _, path := range []string{"/", "/login", "/nothing", "/healthz", "/api/v1/me", "/assets/x", "/me"} {
		resp, err := b.client.Get(c.URL + path)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		h := resp.Header
		csp := h.Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'none'", path)
		require.NotContains(t, csp, "unsafe", path)
		require.NotContains(t, csp, "*", path)
		require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		require.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
		require.NotEmpty(t, h.Get("Strict-Transport-Security"), path)
		require.Equal(t, "no-store", h.Get("Cache-Control"), path)
	}
}

func TestNothingElseIsServedAsAFile(t *testing.T) {
	c := start(t)
	b := c.browser(t)
	for _, path := range []string{"/assets/../templates/login.html", "/assets/%2e%2e/templates/login.html", "/assets/x/..%2f..%2fweb.go", "/assets//etc/passwd",
		"/assets/console.css", "/templates/login.html", "/assets/", "/..%2f..%2fetc%2fpasswd"} {
		b.get(path)
		require.Equal(t, http.StatusNotFound, b.status, path)
	}
	b.get("/login")
	asset := regexp.MustCompile(`/assets/[0-9a-f]{16}/console\.css`).FindString(b.page)
	require.NotEmpty(t, asset)
	resp, err := b.client.Get(c.URL + asset)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, resp.Header.Get("Cache-Control"), "immutable")
}

func TestOversizedBodies(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	b.get("/new-tenant")
	form := url.Values{"form-token": {b.formToken()}, "organization": {strings.Repeat("x", 2<<20)}}
	require.Equal(t, http.StatusRequestEntityTooLarge, b.post("/tenants", form).StatusCode)
	require.Equal(t, http.StatusRequestEntityTooLarge, b.post("/login", form).StatusCode)
	require.Equal(t, http.StatusRequestEntityTooLarge, b.post("/link/x", form).StatusCode)
}

func TestRedirectsStayHere(t *testing.T) {
	c := start(t)
	c.admin(t)
	b := c.browser(t)
	for _, next := range []string{"//evil.example", `/\evil.example`, "https://evil.example", "/\r\nSet-Cookie: a=b", "javascript:alert(1)", "\t//evil.example"} {
		resp := b.post("/login", url.Values{"name": {"admin"}, "password": {goodPassword}, "next": {next}})
		require.Equal(t, "/", resp.Header.Get("Location"), "%q", next)
		require.Len(t, resp.Header["Set-Cookie"], 1)
	}
	resp := b.post("/login", url.Values{"name": {"admin"}, "password": {goodPassword}, "next": {"/tenants?continue=x"}})
	require.Equal(t, "/tenants?continue=x", resp.Header.Get("Location"))
}

// serve runs the real server, with its times and its certificate.
func serve(t *testing.T) (address string) {
	t.Helper()
	c := start(t)
	cert, key, err := systemconsole.SelfSigned(t.TempDir(), "")
	require.NoError(t, err)
	info, err := os.Stat(key)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	again, _, err := systemconsole.SelfSigned(filepath.Dir(cert), "")
	require.NoError(t, err)
	require.Equal(t, cert, again)
	listening := make(chan string, 1)
	ended := make(chan error, 1)
	ctx := t.Context()
	go func() {
		ended <- systemconsole.Serve(ctx, c.Config.Handler, systemconsole.ServeOptions{Addr: "127.0.0.1:0", CertFile: cert, KeyFile: key,
			Listening: func(url string) { listening <- url }})
	}()
	t.Cleanup(func() { require.NoError(t, <-ended) })
	return strings.TrimPrefix(<-listening, "https://")
}

func TestOnlyTLS(t *testing.T) {
	address := serve(t)
	resp, err := http.Get("http://" + address + "/login")
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
	_, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
	require.Error(t, err)
}

// A client that sends its header slowly is cut off.
func TestSlowClients(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for ten seconds")
	}
	t.Parallel()
	address := serve(t)
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n")
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = io.ReadAll(conn)
	var timeout net.Error
	if err != nil {
		require.False(t, errorsAs(err, &timeout) && timeout.Timeout(), "the server waits for ever")
	}
}

func errorsAs(err error, target *net.Error) bool {
	n, ok := err.(net.Error) //nolint:errorlint // what the connection returns is not wrapped
	if ok {
		*target = n
	}
	return ok
}

// What a request names never becomes a header line of the answer.
func TestHeadersCannotBeInjected(t *testing.T) {
	address := serve(t)
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET /tenants%%0d%%0aSet-Cookie:%%20x=y?z=%%0d%%0aInjected:1 HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", address)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Empty(t, resp.Header.Get("Injected"))
	require.Empty(t, resp.Header.Get("Set-Cookie"))
}

// The definitions that ship are those of the types.
func TestDefinitionsAreGenerated(t *testing.T) {
	for _, k := range systemconsole.Kinds() {
		want, err := kube.Definition(k)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("..", "manifests", "enterprise", "charts", "systemconsole", "crds", kube.Plural(k.Name)+".yaml"))
		require.NoError(t, err, "run go generate ./systemconsole")
		require.Equal(t, string(want), string(got), "run go generate ./systemconsole")
	}
}

// From creation to the tenant's own page, and nothing of it for another.
func TestTenantFromCreationToItsOwnPage(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	links := map[string]string{}
	for _, name := range []string{"one", "two"} {
		b.get("/new-tenant").send("/tenants", "organization", name, "firstName", "Ada", "lastName", "of "+name, "email", "ada@example.com")
		b.send("/tenants/" + name + "/activate")
		links[name] = regexp.MustCompile(`/link/[A-Za-z0-9_-]+`).FindString(b.page)
		require.NotEmpty(t, links[name], b.page)
	}
	v := c.browser(t)
	v.get(links["one"])
	require.Contains(t, v.page, "Set your password")
	v.send(links["one"], "password", "short", "again", "short")
	require.Equal(t, http.StatusUnprocessableEntity, v.status)
	v.send(links["one"], "password", goodPassword, "again", goodPassword)
	require.Equal(t, "/t/one/login?notice=password", v.path)
	v.get(links["one"])
	require.Equal(t, http.StatusGone, v.status, "single use")
	v.send("/t/two/login", "email", "ada@example.com", "password", goodPassword)
	require.Equal(t, http.StatusUnauthorized, v.status, "another tenant's")
	v.send("/t/one/login", "email", "ada@example.com", "password", goodPassword)
	require.Equal(t, "/t/one/", v.path)
	require.Contains(t, v.page, "of one")
	for _, path := range []string{"/t/two/", "/", "/tenants", "/me"} {
		v.get(path)
		require.Contains(t, v.path, "/login", path)
	}
	base, err := url.Parse(c.URL)
	require.NoError(t, err)
	for _, cookie := range v.client.Jar.Cookies(base) { // as if it were an administrator's
		v.client.Jar.SetCookies(base, []*http.Cookie{{Name: "__Host-session", Value: cookie.Value, Secure: true, Path: "/"}})
	}
	v.get("/tenants")
	require.Contains(t, v.path, "/login")
	b.get("/t/one/")
	require.Contains(t, b.path, "/t/one/login", "an administrator is not in the tenant's place")
	b.get("/tenants/one").send("/tenants/one/disable")
	v.get("/t/one/")
	require.Equal(t, "/t/one/login", v.path, "disabled at once")
}
