package systemconsole

import (
	"net/http"
	"net/url"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/tenant"
	"github.com/sealift/sealift/systemconsole/web"
)

// usersPath is the list of a tenant's users on the tenant's own pages.
func usersPath(name string) string { return tenantSite(name) + "users" }

// inUsers is the frame of a page below the list of users.
func (s *Server) inUsers(r *http.Request, title string) web.Frame {
	f := s.frame(r, title, "accounts")
	f.Crumbs = []web.Link{{Text: "Users", Path: usersPath(r.PathValue("tenant"))}}
	return f
}

func (s *Server) tenantUsers(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("tenant")
	users, next, err := s.tenants.Users(r.Context(), name, store.ListOptions{Limit: rowsPerPage, Continue: r.URL.Query().Get("continue")})
	if err != nil {
		return err
	}
	count, err := s.tenants.CountUsers(r.Context(), name)
	if err != nil {
		return err
	}
	p := web.TenantUsersPage{Frame: s.frame(r, "Users", "accounts"), Path: usersPath(name), Next: next,
		Count: count, Limit: visitOf(r).Tenant.Value.Limits.Users}
	for _, u := range users {
		p.Users = append(p.Users, web.UserRow{UserView: u, Status: userStatus(u), Own: u.Name == auth.IdentityOf(r.Context()).Account})
	}
	return s.render(w, p)
}

func userStatus(u tenant.UserView) web.Status {
	switch {
	case u.Disabled:
		return web.Status{State: web.Warn, Text: "Disabled"}
	case u.Locked:
		return web.Status{State: web.Bad, Text: "Locked"}
	case u.Invited:
		return web.Status{Text: "Invited"}
	default:
		return web.Status{State: web.Good, Text: "Active"}
	}
}

// userRoles are the choices of a role.
func userRoles() []web.Option {
	return []web.Option{{Value: string(tenant.Member), Text: "Member: uses what the tenant has"},
		{Value: string(tenant.Administrator), Text: "Administrator: invites and removes users too"}}
}

func (s *Server) newTenantUser(w http.ResponseWriter, r *http.Request) error {
	return s.showNewTenantUser(w, r, tenant.UserDraft{Role: tenant.Member}, nil)
}

func (s *Server) showNewTenantUser(w http.ResponseWriter, r *http.Request, d tenant.UserDraft, problems form.Problems) error {
	p := web.NewTenantUserPage{Frame: s.inUsers(r, "Invite a user"), Path: usersPath(r.PathValue("tenant")), Draft: d, Roles: userRoles()}
	p.Problems = problems
	return s.web.Render(w, statusFor(problems), p)
}

// inviteTenantUser shows the link once.
func (s *Server) inviteTenantUser(w http.ResponseWriter, r *http.Request) error {
	d := tenant.UserDraft{FirstName: r.PostForm.Get("firstName"), LastName: r.PostForm.Get("lastName"), Email: r.PostForm.Get("email"),
		Role: tenant.UserRole(r.PostForm.Get("role"))}
	name, secret, err := s.tenants.Invite(r.Context(), r.PathValue("tenant"), d)
	if problems := problemsOf(err); problems != nil {
		return s.showNewTenantUser(w, r, d, problems)
	}
	if err != nil {
		return err
	}
	return s.showUserLink(w, r, name, secret)
}

func (s *Server) showUserLink(w http.ResponseWriter, r *http.Request, name, secret string) error {
	u, l, err := s.handUserLink(r, r.PathValue("tenant"), name, secret)
	if err != nil {
		return err
	}
	return s.render(w, web.LinkMadePage{Frame: s.inUsers(r, "Link for "+fullName(u.Person)), URL: l.URL, SentTo: l.SentTo, Failure: l.Failure,
		Whom: fullName(u.Person), Back: web.Link{Text: "Back to the users", Path: usersPath(r.PathValue("tenant"))}})
}

func fullName(p tenant.Person) string { return p.FirstName + " " + p.LastName }

func userPath(r *http.Request) string {
	return usersPath(r.PathValue("tenant")) + "/" + url.PathEscape(r.PathValue("user"))
}

func (s *Server) tenantUserPage(w http.ResponseWriter, r *http.Request) error {
	return s.showTenantUser(w, r, nil)
}

// showTenantUser shows a user with what was wrong with a form on the page.
func (s *Server) showTenantUser(w http.ResponseWriter, r *http.Request, problems form.Problems) error {
	u, err := s.tenants.User(r.Context(), r.PathValue("tenant"), r.PathValue("user"))
	if err != nil {
		return err
	}
	p := web.TenantUserPage{Frame: s.inUsers(r, fullName(u.Person)), Path: userPath(r), Roles: userRoles(),
		User: web.UserRow{UserView: u, Status: userStatus(u), Own: u.Name == auth.IdentityOf(r.Context()).Account}}
	p.Problems = problems
	return s.web.Render(w, statusFor(problems), p)
}

// userDone ends a change of a user: with a notice, or with what was wrong.
func (s *Server) userDone(w http.ResponseWriter, r *http.Request, err error) error {
	if problems := problemsOf(err); problems != nil {
		return s.showTenantUser(w, r, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, userPath(r), noticeUser)
}

func (s *Server) setTenantUserRole(w http.ResponseWriter, r *http.Request) error {
	role := tenant.UserRole(r.PostForm.Get("role"))
	return s.userDone(w, r, s.tenants.SetRole(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("tenant"), r.PathValue("user"), role))
}

func (s *Server) disableTenantUser(w http.ResponseWriter, r *http.Request) error {
	return s.userDone(w, r, s.tenants.DisableUser(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("tenant"), r.PathValue("user")))
}

func (s *Server) enableTenantUser(w http.ResponseWriter, r *http.Request) error {
	return s.userDone(w, r, s.tenants.EnableUser(r.Context(), r.PathValue("tenant"), r.PathValue("user")))
}

// resetTenantUser shows the link once.
func (s *Server) resetTenantUser(w http.ResponseWriter, r *http.Request) error {
	secret, err := s.tenants.ResetUser(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("tenant"), r.PathValue("user"))
	if err != nil {
		return s.userDone(w, r, err)
	}
	return s.showUserLink(w, r, r.PathValue("user"), secret)
}

func (s *Server) confirmDeleteTenantUser(w http.ResponseWriter, r *http.Request) error {
	u, err := s.tenants.User(r.Context(), r.PathValue("tenant"), r.PathValue("user"))
	if err != nil {
		return err
	}
	f := s.inUsers(r, "Delete "+fullName(u.Person))
	f.Crumbs = append(f.Crumbs, web.Link{Text: fullName(u.Person), Path: userPath(r)})
	return s.render(w, web.ConfirmPage{Frame: f, Question: "This cannot be undone.",
		Detail: []string{fullName(u.Person) + " (" + u.Person.Email + ") can no longer log in.", "What is known of the user is deleted.", "What runs in the tenant's place stays."},
		Action: userPath(r) + "/delete", Button: "Delete the user", Back: userPath(r)})
}

func (s *Server) deleteTenantUser(w http.ResponseWriter, r *http.Request) error {
	err := s.tenants.DeleteUser(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("tenant"), r.PathValue("user"))
	if err != nil {
		return s.userDone(w, r, err)
	}
	return seeNotice(w, r, usersPath(r.PathValue("tenant")), noticeUserDeleted)
}
