package systemconsole_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/registries"
	upstream "github.com/sealift/sealift/test/registries"
)

// tus makes a request of the upload protocol and holds it and its answer
// against the document.
func (p *program) tus(method, path string, body []byte, headers ...string) *http.Response {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.c.URL+path, bytes.NewReader(body))
	require.NoError(p.t, err)
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := p.c.Client().Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	resp.Body = io.NopCloser(bytes.NewReader(data))
	valid, problems := p.doc.ValidateHttpResponse(req, resp)
	require.True(p.t, valid, "%s %s: %s\n%v", method, path, data, problems)
	if resp.StatusCode >= 400 && method != http.MethodHead {
		var f systemconsole.Failure
		require.NoError(p.t, json.Unmarshal(data, &f), "%s", data)
		require.Equal(p.t, resp.StatusCode, f.Status)
		require.NotContains(p.t, f.Message, "ERR_")
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	p.called[method+" "+path] = true
	return resp
}

// begin begins an upload and returns its name.
func (p *program) begin(name string, size int) string {
	p.t.Helper()
	metadata := "filename " + base64.StdEncoding.EncodeToString([]byte(name)) + ",fingerprint " + base64.StdEncoding.EncodeToString([]byte("f-"+name))
	resp := p.tus("POST", "/api/v1/uploads", nil, "Upload-Length", strconv.Itoa(size), "Upload-Metadata", metadata)
	require.Equal(p.t, http.StatusCreated, resp.StatusCode)
	require.Contains(p.t, resp.Header.Get("Location"), p.c.URL+"/api/v1/uploads/")
	return path.Base(resp.Header.Get("Location"))
}

// chunk sends a part of an upload and returns the status.
func (p *program) chunk(id string, offset int, data []byte) int {
	p.t.Helper()
	return p.tus("PATCH", "/api/v1/uploads/"+id, data, "Upload-Offset", strconv.Itoa(offset), "Content-Type", "application/offset+octet-stream").StatusCode
}

// ended waits until an upload has got into a registry, or has not.
func (p *program) ended(id string) registries.JobState {
	p.t.Helper()
	var u registries.Upload
	require.Eventually(p.t, func() bool {
		p.ok("GET", "/api/v1/uploads/"+id, nil, &u)
		return u.Job != nil && u.Job.Finished
	}, 30*time.Second, 50*time.Millisecond)
	return *u.Job
}

// The registry that the cluster was installed from is added as the installation
// knows it: by a button, and by the API.
func TestTheSitesRegistry(t *testing.T) {
	registry, ca := siteRegistry(t)
	_, key := signedBundle(t)
	u := newLabUpgrade()
	c := startWith(t, systemconsole.Options{Upgrader: u})
	p := c.program(t)
	var failure systemconsole.Failure
	require.Equal(t, http.StatusBadRequest, p.call("POST", "/api/v1/site-registry", nil, &failure))
	require.Contains(t, failure.Message, "has no TLS")
	require.NotEmpty(t, failure.Remedies)

	u.registry = &upgrade.Registry{Endpoint: upstream.Host(registry), Prefix: "sealift", Username: "robot", Password: "Hush-9", CA: ca, Key: key}
	b := c.browser(t)
	b.get("/login").send("/login", "name", "admin", "password", goodPassword)
	b.get("/registries")
	require.Contains(t, b.page, "the cluster was installed from")
	b.send("/site-registry")
	require.Equal(t, "/registries/site?notice=registry-added", b.path, b.page)
	require.Contains(t, b.page, "Answers")
	require.NotContains(t, b.page, "Hush-9")
	b.get("/registries")
	require.NotContains(t, b.page, "the cluster was installed from")
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", "/api/v1/site-registry", nil, nil), "it is there")
	p.ok("DELETE", "/api/v1/registries/site", nil, nil)
	var made systemconsole.Registry
	p.ok("POST", "/api/v1/site-registry", nil, &made)
	require.Equal(t, "sealift", made.Prefix)
	require.True(t, made.HasKey)
	require.Empty(t, made.Failure)
}

