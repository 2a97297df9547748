package archive

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
)

// The names of a bundle's entries; see FORMAT.md, section 2.
const (
	NameLayout    = "oci-layout"
	NameIndex     = "index.json"
	NameManifest  = "manifest.json"
	NameStatement = "sealift/statement.json"
	NameSignature = "sealift/statement.json.sig"
	blobPrefix    = "blobs/sha256/"
)

// signatureSize is the size of the signature's entry, in bytes. It does not
// depend on the signature, so that a bundle can be filled before it is signed.
const signatureSize = 2048

const (
	blockSize = 512
	endSize   = 2 * blockSize
)

// headLimits returns the names before the payload, in order, with the largest
// size of each.
func headLimits() []struct {
	name string
	size int64
} {
	return []struct {
		name string
		size int64
	}{{NameLayout, 1 << 10}, {NameIndex, 64 << 20}, {NameManifest, 64 << 20}, {NameStatement, 64 << 20}, {NameSignature, 64 << 10}}
}

// BlobName returns the name of the entry of a blob.
func BlobName(d digest.Digest) string { return blobPrefix + d.Encoded() }

// roundUp returns the smallest multiple of the block size that is not below n.
func roundUp(n int64) int64 { return (n + blockSize - 1) / blockSize * blockSize }

// header returns the only header that an entry of this name and size may have.
func header(name string, size int64) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(blockSize)
	err := tar.NewWriter(&buf).WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, Format: tar.FormatGNU})
	if err != nil {
		return nil, fmt.Errorf("header of %s: %w", name, err)
	}
	if buf.Len() != blockSize {
		return nil, fmt.Errorf("header of %s has %d bytes", name, buf.Len())
	}
	return buf.Bytes(), nil
}

// parseHeader returns name and size of a header, after it was compared with
// the one header that they may have.
func parseHeader(block []byte) (name string, size int64, err error) {
	h, err := tar.NewReader(bytes.NewReader(block)).Next()
	if err != nil {
		if err == io.EOF { //nolint:errorlint // the documented value of Next
			err = fmt.Errorf("the archive ends here")
		}
		return "", 0, err
	}
	want, err := header(h.Name, h.Size)
	if err != nil {
		return "", 0, err
	}
	if !bytes.Equal(block, want) {
		return "", 0, fmt.Errorf("the header of %q has attributes, a type or an encoding that bundles do not have", printable(h.Name))
	}
	return h.Name, h.Size, nil
}

// printable makes a foreign name safe and short enough for a message.
func printable(name string) string {
	const limit = 120
	if len(name) > limit {
		name = name[:limit] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
}
