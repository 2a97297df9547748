package systemconsole

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
)

// whoMay is what each role may do, by the first part of the path: written down
// once more, apart from the routes, so that neither changes alone.
func whoMay() map[string][]auth.Role {
	both, admins, all := []auth.Role{auth.Root, auth.Operations}, []auth.Role{auth.Root, auth.AccountAdmin}, auth.Roles()
	return map[string][]auth.Role{
		"": all, "password": all, "me": all, "audit": all, "audit.csv": all, "tokens": all,
		"settings": both, "backups": both, "tenants": both, "new-tenant": both, "cluster": both, "install": both, "registries": both, "new-registry": both, "site-registry": both, "uploads": both, "bundles": both, "administration": both, "master-key": both, "metrics": both,
		"accounts": admins, "new-account": admins,
	}
}

// rootOnly are the routes of which whoMay's first part says too much.
func rootOnly() []string {
	return []string{"POST /administration/security", "POST /administration/mail", "PUT /api/v1/settings/security", "PUT /api/v1/settings/mail",
		"GET /administration/backup/{place}/{name}/restore", "POST /administration/backup/{place}/{name}/restore", "POST /api/v1/backups/{place}/{name}/restore"}
}

// openToAll are the routes that need no login.
func openToAll() []string {
	return []string{"GET /login", "POST /login", "POST /logout", "POST /theme", "GET /forgot", "POST /forgot", "GET /link/{secret}", "POST /link/{secret}", "GET /assets/{file...}", "/",
		"GET /healthz", "GET /readyz", "GET /api/v1/openapi.json", "GET /t/{tenant}/login", "POST /t/{tenant}/login", "GET /t/{tenant}/forgot", "POST /t/{tenant}/forgot"}
}

func newServer(t *testing.T) *Server {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	s, err := New(t.Context(), Options{Store: db, Keeper: keeper, FailureTime: time.Millisecond})
	require.NoError(t, err)
	return s
}

// as returns a request of a route by an account of a role: a session with a
// form, or a token.
func (s *Server) as(t *testing.T, rt route, role auth.Role) *http.Request {
	t.Helper()
	method, path := splitPattern(rt.pattern)
	path = strings.TrimSuffix(regexp.MustCompile(`\{[a-z.]+\}`).ReplaceAllString(path, "x"), "{$}")
	r := httptest.NewRequestWithContext(t.Context(), method, "https://console.test"+path, strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	if role == "" {
		return r
	}
	name := "a-" + string(role)
	accounts := store.Collection[auth.Account]{Store: s.opts.Store, Kind: auth.AccountKind}
	_, _ = accounts.Create(t.Context(), store.Item[auth.Account]{Name: name, Value: auth.Account{Role: role}}) // there from the second time on
	if rt.access.token {
		id := auth.Identity{Account: name, Role: role, Permissions: role.Permissions()}
		text, _, err := s.auth.CreateToken(t.Context(), id, auth.NewToken{Label: "x", Scopes: id.Permissions, Days: 1})
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+text)
		return r
	}
	secret, _, err := s.auth.OpenSession(t.Context(), auth.AccountOwner(name), auth.Session{Account: name, Purpose: auth.Full}, auth.Client{})
	require.NoError(t, err)
	id, _, err := s.auth.Identify(t.Context(), secret)
	require.NoError(t, err)
	if method != http.MethodGet && method != http.MethodHead {
		r = httptest.NewRequestWithContext(t.Context(), method, r.URL.String(), strings.NewReader(url.Values{FormTokenField: {id.FormToken}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: secret})
	return r
}

func (s *Server) do(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

// refusal tells how an answer refuses: it asks to log in, or forbids.
func refusal(resp *http.Response) string {
	location := resp.Header.Get("Location")
	switch {
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusSeeOther && strings.Contains(location, "/login"):
		return "login"
	case resp.StatusCode == http.StatusForbidden:
		return "forbidden"
	default:
		return ""
	}
}

func TestEveryRouteForEveryRole(t *testing.T) {
	s := newServer(t)
	for _, rt := range s.routes() {
		if slices.Contains(openToAll(), rt.pattern) {
			require.True(t, rt.access.public, rt.pattern)
			continue
		}
		require.False(t, rt.access.public, "%s is open to all", rt.pattern)
		require.Equal(t, "login", refusal(s.do(s.as(t, rt, ""))), "%s by nobody", rt.pattern)
		_, path := splitPattern(rt.pattern)
		first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, apiPrefix), "/"), "/")
		for _, role := range auth.Roles() {
			got := refusal(s.do(s.as(t, rt, role)))
			switch {
			case first == "t": // a tenant's page: no account of the console is let in
				require.Equal(t, "login", got, "%s by %s", rt.pattern, role)
			case rt.pattern == "GET /second-factor", rt.pattern == "POST /second-factor": // sent on, since it is behind them
				require.Empty(t, got)
			default:
				allowed, known := whoMay()[strings.TrimSuffix(first, "{$}")]
				require.True(t, known, "who may use %s?", rt.pattern)
				if slices.Contains(rootOnly(), rt.pattern) {
					allowed = []auth.Role{auth.Root}
				}
				require.Equal(t, map[bool]string{true: "", false: "forbidden"}[slices.Contains(allowed, role)], got, "%s by %s", rt.pattern, role)
			}
		}
	}
}