// registryCalls tries every route of registries and uploads.
func (p *program) registryCalls() {
	t := p.t
	file, key := signedBundle(t)
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	registry, ca := siteRegistry(t)
	var made systemconsole.Registry
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", "/api/v1/registries", registries.Draft{Name: "Bad Name"}, nil))
	p.ok("POST", "/api/v1/registries", registries.Draft{Name: "site", Type: registries.OCI, Endpoint: upstream.Host(registry), CA: ca, Key: key}, &made)
	require.Equal(t, "0 repositories", made.Found)
	require.Equal(t, http.StatusNotFound, p.call("POST", "/api/v1/site-registry", nil, nil), "this console cannot know it")
	p.called["POST /api/v1/site-registry"] = true // TestTheSitesRegistry calls it
	p.ok("POST", "/api/v1/registries/site/validate", nil, &made)
	require.Empty(t, made.Failure)
	require.True(t, made.HasKey)

	id := p.begin("a.bundle", len(data))
	third := len(data) / 3
	require.Equal(t, http.StatusNoContent, p.chunk(id, 0, data[:third]))
	require.Equal(t, http.StatusConflict, p.chunk(id, 0, data[:third]), "what is there is not sent again")
	resp := p.tus("HEAD", "/api/v1/uploads/"+id, nil)
	require.Equal(t, strconv.Itoa(third), resp.Header.Get("Upload-Offset"))
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", "/api/v1/uploads/"+id+"/push", systemconsole.Push{Registry: "site"}, nil), "not complete")
	require.Equal(t, http.StatusNoContent, p.chunk(id, third, data[third:]))
	var list systemconsole.UploadList
	p.ok("GET", "/api/v1/uploads", nil, &list)
	require.Len(t, list.Uploads, 1)
	require.Equal(t, "a.bundle", list.Uploads[0].Name)
	require.Equal(t, "f-a.bundle", list.Uploads[0].Fingerprint)
	require.EqualValues(t, len(data), list.Uploads[0].Received)
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", "/api/v1/uploads/"+id+"/push", systemconsole.Push{Registry: "other"}, nil))
	p.ok("POST", "/api/v1/uploads/"+id+"/push", systemconsole.Push{Registry: "site"}, nil)
	state := p.ended(id)
	require.Empty(t, state.Failure)
	require.Equal(t, "site", state.Registry)
	require.Positive(t, state.Images)

	second := p.begin("b.bundle", 100)
	p.ok("DELETE", "/api/v1/uploads/"+second, nil, nil)
	require.Equal(t, http.StatusNotFound, p.call("GET", "/api/v1/uploads/"+second, nil, nil))
	require.Equal(t, http.StatusNotFound, p.chunk(second, 0, []byte("x")))
	var all systemconsole.RegistryList
	p.ok("GET", "/api/v1/registries", nil, &all)
	require.Len(t, all.Registries, 1)
	require.Equal(t, "test", all.Registries[0].Last.Bundle)
	p.ok("DELETE", "/api/v1/registries/site", nil, nil)
}

// What programs send has the rules of what the page sends.
func TestAPIUploadsHaveThePagesRules(t *testing.T) {
	dir := t.TempDir()
	p := startWith(t, systemconsole.Options{Uploads: dir, UploadRoom: 1000}).program(t)
	b := p.c.browser(t)
	b.get("/login").send("/login", "name", "admin", "password", goodPassword)
	b.get("/registries")
	path := b.begin(600)
	resp := p.tus("POST", "/api/v1/uploads", nil, "Upload-Length", "600")
	require.Equal(t, http.StatusInsufficientStorage, resp.StatusCode)
	var f systemconsole.Failure
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&f))
	require.Contains(t, f.Message, "there is room for 1000 B")
	require.Len(t, f.Remedies, 1)
	require.Contains(t, f.Remedies[0], "sealift mirror push")
	require.Equal(t, http.StatusNoContent, p.chunk(filepath.Base(path), 0, []byte("abc")), "an upload of the page")
	require.Equal(t, http.StatusBadRequest, p.tus("POST", "/api/v1/uploads", nil).StatusCode, "no length")
	require.Equal(t, http.StatusRequestEntityTooLarge, p.tus("POST", "/api/v1/uploads", nil, "Upload-Length", strconv.Itoa(registries.MaxUpload+1)).StatusCode)
	for _, id := range []string{"x", "..%2f..%2fetc%2fpasswd"} {
		require.Equal(t, http.StatusNotFound, p.chunk(id, 0, []byte("x")), id)
		require.Equal(t, http.StatusNotFound, p.call("GET", "/api/v1/uploads/"+id, nil, nil))
	}
	require.Len(t, left(t, dir), 2)
}

// A console without a folder for bundles says so.
func TestNoUploads(t *testing.T) {
	p := startWith(t, systemconsole.Options{Uploads: noUploads}).program(t)
	var f systemconsole.Failure
	require.Equal(t, http.StatusNotFound, p.call("GET", "/api/v1/uploads", nil, &f))
	require.Contains(t, f.Message, "receives no bundles")
	require.NotEmpty(t, f.Remedies)
	require.Equal(t, http.StatusNotFound, p.tus("POST", "/api/v1/uploads", nil, "Upload-Length", "1").StatusCode)
}
