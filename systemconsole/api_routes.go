package systemconsole

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/tenant"
)

// Identity is who a token acts for.
type Identity struct {
	Account     string            `json:"account"`
	Role        auth.Role         `json:"role"`
	Permissions []auth.Permission `json:"permissions,omitempty"`
}

// Account is an account as the API shows it.
type Account struct {
	Name         string    `json:"name"`
	FullName     string    `json:"fullName"`
	Email        string    `json:"email"`
	Role         auth.Role `json:"role"`
	Disabled     bool      `json:"disabled"`
	Locked       bool      `json:"locked"`
	HasPassword  bool      `json:"hasPassword"`
	SecondFactor bool      `json:"secondFactor"`
	LastLogin    time.Time `json:"lastLogin,omitzero"`
}

// AccountList is a page of accounts.
type AccountList struct {
	Accounts []Account `json:"accounts"`
	Continue string    `json:"continue,omitempty"`
}

// AccountChange is what can be changed of an account.
type AccountChange struct {
	FullName string    `json:"fullName"`
	Email    string    `json:"email"`
	Role     auth.Role `json:"role"`
}

// Reset says how far an account is reset.
type Reset struct {
	SecondFactor bool `json:"secondFactor"` // turn it off: the authenticator is lost
}

// Tenant is a tenant as the API shows it.
type Tenant struct {
	Name         string        `json:"name"`
	Organization string        `json:"organization"`
	State        tenant.State  `json:"state"`
	Limits       tenant.Limits `json:"limits"`
	Created      time.Time     `json:"created"`
	Activated    time.Time     `json:"activated,omitzero"`
}

// TenantList is a page of tenants.
type TenantList struct {
	Tenants  []Tenant `json:"tenants"`
	Continue string   `json:"continue,omitempty"`
}

// Removal confirms a deletion.
type Removal struct {
	Confirm string `json:"confirm"` // the tenant's name
	Force   bool   `json:"force"`   // go on when something cannot be removed
}

// Link is an address with which somebody sets a password, once. It is either
// mailed or shown.
type Link struct {
	URL     string    `json:"url,omitempty"`     // empty when it was mailed
	SentTo  string    `json:"sentTo,omitempty"`  // address that it was mailed to
	Failure string    `json:"failure,omitempty"` // why it could not be mailed
	Expires time.Time `json:"expires"`
}

// Token is a token as the API shows it.
type Token struct {
	Name    string            `json:"name"`
	Label   string            `json:"label"`
	Scopes  []auth.Permission `json:"scopes,omitempty"`
	Created time.Time         `json:"created"`
	Expires time.Time         `json:"expires"`
	Token   string            `json:"token,omitempty"` // shown once, when it is made
}

// TokenList is the tokens of an account.
type TokenList struct {
	Tokens []Token `json:"tokens"`
}

// AuditList is a part of the record of changes, the newest first.
type AuditList struct {
	Records []audit.Record `json:"records"`
}

