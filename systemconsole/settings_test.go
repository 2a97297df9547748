package systemconsole_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/settings"
	upstream "github.com/sealift/sealift/test/registries"
	"github.com/sealift/sealift/test/stores"
)

// bucketOf starts an S3 store with TLS and returns the settings that reach it.
func bucketOf(t *testing.T, wrap ...stores.Wrap) settings.S3 {
	t.Helper()
	address, ca := stores.Bucket(t, "backups", wrap...)
	return settings.S3{Endpoint: address, Bucket: "backups", Prefix: "console/", AccessKey: "a-key", SecretKey: "Hush-2", CA: read(t, ca)}
}

// settingsCalls tries every route of the settings; TestAPI holds each answer
// against the document.
func (p *program) settingsCalls(authority *upstream.Authority) {
	t := p.t
	for _, path := range []string{"general", "security", "mail", "proxy", "backup", "certificate"} {
		p.ok("GET", "/api/v1/settings/"+path, nil, nil)
	}
	p.ok("PUT", "/api/v1/settings/general", settings.General{Banner: "Hello", LogLevel: "warn"}, nil)
	var policy auth.Policy
	p.ok("PUT", "/api/v1/settings/security", auth.Policy{Length: 16, IdleMinutes: 30}, nil)
	p.ok("GET", "/api/v1/settings/security", nil, &policy)
	require.Equal(t, 16, policy.Length)
	require.Equal(t, 5, policy.LockTries)
	mail := settings.Mail{Host: "mail.example", Port: 25, Security: "tls", From: "a@b.example", Username: "u", Password: "Hush-1", URL: "https://c.example"}
	p.ok("PUT", "/api/v1/settings/mail", systemconsole.MailChange{Mail: mail}, nil)
	var shownMail settings.Mail
	p.ok("GET", "/api/v1/settings/mail", nil, &shownMail)
	require.Equal(t, "u", shownMail.Username)
	require.Empty(t, shownMail.Password)
	p.ok("PUT", "/api/v1/settings/mail", settings.Mail{}, nil)
	p.ok("PUT", "/api/v1/settings/proxy", settings.Proxy{HTTP: "http://proxy.example:3128", Username: "u", Password: "Hush-3"}, nil)
	var proxy settings.Proxy
	p.ok("GET", "/api/v1/settings/proxy", nil, &proxy)
	require.Equal(t, settings.Proxy{HTTP: "http://proxy.example:3128", Username: "u"}, proxy)
	p.ok("PUT", "/api/v1/settings/proxy", settings.Proxy{}, nil)
	cert, key := authority.Issue("new", time.Now().Add(24*time.Hour), "console.north.example")
	change := systemconsole.CertificateChange{Host: "other.example", Certificate: read(t, cert), Key: read(t, key)}
	require.Equal(t, http.StatusUnprocessableEntity, p.call("PUT", "/api/v1/settings/certificate", change, nil))
	change.Host = "console.north.example"
	p.ok("PUT", "/api/v1/settings/certificate", change, nil)
	var shown systemconsole.Certificate
	p.ok("GET", "/api/v1/settings/certificate", nil, &shown)
	require.Contains(t, shown.Hosts, "console.north.example")
	p.backupCalls()
}

