package systemconsole_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	upstream "github.com/sealift/sealift/test/registries"
)

// tus sends one request of the upload protocol, as the page's script does.
func (b *browser) tus(method, path, token string, body io.Reader, headers ...string) *http.Response {
	b.t.Helper()
	resp, err := b.tryTus(method, path, token, body, headers...)
	require.NoError(b.t, err)
	return resp
}

// tryTus is tus, of a client that may be cut off.
func (b *browser) tryTus(method, path, token string, body io.Reader, headers ...string) (*http.Response, error) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	require.NoError(b.t, err)
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("X-Form-Token", token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	return resp, resp.Body.Close()
}

// begin asks for an upload and returns its address.
func (b *browser) begin(size int) string {
	b.t.Helper()
	resp := b.tus(http.MethodPost, "/uploads/", b.formToken(), nil, "Upload-Length", strconv.Itoa(size), "Upload-Metadata", "filename cGxhdGZvcm0uYnVuZGxl")
	require.Equal(b.t, http.StatusCreated, resp.StatusCode)
	return regexp.MustCompile(`/uploads/[0-9a-f]{32}`).FindString(resp.Header.Get("Location"))
}

// chunk sends a part of a file at an offset and returns the answer.
func (b *browser) chunk(path, token string, offset int, data io.Reader) *http.Response {
	b.t.Helper()
	resp, err := b.tryChunk(path, token, offset, data)
	require.NoError(b.t, err)
	return resp
}

// tryChunk is chunk, of a client that may be cut off.
func (b *browser) tryChunk(path, token string, offset int, data io.Reader) (*http.Response, error) {
	b.t.Helper()
	return b.tryTus(http.MethodPatch, path, token, data, "Upload-Offset", strconv.Itoa(offset), "Content-Type", "application/offset+octet-stream")
}

// plain sends a file with the form that works without JavaScript.
func (b *browser) plain(token string, data []byte) *browser {
	b.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	require.NoError(b.t, form.WriteField("form-token", token))
	part, err := form.CreateFormFile("bundle", "platform.bundle")
	require.NoError(b.t, err)
	_, err = part.Write(data)
	require.NoError(b.t, err)
	require.NoError(b.t, form.Close())
	resp, err := b.client.Post(b.base+"/bundles", form.FormDataContentType(), &body)
	return b.show(resp, err)
}

// withRegistry adds a registry that believes a key.
func (b *browser) withRegistry(t *testing.T, key string) *httptest.Server {
	t.Helper()
	registry, ca := siteRegistry(t)
	b.get("/new-registry").send("/new-registry", "name", "site", "type", "oci", "endpoint", upstream.Host(registry), "ca", ca, "key", key)
	require.Contains(t, b.page, "Answers")
	return registry
}

// pushed presses the button of an upload and waits for the end of the job.
func (b *browser) pushed(t *testing.T, page string) *browser {
	t.Helper()
	b.get(page).send(page, "registry", "site")
	require.Eventually(t, func() bool {
		b.get(page)
		return strings.Contains(b.page, ">Done<") || strings.Contains(b.page, ">Failed<")
	}, 30*time.Second, 100*time.Millisecond)
	return b
}

// cutOff is the body of a request that breaks off.
type cutOff struct{ io.Reader }

func (c cutOff) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// The connection breaks in the middle of a chunk, then the console ends; with
// the next one the upload goes on where it stopped.
func TestAnUploadOutlivesTheConsole(t *testing.T) {
	file, key := signedBundle(t)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	opts := systemconsole.Options{Store: s, Keeper: keeper, FailureTime: time.Millisecond, Uploads: t.TempDir()}
	first := open(t, opts)
	b := first.admin(t)
	b.withRegistry(t, key)
	b.get("/registries")
	token, third := b.formToken(), len(data)/3
	path := b.begin(len(data))
	require.Equal(t, http.StatusNoContent, b.chunk(path, token, 0, bytes.NewReader(data[:third])).StatusCode)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, b.base+path, cutOff{bytes.NewReader(data[third : 2*third])})
	require.NoError(t, err)
	req.ContentLength = int64(len(data) - third)
	for name, value := range map[string]string{"Tus-Resumable": "1.0.0", "X-Form-Token": token, "Upload-Offset": strconv.Itoa(third), "Content-Type": "application/offset+octet-stream"} {
		req.Header.Set(name, value)
	}
	_, err = b.client.Do(req)
	require.Error(t, err)
	first.CloseClientConnections()
	first.Close()

	second := open(t, opts)
	b.base = second.URL
	cookies := b.client.Jar
	b.client = second.Client()
	b.client.Jar = cookies
	b.get("/login").send("/login", "name", "admin", "password", goodPassword)
	b.get("/registries")
	require.Contains(t, b.page, "Not complete")
	token = b.formToken()
	var offset int
	require.Eventually(t, func() bool {
		resp := b.tus(http.MethodHead, path, token, nil)
		offset, err = strconv.Atoi(resp.Header.Get("Upload-Offset"))
		return err == nil
	}, 10*time.Second, 50*time.Millisecond)
	require.GreaterOrEqual(t, offset, third, "what arrived stays")
	require.Equal(t, http.StatusConflict, b.chunk(path, token, 0, bytes.NewReader(data[:10])).StatusCode, "what is there is not sent again")
	require.Equal(t, http.StatusNoContent, b.chunk(path, token, offset, bytes.NewReader(data[offset:])).StatusCode)
	b.pushed(t, "/bundles/"+filepath.Base(path))
	require.Contains(t, b.page, ">Done<", b.page)
	require.Empty(t, left(t, opts.Uploads))
}

