package systemconsole

import (
	"net/http"
	"net/url"

	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/web"
)

func (s *Server) mailPage(w http.ResponseWriter, r *http.Request) error {
	current, err := s.settings.Get(r.Context())
	if err != nil {
		return err
	}
	m := current.Mail
	if m.Host == "" {
		m = settings.Mail{Port: 587, Security: "starttls", URL: s.addressOf(r)}
	}
	return s.showMail(w, r, m, nil)
}

// addressOf is the console's address as a proposal for a form.
func (s *Server) addressOf(r *http.Request) string {
	if s.url != nil {
		return s.url.String()
	}
	return (&url.URL{Scheme: "https", Host: r.Host}).String()
}

func (s *Server) showMail(w http.ResponseWriter, r *http.Request, m settings.Mail, problems form.Problems) error {
	m.Password = ""
	p := web.MailPage{Frame: s.inAdministration(r, "Mail", problems), Tabs: administrationTabs("/administration/mail"),
		May: mayChangeSecurity(r), Set: s.current(r.Context()).Mail.Host != "", Mail: m, To: r.PostFormValue("to")}
	return s.web.Render(w, statusFor(problems), p)
}

// saveMail keeps how mails are sent, after a test mail when one was asked for:
// what does not work is not kept.
func (s *Server) saveMail(w http.ResponseWriter, r *http.Request) error {
	m := settings.Mail{Host: textIn(r, "host"), Port: numberIn(r, "port"), Security: textIn(r, "security"), From: textIn(r, "from"),
		Username: textIn(r, "username"), Password: r.PostFormValue("password"), CA: string(pemIn(r, "ca")), URL: textIn(r, "url")}
	to, notice := textIn(r, "to"), noticeSettings
	switch {
	case r.PostFormValue("off") != "":
		m, to, notice = settings.Mail{}, "", noticeMailOff
	case to != "":
		notice = noticeMailSent
	}
	err := s.setMail(r.Context(), m, to)
	if problems := problemsOf(err); problems != nil {
		return s.showMail(w, r, m, problems)
	}
	if err != nil {
		return err
	}
	return seeNotice(w, r, "/administration/mail", notice)
}
