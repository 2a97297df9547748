package systemconsole_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/tenant"
	upstream "github.com/sealift/sealift/test/registries"
)

// program is a client of the API whose every request and answer is held
// against the document that the server serves.
type program struct {
	t      *testing.T
	c      *console
	token  string
	doc    validator.Validator
	called map[string]bool
}

// program makes a token on the page of the own account and reads the document.
func (c *console) program(t *testing.T) *program {
	t.Helper()
	b := c.admin(t)
	b.get("/me")
	fields := []string{"label", "test", "days", "1"}
	b.send("/me/tokens", append(fields, scopes()...)...)
	require.Equal(t, http.StatusOK, b.status, b.page)
	token := regexp.MustCompile(`sealift_[a-z0-9]+_[A-Za-z0-9_-]+`).FindString(b.page)
	require.NotEmpty(t, token)
	b.get("/api/v1/openapi.json")
	doc, err := libopenapi.NewDocument([]byte(b.page))
	require.NoError(t, err)
	v, errs := validator.NewValidator(doc)
	require.Empty(t, errs)
	valid, problems := v.ValidateDocument()
	require.True(t, valid, "%v", problems)
	return &program{t: t, c: c, token: token, doc: v, called: map[string]bool{}}
}

func scopes() []string {
	var out []string
	for _, p := range auth.Permissions() {
		out = append(out, "scopes", string(p))
	}
	return out
}

// call sends in and reads the answer into out; nil sends or reads nothing.
func (p *program) call(method, path string, in, out any) int {
	p.t.Helper()
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		require.NoError(p.t, err)
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.c.URL+path, body)
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+p.token)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.c.Client().Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	resp.Body = io.NopCloser(bytes.NewReader(data))
	if !strings.Contains(resp.Header.Get("Content-Type"), "text/") {
		valid, problems := p.doc.ValidateHttpResponse(req, resp)
		require.True(p.t, valid, "%s %s: %s\n%v", method, path, data, problems)
	}
	if out != nil {
		require.NoError(p.t, json.Unmarshal(data, out), "%s", data)
	}
	return resp.StatusCode
}

func (p *program) ok(method, path string, in, out any) {
	p.t.Helper()
	status := p.call(method, path, in, out)
	require.Contains(p.t, []int{http.StatusOK, http.StatusNoContent}, status, "%s %s", method, path)
	p.called[method+" "+path] = true
}

func TestAPI(t *testing.T) {
	authority := upstream.NewAuthority(t)
	cert, key := authority.Issue("old", time.Now().Add(24*time.Hour), "old.north.example")
	p := startWith(t, systemconsole.Options{CertFile: cert, KeyFile: key}).program(t)
	var me systemconsole.Identity
	p.ok("GET", "/api/v1/me", nil, &me)
	require.Equal(t, "admin", me.Account)

	var made systemconsole.Tenant
	p.ok("POST", "/api/v1/tenants", tenant.Draft{Organization: "Acme", FirstName: "Ada", LastName: "L", Email: "ada@example.com"}, &made)
	require.Equal(t, "acme", made.Name)
	var list systemconsole.TenantList
	p.ok("GET", "/api/v1/tenants?limit=10", nil, &list)
	require.Len(t, list.Tenants, 1)
	var link systemconsole.Link
	p.ok("POST", "/api/v1/tenants/acme/activate", nil, &link)
	require.True(t, strings.HasPrefix(link.URL, p.c.URL+"/link/"), link.URL)
	p.ok("PUT", "/api/v1/tenants/acme/limits", tenant.Limits{CPU: 4}, nil)
	p.ok("POST", "/api/v1/tenants/acme/disable", nil, nil)
	p.ok("POST", "/api/v1/tenants/acme/enable", nil, nil)
	p.ok("GET", "/api/v1/tenants/acme", nil, &made)
	require.Equal(t, 4, made.Limits.CPU)
	require.Equal(t, tenant.Active, made.State)
	tenantUsers(p)
	var deletion tenant.Deletion
	p.ok("POST", "/api/v1/tenants/acme/delete", systemconsole.Removal{Confirm: "acme"}, &deletion)
	require.Contains(t, deletion.Removed, "Tenant acme")

	p.ok("POST", "/api/v1/accounts", auth.Draft{Name: "ada", Role: auth.Operations}, &link)
	p.ok("PUT", "/api/v1/accounts/ada", systemconsole.AccountChange{FullName: "Ada", Role: auth.AccountAdmin}, nil)
	p.ok("POST", "/api/v1/accounts/ada/disable", nil, nil)
	p.ok("POST", "/api/v1/accounts/ada/enable", nil, nil)
	p.ok("POST", "/api/v1/accounts/ada/reset", systemconsole.Reset{SecondFactor: true}, &link)
	var account systemconsole.Account
	p.ok("GET", "/api/v1/accounts/ada", nil, &account)
	require.Equal(t, "Ada", account.FullName)
	var accounts systemconsole.AccountList
	p.ok("GET", "/api/v1/accounts", nil, &accounts)
	require.Len(t, accounts.Accounts, 2)
	p.ok("DELETE", "/api/v1/accounts/ada", nil, nil)

	var token systemconsole.Token
	p.ok("POST", "/api/v1/tokens", auth.NewToken{Label: "less", Scopes: []auth.Permission{auth.Self}, Days: 1}, &token)
	var tokens systemconsole.TokenList
	p.ok("GET", "/api/v1/tokens", nil, &tokens)
	require.Len(t, tokens.Tokens, 2)
	p.ok("DELETE", "/api/v1/tokens/"+token.Name, nil, nil)

	require.Equal(t, http.StatusBadRequest, p.call("POST", "/api/v1/master-key/rotate", nil, nil), "a key in memory")
	p.called["POST /api/v1/master-key/rotate"] = true // TestRotationOfTheMasterKey calls it

	var records systemconsole.AuditList
	p.ok("GET", "/api/v1/audit?limit=500", nil, &records)
	require.Equal(t, "token.revoke", records.Records[0].Action)
	require.Equal(t, "api", records.Records[0].Via)
	require.Equal(t, "admin", records.Records[0].Actor)
	require.Equal(t, "127.0.0.1", records.Records[0].Source)
	var summary audit.Summary
	p.ok("GET", "/api/v1/audit/verify?known="+records.Records[3].Hash, nil, &summary)
	require.Equal(t, records.Records[0].Number, summary.Records)
	p.ok("GET", "/api/v1/audit.csv", nil, nil)
	p.ok("GET", "/api/v1/openapi.json", nil, nil)
	p.ok("GET", "/metrics", nil, nil)
	p.ok("GET", "/healthz", nil, nil)
	p.ok("GET", "/readyz", nil, nil)
	p.settingsCalls(authority)
	p.registryCalls()
	p.everythingWasCalled(func(path string) bool { return !strings.HasPrefix(path, clusterCalls) })
}

