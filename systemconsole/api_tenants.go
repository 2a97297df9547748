package systemconsole

import (
	"context"
	"net/http"
	"time"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/tenant"
)

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

// TenantUser is a user of a tenant as the API shows it.
type TenantUser struct {
	Name      string          `json:"name"` // what the user is called in addresses and in the audit record
	FirstName string          `json:"firstName"`
	LastName  string          `json:"lastName"`
	Email     string          `json:"email"`
	Role      tenant.UserRole `json:"role"`
	Disabled  bool            `json:"disabled"`
	Locked    bool            `json:"locked"`
	Invited   bool            `json:"invited"` // has set no password yet
	Created   time.Time       `json:"created"`
	LastLogin time.Time       `json:"lastLogin,omitzero"`
}

// TenantUserList is a page of a tenant's users.
type TenantUserList struct {
	Users    []TenantUser `json:"users"`
	Continue string       `json:"continue,omitempty"`
}

// Invitation is a user who was invited, with the link for them.
type Invitation struct {
	User string `json:"user"`
	Link Link   `json:"link"`
}

// UserRole is what a user is to be.
type UserRole struct {
	Role tenant.UserRole `json:"role"`
}

// tenantCalls are those of tenants and their users, for programs.
func (s *Server) tenantCalls() []route {
	return []route{
		call("GET /tenants", auth.ReadTenants, "List tenants", s.apiTenants, pageParameters()...),
		call("POST /tenants", auth.WriteTenants, "Create a tenant", s.apiCreateTenant),
		call("GET /tenants/{name}", auth.ReadTenants, "Show a tenant", s.apiTenant),
		call("POST /tenants/{name}/activate", auth.WriteTenants, "Activate a tenant, and get the link for its first administrator", s.apiActivate),
		call("POST /tenants/{name}/disable", auth.WriteTenants, "Keep everybody of a tenant out", toTenant(s.tenants.Disable)),
		call("POST /tenants/{name}/enable", auth.WriteTenants, "Let a disabled tenant in again", toTenant(s.tenants.Enable)),
		call("PUT /tenants/{name}/limits", auth.WriteTenants, "Limit what a tenant may use", s.apiLimits),
		long(call("POST /tenants/{name}/delete", auth.WriteTenants, "Delete a tenant with all that it has", s.apiDeleteTenant)),
		call("GET /tenants/{name}/usage", auth.ReadTenants, "What a tenant uses of its limits", s.apiUsage),
		call("GET /tenants/{name}/users", auth.ReadTenants, "List the users of a tenant", s.apiUsers, pageParameters()...),
		call("POST /tenants/{name}/users", auth.WriteTenants, "Invite a user, and get the link for them", s.apiInvite),
		call("PUT /tenants/{name}/users/{user}/role", auth.WriteTenants, "Set what a user may do within the tenant", s.apiUserRole),
		call("POST /tenants/{name}/users/{user}/disable", auth.WriteTenants, "Keep a user out", toUser(s.tenants.DisableUser)),
		call("POST /tenants/{name}/users/{user}/enable", auth.WriteTenants, "Let a user in again, and end a lock", s.apiEnableUser),
		call("POST /tenants/{name}/users/{user}/reset", auth.WriteTenants, "Get a link for a new password of a user", s.apiResetUser),
		call("DELETE /tenants/{name}/users/{user}", auth.WriteTenants, "Delete a user", toUser(s.tenants.DeleteUser)),
	}
}

// toTenant makes a call of what is done to the tenant in the path.
func toTenant(do func(ctx context.Context, tenant string) error) func(*http.Request, nothing) (nothing, error) {
	return func(r *http.Request, _ nothing) (nothing, error) {
		return nothing{}, do(r.Context(), r.PathValue("name"))
	}
}

// toUser makes a call of what is done to the tenant's user in the path.
func toUser(do func(ctx context.Context, id auth.Identity, tenant, user string) error) func(*http.Request, nothing) (nothing, error) {
	return func(r *http.Request, _ nothing) (nothing, error) {
		return nothing{}, do(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"), r.PathValue("user"))
	}
}

func tenantOf(item store.Item[tenant.Tenant]) Tenant {
	v := item.Value
	return Tenant{Name: item.Name, Organization: v.Organization, State: v.State, Limits: v.Limits, Created: v.Created, Activated: v.Activated}
}

func (s *Server) apiTenants(r *http.Request, _ nothing) (TenantList, error) {
	page, next, err := listed(r, s.tenants.List, tenantOf)
	return TenantList{Tenants: page, Continue: next}, err
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

func (s *Server) apiLimits(r *http.Request, l tenant.Limits) (nothing, error) {
	return nothing{}, s.tenants.SetLimits(r.Context(), r.PathValue("name"), l)
}

func (s *Server) apiDeleteTenant(r *http.Request, in Removal) (tenant.Deletion, error) {
	return s.tenants.Delete(r.Context(), r.PathValue("name"), in.Confirm, in.Force)
}

func (s *Server) apiUsage(r *http.Request, _ nothing) (tenant.Usage, error) {
	item, err := s.tenants.Get(r.Context(), r.PathValue("name"))
	if err != nil {
		return tenant.Usage{}, err
	}
	return s.tenants.Usage(r.Context(), item)
}

func tenantUserOf(u tenant.UserView) TenantUser {
	return TenantUser{Name: u.Name, FirstName: u.Person.FirstName, LastName: u.Person.LastName, Email: u.Person.Email,
		Role: u.Role, Disabled: u.Disabled, Locked: u.Locked, Invited: u.Invited, Created: u.Created, LastLogin: u.LastLogin}
}

func (s *Server) apiUsers(r *http.Request, _ nothing) (TenantUserList, error) {
	users := func(ctx context.Context, opts store.ListOptions) ([]tenant.UserView, string, error) {
		return s.tenants.Users(ctx, r.PathValue("name"), opts)
	}
	page, next, err := listed(r, users, tenantUserOf)
	return TenantUserList{Users: page, Continue: next}, err
}

func (s *Server) apiInvite(r *http.Request, d tenant.UserDraft) (Invitation, error) {
	name, secret, err := s.tenants.Invite(r.Context(), r.PathValue("name"), d)
	if err != nil {
		return Invitation{}, err
	}
	_, link, err := s.handUserLink(r, r.PathValue("name"), name, secret)
	return Invitation{User: name, Link: link}, err
}

func (s *Server) apiUserRole(r *http.Request, in UserRole) (nothing, error) {
	return nothing{}, s.tenants.SetRole(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"), r.PathValue("user"), in.Role)
}

func (s *Server) apiEnableUser(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.tenants.EnableUser(r.Context(), r.PathValue("name"), r.PathValue("user"))
}

func (s *Server) apiResetUser(r *http.Request, _ nothing) (Link, error) {
	secret, err := s.tenants.ResetUser(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"), r.PathValue("user"))
	if err != nil {
		return Link{}, err
	}
	_, link, err := s.handUserLink(r, r.PathValue("name"), r.PathValue("user"), secret)
	return link, err
}