func (p *program) backupCalls() {
	t := p.t
	var failure systemconsole.Failure
	require.Equal(t, http.StatusBadRequest, p.call("POST", "/api/v1/backups", nil, &failure))
	bucket := bucketOf(t)
	p.ok("PUT", "/api/v1/settings/backup", settings.Backup{S3: bucket, Hours: 24, Keep: 3}, nil)
	var kept settings.Backup
	p.ok("GET", "/api/v1/settings/backup", nil, &kept)
	require.Equal(t, bucket.Bucket, kept.S3.Bucket)
	require.Empty(t, kept.S3.SecretKey)
	var file backup.File
	p.ok("POST", "/api/v1/backups", nil, &file)
	var list systemconsole.BackupList
	p.ok("GET", "/api/v1/backups", nil, &list)
	require.Len(t, list.Backups, 2)
	require.Equal(t, file.Name, list.Last.Name)
	path := "/api/v1/backups/s3/" + file.Name
	p.ok("GET", path, nil, nil)
	require.Equal(t, http.StatusNotFound, p.call("GET", "/api/v1/backups/folder/"+file.Name, nil, nil))
	require.Equal(t, http.StatusNotFound, p.call("GET", "/api/v1/backups/s3/..%2Fsecret", nil, nil))
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", path+"/restore", systemconsole.Restore{Confirm: "yes"}, nil))
	var done systemconsole.Restored
	p.ok("POST", path+"/restore", systemconsole.Restore{Confirm: file.Name}, &done)
	require.Positive(t, done.Objects)
}

// A console is backed up to S3, changed, and brought back by the page: what it
// was, and nobody logged in.
func TestRestoreFromS3(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	b.get("/new-tenant").send("/tenants", "organization", "Acme", "firstName", "A", "lastName", "B", "email", "a@acme.example")
	bucket := bucketOf(t)
	form := []string{"folder", "", "hours", "24", "keep", "5", "endpoint", bucket.Endpoint, "bucket", "backups", "prefix", "console", "accessKey", "a-key", "secretKey", "Hush-2", "ca", bucket.CA}
	b.get("/administration/backup").send("/administration/backup", form...)
	require.Equal(t, "/administration/backup?notice=backup", b.path, b.page)
	require.NotContains(t, b.page, "Hush-2")
	name := findName(t, b.page)
	b.get("/tenants/acme").send("/tenants/acme/delete", "confirm", "acme")
	b.get("/new-tenant").send("/tenants", "organization", "Later", "firstName", "A", "lastName", "B", "email", "a@later.example")
	b.get("/new-account").send("/accounts", "name", "later", "role", string(auth.Root))
	record := len(csvLines(b))

	path := "/administration/backup/s3/" + name + "/restore"
	b.get(path).send(path, "confirm", "no")
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	b.send(path, "confirm", name)
	require.Equal(t, "/login?notice=restored", b.path, b.page)
	require.Contains(t, b.get("/tenants").path, "/login", "every session ended")
	b.get("/login").send("/login", "name", "admin", "password", goodPassword)
	b.get("/tenants")
	require.Contains(t, b.page, "Acme")
	require.NotContains(t, b.page, "Later")
	require.NotContains(t, b.get("/accounts").page, "later")
	b.get("/tenants/acme")
	require.Contains(t, b.page, "a@acme.example", "the tenant's key came back with it")

	lines := csvLines(b)
	require.Greater(t, len(lines), record, "the record of changes goes on")
	require.Contains(t, strings.Join(lines, "\n"), "backup.restore,Backup/"+name)
	require.NotContains(t, strings.Join(lines, "\n"), "Hush-2")
	b.get("/audit").send("/audit/verify")
	require.Equal(t, http.StatusOK, b.status)
	require.Equal(t, 2, strings.Count(b.get("/administration/backup").page, "download aria"), "one more was written before")
}

// text reads an answer that is no JSON.
func (p *program) text(path string) string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.c.URL+path, nil)
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+p.token)
	resp, err := p.c.Client().Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	return string(data)
}

func csvLines(b *browser) []string {
	b.t.Helper()
	return strings.Split(strings.TrimSpace(b.get("/audit.csv").page), "\r\n")
}

func findName(t *testing.T, page string) string {
	t.Helper()
	i := strings.Index(page, "console-20")
	require.Positive(t, i, page)
	name, _, _ := strings.Cut(page[i:], "<")
	require.NoError(t, backup.CheckName(name))
	return name
}

