package systemconsole_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/bolt"
)

const goodPassword = "Correct-Horse-7-Battery"

// console is a server with an embedded store, for one test.
type console struct {
	*httptest.Server
	store  *bolt.Store
	keeper seal.Keeper
}

func start(t *testing.T) *console {
	t.Helper()
	return startWith(t, systemconsole.Options{})
}

// noUploads in place of a folder is none.
const noUploads = "none"

// startWith starts a server with more than a store.
func startWith(t *testing.T, opts systemconsole.Options) *console {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	opts.Store, opts.FailureTime = s, time.Millisecond
	opts.Keeper, err = seal.Local(seal.NewSecret())
	require.NoError(t, err)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
	}
	switch opts.Uploads {
	case "":
		opts.Uploads = filepath.Join(t.TempDir(), "uploads")
	case noUploads:
		opts.Uploads = ""
	}
	c := open(t, opts)
	c.store, c.keeper = s, opts.Keeper
	return c
}

// open starts a server over whatever opts name.
func open(t *testing.T, opts systemconsole.Options) *console {
	t.Helper()
	handler, err := systemconsole.New(t.Context(), opts)
	require.NoError(t, err)
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	return &console{Server: server}
}

// browser is a client with cookies of its own, which sends the forms that it
// was shown.
type browser struct {
	t      *testing.T
	client *http.Client
	base   string
	path   string // of the page that is shown
	status int
	page   string
}

func (c *console) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := *c.Client()
	client.Jar = jar
	return &browser{t: t, client: &client, base: c.URL}
}

func (b *browser) get(path string) *browser {
	b.t.Helper()
	resp, err := b.client.Get(b.base + path)
	return b.show(resp, err)
}

// send posts a form to path, with the token of the page that is shown.
func (b *browser) send(path string, fields ...string) *browser {
	b.t.Helper()
	form := url.Values{}
	if m := regexp.MustCompile(`name="form-token" value="([^"]*)"`).FindStringSubmatch(b.page); m != nil {
		form.Set("form-token", m[1])
	}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	resp, err := b.client.PostForm(b.base+path, form)
	return b.show(resp, err)
}

func (b *browser) show(resp *http.Response, err error) *browser {
	b.t.Helper()
	require.NoError(b.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	b.page, b.path, b.status = string(data), resp.Request.URL.RequestURI(), resp.StatusCode
	return b
}

// admin is a browser that is logged in as admin, the password changed.
func (c *console) admin(t *testing.T) *browser {
	t.Helper()
	b := c.browser(t)
	b.get("/login").send("/login", "name", "admin", "password", "admin")
	b.send("/password", "current", "admin", "password", goodPassword, "again", goodPassword)
	require.Equal(t, http.StatusOK, b.status, b.page)
	require.Equal(t, "/?notice=password", b.path)
	return b
}

// logText is a log that a test reads while it is written.
type logText struct {
	mu     sync.Mutex
	b      bytes.Buffer
	logger *slog.Logger
}

// newLog returns a log and its level.
func newLog() (*logText, *slog.LevelVar) {
	l, level := &logText{}, &slog.LevelVar{}
	l.logger = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}))
	return l, level
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logText) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}
