package systemconsole

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/web"
)

// loginForm shows the login, or the first page to who is logged in.
func (s *Server) loginForm(w http.ResponseWriter, r *http.Request) error {
	next := local(r.FormValue("next"))
	if auth.IdentityOf(r.Context()).May(auth.Self) {
		return see(w, r, next)
	}
	p := web.LoginPage{Frame: s.frame(r, "Log in", ""), Next: next}
	p.Says = unsent(r)
	return s.render(w, p)
}

// login takes name and password. The session that the browser had before ends:
// nobody can have planted the one that follows.
func (s *Server) login(w http.ResponseWriter, r *http.Request) error {
	name, next := r.PostForm.Get("name"), local(r.PostForm.Get("next"))
	l, err := s.auth.Login(r.Context(), name, r.PostForm.Get("password"), client(r))
	s.metrics.login(err)
	if errors.Is(err, auth.ErrLogin) {
		p := web.LoginPage{Frame: s.frame(r, "Log in", ""), Name: name, Next: next}
		p.Problems.Add("", "%s", auth.ErrLogin)
		return s.web.Render(w, http.StatusUnauthorized, p)
	}
	if err != nil {
		return err
	}
	if err := s.endSession(r); err != nil {
		return err
	}
	setSession(w, sessionCookie, l)
	return see(w, r, afterLogin(l, next))
}

// afterLogin is where to go after a step of a login: on to next, or to another
// step, which knows next.
func afterLogin(l auth.Login, next string) string {
	if l.Purpose == auth.Full {
		return next
	}
	step := stepError{purpose: l.Purpose}.page()
	if next == "/" {
		return step
	}
	return step + "?" + url.Values{"next": {next}}.Encode()
}

// logout ends the session.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	if id := auth.IdentityOf(r.Context()); id.Session != "" {
		if err := checkForm(r, id); err != nil {
			return err
		}
	}
	if err := s.endSession(r); err != nil {
		return err
	}
	dropSession(w, sessionCookie)
	return see(w, r, "/login")
}

func (s *Server) endSession(r *http.Request) error {
	id := auth.IdentityOf(r.Context())
	if id.Session == "" {
		return nil
	}
	return s.auth.CloseSession(r.Context(), id.Session)
}

// passwordForm asks for a new password.
func (s *Server) passwordForm(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, s.passwordPage(r, nil))
}

func (s *Server) passwordPage(r *http.Request, problems form.Problems) web.PasswordPage {
	id := auth.IdentityOf(r.Context())
	p := web.PasswordPage{Frame: s.frame(r, "Change your password", "me"), Path: "/password", Name: id.Account,
		Next: local(r.FormValue("next")), Forced: !id.May(auth.Self)}
	p.Problems = problems
	return p
}

// password sets a new password and opens a full session.
func (s *Server) password(w http.ResponseWriter, r *http.Request) error {
	id := auth.IdentityOf(r.Context())
	password := r.PostFormValue("password")
	err := errPasswordsDiffer()
	var l auth.Login
	if password == r.PostFormValue("again") {
		l, err = s.auth.ChangePassword(r.Context(), id, r.PostFormValue("current"), password, client(r))
	}
	if problems, ok := form.From(err); ok {
		return s.web.Render(w, http.StatusUnprocessableEntity, s.passwordPage(r, problems))
	}
	if err != nil {
		return err
	}
	setSession(w, sessionCookie, l)
	return seeNotice(w, r, local(r.PostFormValue("next")), noticePassword)
}

func errPasswordsDiffer() error { return form.Fail("again", "the two new passwords differ") }

// secondFactorForm asks for a code.
func (s *Server) secondFactorForm(w http.ResponseWriter, r *http.Request) error {
	return s.render(w, s.secondFactorPage(r))
}

func (s *Server) secondFactorPage(r *http.Request) web.SecondFactorPage {
	return web.SecondFactorPage{Frame: s.frame(r, "Second factor", ""), Next: local(r.FormValue("next"))}
}

// secondFactor takes the code and opens a full session.
func (s *Server) secondFactor(w http.ResponseWriter, r *http.Request) error {
	l, err := s.auth.SecondFactor(r.Context(), auth.IdentityOf(r.Context()), r.PostForm.Get("code"), client(r))
	s.metrics.login(err)
	if errors.Is(err, auth.ErrLogin) {
		p := s.secondFactorPage(r)
		p.Problems.Add("code", "the code is wrong or was used already, or the account is locked")
		return s.web.Render(w, http.StatusUnauthorized, p)
	}
	if err != nil {
		return err
	}
	setSession(w, sessionCookie, l)
	return see(w, r, afterLogin(l, local(r.PostForm.Get("next"))))
}

// asset serves styles and scripts.
func (s *Server) asset(w http.ResponseWriter, r *http.Request) error {
	if !s.web.ServeAsset(w, r) {
		return errUnknown
	}
	return nil
}

func (s *Server) unknown(http.ResponseWriter, *http.Request) error { return errUnknown }
