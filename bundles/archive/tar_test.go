package archive

import (
	"archive/tar"
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestHeaders covers sizes on both sides of 8 GiB, where GNU's encoding begins.
func TestHeaders(t *testing.T) {
	for _, size := range []int64{0, 1, 511, 512, 8<<30 - 1, 8 << 30, 8<<30 + 1, maxSize} {
		block, err := header("blobs/sha256/x", size)
		require.NoError(t, err)
		require.Len(t, block, blockSize)
		h, err := tar.NewReader(bytes.NewReader(block)).Next()
		require.NoError(t, err)
		require.Equal(t, size, h.Size)
		name, got, err := parseHeader(block)
		require.NoError(t, err)
		require.Equal(t, "blobs/sha256/x", name)
		require.Equal(t, size, got)
		require.Equal(t, "ustar  \x00", string(block[257:265]))
	}
}

// TestOneHeader changes each byte of a header: every change is refused.
func TestOneHeader(t *testing.T) {
	good, err := header(NameIndex, 1234)
	require.NoError(t, err)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		name, size, err := parseHeader(bad)
		require.True(t, err != nil || name != NameIndex || size != 1234, "byte %d", i)
	}
}
