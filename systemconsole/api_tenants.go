package systemconsole

import (
	"net/http"
	"time"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/tenant"
)

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

func (s *Server) apiUsage(r *http.Request, _ nothing) (tenant.Usage, error) {
	return s.tenants.Usage(r.Context(), r.PathValue("name"))
}

func (s *Server) apiUsers(r *http.Request, _ nothing) (TenantUserList, error) {
	list := TenantUserList{Users: []TenantUser{}}
	opts, err := listOptions(r)
	if err != nil {
		return list, err
	}
	users, next, err := s.tenants.Users(r.Context(), r.PathValue("name"), opts)
	for _, u := range users {
		list.Users = append(list.Users, TenantUser{Name: u.Name, FirstName: u.Person.FirstName, LastName: u.Person.LastName, Email: u.Person.Email,
			Role: u.Role, Disabled: u.Disabled, Locked: u.Locked, Invited: u.Invited, Created: u.Created, LastLogin: u.LastLogin})
	}
	list.Continue = next
	return list, err
}

func (s *Server) apiInvite(r *http.Request, d tenant.UserDraft) (Invitation, error) {
	name, secret, err := s.tenants.Invite(r.Context(), r.PathValue("name"), d)
	if err != nil {
		return Invitation{}, err
	}
	link, err := s.handUserLink(r, r.PathValue("name"), name, secret)
	return Invitation{User: name, Link: link}, err
}

func (s *Server) apiUserRole(r *http.Request, in UserRole) (nothing, error) {
	return nothing{}, s.tenants.SetRole(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"), r.PathValue("user"), in.Role)
}

func (s *Server) apiDisableUser(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.tenants.DisableUser(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"), r.PathValue("user"))
}

func (s *Server) apiEnableUser(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.tenants.EnableUser(r.Context(), r.PathValue("name"), r.PathValue("user"))
}

func (s *Server) apiResetUser(r *http.Request, _ nothing) (Link, error) {
	secret, err := s.tenants.ResetUser(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"), r.PathValue("user"))
	if err != nil {
		return Link{}, err
	}
	return s.handUserLink(r, r.PathValue("name"), r.PathValue("user"), secret)
}

func (s *Server) apiDeleteUser(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.tenants.DeleteUser(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"), r.PathValue("user"))
}
