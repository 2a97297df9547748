package bundles_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
)

// A source that goes away while files are taken out of it is no damaged bundle,
// and leaves none of them.
func TestALostSourceIsNoDamage(t *testing.T) {
	b := archivetest.New(t)
	b.File(archive.RootFile, "disk.iso", strings.Repeat("a large disk ", 1<<20))
	path := b.Write()
	var away atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() && r.Header.Get("Range") != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.ServeFile(w, r, path)
	}))
	t.Cleanup(server.Close)
	head, err := archive.Open(t.Context(), server.URL+"/bundle", location.Options{PlainHTTP: []string{strings.TrimPrefix(server.URL, "http://")}, MinWait: time.Millisecond, MaxAttempts: 2})
	require.NoError(t, err)
	r, err := head.Authenticate(archivetest.Verifier{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	_, _, err = r.Document(t.Context(), r.Statement().Roots[0].Descriptor.Digest) // so that it is the file that is lost
	require.NoError(t, err)
	away.Store(true)
	dir := t.TempDir()
	_, err = bundles.Extract(t.Context(), bundles.Whole{Reader: r}, nil, dir, bundles.ExtractOptions{})
	require.ErrorIs(t, err, location.ErrUnreadable)
	require.NotEqual(t, problem.Verification, problem.KindOf(err))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
