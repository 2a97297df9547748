package settings_test

import (
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/test/registries"
)

// inbox is a mail server's side: what arrives.
type inbox chan string

func (i inbox) NewSession(*smtp.Conn) (smtp.Session, error) { return session{i}, nil }

type session struct{ inbox inbox }

func (session) Reset()                               {}
func (session) Logout() error                        { return nil }
func (session) Mail(string, *smtp.MailOptions) error { return nil }
func (session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.inbox <- string(text)
	return err
}

func service(t *testing.T) *settings.Service {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	return settings.New(s, audit.New(s, audit.Options{}), keeper)
}

func TestMailArrives(t *testing.T) {
	authorityOf := registries.NewAuthority(t)
	arrived := make(inbox, 1)
	server := smtp.NewServer(arrived)
	server.TLSConfig = authorityOf.Server(time.Now().Add(time.Hour), false)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	pool, err := authority.Pool(authorityOf.File)
	require.NoError(t, err)

	s := service(t)
	m := settings.Mail{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, Security: "starttls", From: "console@north.example"}
	msg := settings.Message{To: "admin@north.example", Subject: "Test", Text: "It works."}
	require.NoError(t, s.Send(t.Context(), m, msg, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}))
	require.Contains(t, <-arrived, "It works.")
	require.ErrorContains(t, s.Send(t.Context(), m, msg, nil), "sending mail", "an authority that nobody trusts")
	require.Error(t, s.Send(t.Context(), m, settings.Message{To: "x\r\nBcc: y@z"}, nil))
}

func TestChecks(t *testing.T) {
	good := settings.Mail{Host: "mail.example", Port: 587, Security: "starttls", From: "a@b.example"}
	require.NoError(t, settings.CheckMail(good))
	for field, change := range map[string]func(*settings.Mail){
		"host": func(m *settings.Mail) { m.Host = "a b" }, "port": func(m *settings.Mail) { m.Port = 0 },
		"from": func(m *settings.Mail) { m.From = "nobody" }, "security": func(m *settings.Mail) { m.Security, m.Username = "none", "u" },
	} {
		m := good
		change(&m)
		p, ok := form.From(settings.CheckMail(m))
		require.True(t, ok, field)
		require.NotEmpty(t, p.Of(field), field)
	}
	require.NoError(t, settings.CheckGeneral(settings.Settings{}))
	for field, s := range map[string]settings.Settings{"banner": {Banner: strings.Repeat("x", 301)}, "session": {SessionMinutes: 5}, "log": {LogLevel: "loud"}} {
		p, ok := form.From(settings.CheckGeneral(s))
		require.True(t, ok, field)
		require.NotEmpty(t, p.Of(field), field)
	}
	require.NoError(t, settings.CheckBackup(settings.Backup{Folder: "/var/backups", Hours: 24}))
	require.Error(t, settings.CheckBackup(settings.Backup{Folder: "relative"}))
	require.Error(t, settings.CheckBackup(settings.Backup{Hours: 24}))
}

func TestChangeIsSeenAtOnce(t *testing.T) {
	s := service(t)
	got, err := s.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4*time.Hour, got.SessionLife())
	require.NoError(t, s.Change(t.Context(), "settings.change", func(to *settings.Settings) error { to.SessionMinutes = 30; return nil }))
	got, err = s.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 30*time.Minute, got.SessionLife())
	secret, err := s.SealPassword(t.Context(), "secret")
	require.NoError(t, err)
	require.NotContains(t, secret, "secret")
	opened, err := s.OpenPassword(t.Context(), settings.Mail{Password: secret})
	require.NoError(t, err)
	require.Equal(t, "secret", opened)
}
