package serve_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/mirror/serve"
)

// A line says what was asked and answered, and nothing that is secret.
func TestLogged(t *testing.T) {
	file := filepath.Join(t.TempDir(), "blob")
	require.NoError(t, os.WriteFile(file, bytes.Repeat([]byte("x"), 100_000), 0o600))
	var lines bytes.Buffer
	handler := serve.Logged(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/broken" {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		http.ServeFile(w, r, file)
	}), slog.New(slog.NewTextHandler(&lines, nil)))
	server := httptest.NewServer(handler)
	get := func(path string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(t, err)
		req.SetBasicAuth("puller", "a password")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	get("/v2/app/blobs/a?token=hidden")
	get("/v2/broken")
	server.Close()
	require.Regexp(t, `level=INFO msg=request method=GET path=/v2/app/blobs/a status=200 bytes=100000 took=\S+ from=127\.0\.0\.1:\d+ user=puller\n`, lines.String())
	require.Regexp(t, `level=ERROR msg=request method=GET path=/v2/broken status=500`, lines.String())
	require.NotContains(t, lines.String(), "password")
	require.NotContains(t, lines.String(), "hidden")
}
