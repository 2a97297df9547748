package systemconsole

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/web"
)

// banner is on top of every page. A store that does not answer shows none: the
// page itself tells.
func (s *Server) banner(ctx context.Context) string {
	current, _ := s.settings.Get(ctx) // the last known where the store fails
	return current.Banner
}

func (s *Server) sessionLife(ctx context.Context) time.Duration {
	current, _ := s.settings.Get(ctx) // as above
	return current.SessionLife()
}

func mayChangeSettings(r *http.Request) bool {
	return auth.IdentityOf(r.Context()).May(auth.WriteSettings)
}

func administrationTabs(current string) []web.Tab {
	tabs := []web.Tab{
		{Text: "General", Path: "/administration"},
		{Text: "Mail", Path: "/administration/mail"},
		{Text: "Certificate", Path: "/administration/certificate"},
		{Text: "Backup", Path: "/administration/backup"},
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
	return s.showAdministration(w, r, current, nil)
}

func (s *Server) showAdministration(w http.ResponseWriter, r *http.Request, current settings.Settings, problems form.Problems) error {
	p := web.AdministrationPage{Frame: s.frame(r, "Administration", "administration"), Tabs: administrationTabs("/administration"),
		May: mayChangeSettings(r), Settings: current, Session: int(current.SessionLife() / time.Minute)}
	if p.Settings.LogLevel == "" {
		p.Settings.LogLevel = "info"
	}
	p.Problems = problems
	return s.web.Render(w, statusFor(problems), p)
}

func (s *Server) saveAdministration(w http.ResponseWriter, r *http.Request) error {
	wanted := settings.Settings{Banner: strings.TrimSpace(r.PostFormValue("banner")), LogLevel: r.PostFormValue("log"), SessionMinutes: numberIn(r, "session")}
	if problems := problemsOf(settings.CheckGeneral(wanted)); problems != nil {
		return s.showAdministration(w, r, wanted, problems)
	}
	err := s.settings.Change(r.Context(), "settings.general", func(to *settings.Settings) error {
		to.Banner, to.LogLevel, to.SessionMinutes = wanted.Banner, wanted.LogLevel, wanted.SessionMinutes
		return nil
	})
	if err != nil {
		return err
	}
	if s.opts.Level != nil {
		s.opts.Level.Set(wanted.Level())
	}
	return seeNotice(w, r, "/administration", noticeSettings)
}

// numberIn reads a number of a form; -1, which no check lets pass, for what is
// none.
func numberIn(r *http.Request, field string) int {
	n, err := strconv.Atoi(r.PostFormValue(field))
	if err != nil {
		return -1
	}
	return n
}

func (s *Server) mailPage(w http.ResponseWriter, r *http.Request) error {
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return err
	}
	m := current.Mail
	if m.Host == "" {
		m = settings.Mail{Port: 587, Security: "starttls"}
	}
	return s.showMail(w, r, m, nil)
}

func (s *Server) showMail(w http.ResponseWriter, r *http.Request, m settings.Mail, problems form.Problems) error {
	p := web.MailPage{Frame: s.inAdministration(r, "Mail", problems), Tabs: administrationTabs("/administration/mail"), May: mayChangeSettings(r), Mail: m, To: r.PostFormValue("to")}
	return s.web.Render(w, statusFor(problems), p)
}

// saveMail keeps how mails are sent, after a test mail when one was asked for:
// what does not work is not kept.
func (s *Server) saveMail(w http.ResponseWriter, r *http.Request) error {
	text := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	m := settings.Mail{Host: text("host"), Port: numberIn(r, "port"), Security: text("security"), From: text("from"), Username: text("username")}
	problems := problemsOf(settings.CheckMail(m))
	if problems != nil {
		return s.showMail(w, r, m, problems)
	}
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return err
	}
	m.Password = current.Mail.Password
	if r.PostFormValue("password") != "" || m.Username == "" || m.Host != current.Mail.Host {
		// A password belongs to its server: it never goes to another one.
		if m.Password, err = s.settings.SealPassword(r.Context(), r.PostFormValue("password")); err != nil {
			return err
		}
	}
	notice := noticeSettings
	if to := text("to"); to != "" {
		msg := settings.Message{To: to, Subject: "Test of the sealift console", Text: "The console can send mail.\n"}
		if err := s.settings.Send(r.Context(), m, msg, nil); err != nil {
			return s.showMail(w, r, m, form.Problems{{Field: "to", Text: err.Error()}})
		}
		notice = noticeMailSent
	}
	if err := s.settings.Change(r.Context(), "settings.mail", func(to *settings.Settings) error { to.Mail = m; return nil }); err != nil {
		return err
	}
	return seeNotice(w, r, "/administration/mail", notice)
}

func (s *Server) backupPage(w http.ResponseWriter, r *http.Request) error {
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return err
	}
	return s.showBackup(w, r, current.Backup, nil)
}

func (s *Server) showBackup(w http.ResponseWriter, r *http.Request, b settings.Backup, problems form.Problems) error {
	p := web.BackupPage{Frame: s.inAdministration(r, "Backup", problems), Tabs: administrationTabs("/administration/backup"), May: mayChangeSettings(r), Backup: b}
	if p.Backup.Keep == 0 {
		p.Backup.Keep = defaultKeep
	}
	var err error
	if b.Folder != "" && problems == nil {
		p.Files, err = backup.Files(b.Folder)
	}
	if err != nil {
		return err
	}
	return s.web.Render(w, statusFor(problems), p)
}

// saveBackup keeps where backups go, and writes one there to prove it.
func (s *Server) saveBackup(w http.ResponseWriter, r *http.Request) error {
	b := settings.Backup{Folder: strings.TrimSpace(r.PostFormValue("folder")), Hours: numberIn(r, "hours"), Keep: numberIn(r, "keep")}
	if problems := problemsOf(settings.CheckBackup(b)); problems != nil {
		return s.showBackup(w, r, b, problems)
	}
	if b.Folder != "" {
		err := s.audit.Do(r.Context(), audit.Event{Action: "backup.write", Object: "Backup", After: b}, func() error { return s.writeBackup(r.Context(), b) })
		if err != nil {
			return s.showBackup(w, r, b, form.Problems{{Field: "folder", Text: err.Error()}})
		}
	}
	if err := s.settings.Change(r.Context(), "settings.backup", func(to *settings.Settings) error { to.Backup = b; return nil }); err != nil {
		return err
	}
	return seeNotice(w, r, "/administration/backup", noticeBackup)
}
