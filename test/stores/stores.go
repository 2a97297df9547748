// Package stores starts places that bundles are read from and written to: a
// web server of files and an S3 store, each with faults on request.
package stores

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
)

// Wrap stands between a client and a store.
type Wrap func(http.Handler) http.Handler

func wrapped(h http.Handler, wrap []Wrap) http.Handler {
	for _, w := range wrap {
		h = w(h)
	}
	return h
}

// WebHandler serves the files of a folder, with versions (ETag).
func WebHandler(dir string) http.Handler {
	files := http.FileServer(http.Dir(dir))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if info, err := os.Stat(filepath.Join(dir, filepath.Clean("/"+r.URL.Path))); err == nil {
			w.Header().Set("Etag", fmt.Sprintf(`"%x-%x"`, info.Size(), info.ModTime().UnixNano()))
		}
		files.ServeHTTP(w, r)
	})
}

// Web serves the files of a folder with TLS. It returns the address and the
// file of the authority that answers for it.
func Web(t testing.TB, dir string, wrap ...Wrap) (url, caFile string) {
	return TLS(t, wrapped(WebHandler(dir), wrap))
}

// TLS starts a server. It returns the address and the file of its authority.
func TLS(t testing.TB, h http.Handler) (url, caFile string) {
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	caFile = filepath.Join(t.TempDir(), "ca.crt")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	require.NoError(t, os.WriteFile(caFile, data, 0o600))
	return s.URL, caFile
}

// S3Handler is an S3 store in memory that has the buckets.
func S3Handler(buckets ...string) (http.Handler, error) {
	backend := s3mem.New()
	for _, b := range buckets {
		if err := backend.CreateBucket(b); err != nil {
			return nil, err
		}
	}
	return gofakes3.New(backend).Server(), nil
}

// S3 starts an S3 store that has the buckets, and points the environment of
// the test to it.
func S3(t *testing.T, buckets []string, wrap ...Wrap) {
	h, err := S3Handler(buckets...)
	require.NoError(t, err)
	s := httptest.NewServer(wrapped(h, wrap))
	t.Cleanup(s.Close)
	for name, value := range S3Environment(s.URL) {
		t.Setenv(name, value)
	}
}

// Bucket starts an S3 store with TLS that has one bucket. It returns the address
// and the file of the authority that answers for it.
func Bucket(t testing.TB, name string, wrap ...Wrap) (url, caFile string) {
	h, err := S3Handler(name)
	require.NoError(t, err)
	return TLS(t, wrapped(h, wrap))
}

// S3Environment is what a client of the store at an address has in its environment.
func S3Environment(url string) map[string]string {
	return map[string]string{"AWS_ENDPOINT_URL": url, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "a-key", "AWS_SECRET_ACCESS_KEY": "a secret"}
}
