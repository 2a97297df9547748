package systemconsole

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/tenant"
	"github.com/sealift/sealift/systemconsole/web"
)

// The pages here are the tenants' own: their users have sessions and a cookie
// of their own, and see nothing of the console.

// tenantLoginForm looks the same for every name, so that nobody learns which
// tenants there are.
func (s *Server) tenantLoginForm(w http.ResponseWriter, r *http.Request) error {
	p := s.tenantLoginPage(r, "")
	p.Says = unsent(r)
	return s.render(w, p)
}

func (s *Server) tenantLoginPage(r *http.Request, email string) web.TenantLoginPage {
	return web.TenantLoginPage{Frame: s.outside(r, "Log in"), Email: email}
}

// outside is the frame of a page on which whoever is logged in to the console is
// nobody.
func (s *Server) outside(r *http.Request, title string) web.Frame {
	f := s.frame(r, title, "")
	f.Entries, f.Says, f.Account, f.Role = nil, nil, "", ""
	if name := r.PathValue("tenant"); name != "" {
		f.Base = strings.TrimSuffix(tenantSite(name), "/")
	}
	return f
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
	return see(w, r, stepError{l.Purpose, name}.page())
}

func (s *Server) tenantHome(w http.ResponseWriter, r *http.Request) error {
	v := visitOf(r)
	usage, err := s.tenants.Usage(r.Context(), v.Tenant)
	p := web.TenantHomePage{Frame: s.frame(r, v.Tenant.Value.Organization, "summary"), Visit: v,
		May: auth.IdentityOf(r.Context()).May(tenant.ManageUsers)}
	if err != nil {
		s.log.WarnContext(r.Context(), "what a tenant uses is not known", "tenant", v.Tenant.Name, "error", err)
	} else {
		p.Usage = web.UsageOf(usage, v.Tenant.Value.Limits)
	}
	return s.render(w, p)
}

// tenantFrame is what surrounds the tenants' own pages.
func (s *Server) tenantFrame(r *http.Request, f web.Frame) web.Frame {
	v := visitOf(r)
	if v.Tenant.Name == "" {
		f.Account = "" // a page of an error before it is known who asks
		return f
	}
	site := tenantSite(v.Tenant.Name)
	f.Base, f.Site, f.Role, f.Account = strings.TrimSuffix(site, "/"), v.Tenant.Value.Organization, string(v.User.Role), fullName(v.User.Person)
	f.OwnPath = site + "account"
	f.Entries = []web.Entry{{Name: "summary", Label: "Overview", URL: site}}
	if auth.IdentityOf(r.Context()).May(tenant.ManageUsers) {
		f.Entries = append(f.Entries, web.Entry{Name: "accounts", Label: "Users", URL: usersPath(v.Tenant.Name)})
	}
	f.Entries = append(f.Entries, web.Entry{Name: "me", Label: "My account", URL: f.OwnPath})
	return f
}

func (s *Server) tenantLogout(w http.ResponseWriter, r *http.Request) error {
	if err := s.auth.CloseSession(r.Context(), auth.IdentityOf(r.Context()).Session); err != nil {
		return err
	}
	dropSession(w, tenantCookie)
	return see(w, r, tenantSite(r.PathValue("tenant"))+"login")
}

func (s *Server) tenantAccount(w http.ResponseWriter, r *http.Request) error {
	return s.showTenantAccount(w, r, nil)
}

func (s *Server) showTenantAccount(w http.ResponseWriter, r *http.Request, problems form.Problems) error {
	p := web.TenantAccountPage{Frame: s.frame(r, "My account", "me"), Visit: visitOf(r)}
	p.Problems = problems
	return s.web.Render(w, statusFor(problems), p)
}

// tenantPasswordForm asks for a new password, before anything else when the
// present one has expired.
func (s *Server) tenantPasswordForm(w http.ResponseWriter, r *http.Request) error {
	return s.showTenantPassword(w, r, nil)
}

func (s *Server) showTenantPassword(w http.ResponseWriter, r *http.Request, problems form.Problems) error {
	f := s.frame(r, "Change your password", "me")
	f.Entries = nil
	p := web.PasswordPage{Frame: f, Path: f.Base + "/password", Name: visitOf(r).User.Person.Email, Forced: true}
	p.Problems = problems
	return s.web.Render(w, statusFor(problems), p)
}

func (s *Server) tenantPasswordStep(w http.ResponseWriter, r *http.Request) error {
	return s.changeTenantPassword(w, r, s.showTenantPassword, "")
}

func (s *Server) tenantPassword(w http.ResponseWriter, r *http.Request) error {
	return s.changeTenantPassword(w, r, s.showTenantAccount, "account")
}

// changeTenantPassword sets a new password of the user who asks, and goes to a
// page of the tenant's, or shows the form again.
func (s *Server) changeTenantPassword(w http.ResponseWriter, r *http.Request, again func(http.ResponseWriter, *http.Request, form.Problems) error, next string) error {
	password := r.PostForm.Get("password")
	err := errPasswordsDiffer()
	var l auth.Login
	if password == r.PostForm.Get("again") {
		l, err = s.tenants.ChangePassword(r.Context(), auth.IdentityOf(r.Context()), r.PostForm.Get("current"), password, client(r))
	}
	if problems := problemsOf(err); problems != nil {
		return again(w, r, problems)
	}
	if err != nil {
		return err
	}
	setSession(w, tenantCookie, l)
	return seeNotice(w, r, tenantSite(r.PathValue("tenant"))+next, noticePassword)
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
	p := web.LinkPage{Frame: s.outside(r, "Set your password"), Secret: r.PathValue("secret"), Reset: link.Value.Reset}
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