// apiRoutes are those for programs.
func (s *Server) apiRoutes() []route {
	return []route{
		call("GET /me", auth.Self, "Who the token acts for", s.apiMe),
		call("GET /tenants", auth.ReadTenants, "List tenants", s.apiTenants, pageParameters()...),
		call("POST /tenants", auth.WriteTenants, "Create a tenant", s.apiCreateTenant),
		call("GET /tenants/{name}", auth.ReadTenants, "Show a tenant", s.apiTenant),
		call("POST /tenants/{name}/activate", auth.WriteTenants, "Activate a tenant, and get the link for its first administrator", s.apiActivate),
		call("POST /tenants/{name}/disable", auth.WriteTenants, "Keep everybody of a tenant out", s.apiDisableTenant),
		call("POST /tenants/{name}/enable", auth.WriteTenants, "Let a disabled tenant in again", s.apiEnableTenant),
		call("PUT /tenants/{name}/limits", auth.WriteTenants, "Limit what a tenant may use", s.apiLimits),
		call("POST /tenants/{name}/delete", auth.WriteTenants, "Delete a tenant with all that it has", s.apiDeleteTenant),
		call("GET /tenants/{name}/usage", auth.ReadTenants, "What a tenant uses of its limits", s.apiUsage),
		call("GET /tenants/{name}/users", auth.ReadTenants, "List the users of a tenant", s.apiUsers, pageParameters()...),
		call("POST /tenants/{name}/users", auth.WriteTenants, "Invite a user, and get the link for them", s.apiInvite),
		call("PUT /tenants/{name}/users/{user}/role", auth.WriteTenants, "Set what a user may do within the tenant", s.apiUserRole),
		call("POST /tenants/{name}/users/{user}/disable", auth.WriteTenants, "Keep a user out", s.apiDisableUser),
		call("POST /tenants/{name}/users/{user}/enable", auth.WriteTenants, "Let a user in again, and end a lock", s.apiEnableUser),
		call("POST /tenants/{name}/users/{user}/reset", auth.WriteTenants, "Get a link for a new password of a user", s.apiResetUser),
		call("DELETE /tenants/{name}/users/{user}", auth.WriteTenants, "Delete a user", s.apiDeleteUser),
		call("GET /accounts", auth.ReadAccounts, "List accounts", s.apiAccounts, pageParameters()...),
		call("POST /accounts", auth.WriteAccounts, "Create an account, and get the link for its owner", s.apiCreateAccount),
		call("GET /accounts/{name}", auth.ReadAccounts, "Show an account", s.apiAccount),
		call("PUT /accounts/{name}", auth.WriteAccounts, "Change an account", s.apiUpdateAccount),
		call("POST /accounts/{name}/disable", auth.WriteAccounts, "Keep the owner of an account out", s.apiDisableAccount),
		call("POST /accounts/{name}/enable", auth.WriteAccounts, "Let in again, and end a lock", s.apiEnableAccount),
		call("POST /accounts/{name}/reset", auth.WriteAccounts, "Get a link for a new password", s.apiReset),
		call("DELETE /accounts/{name}", auth.WriteAccounts, "Delete an account", s.apiDeleteAccount),
		call("GET /tokens", auth.Self, "List the own tokens", s.apiTokens),
		call("POST /tokens", auth.Self, "Make a token that can do no more than this one", s.apiCreateToken),
		call("DELETE /tokens/{name}", auth.Self, "Revoke an own token", s.apiRevokeToken),
		call("POST /master-key/rotate", auth.WriteSettings, "Make another master key, and wrap everything with it", s.apiRotateMasterKey),
		call("GET /audit", auth.ReadAudit, "List changes, the newest first", s.apiAudit,
			parameter{"before", "integer", "number of a record: show those before it"}, parameter{"limit", "integer", "most records, at most 500"}),
		call("GET /audit/verify", auth.ReadAudit, "Check that no record was altered", s.apiVerify,
			parameter{"known", "string", "hash that was noted before; it must still be there"}),
		{pattern: "GET " + apiPrefix + "/audit.csv", access: token(auth.ReadAudit), handler: s.auditCSV,
			op: &operation{summary: "The whole record of changes as CSV", content: "text/csv", in: nothing{}}},
		{pattern: "GET " + apiPrefix + "/openapi.json", access: public(), handler: s.openAPI,
			op: &operation{summary: "This document", in: nothing{}, out: map[string]any{}, content: "application/json"}},
	}
}

func (s *Server) apiMe(r *http.Request, _ nothing) (Identity, error) {
	id := auth.IdentityOf(r.Context())
	return Identity{Account: id.Account, Role: id.Role, Permissions: id.Permissions}, nil
}

func tenantOf(item store.Item[tenant.Tenant]) Tenant {
	v := item.Value
	return Tenant{Name: item.Name, Organization: v.Organization, State: v.State, Limits: v.Limits, Created: v.Created, Activated: v.Activated}
}

func (s *Server) apiTenants(r *http.Request, _ nothing) (TenantList, error) {
	list := TenantList{Tenants: []Tenant{}}
	opts, err := listOptions(r)
	if err != nil {
		return list, err
	}
	items, next, err := s.tenants.List(r.Context(), opts)
	for _, item := range items {
		list.Tenants = append(list.Tenants, tenantOf(item))
	}
	list.Continue = next
	return list, err
}

func (s *Server) apiCreateTenant(r *http.Request, d tenant.Draft) (Tenant, error) {
	item, err := s.tenants.Create(r.Context(), d)
	return tenantOf(item), err
}

func (s *Server) apiTenant(r *http.Request, _ nothing) (Tenant, error) {
	item, err := s.tenants.Get(r.Context(), r.PathValue("name"))
	return tenantOf(item), err
}

func (s *Server) apiActivate(r *http.Request, _ nothing) (Link, error) {
	secret, err := s.tenants.Activate(r.Context(), r.PathValue("name"))
	if err != nil {
		return Link{}, err
	}
	return s.handTenantLink(r, r.PathValue("name"), secret)
}

// linkTo is the address of a link.
func (s *Server) linkTo(r *http.Request, secret string) Link {
	u := url.URL{Scheme: "https", Host: r.Host}
	if s.url != nil {
		u = *s.url
	}
	return Link{URL: u.JoinPath("link", secret).String(), Expires: s.now().Add(auth.LinkLife)}
}

func (s *Server) now() time.Time {
	if s.opts.Now != nil {
		return s.opts.Now().UTC()
	}
	return time.Now().UTC()
}

func (s *Server) apiDisableTenant(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.tenants.Disable(r.Context(), r.PathValue("name"))
}

func (s *Server) apiEnableTenant(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.tenants.Enable(r.Context(), r.PathValue("name"))
}

