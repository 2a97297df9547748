package receipt_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/receipt"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/internal/problem"
)

// sample returns a receipt of one image, sorted.
func sample() *receipt.Receipt {
	manifest, config, layer := digest.FromString("manifest"), digest.FromString("config"), digest.FromString("layer")
	r := &receipt.Receipt{APIVersion: archive.APIVersion, Kind: receipt.Kind, Registry: "registry.site:5000", Prefix: "mirror/a",
		Time:      time.Date(2026, 5, 1, 12, 0, 0, 500, time.FixedZone("", 7200)),
		Bundles:   []archive.Base{{Name: "plane", Version: "1.0.0", Statement: digest.FromString("statement")}},
		Images:    []receipt.Image{{Kind: "image", Reference: "docker.io/library/x:1", Target: "registry.site:5000/mirror/a/library/x:1", Digest: manifest}},
		Manifests: []receipt.Blob{{Digest: manifest, Size: 3}},
		Blobs:     []receipt.Blob{{Digest: layer, Size: 1 << 40}, {Digest: config, Size: 0}, {Digest: config, Size: 0}}}
	r.Normalize()
	return r
}

func TestEncode(t *testing.T) {
	r := sample()
	data, err := r.Encode()
	require.NoError(t, err)
	require.Contains(t, string(data), `{"apiVersion":"sealift.dev/v1","kind":"Receipt","registry":"registry.site:5000","prefix":"mirror/a","time":"2026-05-01T10:00:00Z","bundles":[`)
	require.True(t, strings.HasSuffix(string(data), "]}\n"))
	back, err := receipt.Decode(data)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(r, back))
	require.Len(t, back.Blobs, 2)
	require.True(t, back.Has(content.Descriptor{Digest: digest.FromString("layer"), Size: 1 << 40}))
	require.True(t, back.Has(content.Descriptor{Digest: digest.FromString("manifest"), Size: 3}))
	require.False(t, back.Has(content.Descriptor{Digest: digest.FromString("layer"), Size: 1}))
	require.False(t, back.Has(content.Descriptor{Digest: digest.FromString("other"), Size: 1}))
}

func TestDecodeRefuses(t *testing.T) {
	good, err := sample().Encode()
	require.NoError(t, err)
	text := string(good)
	for name, data := range map[string]string{
		"nothing":        "",
		"no JSON":        "receipt",
		"white space":    strings.Replace(text, ",", ", ", 1),
		"no line feed":   strings.TrimSpace(text),
		"trailing":       text + "{}",
		"unknown key":    strings.Replace(text, `"kind"`, `"more":1,"kind"`, 1),
		"key twice":      strings.Replace(text, `"kind"`, `"kind":"Receipt","kind"`, 1),
		"key in capital": strings.Replace(text, `"prefix"`, `"Prefix"`, 1),
		"other kind":     strings.Replace(text, `"Receipt"`, `"BundleStatement"`, 1),
		"other version":  strings.Replace(text, "sealift.dev/v1", "sealift.dev/v2", 1),
		"deep":           strings.Repeat("[", 100_000),
	} {
		_, err := receipt.Decode([]byte(data))
		require.ErrorIs(t, err, receipt.ErrInvalid, name)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*receipt.Receipt){
		"registry":            func(r *receipt.Receipt) { r.Registry = "https://registry" },
		"no registry":         func(r *receipt.Receipt) { r.Registry = "" },
		"prefix":              func(r *receipt.Receipt) { r.Prefix = "../up" },
		"no time":             func(r *receipt.Receipt) { r.Time = time.Time{} },
		"local time":          func(r *receipt.Receipt) { r.Time = r.Time.In(time.FixedZone("", 60)) },
		"part of a second":    func(r *receipt.Receipt) { r.Time = r.Time.Add(1) },
		"no bundle":           func(r *receipt.Receipt) { r.Bundles = nil },
		"bundle without name": func(r *receipt.Receipt) { r.Bundles[0].Name = "" },
		"statement":           func(r *receipt.Receipt) { r.Bundles[0].Statement = "sha256:0" },
		"no images":           func(r *receipt.Receipt) { r.Images = nil },
		"elsewhere":           func(r *receipt.Receipt) { r.Images[0].Target = "other.site/x:1" },
		"no kind":             func(r *receipt.Receipt) { r.Images[0].Kind = "" },
		"other manifest":      func(r *receipt.Receipt) { r.Images[0].Digest = digest.FromString("other") },
		"image twice":         func(r *receipt.Receipt) { r.Images = append(r.Images, r.Images[0]) },
		"no blobs":            func(r *receipt.Receipt) { r.Blobs = nil },
		"no manifests":        func(r *receipt.Receipt) { r.Manifests = nil },
		"out of order":        func(r *receipt.Receipt) { r.Blobs[0], r.Blobs[1] = r.Blobs[1], r.Blobs[0] },
		"blob twice":          func(r *receipt.Receipt) { r.Blobs[0] = r.Blobs[1] },
		"negative":            func(r *receipt.Receipt) { r.Blobs[0].Size = -1 },
		"too large":           func(r *receipt.Receipt) { r.Blobs[0].Size = 1<<50 + 1 },
		"sha512":              func(r *receipt.Receipt) { r.Blobs[1].Digest = digest.SHA512.FromString("x") },
	} {
		r := sample()
		spoil(r)
		_, err := r.Encode()
		require.ErrorIs(t, err, receipt.ErrInvalid, name)
	}
}

