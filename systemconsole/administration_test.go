package systemconsole_test

import (
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	upstream "github.com/sealift/sealift/test/registries"
)

func TestAdministrationInABrowser(t *testing.T) {
	authority := upstream.NewAuthority(t)
	cert, key := authority.Issue("old", time.Now().Add(24*time.Hour), "console.north.example")
	c := startWith(t, systemconsole.Options{CertFile: cert, KeyFile: key})
	b := c.chromium(t)
	b.signIn()
	b.Visit("/administration")
	b.set("banner", "<b>Maintenance</b> on Saturday")
	b.Press("main form .first", ".says.good")
	require.Equal(t, "<b>Maintenance</b> on Saturday", b.Text(".notice"))
	b.looks("administration")
	b.looksAt("/administration/security", "administration-security")
	b.set("idleMinutes", "300")
	b.Press("main form .first", "#idleMinutes-error")
	b.looks("administration-security-refused")
	b.set("length", "16", "idleMinutes", "60", "sessions", "5")
	b.Press("main form .first", ".says.good")
	b.Visit("/administration/mail")
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(silent.Addr().String())
	require.NoError(t, err)
	b.set("host", "127.0.0.1", "port", port, "from", "console@north.example", "to", "admin@north.example")
	b.Run(chromedp.Evaluate(`new MutationObserver(() => { sessionStorage.busy = "seen" }).observe(document.querySelector("main form .first"), {attributeFilter: ["aria-busy"]})`, nil))
	time.AfterFunc(time.Second, func() { _ = silent.Close() })
	b.Press("main form .first", "#to-error")
	var busy string
	b.Run(chromedp.Evaluate(`sessionStorage.busy`, &busy))
	require.Equal(t, "seen", busy, "the button shows that mail is on its way")
	b.set("host", "127.0.0.1", "port", "1", "from", "console@north.example", "to", "admin@north.example")
	b.Press("main form .first", "#to-error")
	b.looks("administration-mail")
	b.Visit("/administration/proxy")
	b.set("https", "http://proxy.north.example:3128", "noProxy", ".north.example,10.0.0.0/8", "username", "console", "password", "Hush-3")
	b.Press("main form .first", ".says.good")
	b.looks("administration-proxy")

	b.Visit("/administration/certificate")
	b.looks("administration-certificate")
	newCert, newKey := authority.Issue("new", time.Now().Add(90*24*time.Hour), "console.north.example")
	certText, keyText := read(t, newCert), read(t, newKey)
	b.set("host", "other.example", "certificate", certText, "key", keyText)
	b.Press("main form .first", "#host-error")
	b.set("host", "console.north.example", "key", read(t, key))
	b.Press("main form .first", "#certificate-error")
	b.set("host", "console.north.example", "certificate", certText, "key", keyText)
	b.Press("main form .first", ".says.good")
	require.Equal(t, certText, read(t, cert))

	b.looksAt("/cluster", "install-not-here")
}

// Backups from the first one to one that fails, and the pages before the login.
func TestBackupsInABrowser(t *testing.T) {
	c := start(t)
	b := c.chromium(t)
	b.signIn()
	dir := t.TempDir()
	b.Visit("/administration/backup")
	b.set("folder", dir, "hours", "24")
	b.Press("main form .first", ".says.good")
	b.looks("administration-backup")
	files, err := backup.Folder(dir).Files(t.Context())
	require.NoError(t, err)
	require.Len(t, files, 1)
	restored(t, c, filepath.Join(dir, files[0].Name))
	b.Press("a[href$='/restore']", "#confirm")
	b.looks("administration-restore")
	b.Visit("/administration/backup")
	b.set("folder", "/proc/backups")
	b.Press("main form .first", ".says.bad")
	b.looks("administration-backup-refused")
	b.Visit("/")
	require.NotContains(t, b.Text("main"), "The last backup failed.", "a place that was not kept is no place of backups")
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	b.Visit("/administration/backup")
	b.Press("form[action$=now] button", ".says.bad")
	b.looks("administration-backup-failed")
	require.NotContains(t, b.Text("main"), "No backups yet", "nobody knows")
	b.Visit("/")
	b.looks("alert")
	c.fresh(b)
}

func (b *chromium) looksAt(path, name string) {
	b.t.Helper()
	b.Visit(path)
	b.looks(name)
}

// restored brings a backup into a new console, into which the administrator
// can log in.
func restored(t *testing.T, from *console, file string) {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	_, err = backup.Restore(t.Context(), f, from.keeper, s)
	require.NoError(t, err)
	c := open(t, systemconsole.Options{Store: s, Keeper: from.keeper, FailureTime: time.Millisecond})
	b := c.browser(t)
	b.get("/login").send("/login", "name", "admin", "password", goodPassword)
	require.Equal(t, "/", b.path)
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(data)
}

// A session that is opened after its length was set ends after that time.
func TestTheLengthOfSessionsIsHonoured(t *testing.T) {
	var ahead atomic.Int64
	c := startWith(t, systemconsole.Options{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	b := c.browser(t)
	b.get("/login").send("/login", "name", "admin", "password", "admin")
	b.send("/password", "current", "admin", "password", goodPassword, "again", goodPassword)
	b.get("/administration/security").send("/administration/security", policy("sessionMinutes", "15")...)
	other := c.browser(t)
	other.get("/login").send("/login", "name", "admin", "password", goodPassword)
	other.get("/accounts")
	require.Equal(t, "/accounts", other.path)
	ahead.Store(int64(16 * time.Minute))
	b.get("/accounts")
	require.Equal(t, "/accounts", b.path, "it was opened when sessions had four hours")
	other.get("/accounts")
	require.Contains(t, other.path, "/login")
}

// policy are the fields of the form of passwords and sessions: the defaults but
// for what is named.
func policy(changed ...string) []string {
	fields := []string{"length", "14", "classes", "4", "history", "5", "expiryDays", "0", "lockTries", "5", "lockMinutes", "15",
		"sessionMinutes", "240", "idleMinutes", "0", "sessions", "0"}
	for i := 0; i < len(changed); i += 2 {
		for j := 0; j < len(fields); j += 2 {
			if fields[j] == changed[i] {
				fields[j+1] = changed[i+1]
			}
		}
	}
	return fields
}

// fresh looks at the pages before the login.
func (c *console) fresh(b *chromium) {
	b.t.Helper()
	b.Press("form[action='/logout'] button", "#name")
	b.looks("login")
	b.Press("a[href='/forgot']", "main")
	b.looks("forgot-without-mail")
}

// Links that are mailed, and those who forgot their password, in a browser.
func TestMailInABrowser(t *testing.T) {
	c := start(t)
	mailed(t, c.admin(t))
	b := c.chromium(t)
	b.Visit("/login")
	b.Fill("name", "admin", "password", goodPassword)
	b.Press("main form .first", "#navigation")
	b.looksAt("/administration/mail", "administration-mail-set")
	b.Visit("/new-account")
	b.Fill("name", "ada", "email", "ada@north.example")
	b.Press("main form .first", "main strong")
	b.looks("link-mailed")
	b.Press("form[action='/logout'] button", "#name")
	b.looksAt("/forgot", "forgot")
	b.Fill("name", "ada")
	b.Press("main form .first", "main p.soft + p a")
	b.looks("forgot-asked")
}
