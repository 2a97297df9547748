package images_test

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/lab/images"
)

// entries returns the headers of a tar archive by name.
func entries(t *testing.T, archive []byte) map[string]*tar.Header {
	t.Helper()
	out := map[string]*tar.Header{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		require.NotContains(t, out, h.Name)
		out[h.Name] = h
	}
}

func TestLayerIsTheSameForTheSameFiles(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(program, []byte("x"), 0o600))
	files := images.Files{
		"usr/bin/program": images.Program(program),
		"usr/bin/link":    {Link: "program"},
		"etc/text":        {Text: "hello"},
		"tmp":             {Dir: true, Mode: 0o777 | os.ModeSticky},
		"tmp/below":       {Text: "x"},
	}
	var first, second bytes.Buffer
	require.NoError(t, images.WriteLayer(&first, files))
	require.NoError(t, images.WriteLayer(&second, files))
	require.Equal(t, first.Bytes(), second.Bytes())

	got := entries(t, first.Bytes())
	require.EqualValues(t, 0o755, got["usr/bin/program"].Mode)
	require.EqualValues(t, 0o1777, got["tmp/"].Mode)
	require.EqualValues(t, 0o644, got["etc/text"].Mode)
	require.Equal(t, "program", got["usr/bin/link"].Linkname)
	require.Contains(t, got, "usr/", "folders that lead to a file are there")
	require.Zero(t, got["etc/text"].Uid)
}

func TestLayerRefusesAFileThatIsAFolder(t *testing.T) {
	err := images.WriteLayer(io.Discard, images.Files{"a": {Text: "x"}, "a/b": {Text: "y"}})
	require.ErrorContains(t, err, "layer: a is a file, and a folder of others")
	err = images.WriteLayer(io.Discard, images.Files{"a": images.Program("/absent")})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestLayoutFillsARegistry(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	made := []images.Image{
		{Name: "registry.k8s.io/a:v1", Files: images.Files{"a": {Text: "a"}}, Config: v1.Config{Entrypoint: []string{"/a"}}},
		{Name: "docker.io/library/b:v2", Files: images.Files{"b": {Text: "b"}}},
	}
	layout, data := filepath.Join(dir, "layout"), filepath.Join(dir, "registry")
	require.NoError(t, images.WriteLayout(ctx, layout, made))
	names, err := images.Names(layout)
	require.NoError(t, err)
	require.Equal(t, []string{"registry.k8s.io/a:v1", "docker.io/library/b:v2"}, names)
	left, err := filepath.Glob(filepath.Join(layout, "layers-*"))
	require.NoError(t, err)
	require.Empty(t, left)

	require.NoError(t, images.FillRegistry(ctx, layout, data))
	handler, closeRegistry, err := serve.Registry(ctx, serve.RegistryOptions{Data: data})
	require.NoError(t, err)
	defer closeRegistry()
	server := httptest.NewServer(handler)
	defer server.Close()
	for _, m := range made {
		ref, err := name.ParseReference(server.Listener.Addr().String()+"/"+m.Name, name.Insecure)
		require.NoError(t, err)
		index, err := remote.Index(ref)
		require.NoError(t, err)
		require.NoError(t, validate.Index(index))
	}
}

// rootfs makes a root file system of a program of this machine with what it needs.
func rootfs(t *testing.T, without string) (archive, program string) {
	t.Helper()
	const source = "/bin/ls"
	program = "usr/bin/ls"
	f, err := elf.Open(source)
	require.NoError(t, err)
	defer f.Close()
	archive = filepath.Join(t.TempDir(), "rootfs.tar")
	out, err := os.Create(archive)
	require.NoError(t, err)
	defer out.Close()
	w := tar.NewWriter(out)
	add := func(name, from string) {
		data, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, w.WriteHeader(&tar.Header{Name: "./" + name, Mode: 0o755, Size: int64(len(data))}))
		_, err = w.Write(data)
		require.NoError(t, err)
	}
	add(program, source)
	libraries, err := filepath.Glob("/lib/*-linux-gnu/*.so*")
	require.NoError(t, err)
	loaders, err := filepath.Glob("/lib64/ld-linux*")
	require.NoError(t, err)
	for _, library := range append(libraries, loaders...) {
		if base := path.Base(library); isOf(base) && base != without {
			add("usr"+library+".real", library)
			require.NoError(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "./usr" + library, Linkname: base + ".real"}))
		}
	}
	require.NoError(t, w.Close())
	return archive, program
}

