package runtimeconfig_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror/runtimeconfig"
)

func someFiles() []runtimeconfig.File {
	return []runtimeconfig.File{{Path: "/etc/a/ca.crt", Mode: 0o644, Content: []byte("authority\n")}, {Path: "/etc/a/b/secret.yaml", Mode: 0o600, Content: []byte("password: 'x: y'\n\n  # z")}}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "node")
	files := someFiles()
	paths, err := runtimeconfig.Write(dir, files, runtimeconfig.WriteOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "etc/a/ca.crt"), filepath.Join(dir, "etc/a/b/secret.yaml")}, paths)
	check := func() {
		for i, p := range paths {
			data, err := os.ReadFile(p)
			require.NoError(t, err)
			require.Equal(t, string(files[i].Content), string(data))
			info, err := os.Stat(p)
			require.NoError(t, err)
			require.Equal(t, files[i].Mode, info.Mode())
			left, err := os.ReadDir(filepath.Dir(p))
			require.NoError(t, err)
			require.Len(t, left, 2-i, "nothing else is left there")
		}
	}
	check()
	again, err := runtimeconfig.Write(dir, files, runtimeconfig.WriteOptions{})
	require.NoError(t, err, "what is there already is no problem")
	require.Equal(t, paths, again)

	// A file that differs, in content or mode: nothing is written.
	require.NoError(t, os.WriteFile(paths[1], []byte("another"), 0o600))
	require.NoError(t, os.Remove(paths[0]))
	_, err = runtimeconfig.Write(dir, files, runtimeconfig.WriteOptions{})
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, paths[1])
	require.Contains(t, problem.Remedies(err)[0], "--overwrite")
	require.NoFileExists(t, paths[0])
	_, err = runtimeconfig.Write(dir, files, runtimeconfig.WriteOptions{Overwrite: true})
	require.NoError(t, err)
	check()
	require.NoError(t, os.Chmod(paths[1], 0o644))
	_, err = runtimeconfig.Write(dir, files, runtimeconfig.WriteOptions{})
	require.ErrorIs(t, err, fs.ErrExist)
	_, err = runtimeconfig.Write(dir, files, runtimeconfig.WriteOptions{Overwrite: true})
	require.NoError(t, err)
	check()

	// A link is replaced, not followed; a folder and a file in the way are errors.
	other := filepath.Join(t.TempDir(), "other")
	require.NoError(t, os.WriteFile(other, []byte("other"), 0o600))
	require.NoError(t, os.Remove(paths[1]))
	require.NoError(t, os.Symlink(other, paths[1]))
	_, err = runtimeconfig.Write(dir, files, runtimeconfig.WriteOptions{})
	require.ErrorIs(t, err, fs.ErrExist)
	_, err = runtimeconfig.Write(dir, files, runtimeconfig.WriteOptions{Overwrite: true})
	require.NoError(t, err)
	check()
	data, err := os.ReadFile(other)
	require.NoError(t, err)
	require.Equal(t, "other", string(data))
	_, err = runtimeconfig.Write(other, files, runtimeconfig.WriteOptions{})
	require.Error(t, err)
	require.NoError(t, os.Remove(paths[1]))
	require.NoError(t, os.Mkdir(paths[1], 0o755))
	_, err = runtimeconfig.Write(dir, files, runtimeconfig.WriteOptions{Overwrite: true})
	require.Error(t, err)
}

func TestWriteTar(t *testing.T) {
	var one, two bytes.Buffer
	files := someFiles()
	require.NoError(t, runtimeconfig.WriteTar(&one, files))
	require.NoError(t, runtimeconfig.WriteTar(&two, files))
	require.Equal(t, one.Bytes(), two.Bytes())
	tr := tar.NewReader(&one)
	for _, f := range files {
		h, err := tr.Next()
		require.NoError(t, err)
		require.Equal(t, f.Path, "/"+h.Name)
		require.Equal(t, int64(f.Mode), h.Mode)
		require.Zero(t, h.Uid+h.Gid)
		data, err := io.ReadAll(tr)
		require.NoError(t, err)
		require.Equal(t, f.Content, data)
	}
	_, err := tr.Next()
	require.ErrorIs(t, err, io.EOF)
	require.ErrorIs(t, runtimeconfig.WriteTar(full{}, files), errFull)
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestCloudConfig(t *testing.T) {
	data, err := runtimeconfig.CloudConfig(someFiles())
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(data, []byte("#cloud-config\nwrite_files:\n")))
	var doc struct {
		WriteFiles []struct{ Path, Owner, Permissions, Content string } `json:"write_files"`
	}
	require.NoError(t, yaml.UnmarshalStrict(data, &doc))
	require.Len(t, doc.WriteFiles, 2)
	for i, f := range someFiles() {
		got := doc.WriteFiles[i]
		require.Equal(t, f.Path, got.Path)
		require.Equal(t, "root:root", got.Owner)
		require.Equal(t, []string{"0644", "0600"}[i], got.Permissions)
		require.Equal(t, string(f.Content), got.Content)
	}
}