func (s *Server) apiLimits(r *http.Request, l tenant.Limits) (nothing, error) {
	return nothing{}, s.tenants.SetLimits(r.Context(), r.PathValue("name"), l)
}

func (s *Server) apiDeleteTenant(r *http.Request, in Removal) (tenant.Deletion, error) {
	return s.tenants.Delete(r.Context(), r.PathValue("name"), in.Confirm, in.Force)
}

func (s *Server) accountOf(item store.Item[auth.Account]) Account {
	v := item.Value
	return Account{Name: item.Name, FullName: v.FullName, Email: v.Email, Role: v.Role, Disabled: v.Disabled, Locked: v.Lock.Locked(s.now()),
		HasPassword: v.Credential.Hash != "", SecondFactor: v.Factor.On(), LastLogin: v.LastLogin}
}

func (s *Server) apiAccounts(r *http.Request, _ nothing) (AccountList, error) {
	list := AccountList{Accounts: []Account{}}
	opts, err := listOptions(r)
	if err != nil {
		return list, err
	}
	items, next, err := s.auth.Accounts(r.Context(), opts)
	for _, item := range items {
		list.Accounts = append(list.Accounts, s.accountOf(item))
	}
	list.Continue = next
	return list, err
}

func (s *Server) apiCreateAccount(r *http.Request, d auth.Draft) (Link, error) {
	secret, err := s.auth.CreateAccount(r.Context(), auth.IdentityOf(r.Context()), d)
	if err != nil {
		return Link{}, err
	}
	return s.handAccountLink(r, d.Name, secret)
}

func (s *Server) apiAccount(r *http.Request, _ nothing) (Account, error) {
	item, err := s.auth.Account(r.Context(), r.PathValue("name"))
	return s.accountOf(item), err
}

func (s *Server) apiUpdateAccount(r *http.Request, in AccountChange) (nothing, error) {
	d := auth.Draft{Name: r.PathValue("name"), FullName: in.FullName, Email: in.Email, Role: in.Role}
	return nothing{}, s.auth.UpdateAccount(r.Context(), auth.IdentityOf(r.Context()), d)
}

func (s *Server) apiDisableAccount(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.auth.DisableAccount(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"))
}

func (s *Server) apiEnableAccount(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.auth.EnableAccount(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"))
}

func (s *Server) apiReset(r *http.Request, in Reset) (Link, error) {
	secret, err := s.auth.ResetAccount(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"), in.SecondFactor)
	if err != nil {
		return Link{}, err
	}
	return s.handAccountLink(r, r.PathValue("name"), secret)
}

func (s *Server) apiDeleteAccount(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.auth.DeleteAccount(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"))
}

func tokenOf(item store.Item[auth.Token]) Token {
	return Token{Name: item.Name, Label: item.Value.Label, Scopes: item.Value.Scopes, Created: item.Value.Created, Expires: item.Value.Expires}
}

func (s *Server) apiTokens(r *http.Request, _ nothing) (TokenList, error) {
	list := TokenList{Tokens: []Token{}}
	items, err := s.auth.Tokens(r.Context(), auth.IdentityOf(r.Context()).Account)
	for _, item := range items {
		list.Tokens = append(list.Tokens, tokenOf(item))
	}
	return list, err
}

func (s *Server) apiCreateToken(r *http.Request, n auth.NewToken) (Token, error) {
	text, item, err := s.auth.CreateToken(r.Context(), auth.IdentityOf(r.Context()), n)
	out := tokenOf(item)
	out.Token = text
	return out, err
}

func (s *Server) apiRevokeToken(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.auth.RevokeToken(r.Context(), auth.IdentityOf(r.Context()).Account, r.PathValue("name"))
}

func (s *Server) apiAudit(r *http.Request, _ nothing) (AuditList, error) {
	list := AuditList{Records: []audit.Record{}}
	opts, err := listOptions(r)
	if err != nil {
		return list, err
	}
	before, err := beforeOf(r)
	if err != nil {
		return list, err
	}
	list.Records, err = s.audit.Newest(r.Context(), before, opts.PageSize())
	return list, err
}

// beforeOf reads the parameter of a listing of the record.
func beforeOf(r *http.Request) (uint64, error) {
	text := r.URL.Query().Get("before")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, form.Fail("before", "enter the number of a record")
	}
	return n, nil
}

func (s *Server) apiVerify(r *http.Request, _ nothing) (audit.Summary, error) {
	return s.audit.Verify(r.Context(), r.URL.Query().Get("known"))
}

// auditCSV sends the whole record.
func (s *Server) auditCSV(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="audit.csv"`)
	if err := s.audit.WriteCSV(r.Context(), w); err != nil {
		// The answer has begun: a file that ends short must not look whole.
		s.log.ErrorContext(r.Context(), "exporting the audit record failed", "request", numberOf(r), "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}
