package settings_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/settings"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/test/mails"
)

func service(t *testing.T) *settings.Service {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	return settings.New(s, audit.New(s, audit.Options{}), keeper)
}

// mailer is a mail server for one test and the settings that reach it.
func mailer(t *testing.T, secured string, users map[string]string) (settings.Mail, *mails.Server) {
	t.Helper()
	server := mails.Start(t, secured, users)
	return settings.Mail{Host: "127.0.0.1", Port: server.Port, Security: secured, From: "console@north.example", CA: server.CA,
		URL: "https://console.north.example"}, server
}

func TestMailArrives(t *testing.T) {
	for _, secured := range []string{"starttls", "tls", "none"} {
		t.Run(secured, func(t *testing.T) {
			s := service(t)
			m, server := mailer(t, secured, nil)
			m, err := s.PrepareMail(t.Context(), m)
			require.NoError(t, err)
			require.NoError(t, s.Send(t.Context(), m, settings.Message{To: "admin@north.example", Subject: "Test", Text: "It works."}))
			got := <-server.Arrived
			require.Contains(t, got.Text, "It works.")
			require.Equal(t, []string{"admin@north.example"}, got.To)
			require.Equal(t, secured != "none", got.Protected)
			if secured == "none" {
				return
			}
			m.CA = ""
			require.ErrorContains(t, s.Send(t.Context(), m, settings.Message{To: "admin@north.example"}), "sending mail", "an authority that nobody trusts")
		})
	}
}

func TestMailWithAPassword(t *testing.T) {
	s := service(t)
	m, server := mailer(t, "starttls", map[string]string{"console": "Hush-1"})
	msg := settings.Message{To: "admin@north.example", Subject: "Test", Text: "x"}
	require.Error(t, s.Send(t.Context(), m, msg), "the server wants a user")
	m.Username, m.Password = "console", "wrong"
	wrong, err := s.PrepareMail(t.Context(), m)
	require.NoError(t, err)
	require.Error(t, s.Send(t.Context(), wrong, msg))
	m.Password = "Hush-1"
	right, err := s.PrepareMail(t.Context(), m)
	require.NoError(t, err)
	require.NotContains(t, right.Password, "Hush")
	require.NoError(t, s.Send(t.Context(), right, msg))
	require.Equal(t, "console", (<-server.Arrived).User)

	// Kept for the same server and user, and for no other.
	require.NoError(t, s.SetMail(t.Context(), right))
	m.Password = ""
	kept, err := s.PrepareMail(t.Context(), m)
	require.NoError(t, err)
	require.NoError(t, s.Send(t.Context(), kept, msg))
	for name, change := range map[string]func(*settings.Mail){"host": func(m *settings.Mail) { m.Host = "elsewhere.example" }, "user": func(m *settings.Mail) { m.Username = "other" }} {
		other := m
		change(&other)
		_, err = s.PrepareMail(t.Context(), other)
		p, _ := form.From(err)
		require.NotEmpty(t, p.Of("password"), name)
	}
}

// A server that does not offer STARTTLS gets nothing, also not in the clear.
func TestMailIsNotDowngraded(t *testing.T) {
	s := service(t)
	m, server := mailer(t, "none", nil)
	m.Security = "starttls"
	require.Error(t, s.Send(t.Context(), m, settings.Message{To: "admin@north.example", Subject: "Test", Text: "secret link"}))
	require.Empty(t, server.Arrived)
}

func TestMailHeadersCannotBeInjected(t *testing.T) {
	s := service(t)
	m, server := mailer(t, "none", nil)
	for _, msg := range []settings.Message{
		{To: "x@north.example\r\nBcc: y@z.example", Subject: "Test"}, {To: "x@north.example, y@z.example", Subject: "Test"},
		{To: "x@north.example", Subject: "Test\r\nBcc: y@z.example"}, {To: "<x@north.example>\nX: y", Subject: "Test"},
	} {
		require.Error(t, s.Send(t.Context(), m, msg), "%q", msg)
	}
	require.Empty(t, server.Arrived)
}

func TestChecks(t *testing.T) {
	s := service(t)
	good := settings.Mail{Host: "mail.example", Port: 587, Security: "starttls", From: "a@b.example", URL: "https://c.example"}
	_, err := s.PrepareMail(t.Context(), good)
	require.NoError(t, err)
	for field, change := range map[string]func(*settings.Mail){
		"host": func(m *settings.Mail) { m.Host = "a b" }, "port": func(m *settings.Mail) { m.Port = 0 },
		"from": func(m *settings.Mail) { m.From = "a@b.example\r\nBcc: c@d.example" }, "security": func(m *settings.Mail) { m.Security, m.Username = "none", "u" },
		"ca": func(m *settings.Mail) { m.CA = "-----BEGIN NOTHING-----" }, "url": func(m *settings.Mail) { m.URL = "http://c.example" },
		"username": func(m *settings.Mail) { m.Username = "a\nb" },
	} {
		m := good
		change(&m)
		_, err := s.PrepareMail(t.Context(), m)
		fails(t, err, field)
	}
	fails(t, s.SetGeneral(t.Context(), settings.General{Banner: strings.Repeat("x", 301)}), "banner")
	fails(t, s.SetGeneral(t.Context(), settings.General{LogLevel: "loud"}), "logLevel")
	fails(t, s.SetPolicy(t.Context(), auth.Policy{Length: 300}), "length")
}

func fails(t *testing.T, err error, field string) {
	t.Helper()
	p, ok := form.From(err)
	require.True(t, ok, "%s: %v", field, err)
	require.NotEmpty(t, p.Of(field), "%s: %v", field, err)
}

