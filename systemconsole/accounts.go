package systemconsole

import (
	"net/http"
	"net/url"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/web"
)

func mayAccounts(r *http.Request) bool { return auth.IdentityOf(r.Context()).May(auth.WriteAccounts) }

// inAccounts is the frame of a page below the list.
func (s *Server) inAccounts(r *http.Request, title string) web.Frame {
	f := s.frame(r, title, "accounts")
	f.Crumbs = []web.Link{{Text: "Accounts", Path: "/accounts"}}
	return f
}

func (s *Server) accountsPage(w http.ResponseWriter, r *http.Request) error {
	all, err := s.auth.Everybody(r.Context())
	if err != nil {
		return err
	}
	p := web.AccountsPage{Frame: s.frame(r, "Accounts", "accounts"), May: mayAccounts(r)}
	all, p.Pages = pageOf(all, r.FormValue("page"), rowsPerPage)
	p.Pages.Path = "/accounts"
	for _, item := range all {
		p.Accounts = append(p.Accounts, s.accountRow(*item))
	}
	return s.render(w, p)
}

func (s *Server) accountRow(item store.Item[auth.Account]) web.AccountRow {
	status := web.Status{State: web.Good, Text: "Active"}
	switch a := item.Value; {
	case a.Disabled:
		status = web.Status{State: web.Warn, Text: "Disabled"}
	case a.Lock.Locked(s.now()):
		status = web.Status{State: web.Bad, Text: "Locked"}
	case a.Credential.Hash == "":
		status = web.Status{Text: "Not active yet"}
	}
	return web.AccountRow{Item: item, Status: status, Locked: item.Value.Lock.Locked(s.now())}
}

// roles are the choices that an identity has for others.
func roles(id auth.Identity) []web.Option {
	texts := map[auth.Role]string{auth.Root: "Root: everything", auth.Operations: "Operations: tenants, cluster, registries, settings",
		auth.AccountAdmin: "Account administrator: accounts"}
	var out []web.Option
	for _, role := range auth.Roles() {
		if role != auth.Root || id.Role == auth.Root {
			out = append(out, web.Option{Value: string(role), Text: texts[role]})
		}
	}
	return out
}

func (s *Server) newAccount(w http.ResponseWriter, r *http.Request) error {
	return s.showNewAccount(w, r, auth.Draft{Role: auth.Operations}, nil)
}

func (s *Server) showNewAccount(w http.ResponseWriter, r *http.Request, d auth.Draft, problems form.Problems) error {
	p := web.NewAccountPage{Frame: s.inAccounts(r, "New account"), Draft: d, Roles: roles(auth.IdentityOf(r.Context()))}
	p.Problems = problems
	return s.web.Render(w, statusFor(problems), p)
}

func accountDraft(r *http.Request, name string) auth.Draft {
	return auth.Draft{Name: name, FullName: r.PostForm.Get("fullName"), Email: r.PostForm.Get("email"), Role: auth.Role(r.PostForm.Get("role"))}
}

// createAccount shows the link once.
func (s *Server) createAccount(w http.ResponseWriter, r *http.Request) error {
	d := accountDraft(r, r.PostForm.Get("name"))
	secret, err := s.auth.CreateAccount(r.Context(), auth.IdentityOf(r.Context()), d)
	if problems := problemsOf(err); problems != nil {
		return s.showNewAccount(w, r, d, problems)
	}
	if err != nil {
		return err
	}
	return s.showAccountLink(w, r, d.Name, secret)
}

func (s *Server) showAccountLink(w http.ResponseWriter, r *http.Request, name, secret string) error {
	l, err := s.handAccountLink(r, name, secret)
	if err != nil {
		return err
	}
	return s.render(w, web.LinkMadePage{Frame: s.inAccounts(r, "Link for "+name), URL: l.URL, SentTo: l.SentTo, Failure: l.Failure,
		Whom: "the owner of the account", Back: web.Link{Text: "Back to the account", Path: accountPath(name)}})
}

func accountPath(name string) string { return "/accounts/" + url.PathEscape(name) }

func (s *Server) accountPage(w http.ResponseWriter, r *http.Request) error {
	return s.showAccount(w, r, nil, nil)
}

// showAccount shows an account with what was wrong with a form on its page.
func (s *Server) showAccount(w http.ResponseWriter, r *http.Request, entered *auth.Draft, problems form.Problems) error {
	item, err := s.auth.Account(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	id := auth.IdentityOf(r.Context())
	may := mayAccounts(r) && (item.Value.Role != auth.Root || id.Role == auth.Root)
	p := web.AccountPage{Frame: s.inAccounts(r, item.Name), May: may, Own: item.Name == id.Account, Account: s.accountRow(item), Roles: roles(id),
		Draft: auth.Draft{Name: item.Name, FullName: item.Value.FullName, Email: item.Value.Email, Role: item.Value.Role}}
	if entered != nil {
		p.Draft = *entered
	}
	p.Problems = problems
	return s.web.Render(w, statusFor(problems), p)
}

// accountDone ends a change of an account: with a notice, or with what was wrong.
func (s *Server) accountDone(w http.ResponseWriter, r *http.Request, entered *auth.Draft, err error) error {
	if problems := problemsOf(err); problems != nil {
		return s.showAccount(w, r, entered, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, accountPath(r.PathValue("name")), noticeAccount)
}

func (s *Server) updateAccount(w http.ResponseWriter, r *http.Request) error {
	d := accountDraft(r, r.PathValue("name"))
	return s.accountDone(w, r, &d, s.auth.UpdateAccount(r.Context(), auth.IdentityOf(r.Context()), d))
}

func (s *Server) disableAccount(w http.ResponseWriter, r *http.Request) error {
	return s.accountDone(w, r, nil, s.auth.DisableAccount(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name")))
}

func (s *Server) enableAccount(w http.ResponseWriter, r *http.Request) error {
	return s.accountDone(w, r, nil, s.auth.EnableAccount(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name")))
}

func (s *Server) resetAccount(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	secret, err := s.auth.ResetAccount(r.Context(), auth.IdentityOf(r.Context()), name, r.PostForm.Get("factor") != "")
	if err != nil {
		return s.accountDone(w, r, nil, err)
	}
	return s.showAccountLink(w, r, name, secret)
}

func (s *Server) confirmDeleteAccount(w http.ResponseWriter, r *http.Request) error {
	item, err := s.auth.Account(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	path := accountPath(item.Name)
	f := s.inAccounts(r, "Delete account "+item.Name)
	f.Crumbs = append(f.Crumbs, web.Link{Text: item.Name, Path: path})
	return s.render(w, web.ConfirmPage{Frame: f, Question: "This cannot be undone.",
		Detail: []string{"The owner of " + item.Name + " is logged out, and can no longer log in.", "Programs that have a token of the account can do nothing with it any more.", "The audit record keeps what was done with it."},
		Action: path + "/delete", Button: "Delete the account", Back: path})
}

func (s *Server) deleteAccount(w http.ResponseWriter, r *http.Request) error {
	err := s.auth.DeleteAccount(r.Context(), auth.IdentityOf(r.Context()), r.PathValue("name"))
	if err != nil {
		return s.accountDone(w, r, nil, err)
	}
	return seeNotice(w, r, "/accounts", noticeAccountDeleted)
}

// problemsOf returns the problems in the chain of err, or nil.
func problemsOf(err error) form.Problems {
	problems, _ := form.From(err) // none when it is no such error
	return problems
}
