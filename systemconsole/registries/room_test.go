package registries

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// begin asks for room for an upload and returns the answer.
func begin(t *testing.T, u *Uploads, size string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/uploads/", nil)
	r.Header.Set("Tus-Resumable", "1.0.0")
	r.Header.Set("Upload-Length", size)
	h, err := u.Endpoint("/uploads/")
	require.NoError(t, err)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// What would not fit is refused before it begins, and what nobody went on with
// makes room.
func TestRoomForUploads(t *testing.T) {
	dir := t.TempDir()
	s := New(nil, nil, nil, Options{})
	u, err := NewUploads(t.Context(), s, dir, UploadOptions{Room: 1000})
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, begin(t, u, "600").Code)
	refused := begin(t, u, "600")
	require.Equal(t, http.StatusInsufficientStorage, refused.Code)
	require.Contains(t, refused.Body.String(), "sealift mirror push")
	require.Equal(t, http.StatusCreated, begin(t, u, "400").Code)

	notes, err := filepath.Glob(filepath.Join(dir, "*.info"))
	require.NoError(t, err)
	require.Len(t, notes, 2)
	long := time.Now().Add(-2 * forgotten)
	for _, note := range notes {
		require.NoError(t, os.Chtimes(note[:len(note)-len(".info")], long, long))
	}
	require.Equal(t, http.StatusCreated, begin(t, u, "1000").Code)
	notes, err = filepath.Glob(filepath.Join(dir, "*.info"))
	require.NoError(t, err)
	require.Len(t, notes, 1)
}