// keys makes a key pair and returns a signer and a verifier of it.
func keys(t *testing.T) (*sign.Signer, *sign.Verifier) {
	prefix := filepath.Join(t.TempDir(), "site")
	require.NoError(t, sign.WriteKeyPair(prefix, nil))
	signer, err := sign.NewSigner(t.Context(), prefix+".key", sign.Options{})
	require.NoError(t, err)
	verifier, err := sign.NewVerifier(t.Context(), prefix+".pub")
	require.NoError(t, err)
	return signer, verifier
}

func TestSaveAndLoad(t *testing.T) {
	signer, verifier := keys(t)
	path := filepath.Join(t.TempDir(), "receipt.json")
	r := sample()
	require.NoError(t, r.Save(t.Context(), path, signer))
	back, err := receipt.Load(path, verifier)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(r, back))

	_, other := keys(t)
	_, err = receipt.Load(path, other)
	require.ErrorIs(t, err, sign.ErrSignature)
	require.Equal(t, problem.Verification, problem.KindOf(err))

	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(data), "1.0.0", "1.0.1", 1)), 0o600))
	_, err = receipt.Load(path, verifier)
	require.ErrorIs(t, err, sign.ErrSignature, "changed after it was signed")

	require.NoError(t, os.Remove(path+".sig"))
	_, err = receipt.Load(path, verifier)
	require.Equal(t, problem.Verification, problem.KindOf(err))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// anyone is a verifier that accepts everything.
type anyone struct{}

func (anyone) Verify([]byte, []byte) error { return nil }

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "receipt.json")
	_, err := receipt.Load(path, anyone{})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = receipt.Load(dir, anyone{})
	require.ErrorContains(t, err, "not a regular file")

	require.NoError(t, os.WriteFile(path, []byte("{}\n"), 0o600))
	require.NoError(t, os.WriteFile(path+".sig", []byte("x"), 0o600))
	_, err = receipt.Load(path, anyone{})
	require.ErrorIs(t, err, receipt.ErrInvalid)
	require.Equal(t, problem.Verification, problem.KindOf(err))

	require.NoError(t, os.Truncate(path, 64<<20+1)) // sparse
	_, err = receipt.Load(path, anyone{})
	require.ErrorContains(t, err, "more than 67108864 bytes")
}

// failing cannot sign.
type failing struct{}

var errNoKey = errors.New("no key")

func (failing) Sign(context.Context, []byte) ([]byte, error) { return nil, errNoKey }

func TestSaveLeavesNothingWithoutSignature(t *testing.T) {
	dir := t.TempDir()
	require.ErrorIs(t, sample().Save(t.Context(), filepath.Join(dir, "receipt.json"), failing{}), errNoKey)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// FuzzDecode: what is accepted is exactly what would be written.
func FuzzDecode(f *testing.F) {
	data, err := sample().Encode()
	require.NoError(f, err)
	f.Add(data)
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := receipt.Decode(data)
		if err != nil {
			require.Nil(t, r)
			return
		}
		again, err := r.Encode()
		require.NoError(t, err)
		require.Equal(t, data, again)
	})
}
