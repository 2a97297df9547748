// Package mails starts mail servers: what the console sends arrives there.
package mails

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/registries"
)

// Mail is one that arrived.
type Mail struct {
	From      string
	To        []string
	User      string // who logged in
	Protected bool   // by TLS
	Text      string // with its headers
}

// Server is a mail server on 127.0.0.1.
type Server struct {
	Port    int
	CA      string // PEM of the authority that answers for it
	Arrived chan Mail
	users   map[string]string
}

// Start starts a server with TLS from the first byte ("tls"), with STARTTLS
// ("starttls") or with neither ("none"). With users, names and passwords, it
// takes mail from them only.
func Start(t testing.TB, secured string, users map[string]string) *Server {
	t.Helper()
	authority := registries.NewAuthority(t)
	config := authority.Server(time.Now().Add(time.Hour), false)
	ca, err := os.ReadFile(authority.File)
	require.NoError(t, err)
	s := &Server{Arrived: make(chan Mail, 16), CA: string(ca), users: users}
	server := smtp.NewServer(s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.Port = listener.Addr().(*net.TCPAddr).Port
	switch secured {
	case "tls":
		listener = tls.NewListener(listener, config)
	case "starttls":
		server.TLSConfig = config
	}
	go func() { _ = server.Serve(listener) }() // until it is closed
	t.Cleanup(func() { _ = server.Close() })
	return s
}

// NewSession implements smtp.Backend.
func (s *Server) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

type session struct {
	server *Server
	conn   *smtp.Conn
	mail   Mail
	user   string
}

var errUser = errors.New("log in first")

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string {
	if s.server.users == nil {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if want, ok := s.server.users[user]; !ok || want != password {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.mail = Mail{} }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.users != nil && s.user == "" {
		return errUser
	}
	_, protected := s.conn.TLSConnectionState()
	s.mail = Mail{From: from, User: s.user, Protected: protected}
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.To = append(s.mail.To, to)
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.mail.Text = string(text)
	s.server.Arrived <- s.mail
	return nil
}
