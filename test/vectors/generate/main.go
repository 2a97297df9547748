// Command generate writes the bundle files of package vectors into the folder
// that is its argument. The same program writes the same bytes.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: generate DIR")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(dir string) error {
	key, other := privateKey("sealift test vectors"), privateKey("somebody else")
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	files := broken(key, other)
	files["vectors.pub"] = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil { //nolint:gosec // test data for everyone
			return err
		}
	}
	return nil
}

// privateKey derives a key from a text: these keys protect nothing.
func privateKey(text string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(text))
	return ed25519.NewKeyFromSeed(seed[:])
}

func signature(key ed25519.PrivateKey, statement []byte) []byte {
	return []byte(base64.StdEncoding.EncodeToString(ed25519.Sign(key, statement)))
}

// bundle is a bundle in pieces, each of which can be spoiled.
type bundle struct {
	head    []entry // oci-layout, index.json, manifest.json, statement, signature
	payload []byte
	key     ed25519.PrivateKey
}

type entry struct {
	header tar.Header
	data   []byte
}

// signatureSize is the size of a signature's entry.
const signatureSize = 2048

const (
	iLayout = iota
	iIndex
	iManifest
	iStatement
	iSignature
)

// good makes the good bundle out of a small image and a sparse index.
func good(key ed25519.PrivateKey) *bundle {
	c, data := sample()
	return assemble(key, c, data)
}

// sample returns contents and the bytes of every blob.
func sample() (archive.Contents, map[digest.Digest][]byte) {
	data := map[digest.Digest][]byte{}
	c := archive.Contents{Name: "vectors", Version: "1.0.0", Definition: []byte("kind: Bundle\n"), Documents: map[digest.Digest][]byte{}}
	blob := func(mediaType string, b []byte) content.Descriptor {
		d := content.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(b), Size: int64(len(b))}
		if data[d.Digest] == nil {
			c.Blobs = append(c.Blobs, d)
		}
		data[d.Digest] = b
		return d
	}
	document := func(mediaType string, v any) content.Descriptor {
		d := blob(mediaType, mustJSON(v))
		c.Documents[d.Digest] = data[d.Digest]
		return d
	}
	config := blob(ocispec.MediaTypeImageConfig, []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`))
	layers := []content.Descriptor{blob(ocispec.MediaTypeImageLayer, []byte("a layer")), blob(ocispec.MediaTypeImageLayer, bytes.Repeat([]byte("layer "), 200))}
	image := document(ocispec.MediaTypeImageManifest, map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageManifest, "config": config, "layers": layers})
	amd := image
	amd.Platform = &ocispec.Platform{OS: "linux", Architecture: "amd64"}
	arm := content.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("arm64"), Size: 500, Platform: &ocispec.Platform{OS: "linux", Architecture: "arm64"}}
	index := document(ocispec.MediaTypeImageIndex, map[string]any{"schemaVersion": 2, "mediaType": ocispec.MediaTypeImageIndex, "manifests": []any{amd, arm}})
	for _, r := range []struct {
		ref    string
		desc   content.Descriptor
		absent []content.Descriptor
	}{{"registry.example/plain:1", image, nil}, {"registry.example/sparse:2", index, []content.Descriptor{arm}}} {
		c.Roots = append(c.Roots, archive.Root{Kind: archive.RootImage, Requested: r.ref, Reference: r.ref,
			Resolved: strings.Split(r.ref, ":")[0] + "@" + r.desc.Digest.String(), Descriptor: r.desc, Platforms: []string{"linux/amd64"}, Absent: r.absent})
	}
	data[digest.FromBytes(c.Definition)] = c.Definition
	return c, data
}

// assemble makes a bundle out of contents with the archive's own writer.
func assemble(key ed25519.PrivateKey, c archive.Contents, data map[digest.Digest][]byte) *bundle {
	l := must(archive.Plan(c))
	dir := must(os.MkdirTemp("", "vectors"))
	defer os.RemoveAll(dir) //nolint:errcheck // a folder of ours
	path := filepath.Join(dir, "good.tar")
	w := must(archive.Create(path, l, archive.CreateOptions{}))
	for _, b := range w.Pending() {
		bw := must(w.Blob(b))
		must(bw.Write(data[b.Digest]))
		check(bw.Commit())
	}
	check(w.Finish(signature(key, l.StatementBytes())))
	return disassemble(key, must(os.ReadFile(path)))
}

func disassemble(key ed25519.PrivateKey, file []byte) *bundle {
	b := &bundle{key: key}
	for range iSignature + 1 {
		tr := tar.NewReader(bytes.NewReader(file))
		h := must(tr.Next())
		e := entry{header: tar.Header{Typeflag: h.Typeflag, Name: h.Name, Mode: h.Mode, Size: h.Size, Format: tar.FormatGNU}, data: file[512 : 512+h.Size]}
		b.head = append(b.head, e)
		file = file[512+roundUp(h.Size):]
	}
	b.payload = slices.Clone(file)
	return b
}

func roundUp(n int64) int64 { return (n + 511) / 512 * 512 }

// bytes puts the pieces together again.
func (b *bundle) bytes() []byte {
	var out bytes.Buffer
	for _, e := range b.head {
		out.Write(e.bytes())
	}
	out.Write(b.payload)
	return out.Bytes()
}

func (e entry) bytes() []byte {
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	check(tw.WriteHeader(&e.header))
	out.Write(e.data)
	out.Write(make([]byte, roundUp(int64(len(e.data)))-int64(len(e.data))))
	return out.Bytes()
}

// statement changes the statement and signs it again: for faults that a
// signer could make.
func (b *bundle) statement(change func(map[string]any)) {
	var s map[string]any
	check(json.Unmarshal(b.head[iStatement].data, &s))
	change(s)
	b.setStatement(mustJSON(s))
}

func (b *bundle) setStatement(data []byte) {
	b.set(iStatement, data)
	b.set(iSignature, signature(b.key, data))
}

func (b *bundle) set(i int, data []byte) {
	if i == iSignature && len(data) > 0 {
		data = append(slices.Clone(data), bytes.Repeat([]byte("\n"), signatureSize-len(data))...)
	}
	b.head[i].data = data
	b.head[i].header.Size = int64(len(data))
}

// blobs are the statement's, as maps.
func blobs(s map[string]any) []map[string]any {
	var out []map[string]any
	for _, b := range s["blobs"].([]any) {
		out = append(out, b.(map[string]any))
	}
	return out
}

// at returns the position in the payload of the first blob that is one.
func (b *bundle) at(is func(mediaType string, size int64) bool) (offset, size int64) {
	var s archive.Statement
	check(json.Unmarshal(b.head[iStatement].data, &s))
	for _, x := range s.Blobs {
		if is(x.MediaType, x.Size) {
			return x.Offset, x.Size
		}
	}
	check(errors.New("no such blob"))
	return 0, 0
}

func layer(mediaType string, size int64) bool {
	return mediaType == ocispec.MediaTypeImageLayer && size%512 != 0
}
func manifest(mediaType string, _ int64) bool { return mediaType == ocispec.MediaTypeImageManifest }

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(fmt.Sprintf("generating vectors: %v", err))
	}
}

func mustJSON(v any) []byte { return must(json.Marshal(v)) }

func compress(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	must(w.Write(data))
	check(w.Close())
	return out.Bytes()
}