// A session that is for one step of the login opens nothing else.
func TestEveryRouteForUnfinishedLogins(t *testing.T) {
	s := newServer(t)
	for _, purpose := range []auth.Purpose{auth.ChangePassword, auth.SecondFactor, auth.TenantUser, auth.TenantPassword} {
		secret, _, err := s.auth.OpenSession(t.Context(), auth.AccountOwner("admin"), auth.Session{Account: "admin", Purpose: purpose, Tenant: "y"}, auth.Client{})
		require.NoError(t, err)
		for _, rt := range s.routes() {
			if rt.access.public || rt.access.token || rt.access.purpose == purpose && !purpose.OfTenant() {
				continue
			}
			for _, cookie := range []string{sessionCookie, tenantCookie} {
				r := s.as(t, rt, "")
				r.AddCookie(&http.Cookie{Name: cookie, Value: secret})
				resp := s.do(r)
				require.Equal(t, http.StatusSeeOther, resp.StatusCode, "%s as %s in %s", rt.pattern, purpose, cookie)
			}
		}
	}
}

func TestEveryAPIRouteIsInTheDocument(t *testing.T) {
	s := newServer(t)
	doc, err := s.document()
	require.NoError(t, err)
	documented := map[string]bool{}
	for path, item := range doc["paths"].(object) {
		for method := range item.(object) {
			documented[strings.ToUpper(method)+" "+path] = true
		}
	}
	for _, rt := range s.routes() {
		_, path := splitPattern(rt.pattern)
		program := strings.HasPrefix(path, apiPrefix) || rt.access.token
		if program {
			require.True(t, documented[rt.pattern], "%s is not in the document", rt.pattern)
		}
		delete(documented, rt.pattern)
	}
	require.Empty(t, documented, "in the document and not there")
}

// What is not a path of this site is not gone to.
func TestLocal(t *testing.T) {
	for in, want := range map[string]string{"/tenants?x=1": "/tenants?x=1", "": "/", "tenants": "/", "//evil.example": "/", `/\evil.example`: "/", `\\evil`: "/",
		"https://evil.example/": "/", "javascript:alert(1)": "/", "/%2fevil.example": "/", "/a\r\nSet-Cookie: x": "/", "/\t/evil.example": "/", "/ok#x": "/ok", "/.//evil.example": "/.//evil.example"} {
		require.Equal(t, want, local(in), "%q", in)
	}
}

func FuzzLocal(f *testing.F) {
	f.Add("/%2f%2fx")
	f.Add(`/\x`)
	f.Fuzz(func(t *testing.T, next string) {
		got := local(next)
		u, err := url.Parse(got)
		require.NoError(t, err)
		require.Empty(t, u.Host)
		require.Empty(t, u.Scheme)
		require.True(t, strings.HasPrefix(got, "/") && !strings.HasPrefix(got, "//") && !strings.HasPrefix(got, `/\`), got)
		require.NotContains(t, got, "\n")
	})
}
