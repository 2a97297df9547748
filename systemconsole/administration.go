package systemconsole

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/web"
)

// current returns the settings for what every request needs of them. A store
// that does not answer gives the last known: the page itself tells.
func (s *Server) current(ctx context.Context) settings.Settings {
	current, _ := s.settings.Get(ctx) // as said above
	return current
}

func (s *Server) policy(ctx context.Context) auth.Policy { return s.current(ctx).Policy }

func mayChangeSettings(r *http.Request) bool {
	return auth.IdentityOf(r.Context()).May(auth.WriteSettings)
}

func mayChangeSecurity(r *http.Request) bool {
	return auth.IdentityOf(r.Context()).May(auth.WriteSecurity)
}

func administrationTabs(current string) []web.Tab {
	tabs := []web.Tab{
		{Text: "General", Path: "/administration"},
		{Text: "Sign-in", Path: "/administration/security"},
		{Text: "Mail", Path: "/administration/mail"},
		{Text: "Proxy", Path: "/administration/proxy"},
		{Text: "Certificate", Path: "/administration/certificate"},
		{Text: "Backup", Path: backupsPath},
		{Text: "Master key", Path: masterKeyPath},
	}
	for i := range tabs {
		tabs[i].Current = tabs[i].Path == current
	}
	return tabs
}

// inAdministration is the frame of a page below the administration's.
func (s *Server) inAdministration(r *http.Request, title string, problems form.Problems) web.Frame {
	f := s.frame(r, title, "administration")
	f.Crumbs = []web.Link{{Text: "Administration", Path: "/administration"}}
	f.Problems = problems
	return f
}

func (s *Server) administrationPage(w http.ResponseWriter, r *http.Request) error {
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return err
	}
	return s.showAdministration(w, r, current.General(), nil)
}

func (s *Server) showAdministration(w http.ResponseWriter, r *http.Request, g settings.General, problems form.Problems) error {
	p := web.AdministrationPage{Frame: s.frame(r, "Administration", "administration"), Tabs: administrationTabs("/administration"),
		May: mayChangeSettings(r), General: g}
	if p.General.LogLevel == "" {
		p.General.LogLevel = "info"
	}
	p.Problems = problems
	return s.web.Render(w, statusFor(problems), p)
}

func (s *Server) saveAdministration(w http.ResponseWriter, r *http.Request) error {
	g := settings.General{Banner: r.PostFormValue("banner"), LogLevel: r.PostFormValue("logLevel")}
	err := s.setGeneral(r.Context(), g)
	if problems := problemsOf(err); problems != nil {
		return s.showAdministration(w, r, g, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/administration", noticeSettings)
}

// setGeneral keeps the banner and the level of the log, which this process has
// at once.
func (s *Server) setGeneral(ctx context.Context, g settings.General) error {
	if err := s.settings.SetGeneral(ctx, g); err != nil {
		return err
	}
	s.setLevel(ctx)
	return nil
}

func (s *Server) securityPage(w http.ResponseWriter, r *http.Request) error {
	return s.showSecurity(w, r, s.auth.Policy(r.Context()), nil)
}

func (s *Server) showSecurity(w http.ResponseWriter, r *http.Request, p auth.Policy, problems form.Problems) error {
	page := web.SecurityPage{Frame: s.inAdministration(r, "Sign-in", problems), Tabs: administrationTabs("/administration/security"),
		May: mayChangeSecurity(r), Policy: p}
	return s.web.Render(w, statusFor(problems), page)
}

func (s *Server) saveSecurity(w http.ResponseWriter, r *http.Request) error {
	p := auth.Policy{Length: numberIn(r, "length"), Classes: numberIn(r, "classes"), History: numberIn(r, "history"), ExpiryDays: numberIn(r, "expiryDays"),
		LockTries: numberIn(r, "lockTries"), LockMinutes: numberIn(r, "lockMinutes"), SessionMinutes: numberIn(r, "sessionMinutes"),
		IdleMinutes: numberIn(r, "idleMinutes"), Sessions: numberIn(r, "sessions")}
	err := s.settings.SetPolicy(r.Context(), p)
	if problems := problemsOf(err); problems != nil {
		return s.showSecurity(w, r, p, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/administration/security", noticeSettings)
}

func (s *Server) proxyPage(w http.ResponseWriter, r *http.Request) error {
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return err
	}
	return s.showProxy(w, r, current.Proxy, nil)
}

func (s *Server) showProxy(w http.ResponseWriter, r *http.Request, p settings.Proxy, problems form.Problems) error {
	p.Password = ""
	page := web.ProxyPage{Frame: s.inAdministration(r, "Proxy", problems), Tabs: administrationTabs("/administration/proxy"), May: mayChangeSettings(r), Proxy: p}
	return s.web.Render(w, statusFor(problems), page)
}

func (s *Server) saveProxy(w http.ResponseWriter, r *http.Request) error {
	p := settings.Proxy{HTTP: textIn(r, "http"), HTTPS: textIn(r, "https"), None: textIn(r, "noProxy"), Username: textIn(r, "username"), Password: r.PostFormValue("password")}
	err := s.settings.SetProxy(r.Context(), p)
	if problems := problemsOf(err); problems != nil {
		return s.showProxy(w, r, p, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/administration/proxy", noticeSettings)
}

// textIn reads a line of a form.
func textIn(r *http.Request, field string) string { return strings.TrimSpace(r.PostFormValue(field)) }

// numberIn reads a number of a form; -1, which no check lets pass, for what is
// none.
func numberIn(r *http.Request, field string) int {
	n, err := strconv.Atoi(r.PostFormValue(field))
	if err != nil {
		return -1
	}
	return n
}
