// Package vectors has one good bundle and many broken ones, which every reader
// of the format must refuse in its own words. List says what is wrong with
// each; the files beside it are written by ./generate and kept in the
// repository, so that other implementations can use them too.
package vectors

//go:generate go run ./generate .

// Vector is one bundle file.
type Vector struct {
	File string
	// Want is a text that the error must contain; empty for a good bundle.
	Want string
	// MinVersion is the lowest version asked for.
	MinVersion string
}

// List returns all vectors.
func List() []Vector {
	return []Vector{
		{File: "good.tar"},
		{File: "good.tar", MinVersion: "1.0.0"},
		{File: "good.tar", MinVersion: "1.0.1", Want: "the lowest version accepted is 1.0.1"},
		{File: "empty.tar", Want: "truncated"},
		{File: "garbage.tar", Want: "not a valid bundle"},
		{File: "compressed.tar.gz", Want: "not a valid bundle"},
		{File: "truncated-head.tar", Want: "truncated"},
		{File: "truncated-payload.tar", Want: "truncated"},
		{File: "truncated-by-one.tar", Want: "truncated"},
		{File: "appended.tar", Want: "follow after the end"},
		{File: "reordered-head.tar", Want: "entry index.json at byte 1024: not a valid bundle: another entry"},
		{File: "reordered-blobs.tar", Want: "header of blob sha256:"},
		{File: "repeated-head.tar", Want: `another entry, "oci-layout", stands in its place`},
		{File: "repeated-blob.tar", Want: "stands twice"},
		{File: "oversized-index.tar", Want: "the limit is"},
		{File: "oversized-statement.tar", Want: "the limit is"},
		{File: "missized-entry.tar", Want: "header of blob sha256:"},
		{File: "missized-blob.tar", Want: "its place is"},
		{File: "negative-size.tar", Want: "has the size -1"},
		{File: "overflow.tar", Want: "has the size 9223372036854775807"},
		{File: "renamed-entry.tar", Want: "header of blob sha256:"},
		{File: "symlink.tar", Want: "attributes, a type or an encoding that bundles do not have"},
		{File: "path-escape.tar", Want: `another entry, "../../../etc/passwd", stands in its place`},
		{File: "pax-header.tar", Want: "not a valid bundle"},
		{File: "executable.tar", Want: "attributes, a type or an encoding that bundles do not have"},
		{File: "flipped-layer.tar", Want: "its bytes have the digest"},
		{File: "flipped-manifest.tar", Want: "its bytes have the digest"},
		{File: "flipped-header.tar", Want: "header of blob sha256:"},
		{File: "flipped-gap.tar", Want: "gap after blob sha256:"},
		{File: "flipped-head-gap.tar", Want: "the gap after it is not empty"},
		{File: "flipped-index.tar", Want: "index.json: content does not match"},
		{File: "flipped-end.tar", Want: "the end mark"},
		{File: "flipped-statement.tar", Want: "signature"},
		{File: "unsigned.tar", Want: "signature"},
		{File: "wrongly-signed.tar", Want: "signature"},
		{File: "signature-of-another.tar", Want: "signature"},
		{File: "deep-json.tar", Want: "not a valid bundle"},
		{File: "many-blobs.tar", Want: "not a valid bundle"},
		{File: "other-kind.tar", Want: "this program reads"},
		{File: "newer-version.tar", Want: "this program reads"},
		{File: "sha512.tar", Want: "only sha256 is carried"},
		{File: "not-closed.tar", Want: "the bundle is not whole"},
		{File: "index-and-image.tar", Want: "an index must not have config or layers"},
	}
}
