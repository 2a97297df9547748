package main

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/content"
)

// broken returns every file by its name.
func broken(key, other ed25519.PrivateKey) map[string][]byte {
	files := map[string][]byte{"good.tar": good(key).bytes(), "empty.tar": {}, "garbage.tar": bytes.Repeat([]byte("not a bundle at all. "), 100)}
	whole := files["good.tar"]
	files["compressed.tar.gz"] = compress(whole)
	files["truncated-head.tar"] = whole[:1500]
	files["truncated-payload.tar"] = whole[:len(whole)-3000]
	files["truncated-by-one.tar"] = whole[:len(whole)-1]
	files["appended.tar"] = append(slices.Clone(whole), make([]byte, 512)...)
	for name, spoil := range spoilHead(other) {
		b := good(key)
		spoil(b)
		files[name] = b.bytes()
	}
	for name, spoil := range spoilPayload() {
		b := good(key)
		spoil(b)
		files[name] = b.bytes()
	}
	for name, change := range spoilStatement() {
		b := good(key)
		b.statement(change)
		files[name] = b.bytes()
	}
	for name, b := range wrongContents(key) {
		files[name] = b.bytes()
	}
	return files
}

// spoilHead changes entries before the payload.
func spoilHead(other ed25519.PrivateKey) map[string]func(*bundle) {
	return map[string]func(*bundle){
		"reordered-head.tar":      func(b *bundle) { b.head[iIndex], b.head[iManifest] = b.head[iManifest], b.head[iIndex] },
		"repeated-head.tar":       func(b *bundle) { b.head = slices.Insert(b.head, 1, b.head[0]) },
		"oversized-index.tar":     func(b *bundle) { b.head[iIndex].header.Size = 1 << 30 },
		"oversized-statement.tar": func(b *bundle) { b.head[iStatement].header.Size = 1 << 40 },
		"symlink.tar": func(b *bundle) {
			b.head[iLayout].header.Typeflag, b.head[iLayout].header.Linkname = tar.TypeSymlink, "/etc/passwd"
		},
		"path-escape.tar": func(b *bundle) { b.head[iIndex].header.Name = "../../../etc/passwd" },
		"executable.tar":  func(b *bundle) { b.head[iIndex].header.Mode = 0o755 },
		"pax-header.tar": func(b *bundle) {
			b.head[iIndex].header.Format = tar.FormatPAX
			b.head[iIndex].header.PAXRecords = map[string]string{"SEALIFT.x": "y"}
		},
		"flipped-index.tar": func(b *bundle) {
			b.set(iIndex, bytes.Replace(b.head[iIndex].data, []byte("example"), []byte("exampld"), 1))
		},
		"flipped-head-gap.tar": func(b *bundle) {
			e := &b.head[iLayout]
			e.data = append(slices.Clone(e.data), 1) // the header keeps the old size
		},
		"flipped-statement.tar": func(b *bundle) {
			b.set(iStatement, bytes.Replace(b.head[iStatement].data, []byte(`"version":"1.0.0"`), []byte(`"version":"9.0.0"`), 1))
		},
		"unsigned.tar":             func(b *bundle) { b.set(iSignature, nil) },
		"wrongly-signed.tar":       func(b *bundle) { b.set(iSignature, signature(other, b.head[iStatement].data)) },
		"signature-of-another.tar": func(b *bundle) { b.set(iSignature, signature(b.key, []byte("another statement"))) },
		"deep-json.tar":            func(b *bundle) { b.setStatement([]byte(strings.Repeat(`{"roots":[`, 20_000))) },
		"many-blobs.tar":           func(b *bundle) { b.setStatement([]byte(`{"blobs":[` + strings.Repeat(`{},`, 100_000) + `{}]}`)) },
	}
}

