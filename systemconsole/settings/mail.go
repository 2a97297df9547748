package settings

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/sealift/sealift/internal/problem"
)

// Message is one mail.
type Message struct {
	To, Subject, Text string
}

// Send sends a mail as the settings say. Config is for tests; nil trusts what
// the system trusts.
func (s *Service) Send(ctx context.Context, m Mail, msg Message, config *tls.Config) error {
	password, err := s.OpenPassword(ctx, m)
	if err != nil {
		return fmt.Errorf("opening the password of the mail server: %w", err)
	}
	opts := []mail.Option{mail.WithPort(m.Port), mail.WithTimeout(15 * time.Second)}
	if config != nil {
		opts = append(opts, mail.WithTLSConfig(config))
	}
	switch m.Security {
	case "tls":
		opts = append(opts, mail.WithSSL())
	case "starttls":
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory))
	default:
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	}
	if m.Username != "" {
		opts = append(opts, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(m.Username), mail.WithPassword(password))
	}
	client, err := mail.NewClient(m.Host, opts...)
	if err != nil {
		return fmt.Errorf("preparing to send mail: %w", err)
	}
	out := mail.NewMsg()
	if err := out.From(m.From); err != nil {
		return fmt.Errorf("sender %s: %w", m.From, err)
	}
	if err := out.To(msg.To); err != nil {
		return problem.New(problem.Usage, "enter an address such as admin@north.example", "recipient: %w", err)
	}
	out.Subject(msg.Subject)
	out.SetBodyString(mail.TypeTextPlain, msg.Text)
	if err := client.DialAndSendWithContext(ctx, out); err != nil {
		return problem.WithRemedy(fmt.Errorf("sending mail through %s:%d: %w", m.Host, m.Port, err), "check address, port and protection of the mail server")
	}
	return nil
}