func TestBackupChecks(t *testing.T) {
	s := service(t)
	bucket := settings.S3{Endpoint: "https://s3.example", Bucket: "backups", Prefix: "/a/b", AccessKey: "key", SecretKey: "Hush-2"}
	b, err := s.PrepareBackup(t.Context(), settings.Backup{Folder: "/var/backups", Hours: 24, S3: bucket})
	require.NoError(t, err)
	require.Equal(t, "a/b/", b.S3.Prefix)
	require.NotContains(t, b.S3.SecretKey, "Hush")
	require.NoError(t, s.SetBackup(t.Context(), b))
	for field, change := range map[string]func(*settings.Backup){
		"folder": func(b *settings.Backup) { b.Folder = "relative" }, "hours": func(b *settings.Backup) { b.Hours = 1000 }, "keep": func(b *settings.Backup) { b.Keep = -1 },
		"endpoint": func(b *settings.Backup) { b.S3.Endpoint = "http://s3.example" }, "bucket": func(b *settings.Backup) { b.S3.Bucket = "No Bucket" },
		"prefix": func(b *settings.Backup) { b.S3.Prefix = "../.. " }, "accessKey": func(b *settings.Backup) { b.S3.AccessKey = "" },
		"ca": func(b *settings.Backup) { b.S3.CA = "x" }, "secretKey": func(b *settings.Backup) { b.S3.SecretKey, b.S3.Endpoint = "", "https://elsewhere.example" },
		"region": func(b *settings.Backup) { b.S3.Region = "a b" },
	} {
		b := settings.Backup{Folder: "/var/backups", S3: bucket}
		change(&b)
		_, err := s.PrepareBackup(t.Context(), b)
		fails(t, err, field)
	}
	_, err = s.PrepareBackup(t.Context(), settings.Backup{Hours: 24})
	fails(t, err, "folder")
}

func TestProxyChecks(t *testing.T) {
	s := service(t)
	good := settings.Proxy{HTTPS: "http://proxy.example:3128", Username: "u", Password: "Hush-3", None: ".inside.example"}
	require.NoError(t, s.SetProxy(t.Context(), good))
	request := func(address string) string {
		r := httptest.NewRequestWithContext(t.Context(), "GET", address, nil)
		u, err := s.Proxy(r)
		require.NoError(t, err)
		if u == nil {
			return ""
		}
		return u.String()
	}
	require.Equal(t, "http://u:Hush-3@proxy.example:3128", request("https://registry.example/v2/"))
	require.Empty(t, request("https://registry.inside.example/v2/"))
	require.Empty(t, request("http://registry.example/v2/"), "none is set for http")
	for field, p := range map[string]settings.Proxy{
		"https": {HTTPS: "socks5://x"}, "http": {HTTP: "http://user:secret@proxy.example"}, "noProxy": {None: "a\r\nb"}, "username": {Username: "u"},
		"password": {HTTPS: "http://elsewhere.example:3128", Username: "u"},
	} {
		fails(t, s.SetProxy(t.Context(), p), field)
	}
	current, err := s.Get(t.Context())
	require.NoError(t, err)
	shown, err := json.Marshal(current.Audit())
	require.NoError(t, err)
	require.NotContains(t, string(shown), current.Proxy.Password)
}

func TestChangeIsSeenAtOnce(t *testing.T) {
	s := service(t)
	got, err := s.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 240, got.Policy.Effective().SessionMinutes)
	require.NoError(t, s.SetPolicy(t.Context(), auth.Policy{SessionMinutes: 30}))
	got, err = s.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, 30, got.Policy.Effective().SessionMinutes)
}

// A form that leaves a secret as it is keeps the one that a rotation wrapped
// anew, not the one that pages knew a moment ago.
func TestSecretsOfARotationAreKept(t *testing.T) {
	s := service(t)
	p := settings.Proxy{HTTPS: "http://proxy.example:3128", Username: "u", Password: "Hush-3"}
	require.NoError(t, s.SetProxy(t.Context(), p))
	before, err := s.Get(t.Context())
	require.NoError(t, err)
	n, err := s.Rewrap(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
	p.Password = ""
	require.NoError(t, s.SetProxy(t.Context(), p))
	after, err := s.Get(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, after.Proxy.Password)
	require.NotEqual(t, before.Proxy.Password, after.Proxy.Password)
}

// away is a store that does not answer when it is told so.
type away struct {
	store.Store
	off atomic.Bool
}

func (a *away) Get(ctx context.Context, kind, name string) (store.Object, error) {
	if a.off.Load() {
		return store.Object{}, errors.New("no route to host")
	}
	return a.Store.Get(ctx, kind, name)
}

// Pages have the last settings that were known while the store is away; what
// depends on their being right fails.
func TestSettingsOfAStoreThatIsAway(t *testing.T) {
	db, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	behind := &away{Store: db}
	s := settings.New(behind, audit.New(behind, audit.Options{}), keeper)
	require.NoError(t, s.SetGeneral(t.Context(), settings.General{Banner: "Hello", LogLevel: "warn"}))
	_, err = s.Get(t.Context())
	require.NoError(t, err)
	behind.off.Store(true)
	s.Forget()
	current, err := s.Get(t.Context())
	require.ErrorContains(t, err, "no route to host")
	require.Equal(t, "Hello", current.Banner)
	_, err = s.Proxy(httptest.NewRequestWithContext(t.Context(), "GET", "https://registry.example", nil))
	require.ErrorContains(t, err, "no route to host")
	behind.off.Store(false)
	current, err = s.Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, "Hello", current.Banner)
}