// spoilPayload changes bytes after the head.
func spoilPayload() map[string]func(*bundle) {
	return map[string]func(*bundle){
		"reordered-blobs.tar": func(b *bundle) {
			first, size := b.at(func(m string, _ int64) bool { return m == ocispec.MediaTypeImageConfig })
			second, size2 := b.at(func(m string, size int64) bool { return m == ocispec.MediaTypeImageLayer && size < 512 })
			if roundUp(size) != roundUp(size2) {
				check(fmt.Errorf("blobs of %d and %d bytes cannot change places", size, size2))
			}
			n := roundUp(size) + 512
			one := slices.Clone(b.payload[first-512 : first-512+n])
			copy(b.payload[first-512:], b.payload[second-512:second-512+n])
			copy(b.payload[second-512:], one)
		},
		"missized-entry.tar": func(b *bundle) {
			at, size := b.at(layer)
			h := tar.Header{Typeflag: tar.TypeReg, Name: "blobs/sha256/" + strings.Repeat("0", 64), Mode: 0o644, Size: size + 1, Format: tar.FormatGNU}
			copy(b.payload[at-512:at], entry{header: h}.bytes())
		},
		"renamed-entry.tar": func(b *bundle) {
			at, _ := b.at(layer)
			copy(b.payload[at-512:], "../../../../etc/cron.d/evil\x00")
		},
		"flipped-layer.tar":    func(b *bundle) { at, _ := b.at(layer); b.payload[at+3] ^= 1 },
		"flipped-manifest.tar": func(b *bundle) { at, _ := b.at(manifest); b.payload[at+3] ^= 1 },
		"flipped-header.tar":   func(b *bundle) { at, _ := b.at(layer); b.payload[at-512+100] ^= 1 },
		"flipped-gap.tar":      func(b *bundle) { at, size := b.at(layer); b.payload[at+size] = 1 },
		"flipped-end.tar":      func(b *bundle) { b.payload[len(b.payload)-1] = 1 },
	}
}

// spoilStatement changes what is signed.
func spoilStatement() map[string]func(map[string]any) {
	last := func(s map[string]any) map[string]any { all := blobs(s); return all[len(all)-1] }
	return map[string]func(map[string]any){
		"repeated-blob.tar": func(s map[string]any) {
			all := blobs(s)
			again := map[string]any{}
			for k, v := range all[0] {
				again[k] = v
			}
			again["offset"] = float64(int64(last(s)["offset"].(float64)) + roundUp(int64(last(s)["size"].(float64))) + 512)
			s["blobs"] = append(s["blobs"].([]any), again)
		},
		"missized-blob.tar": func(s map[string]any) { blobs(s)[0]["size"] = 1 << 20 },
		"negative-size.tar": func(s map[string]any) { last(s)["size"] = -1 },
		"overflow.tar":      func(s map[string]any) { last(s)["size"] = int64(1<<63 - 1) },
		"other-kind.tar":    func(s map[string]any) { s["kind"] = "Receipt" },
		"newer-version.tar": func(s map[string]any) { s["apiVersion"] = "sealift.dev/v2" },
		"sha512.tar":        func(s map[string]any) { last(s)["digest"] = "sha512:" + strings.Repeat("0", 128) },
	}
}

// wrongContents are bundles whose every byte is as signed, but whose content
// is not what it should be.
func wrongContents(key ed25519.PrivateKey) map[string]*bundle {
	out := map[string]*bundle{}

	notClosed := good(key)
	notClosed.statement(func(s map[string]any) { delete(s["roots"].([]any)[1].(map[string]any), "absent") })
	out["not-closed.tar"] = notClosed

	// Plan refuses such a document, so the root is exchanged afterwards.
	out["index-and-image.tar"] = withManifest(key, []byte(`{"schemaVersion":2,"manifests":[],"layers":[],"config":null}`))
	return out
}

// withManifest makes a bundle whose first root is an index of these bytes.
func withManifest(key ed25519.PrivateKey, data []byte) *bundle {
	c, all := sample()
	d := content.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromBytes(data), Size: int64(len(data))}
	c.Blobs = append(c.Blobs, d)
	all[d.Digest] = data
	b := assemble(key, c, all)
	b.statement(func(s map[string]any) {
		root := s["roots"].([]any)[0].(map[string]any)
		root["descriptor"] = map[string]any{"mediaType": ocispec.MediaTypeImageIndex, "digest": d.Digest, "size": d.Size}
		for _, blob := range blobs(s) {
			if blob["digest"] == d.Digest.String() {
				blob["mediaType"] = ocispec.MediaTypeImageIndex
			}
		}
	})
	return b
}