// isOf tells whether a library is one that ls may need.
func isOf(library string) bool {
	for _, prefix := range []string{"libselinux.", "libc.", "libpcre2-8.", "libcap.", "ld-linux"} {
		if strings.HasPrefix(library, prefix) {
			return true
		}
	}
	return false
}

func TestClosureHasWhatAProgramNeeds(t *testing.T) {
	archive, program := rootfs(t, "")
	r, err := images.ReadRootfs(archive, program)
	require.NoError(t, err)
	files, err := r.Closure(program)
	require.NoError(t, err)
	var names []string
	for name := range files {
		names = append(names, path.Base(name))
	}
	require.Contains(t, names, "libc.so.6")
	require.Contains(t, strings.Join(names, " "), "ld-linux", "the loader is there")
	require.Empty(t, r.Extensions())
}

func TestClosureNamesWhatIsMissing(t *testing.T) {
	archive, program := rootfs(t, "libc.so.6")
	r, err := images.ReadRootfs(archive, program)
	require.NoError(t, err)
	_, err = r.Closure(program)
	require.ErrorContains(t, err, "library libc.so.6 is not in the root file system")
	_, err = r.Closure("usr/bin/absent")
	require.ErrorContains(t, err, "usr/bin/absent is not in the root file system")
}

func TestTruncatedRootfs(t *testing.T) {
	archive, program := rootfs(t, "")
	require.NoError(t, os.Truncate(archive, 2000))
	_, err := images.ReadRootfs(archive, program)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestExtensionsMayBeLinks(t *testing.T) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range []*tar.Header{
		{Name: "./usr/lib/x86_64-linux-gnu/xtables/libxt_NAT.so"},
		{Name: "./usr/lib/x86_64-linux-gnu/xtables/libxt_MASQUERADE.so", Typeflag: tar.TypeSymlink, Linkname: "libxt_NAT.so"},
		{Name: "./usr/lib/x86_64-linux-gnu/libc.so.6"},
	} {
		require.NoError(t, w.WriteHeader(h))
	}
	require.NoError(t, w.Close())
	archive := filepath.Join(t.TempDir(), "rootfs.tar")
	require.NoError(t, os.WriteFile(archive, buf.Bytes(), 0o644))
	r, err := images.ReadRootfs(archive)
	require.NoError(t, err)
	require.Equal(t, []string{"usr/lib/x86_64-linux-gnu/xtables/libxt_MASQUERADE.so", "usr/lib/x86_64-linux-gnu/xtables/libxt_NAT.so"}, r.Extensions())
}

func TestCompleteNamesTheImageThatIsMissing(t *testing.T) {
	kubeadm := filepath.Join(t.TempDir(), "kubeadm")
	require.NoError(t, os.WriteFile(kubeadm, []byte("#!/bin/sh\necho registry.k8s.io/pause:3.10.1\necho registry.k8s.io/etcd:9\n"), 0o755))
	all := []images.Image{{Name: images.Pause}}
	err := images.Complete(t.Context(), kubeadm, "v1.34.4", all)
	require.ErrorContains(t, err, "kubeadm v1.34.4 needs registry.k8s.io/etcd:9, and the lab has no such image")
	require.NoError(t, images.Complete(t.Context(), kubeadm, "v1.34.4", append(all, images.Image{Name: "registry.k8s.io/etcd:9"})))
	require.Error(t, images.Complete(t.Context(), "/absent/kubeadm", "v1.34.4", all))
}
