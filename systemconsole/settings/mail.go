package settings

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/form"
)

// Mail is how mails are sent.
type Mail struct {
	Host     string `json:"host,omitempty"` // empty means that no mail is sent
	Port     int    `json:"port,omitempty"`
	Security string `json:"security,omitempty"` // tls, starttls or none
	From     string `json:"from,omitempty"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"` // wrapped
	CA       string `json:"ca,omitempty"`       // PEM, trusted besides the system's
	// URL is the address of the console in mailed links. It is never taken from
	// a request: who asks for a link to a forgotten password makes that up.
	URL string `json:"url,omitempty"`
}

// mailPlace is what the password of the mail server is sealed for.
const mailPlace = "settings.mail"

// mailTime is how long a mail may take to be sent.
const mailTime = 15 * time.Second

// check returns what is wrong with how mails are sent.
func (m Mail) check() form.Problems {
	var p form.Problems
	if m.Host == "" || strings.ContainsAny(m.Host, " /\r\n") {
		p.Add("host", "enter the name of the mail server")
	}
	if m.Port < 1 || m.Port > 65535 {
		p.Add("port", "choose 1 to 65535")
	}
	if !slices.Contains([]string{"tls", "starttls", "none"}, m.Security) {
		p.Add("security", "choose how the connection is protected")
	}
	if _, err := mail.ParseAddress(m.From); err != nil || strings.ContainsAny(m.From, "\r\n") {
		p.Add("from", "enter an address such as console@north.example")
	}
	if m.Security == "none" && m.Username != "" {
		p.Add("security", "a password is sent over a protected connection only")
	}
	if strings.ContainsAny(m.Username, "\r\n") {
		p.Add("username", "use one line")
	}
	checkCA(&p, "ca", m.CA)
	if u, err := url.Parse(m.URL); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		p.Add("url", "enter the https:// address that people reach the console at")
	}
	return p
}

// checkCA notes a text that is no PEM certificate; none is needed.
func checkCA(p *form.Problems, field, text string) {
	if text != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(text)) {
		p.Add(field, "this holds no certificate in PEM")
	}
}

// PrepareMail checks how mails are sent and seals the password that was
// entered. What it returns can be tried with Send before SetMail keeps it.
func (s *Service) PrepareMail(ctx context.Context, m Mail) (Mail, error) {
	current, err := s.Get(ctx)
	if err != nil {
		return m, err
	}
	if m == (Mail{}) {
		return m, nil // no mail from now on
	}
	p := m.check()
	if m.Username == "" {
		m.Password = ""
		return m, p.Err()
	}
	same := m.Host == current.Mail.Host && m.Username == current.Mail.Username
	m.Password, err = s.sealed(ctx, m.Password, current.Mail.Password, mailPlace, same)
	if m.Password == "" && err == nil {
		p.Add("password", "enter the password of %s at this server", m.Username)
	}
	return m, errors.Join(p.Err(), err)
}

// SetMail keeps what PrepareMail returned.
func (s *Service) SetMail(ctx context.Context, m Mail) error {
	return s.change(ctx, "settings.mail", func(to *Settings) error { to.Mail = m; return nil })
}

// Message is one mail.
type Message struct {
	To, Subject, Text string
}

// Send sends a mail the way that PrepareMail returned.
func (s *Service) Send(ctx context.Context, m Mail, msg Message) error {
	if m.Host == "" {
		return problem.New(problem.Usage, "set a mail server in the administration", "no mail can be sent")
	}
	client, err := s.mailClient(ctx, m)
	if err != nil {
		return err
	}
	out := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := out.From(m.From); err != nil {
		return fmt.Errorf("sender %s: %w", m.From, err)
	}
	if err := out.To(msg.To); err != nil {
		return problem.New(problem.Usage, "enter an address such as admin@north.example", "recipient: %w", err)
	}
	if strings.ContainsAny(msg.Subject, "\r\n") {
		return fmt.Errorf("the subject of a mail has more than one line")
	}
	out.Subject(msg.Subject)
	out.SetDate()
	out.SetMessageID()
	out.SetBodyString(gomail.TypeTextPlain, msg.Text)
	if err := client.DialAndSendWithContext(ctx, out); err != nil {
		return problem.WithRemedy(fmt.Errorf("sending mail through %s:%d: %w", m.Host, m.Port, err), "check address, port and protection of the mail server")
	}
	return nil
}

// mailClient reaches the mail server.
func (s *Service) mailClient(ctx context.Context, m Mail) (*gomail.Client, error) {
	config, err := TLS(m.CA)
	if err != nil {
		return nil, err
	}
	config.ServerName = m.Host
	opts := []gomail.Option{gomail.WithPort(m.Port), gomail.WithTimeout(mailTime), gomail.WithTLSConfig(config)}
	switch m.Security {
	case "tls":
		opts = append(opts, gomail.WithSSL())
	case "starttls":
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	default:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if m.Username != "" {
		password, err := s.opened(ctx, m.Password, mailPlace)
		if err != nil {
			return nil, err
		}
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(m.Username), gomail.WithPassword(password))
	}
	client, err := gomail.NewClient(m.Host, opts...)
	if err != nil {
		return nil, fmt.Errorf("preparing to send mail: %w", err)
	}
	return client, nil
}

// TLS trusts what the system trusts and the authorities of a PEM text.
func TLS(ca string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return config, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the authorities of the system: %w", err)
	}
	if !pool.AppendCertsFromPEM([]byte(ca)) {
		return nil, fmt.Errorf("reading an authority of the settings: it is no certificate in PEM")
	}
	config.RootCAs = pool
	return config, nil
}
