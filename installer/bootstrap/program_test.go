package bootstrap_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/layers"
	"github.com/sealift/sealift/installer/bootstrap"
)

const imageName = "registry.k8s.io/tool:v1"

// entry is one entry of a layer.
type entry struct {
	name string
	kind byte
	link string
	data []byte
}

func layer(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	w := tar.NewWriter(gz)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		require.NoError(t, w.WriteHeader(&tar.Header{Name: e.name, Typeflag: e.kind, Linkname: e.link, Size: int64(len(e.data)), Mode: 0o4777}))
		_, err := w.Write(e.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, gz.Close())
	return out.Bytes()
}

// image adds an image with an entrypoint to a bundle.
func image(t *testing.T, b *archivetest.Builder, entrypoint string, contents ...[]byte) content.Descriptor {
	t.Helper()
	config := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}, RootFS: ocispec.RootFS{Type: "layers"}}
	if entrypoint != "" {
		config.Config.Entrypoint = []string{entrypoint}
	}
	for _, data := range contents {
		plain := data
		if z, err := gzip.NewReader(bytes.NewReader(data)); err == nil {
			plain, err = io.ReadAll(z)
			require.NoError(t, err)
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(plain))
	}
	m := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: b.Document(ocispec.MediaTypeImageConfig, config)}
	for _, data := range contents {
		m.Layers = append(m.Layers, b.Blob(ocispec.MediaTypeImageLayerGzip, data))
	}
	d := b.Document(ocispec.MediaTypeImageManifest, m)
	d.Platform = &config.Platform
	return d
}

// take takes a program out of an image made of layers.
func take(t *testing.T, dir, entrypoint, name string, contents ...[]byte) (string, error) {
	t.Helper()
	b := archivetest.New(t)
	d := b.Index(image(t, b, entrypoint, contents...))
	b.Root(imageName, d)
	bundle := archivetest.Open(t, b.Write())
	programs := bootstrap.NewImagePrograms(bundle, map[string]content.Descriptor{imageName: d}, dir)
	return programs.Program(t.Context(), imageName, name)
}

// static is a static program: that of this test.
func static(t *testing.T) []byte {
	t.Helper()
	lab := programs(t)
	data, err := os.ReadFile(lab["pause"])
	require.NoError(t, err)
	return data
}

func TestProgramOfTheTopmostLayer(t *testing.T) {
	program := static(t)
	older := append(bytes.Clone(program), 0)
	dir := filepath.Join(t.TempDir(), "bin")
	path, err := take(t, dir, "/usr/local/bin/tool", "",
		layer(t, entry{name: "usr/local/bin/tool", data: older}), layer(t, entry{name: "./usr/local/bin/tool", data: program}), layer(t, entry{name: "etc/other"}))
	require.NoError(t, err)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, program, data)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o755, info.Mode(), "no special bits")
	only(t, dir)
}

// only checks that a folder has one file.
func only(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}

func TestProgramsAreFoundInThePath(t *testing.T) {
	_, err := take(t, t.TempDir(), "", "tool", layer(t, entry{name: "usr/local/bin/tool", data: static(t)}))
	require.NoError(t, err)
}

