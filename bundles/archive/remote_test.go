package archive_test

import (
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/stores"
)

// TestLostLineIsNoDamage cuts the line to a web server at each request in
// turn: what cannot be read says nothing about whether it is good.
func TestLostLineIsNoDamage(t *testing.T) {
	b := archivetest.New(t)
	large := make([]byte, 9<<20)
	b.Root("docker.io/library/large:1", b.Image("amd64", string(large)))
	dir := filepath.Dir(b.Write())
	var left atomic.Int64
	address, ca := stores.Web(t, dir, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if left.Add(-1) < 0 {
				panic(http.ErrAbortHandler)
			}
			h.ServeHTTP(w, r)
		})
	})
	opts := location.Options{CAFile: ca, MaxAttempts: 2, MinWait: time.Millisecond}
	verify := func() ([]error, error) {
		h, err := archive.Open(t.Context(), address+"/test.tar", opts)
		if err != nil {
			return nil, err
		}
		defer h.Close()
		r, err := h.Authenticate(archivetest.Verifier{})
		require.NoError(t, err)
		return r.Verify(t.Context(), archive.VerifyOptions{})
	}
	for requests := range int64(6) { // one for its size, five for its blocks
		left.Store(requests)
		faults, err := verify()
		require.Empty(t, faults)
		require.ErrorIs(t, err, location.ErrUnreadable, "after %d requests", requests)
		require.Equal(t, problem.Failed, problem.KindOf(err))
	}
	left.Store(100)
	faults, err := verify()
	require.NoError(t, err)
	require.Empty(t, faults)
}

// TestRemoteFetch reads blobs through the interfaces that push and serve use.
func TestRemoteFetch(t *testing.T) {
	b := archivetest.Sample(t)
	address, ca := stores.Web(t, filepath.Dir(b.WriteVolumes(3000)))
	h, err := archive.Open(t.Context(), address+"/test.tar", location.Options{CAFile: ca})
	require.NoError(t, err)
	r, err := h.Authenticate(archivetest.Verifier{})
	require.NoError(t, err)
	defer r.Close()
	for d, want := range b.Data {
		blob, ok := r.Blob(d)
		require.True(t, ok)
		got, err := content.ReadAll(t.Context(), r, blob.Descriptor(), 1<<20)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
}
