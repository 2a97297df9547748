package archive_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
)

// FuzzReader feeds bytes from across the gap to the reader: whatever they are,
// it answers with an error or a bundle, and never reads outside of the file.
func FuzzReader(f *testing.F) {
	seeds, err := filepath.Glob("../../test/vectors/*.tar*")
	require.NoError(f, err)
	require.NotEmpty(f, seeds, "the vectors are missing: run make generate")
	for _, path := range seeds {
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		if len(data) < 50_000 {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		head, err := archive.ReadHead(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		r, err := head.Unverified() // as a signer might have made it
		if err != nil {
			return
		}
		_, err = r.Verify(t.Context(), archive.VerifyOptions{Jobs: 1})
		require.NoError(t, err)
		for _, b := range r.Statement().Blobs {
			s, err := r.Section(b.Digest)
			require.NoError(t, err)
			require.Equal(t, b.Size, s.Size())
		}
	})
}

// FuzzStatement feeds the part that is read after the signature.
func FuzzStatement(f *testing.F) {
	f.Add([]byte(`{"apiVersion":"sealift.dev/v1","kind":"BundleStatement","roots":[],"blobs":[]}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = archive.DecodeStatement(data)
	})
}