// vector reads one of the bundles that every reader has to refuse, or their key.
func vector(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "test", "vectors", name))
	require.NoError(t, err)
	return data
}

// left returns what lies in the folder of uploads.
func left(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// What is not what its key says brings nothing into the registry and leaves
// nothing here.
func TestBadBundlesAreRefused(t *testing.T) {
	file, key := signedBundle(t)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	_, other := signedBundle(t)
	unsigned, wronglySigned := vector(t, "unsigned.tar"), vector(t, "wrongly-signed.tar")
	vectorKey := string(vector(t, "vectors.pub"))
	damaged := bytes.Clone(data)
	damaged[len(damaged)*2/3] ^= 1
	for what, c := range map[string]struct {
		data []byte
		key  string
		says string
	}{
		"damaged":        {damaged, key, "verif"},
		"truncated":      {data[:len(data)*3/4], key, "verif"},
		"another key":    {data, other, "signature"},
		"unsigned":       {unsigned, vectorKey, "signature"},
		"wrongly signed": {wronglySigned, vectorKey, "signature"},
		"no bundle":      {[]byte(strings.Repeat("no bundle\n", 1000)), key, "bundle"},
		"empty":          {nil, key, "bundle"},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			c2 := startWith(t, systemconsole.Options{Uploads: dir})
			b := c2.admin(t)
			b.withRegistry(t, c.key)
			b.get("/registries")
			b.plain(b.formToken(), c.data)
			require.Equal(t, http.StatusOK, b.status, b.page)
			b.pushed(t, strings.SplitN(b.path, "?", 2)[0])
			require.Contains(t, b.page, ">Failed<")
			require.Contains(t, b.page, c.says)
			require.NotContains(t, b.page, dir, "where it lies")
			require.Contains(t, b.page, "Nothing was pushed, and the file was removed.")
			require.Empty(t, left(t, dir))
			b.get("/registries/site")
			require.Contains(t, b.page, "Nothing here yet")
			b.get("/registries")
			require.Contains(t, b.page, "none", "no last bundle")
		})
	}
}

// A plain form is read as it arrives: its token comes first, and a file that
// breaks off leaves nothing.
func TestAPlainFormUploads(t *testing.T) {
	dir := t.TempDir()
	c := startWith(t, systemconsole.Options{Uploads: dir})
	b := c.admin(t)
	b.get("/registries")
	token := b.formToken()
	require.Contains(t, b.page, `enctype="multipart/form-data"`)
	require.Equal(t, http.StatusForbidden, b.plain("wrong", []byte("x")).status)
	require.Equal(t, http.StatusForbidden, b.plain("", []byte("x")).status)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("bundle", "x")
	require.NoError(t, err)
	_, err = part.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, form.WriteField("form-token", token))
	require.NoError(t, form.Close())
	resp, err := b.client.Post(b.base+"/bundles", form.FormDataContentType(), &body)
	require.Equal(t, http.StatusForbidden, b.show(resp, err).status, "the token after the file")
	resp, err = b.client.Post(b.base+"/bundles", "application/x-www-form-urlencoded", strings.NewReader("form-token="+token))
	require.Equal(t, http.StatusBadRequest, b.show(resp, err).status)
	resp, err = b.client.Post(b.base+"/bundles", `multipart/form-data; boundary=b`, strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"form-token\"\r\n\r\n"+token+
		"\r\n--b\r\nContent-Disposition: form-data; name=\"bundle\"; filename=\"../../etc/x\"\r\n\r\nbroken off"))
	require.Equal(t, http.StatusBadRequest, b.show(resp, err).status, b.page)
	require.Empty(t, left(t, dir))

	b.get("/registries").plain(token, bytes.Repeat([]byte("x"), 3<<20))
	require.Equal(t, http.StatusOK, b.status)
	require.Contains(t, b.page, "3.0 MiB of 3.0 MiB received")
	page := b.path
	b.get("/registries")
	require.Contains(t, b.page, "platform.bundle")
	b.send(page + "/remove")
	require.Contains(t, b.page, "The upload was removed.")
	require.Empty(t, left(t, dir))
	require.Equal(t, http.StatusNotFound, b.get(page).status)
}

