package sbom

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/progress"
)

// files returns the entries of a layer out of names and contents. A name that
// ends with "/" is a folder, a content that begins with "-> " or "= " a link.
func files(t testing.TB, contents map[string]string) string {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(contents)) {
		text := contents[name]
		h := &tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeReg}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			h.Typeflag, h.Linkname, text = tar.TypeSymlink, target, ""
		} else if target, ok := strings.CutPrefix(text, "= "); ok {
			h.Typeflag, h.Linkname, text = tar.TypeLink, target, ""
		} else if strings.HasSuffix(name, "/") {
			h.Typeflag = tar.TypeDir
		}
		h.Size = int64(len(text))
		require.NoError(t, tw.WriteHeader(h))
		_, err := tw.Write([]byte(text))
		require.NoError(t, err)
	}
	require.NoError(t, tw.Close())
	return buf.String()
}

func gzipped(t testing.TB, data string) string {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, err := z.Write([]byte(data))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return buf.String()
}

// debian returns a layer with what dpkg leaves of five packages of Debian 12.
func debian(t testing.TB) string {
	t.Helper()
	contents := map[string]string{}
	root := filepath.Join("testdata", "debian")
	require.NoError(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		name, _ := filepath.Rel(root, p)
		contents[name] = string(data)
		return err
	}))
	return gzipped(t, files(t, contents))
}

// program returns a layer with the suite's own program.
func program(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sealift")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", path, "../../cmd/sealift").CombinedOutput()
	require.NoError(t, err, string(out))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return files(t, map[string]string{"usr/bin/sealift": string(data)})
}

// module returns the folder of a module that this one depends on.
func module(t testing.TB, path string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", path).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// attach adds an artifact of one layer and returns its descriptor.
func attach(b *archivetest.Builder, subject *content.Descriptor, mediaType, predicate, data string) content.Descriptor {
	layer := b.Blob(mediaType, []byte(data))
	if predicate != "" {
		layer.Annotations = map[string]string{"in-toto.io/predicate-type": predicate}
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: b.Blob(ocispec.MediaTypeImageConfig, []byte(`{}`)), Layers: []content.Descriptor{layer}, Subject: subject}
	return b.Document(ocispec.MediaTypeImageManifest, m)
}

// attestation returns the descriptor that BuildKit puts into an index for an
// attestation of image.
func attestation(d, image content.Descriptor) content.Descriptor {
	d.Platform = &ocispec.Platform{OS: "unknown", Architecture: "unknown"}
	d.Annotations = map[string]string{attestedDigest: image.Digest.String(), "vnd.docker.reference.type": "attestation-manifest"}
	return d
}

// inToto wraps an SBOM as a statement about image.
func inToto(t testing.TB, predicateType, predicate string, image content.Descriptor) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": predicateType,
		"subject":   []any{map[string]any{"name": "pkg:docker/app", "digest": map[string]string{"sha256": image.Digest.Encoded()}}},
		"predicate": json.RawMessage(predicate)})
	require.NoError(t, err)
	return string(data)
}

func dsse(t testing.TB, payload string) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{"payloadType": mediaTypeInToto, "payload": base64.StdEncoding.EncodeToString([]byte(payload)),
		"signatures": []any{}})
	require.NoError(t, err)
	return string(data)
}

// makeOf makes the SBOM of a bundle.
func makeOf(t testing.TB, b *archivetest.Builder) *Result {
	t.Helper()
	r, err := Make(t.Context(), archivetest.Open(t, b.Write()), Options{TempDir: t.TempDir()})
	require.NoError(t, err)
	return r
}

// lines returns the licenses as "package version: license".
func lines(r *Result) []string {
	var out []string
	for _, l := range r.Licenses {
		out = append(out, l.Package+" "+l.Version+": "+l.License)
	}
	return out
}

func reader(t testing.TB, b *archivetest.Builder) *archive.Reader {
	t.Helper()
	return archivetest.Open(t, b.Write())
}

// atFirstByte is progress that calls itself when the first bytes were read.
type atFirstByte func()

func (f atFirstByte) Start(string, int64) progress.Phase   { return atFirstByteTask{f: f} }
func (f atFirstByte) Count(string, int) progress.Phase     { return progress.None{} }
func (f atFirstByteTask) Task(string, int64) progress.Task { return f }
func (f atFirstByteTask) Add(int64)                        { f.f() }

type atFirstByteTask struct {
	progress.None
	f func()
}
