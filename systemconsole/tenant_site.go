package systemconsole

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/web"
)

// The pages here are the tenants' own: their users have sessions and a cookie
// of their own, and see nothing of the console.

// tenantLoginForm looks the same for every name, so that nobody learns which
// tenants there are.
func (s *Server) tenantLoginForm(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, s.tenantLoginPage(r, ""))
}

func (s *Server) tenantLoginPage(r *http.Request, email string) web.TenantLoginPage {
	f := s.frame(r, "Log in", "")
	f.Entries, f.Account, f.Role = nil, "", "" // an administrator is nobody here
	return web.TenantLoginPage{Frame: f, Tenant: r.PathValue("tenant"), Email: email}
}

func tenantSite(name string) string { return "/t/" + url.PathEscape(name) + "/" }

func (s *Server) tenantLogin(w http.ResponseWriter, r *http.Request) error {
	name, email := r.PathValue("tenant"), r.PostForm.Get("email")
	l, err := s.tenants.Login(r.Context(), name, email, r.PostForm.Get("password"), client(r))
	s.metrics.login(err)
	if errors.Is(err, auth.ErrLogin) {
		p := s.tenantLoginPage(r, email)
		p.Problems.Add("", "%s", auth.ErrLogin)
		return s.web.Render(w, http.StatusUnauthorized, p)
	}
	if err != nil {
		return err
	}
	setSession(w, tenantCookie, l)
	return see(w, r, tenantSite(name))
}

func (s *Server) tenantHome(w http.ResponseWriter, r *http.Request) error {
	id := auth.IdentityOf(r.Context())
	user, err := s.tenants.Identify(r.Context(), id)
	if err != nil {
		return err
	}
	item, err := s.tenants.Get(r.Context(), id.Tenant)
	if err != nil {
		return err
	}
	f := s.frame(r, item.Value.Organization, "")
	f.Account = ""
	return s.render(w, web.TenantHomePage{Frame: f, Tenant: item, User: user})
}

func (s *Server) tenantLogout(w http.ResponseWriter, r *http.Request) error {
	if err := s.auth.CloseSession(r.Context(), auth.IdentityOf(r.Context()).Session); err != nil {
		return err
	}
	dropSession(w, tenantCookie)
	return see(w, r, tenantSite(r.PathValue("tenant"))+"login")
}

// linkForm asks for the password that a link lets set. Looking at it does not
// use it up: mail programs look at links.
func (s *Server) linkForm(w http.ResponseWriter, r *http.Request) error {
	return s.showLink(w, r, nil)
}

func (s *Server) showLink(w http.ResponseWriter, r *http.Request, err error) error {
	link, linkErr := s.auth.Link(r.Context(), r.PathValue("secret"))
	if linkErr != nil {
		return linkErr
	}
	f := s.frame(r, "Set your password", "")
	f.Entries, f.Account, f.Role = nil, "", ""
	p := web.LinkPage{Frame: f, Secret: r.PathValue("secret"), Reset: link.Value.Reset}
	p.Problems = problemsOf(err)
	return s.web.Render(w, statusFor(p.Problems), p)
}

// link sets the password and uses the link up.
func (s *Server) link(w http.ResponseWriter, r *http.Request) error {
	link, err := s.auth.Link(r.Context(), r.PathValue("secret"))
	if err != nil {
		return err
	}
	password, login := r.PostForm.Get("password"), "/login"
	switch {
	case password != r.PostForm.Get("again"):
		err = errPasswordsDiffer()
	case link.Value.Tenant != "":
		login = tenantSite(link.Value.Tenant) + "login"
		_, err = s.tenants.SetPassword(r.Context(), r.PathValue("secret"), password)
	default:
		err = s.auth.SetPassword(r.Context(), r.PathValue("secret"), password)
	}
	if problemsOf(err) != nil {
		return s.showLink(w, r, err)
	}
	if errors.Is(err, store.ErrNotFound) {
		return auth.ErrLink
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, login, noticePassword)
}