// tenantUsers invites a user into tenant acme, and sends them off.
func tenantUsers(p *program) {
	p.t.Helper()
	const users = "/api/v1/tenants/acme/users"
	var made systemconsole.Invitation
	p.ok("POST", users, tenant.UserDraft{FirstName: "Grace", LastName: "Hopper", Email: "grace@example.com", Role: tenant.Member}, &made)
	require.True(p.t, strings.HasPrefix(made.Link.URL, p.c.URL+"/link/"), made.Link.URL)
	var list systemconsole.TenantUserList
	p.ok("GET", users, nil, &list)
	require.Len(p.t, list.Users, 2)
	require.Equal(p.t, "Hopper", list.Users[0].LastName)
	first := list.Users[1].Name
	one := users + "/" + made.User
	require.Equal(p.t, http.StatusUnprocessableEntity, p.call("DELETE", users+"/"+first, nil, nil), "the last administrator")
	p.ok("PUT", one+"/role", systemconsole.UserRole{Role: tenant.Administrator}, nil)
	p.ok("POST", one+"/disable", nil, nil)
	p.ok("POST", one+"/enable", nil, nil)
	var link systemconsole.Link
	p.ok("POST", one+"/reset", nil, &link)
	var usage tenant.Usage
	p.ok("GET", "/api/v1/tenants/acme/usage", nil, &usage)
	require.Equal(p.t, tenant.Usage{Users: 2}, usage)
	p.ok("DELETE", one, nil, nil)
	require.Equal(p.t, http.StatusNotFound, p.call("DELETE", one, nil, nil))
}

// clusterCalls is the part of the API that needs a cluster; TestClusterAPI tries it.
const clusterCalls = "/api/v1/cluster"

// everythingWasCalled fails when the document has an operation at a path that is
// asked for, which this test has not tried.
func (p *program) everythingWasCalled(asked func(path string) bool) {
	p.t.Helper()
	var doc struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	require.Equal(p.t, http.StatusOK, p.call("GET", "/api/v1/openapi.json", nil, &doc))
	for path, methods := range doc.Paths {
		if !asked(path) {
			continue
		}
		for method := range methods {
			want := regexp.MustCompile("^" + strings.ToUpper(method) + " " + regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + `(\?.*)?$`)
			found := false
			for called := range p.called {
				found = found || want.MatchString(called)
			}
			require.True(p.t, found, "%s %s was not called", method, path)
		}
	}
}

func TestAPIFailures(t *testing.T) {
	p := start(t).program(t)
	var f systemconsole.Failure
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", "/api/v1/tenants", tenant.Draft{}, &f))
	require.Len(t, f.Problems, 4)
	require.Equal(t, http.StatusNotFound, p.call("GET", "/api/v1/tenants/nobody", nil, &f))
	require.Equal(t, http.StatusBadRequest, p.call("POST", "/api/v1/tenants", map[string]string{"company": "x"}, &f))
	require.Contains(t, f.Message, "company")
	require.Equal(t, http.StatusUnprocessableEntity, p.call("GET", "/api/v1/tenants?limit=0", nil, &f))
	require.Equal(t, http.StatusUnprocessableEntity, p.call("GET", "/api/v1/audit?before=-1", nil, &f))
	require.Equal(t, http.StatusRequestEntityTooLarge, p.call("POST", "/api/v1/tenants", tenant.Draft{Organization: strings.Repeat("x", 2<<20)}, &f))
	p.token = "sealift_x_y"
	require.Equal(t, http.StatusUnauthorized, p.call("GET", "/api/v1/me", nil, &f))
}
