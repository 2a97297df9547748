package systemconsole

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/web"
)

func (s *Server) me(w http.ResponseWriter, r *http.Request) error {
	return s.showMe(w, r, auth.NewToken{Days: 90}, nil)
}

// sessionsPerPage is how many sessions the own page shows.
const sessionsPerPage = 10

// ownFirst orders the session of this request before others.
func ownFirst(own string, a, b store.Item[auth.Session]) int {
	switch own {
	case a.Name:
		return -1
	case b.Name:
		return 1
	default:
		return 0
	}
}

// showMe shows the own account with what was wrong with a form on its page.
func (s *Server) showMe(w http.ResponseWriter, r *http.Request, n auth.NewToken, problems form.Problems) error {
	id := auth.IdentityOf(r.Context())
	p := web.MePage{Frame: s.frame(r, "My account", "me"), Current: id.Session, Scopes: id.Permissions, NewToken: n}
	p.Problems = problems
	var err error
	if p.Account, err = s.auth.Account(r.Context(), id.Account); err != nil {
		return err
	}
	sessions, err := s.auth.Sessions(r.Context(), id.Account)
	if err != nil {
		return err
	}
	slices.SortStableFunc(sessions, func(a, b store.Item[auth.Session]) int {
		return cmp.Or(ownFirst(id.Session, a, b), b.Value.Created.Compare(a.Value.Created))
	})
	p.Sessions, p.Pages = pageOf(sessions, r.FormValue("page"), sessionsPerPage)
	p.Pages.Path = "/me"
	if p.Tokens, err = s.auth.Tokens(r.Context(), id.Account); err != nil {
		return err
	}
	return s.web.Render(w, statusFor(problems), p)
}

// meDone ends a change on the own page: with a notice, or with what was wrong.
func (s *Server) meDone(w http.ResponseWriter, r *http.Request, err error, word string) error {
	if problems := problemsOf(err); problems != nil {
		return s.showMe(w, r, auth.NewToken{Days: 90}, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/me", word)
}

func (s *Server) beginFactor(w http.ResponseWriter, r *http.Request) error {
	if err := s.auth.BeginFactor(r.Context(), auth.IdentityOf(r.Context())); err != nil {
		return err
	}
	return see(w, r, "/me/second-factor")
}

func (s *Server) factorPage(w http.ResponseWriter, r *http.Request) error {
	return s.showFactor(w, r, nil)
}

func (s *Server) showFactor(w http.ResponseWriter, r *http.Request, problems form.Problems) error {
	setup, err := s.auth.FactorSetup(r.Context(), auth.IdentityOf(r.Context()))
	if err != nil {
		return err
	}
	p := web.FactorPage{Frame: s.frame(r, "Set up the second factor", "me"), Setup: setup}
	p.Problems = problems
	return s.web.Render(w, statusFor(problems), p)
}

// factorPicture is the key as a picture, at an address of its own: a page may
// hold none inline.
func (s *Server) factorPicture(w http.ResponseWriter, r *http.Request) error {
	setup, err := s.auth.FactorSetup(r.Context(), auth.IdentityOf(r.Context()))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "image/png")
	_, _ = w.Write(setup.PNG) // a client that went away is told nothing
	return nil
}

func (s *Server) confirmFactor(w http.ResponseWriter, r *http.Request) error {
	codes, err := s.auth.ConfirmFactor(r.Context(), auth.IdentityOf(r.Context()), r.PostForm.Get("current"), r.PostForm.Get("code"))
	if problems := problemsOf(err); problems != nil {
		return s.showFactor(w, r, problems)
	}
	if err != nil {
		return err
	}
	return s.render(w, web.ShownOncePage{Frame: s.frame(r, "Recovery codes", "me"), Secrets: codes, Back: web.Link{Text: "Back to my account", Path: "/me"},
		Text: "The second factor is on. Each of these codes takes the place of the authenticator once: keep them where you find them without it."})
}

func (s *Server) removeFactor(w http.ResponseWriter, r *http.Request) error {
	return s.meDone(w, r, s.auth.RemoveFactor(r.Context(), auth.IdentityOf(r.Context()), r.PostForm.Get("current")), noticeFactorOff)
}

func (s *Server) endOwnSession(w http.ResponseWriter, r *http.Request) error {
	return s.meDone(w, r, s.auth.RevokeSession(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name")), noticeRevoked)
}

func (s *Server) makeToken(w http.ResponseWriter, r *http.Request) error {
	n := auth.NewToken{Label: r.PostForm.Get("label")}
	n.Days, _ = strconv.Atoi(r.PostForm.Get("days")) // 0 is refused with the rest
	for _, scope := range r.PostForm["scopes"] {
		n.Scopes = append(n.Scopes, auth.Permission(scope))
	}
	text, _, err := s.auth.CreateToken(r.Context(), auth.IdentityOf(r.Context()), n)
	if problems := problemsOf(err); problems != nil {
		return s.showMe(w, r, n, problems)
	}
	if err != nil {
		return err
	}
	return s.render(w, web.ShownOncePage{Frame: s.frame(r, "New token", "me"), Secrets: []string{text}, Back: web.Link{Text: "Back to my account", Path: "/me"},
		Text: "Give this token to the program, in a file or in SEALIFT_TOKEN."})
}

func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	return s.meDone(w, r, s.auth.RevokeToken(r.Context(), auth.IdentityOf(r.Context()).Account, r.PathValue("name")), noticeRevoked)
}