// A backup that fails is told of on every page, until one is good.
func TestFailedBackupsAreToldOf(t *testing.T) {
	var mu sync.Mutex
	broken := false
	set := func(v bool) { mu.Lock(); defer mu.Unlock(); broken = v }
	bucket := bucketOf(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			deny := broken
			mu.Unlock()
			if deny {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	c := start(t)
	p := c.program(t)
	b := c.browser(t)
	b.get("/login").send("/login", "name", "admin", "password", goodPassword)
	p.ok("PUT", "/api/v1/settings/backup", settings.Backup{S3: bucket, Hours: 24}, nil)
	require.NotContains(t, b.get("/").page, "backup failed")
	set(true)
	var f systemconsole.Failure
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", "/api/v1/backups", nil, &f))
	require.Contains(t, f.Message, "s3://backups/console/")
	for _, path := range []string{"/", "/tenants", "/administration/backup"} {
		require.Contains(t, b.get(path).page, "The last backup failed.", path)
	}
	require.Contains(t, b.page, "s3://backups/console/")
	require.NotContains(t, b.page, "See Administration, Backup.", "it is that page")
	require.Contains(t, b.get("/tenants").page, "See Administration, Backup.")
	require.NotContains(t, c.browser(t).get("/login").page, "backup failed", "nothing of it before the login")
	require.Contains(t, p.text("/metrics"), "sealift_console_backup_failed 1")
	set(false)
	p.ok("POST", "/api/v1/backups", nil, nil)
	require.NotContains(t, b.get("/").page, "backup failed")
}

// proxy is a real forward proxy that wants a user, and knows names that no
// other way leads to.
type proxy struct {
	*httptest.Server
	mu    sync.Mutex
	seen  []string // what was asked for
	users []string
	hosts map[string]string // name to address
}

func startProxy(t *testing.T, hosts map[string]string) *proxy {
	t.Helper()
	p := &proxy{hosts: hosts}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP tunnels.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen, p.users = append(p.seen, r.Method+" "+r.Host), append(p.users, r.Header.Get("Proxy-Authorization"))
	p.mu.Unlock()
	address, ok := p.hosts[strings.Split(r.Host, ":")[0]]
	if r.Header.Get("Proxy-Authorization") == "" || r.Method != http.MethodConnect || !ok {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	far, err := (&net.Dialer{}).DialContext(context.WithoutCancel(r.Context()), "tcp", address)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	near, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(far, buffered); _ = far.Close() }()
	_, _ = io.Copy(near, far)
	_ = near.Close()
}

func (p *proxy) asked() ([]string, []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen, p.users
}

// Registries and S3 are reached through the proxy, with its user, as soon as it
// is set.
func TestProxyIsUsed(t *testing.T) {
	registry, ca := named(t, "registry.test", nil)
	handler, err := stores.S3Handler("backups")
	require.NoError(t, err)
	store, storeCA := named(t, "s3.test", handler)
	proxy := startProxy(t, map[string]string{"registry.test": registry, "s3.test": store})

	c := start(t)
	b := c.admin(t)
	b.get("/new-registry").send("/new-registry", "name", "site", "type", "oci", "endpoint", "registry.test", "ca", ca)
	require.Equal(t, http.StatusOK, b.status, b.page)
	b.get("/administration/proxy").send("/administration/proxy", "https", proxy.URL, "username", "walker", "password", "Hush-3")
	require.Contains(t, b.path, "notice=settings", b.page)
	require.NotContains(t, b.page, "Hush-3")
	b.get("/registries/site").send("/registries/site/validate")
	seen, users := proxy.asked()
	require.Contains(t, seen, "CONNECT registry.test:443")
	for _, u := range users {
		require.Equal(t, "Basic d2Fsa2VyOkh1c2gtMw==", u)
	}
	require.Contains(t, b.page, "</svg><span>Answers")

	b.get("/administration/backup").send("/administration/backup", "folder", "", "hours", "0", "keep", "5", "endpoint", "https://s3.test", "bucket", "backups",
		"accessKey", "a-key", "secretKey", "Hush-2", "ca", storeCA)
	require.Equal(t, "/administration/backup?notice=backup", b.path, b.page)
	seen, _ = proxy.asked()
	require.Contains(t, seen, "CONNECT s3.test:443")

	// Hosts that are named are reached directly, which here leads nowhere.
	b.get("/administration/proxy").send("/administration/proxy", "https", proxy.URL, "username", "walker", "password", "", "noProxy", ".test")
	require.Contains(t, b.path, "notice=settings", b.page)
	b.get("/registries/site").send("/registries/site/validate")
	require.NotContains(t, b.page, "</svg><span>Answers")
	b.get("/audit.csv")
	require.NotContains(t, b.page, "Hush-3")
	var record struct{ Proxy settings.Proxy }
	item, err := c.store.Get(t.Context(), settings.Kind, settings.Name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(item.Data, &record))
	require.NotContains(t, string(item.Data), "Hush-")
	require.NotEmpty(t, record.Proxy.Password, "kept for the same proxy and user")
}

// named starts a server for a name that nothing resolves, and returns its
// address and its authority. A nil handler is a registry.
func named(t *testing.T, name string, handler http.Handler) (address, ca string) {
	t.Helper()
	authority := upstream.NewAuthority(t)
	cert, key := authority.Issue(name, time.Now().Add(time.Hour), name)
	if handler == nil {
		handler = registryHandler(t)
	}
	server := upstream.Start(t, handler, upstream.Options{TLS: pair(t, cert, key)})
	u, err := url.Parse(server.URL)
	require.NoError(t, err)
	text, err := os.ReadFile(authority.File)
	require.NoError(t, err)
	return u.Host, string(text)
}

func pair(t *testing.T, cert, key string) *tls.Config {
	t.Helper()
	c, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	return &tls.Config{Certificates: []tls.Certificate{c}, MinVersion: tls.VersionTLS12}
}

// The certificate changes while the console serves: the next connection has it,
// and one that is open goes on.
func TestCertificateIsRotatedWithoutARestart(t *testing.T) {
	authority := upstream.NewAuthority(t)
	cert, key := authority.Issue("old", time.Now().Add(time.Hour), "old.north.example")
	c := startWith(t, systemconsole.Options{CertFile: cert, KeyFile: key})
	ctx, cancel := context.WithCancel(t.Context())
	listening, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- systemconsole.Serve(ctx, c.Config.Handler, systemconsole.ServeOptions{Addr: "127.0.0.1:0", CertFile: cert, KeyFile: key, Listening: func(u string) { listening <- u }})
	}()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	address := strings.TrimPrefix(<-listening, "https://")
	dial := func() *tls.Conn {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	before := dial()
	require.Contains(t, before.ConnectionState().PeerCertificates[0].DNSNames, "old.north.example")
	newCert, newKey := authority.Issue("new", time.Now().Add(2*time.Hour), "new.north.example")
	b := c.admin(t)
	b.get("/administration/certificate").send("/administration/certificate", "host", "old.north.example", "certificate", read(t, newCert), "key", read(t, newKey))
	require.Equal(t, http.StatusUnprocessableEntity, b.status, "it is not for that address")
	b.send("/administration/certificate", "host", "new.north.example", "certificate", read(t, newCert), "key", read(t, newKey))
	require.Contains(t, b.path, "notice=certificate", b.page)
	require.NotContains(t, b.page, "PRIVATE KEY")
	require.Contains(t, dial().ConnectionState().PeerCertificates[0].DNSNames, "new.north.example")
	_, err := io.WriteString(before, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(before)
	require.NoError(t, err)
	require.Contains(t, string(answer), "200 OK")
	b.get("/audit.csv")
	require.Contains(t, b.page, "certificate.change")
	require.Contains(t, b.page, "old.north.example", "before")
	require.NotContains(t, b.page, "PRIVATE KEY")
}