// A volume that is too small refuses before the first byte; one that runs full
// meanwhile says so, and nothing is left of a plain form.
func TestAFullVolume(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=80m"); err != nil {
		t.Skip("mounting a small volume takes root")
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	c := startWith(t, systemconsole.Options{Uploads: dir})
	b := c.admin(t)
	b.get("/registries")
	token := b.formToken()
	resp := b.tus(http.MethodPost, "/uploads/", token, nil, "Upload-Length", strconv.Itoa(40<<20))
	require.Equal(t, http.StatusInsufficientStorage, resp.StatusCode)
	require.Equal(t, http.StatusBadRequest, b.plain(token, make([]byte, 40<<20)).status)
	require.Contains(t, b.page, "the volume of uploads has")
	require.Empty(t, left(t, dir))

	b.get("/registries")
	path := b.begin(8 << 20)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "somebody-elses"), make([]byte, 76<<20), 0o600))
	resp = b.chunk(path, token, 0, bytes.NewReader(make([]byte, 8<<20)))
	require.Equal(t, http.StatusInsufficientStorage, resp.StatusCode)
	require.NoError(t, os.Remove(filepath.Join(dir, "somebody-elses")))
	resp = b.tus(http.MethodHead, path, token, nil)
	offset, err := strconv.Atoi(resp.Header.Get("Upload-Offset"))
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, b.chunk(path, token, offset, bytes.NewReader(make([]byte, 8<<20-offset))).StatusCode, "it goes on once there is room")
}

// Two windows that send the same file get in one another's way, and the file
// is what it was.
func TestTwoUploadsOfTheSameFile(t *testing.T) {
	dir := t.TempDir()
	c := startWith(t, systemconsole.Options{Uploads: dir})
	b := c.admin(t)
	b.get("/registries")
	token := b.formToken()
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(i >> 8)
	}
	same, own := b.begin(len(data)), b.begin(len(data))
	require.NotEqual(t, same, own)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for range 1000 {
				resp, err := b.tryTus(http.MethodHead, same, token, nil)
				if err != nil {
					continue
				}
				offset, _ := strconv.Atoi(resp.Header.Get("Upload-Offset"))
				if offset == len(data) {
					return
				}
				// Who takes the other's place may cut it off before it is answered.
				_, _ = b.tryChunk(same, token, offset, bytes.NewReader(data[offset:min(offset+64<<10, len(data))]))
			}
		})
	}
	require.Equal(t, http.StatusNoContent, b.chunk(own, token, 0, bytes.NewReader(data)).StatusCode)
	wait.Wait()
	for _, path := range []string{same, own} {
		got, err := os.ReadFile(filepath.Join(dir, filepath.Base(path)))
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got), path)
	}
}

// slow is a body that pauses before it goes on.
type slow struct {
	io.Reader
	pause time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.Reader.Read(p[:min(len(p), 100)])
}

// A plain form may take longer than any other request, over HTTP/1 and HTTP/2.
func TestAPlainFormMayTakeLong(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		c := start(t)
		b := c.admin(t)
		server := httptest.NewUnstartedServer(c.Config.Handler)
		server.EnableHTTP2 = http2
		server.Config.ReadTimeout, server.Config.WriteTimeout = time.Second, time.Second
		server.StartTLS()
		t.Cleanup(server.Close)
		b.get("/registries")
		token := b.formToken()
		cookie := c.secretOf(t, b, "__Host-session")
		body := "--b\r\nContent-Disposition: form-data; name=\"form-token\"\r\n\r\n" + token +
			"\r\n--b\r\nContent-Disposition: form-data; name=\"bundle\"; filename=\"x\"\r\n\r\n" + strings.Repeat("x", 1000) + "\r\n--b--\r\n"
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/bundles", slow{strings.NewReader(body), 150 * time.Millisecond})
		require.NoError(t, err)
		req.ContentLength = int64(len(body))
		req.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		req.AddCookie(&http.Cookie{Name: "__Host-session", Value: cookie})
		client := *server.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, err := client.Do(req)
		require.NoError(t, err, "HTTP/2: %t", http2)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http2, resp.ProtoMajor == 2)
		require.Equal(t, http.StatusSeeOther, resp.StatusCode)
	}
}