func TestHostileImages(t *testing.T) {
	program := static(t)
	for name, c := range map[string]struct {
		entrypoint string
		layers     [][]byte
		text       string
	}{
		"no such file":          {"/tool", [][]byte{layer(t, entry{name: "other", data: program})}, "no such program"},
		"taken away":            {"/tool", [][]byte{layer(t, entry{name: "tool", data: program}), layer(t, entry{name: ".wh.tool"})}, "no such program"},
		"folder taken away":     {"/a/tool", [][]byte{layer(t, entry{name: "a/tool", data: program}), layer(t, entry{name: ".wh.a"})}, "no such program"},
		"folder emptied":        {"/a/tool", [][]byte{layer(t, entry{name: "a/tool", data: program}), layer(t, entry{name: "a/.wh..wh..opq"})}, "no such program"},
		"link to the host":      {"/tool", [][]byte{layer(t, entry{name: "tool", kind: tar.TypeSymlink, link: "/bin/sh"})}, "is a link"},
		"hard link to the host": {"/tool", [][]byte{layer(t, entry{name: "tool", kind: tar.TypeLink, link: "../../bin/sh"})}, "is a link"},
		"device":                {"/tool", [][]byte{layer(t, entry{name: "tool", kind: tar.TypeChar})}, "is a link or a device"},
		"script":                {"/tool", [][]byte{layer(t, entry{name: "tool", data: []byte("#!/bin/sh\n")})}, "no program of Linux"},
		"not a layer":           {"/tool", [][]byte{bytes.Repeat([]byte("x"), 2048)}, layers.ErrLayer.Error()},
		"no entrypoint":         {"", [][]byte{layer(t, entry{name: "tool", data: program})}, "no entrypoint"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bin")
			_, err := take(t, dir, c.entrypoint, "", c.layers...)
			require.ErrorContains(t, err, c.text)
			left, err := os.ReadDir(dir)
			if err == nil {
				require.Empty(t, left, "nothing is left")
			}
		})
	}
}

func TestAnEntryCannotWriteElsewhere(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "bin")
	_, err := take(t, dir, "/../../../tool", "", layer(t, entry{name: "../../../tool", data: static(t)}, entry{name: "../../escaped", data: []byte("x")}))
	require.NoError(t, err)
	only(t, dir)
	only(t, root)
}

func TestOtherBytesThanTheDigestSays(t *testing.T) {
	b := archivetest.New(t)
	data := layer(t, entry{name: "tool", data: static(t)})
	d := image(t, b, "/tool", data)
	b.Root(imageName, d)
	path := b.Write()
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	at := bytes.Index(whole, data)
	require.Positive(t, at)
	whole[at+len(data)/2] ^= 1
	require.NoError(t, os.WriteFile(path, whole, 0o600))
	dir := filepath.Join(t.TempDir(), "bin")
	programs := bootstrap.NewImagePrograms(archivetest.Open(t, path), map[string]content.Descriptor{imageName: content.Bare(d)}, dir)
	_, err = programs.Program(t.Context(), imageName, "")
	require.ErrorIs(t, err, content.ErrMismatch)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestAnImageThatIsNotInTheBundle(t *testing.T) {
	_, err := bootstrap.NewImagePrograms(nil, nil, t.TempDir()).Program(t.Context(), imageName, "")
	require.ErrorIs(t, err, content.ErrNotFound)
}

// A control plane runs from the images in a bundle alone.
func TestLocalFromABundle(t *testing.T) {
	lab := programs(t)
	b := archivetest.New(t)
	images := map[string]content.Descriptor{}
	for _, name := range []string{"etcd", "kube-apiserver"} {
		data, err := os.ReadFile(lab[name])
		require.NoError(t, err)
		ref := "registry.k8s.io/" + name + ":v1"
		d := image(t, b, "", layer(t, entry{name: "usr/local/bin/" + name, data: data}))
		b.Root(ref, d)
		images[ref] = content.Bare(d)
	}
	bundle := archivetest.Open(t, b.Write())
	dir := filepath.Join(t.TempDir(), "state")
	local := bootstrap.NewLocal(bootstrap.LocalOptions{Dir: dir, Etcd: "registry.k8s.io/etcd:v1", APIServer: "registry.k8s.io/kube-apiserver:v1",
		Programs: bootstrap.NewImagePrograms(bundle, images, filepath.Join(dir, "bin"))})
	config, err := local.Start(t.Context())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(config.Path, dir))
	require.NoError(t, local.Remove(t.Context()))
	_, err = os.Stat(dir)
	require.ErrorIs(t, err, os.ErrNotExist)
}
