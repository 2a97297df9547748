package archive

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
)

// layerWriter begins a file with one layer.
func layerWriter(t *testing.T, layer string) (*Writer, *BlobWriter) {
	d := content.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromString(layer), Size: int64(len(layer))}
	l, err := Plan(Contents{Name: "b", Version: "1.0.0", Definition: []byte("x"), Blobs: []content.Descriptor{d}})
	require.NoError(t, err)
	w, err := Create(filepath.Join(t.TempDir(), "out.tar"), l, CreateOptions{})
	require.NoError(t, err)
	bw, err := w.Blob(w.Pending()[0])
	require.NoError(t, err)
	return w, bw
}

// TestFailedWriteIsNotNoted checks that a hash that went ahead of the bytes
// never gets into the journal, nor further bytes into the blob.
func TestFailedWriteIsNotNoted(t *testing.T) {
	w, bw := layerWriter(t, strings.Repeat("x", 100_000))
	_, err := bw.Write([]byte("xxx"))
	require.NoError(t, err)
	require.NoError(t, w.out.Close()) // the disk is gone
	_, err = bw.Write([]byte(strings.Repeat("x", 50_000)))
	require.Error(t, err)
	_, noted, err := bw.record()
	require.NoError(t, err)
	require.False(t, noted)
	_, again := bw.Write([]byte("x"))
	require.Error(t, again)
	require.EqualValues(t, 3, bw.Offset())
	w.stopCheckpoints()
}

// TestReadFromKeepsWhatWasRead covers readers that end, fail and are cut off.
func TestReadFromKeepsWhatWasRead(t *testing.T) {
	const half = 1_000_003 // no multiple of anything
	layer := strings.Repeat("0123456", 2*half/7+1)
	w, bw := layerWriter(t, layer)
	broken := errors.New("the line is down")
	n, err := bw.ReadFrom(io.MultiReader(strings.NewReader(layer[:half]), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	require.EqualValues(t, half, n)
	require.EqualValues(t, half, bw.Offset())
	_, err = bw.ReadFrom(io.MultiReader(strings.NewReader(layer[half:half+9]), iotest.ErrReader(io.ErrUnexpectedEOF)))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	n, err = bw.ReadFrom(iotest.HalfReader(strings.NewReader(layer[half+9:])))
	require.NoError(t, err)
	require.EqualValues(t, len(layer)-half-9, n)
	require.NoError(t, bw.Commit())
	require.NoError(t, w.Finish([]byte("signature")))
}
