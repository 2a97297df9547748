package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/images"
)

// kindFiles returns the folder of kind's base files.
func kindFiles(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind").Output()
	require.NoError(t, err)
	return filepath.Join(strings.TrimSpace(string(out)), "images/base/files")
}

func TestFilesFitThisVersionOfKind(t *testing.T) {
	files, err := Sources{Kubernetes: "v1.34.4", KindFiles: kindFiles(t), Programs: map[string]string{"kubelet": "/k"}}.files()
	require.NoError(t, err)
	require.Equal(t, "v1.34.4", files["kind/version"].Text)
	require.Equal(t, "/k", files["usr/bin/kubelet"].Source)
	require.Equal(t, "/etc/systemd/system/kubelet.service", files["etc/systemd/system/multi-user.target.wants/kubelet.service"].Link)
	require.EqualValues(t, 0o755, files["usr/local/bin/entrypoint"].Mode)
	config := files["etc/containerd/config.toml"].Text
	require.Contains(t, config, images.Pause)
	require.Contains(t, config, "restrict_oom_score_adj = true")
	require.Contains(t, config, `config_path = "/etc/containerd/certs.d"`)
}

func TestManifestsNameTheLabsImages(t *testing.T) {
	files := images.Files{}
	require.NoError(t, addManifests(files))
	require.Contains(t, files["kind/manifests/default-cni.yaml"].Text, "image: "+images.Netd)
	storage := files["kind/manifests/default-storage.yaml"].Text
	require.Contains(t, storage, "image: "+images.Storage)
	require.Contains(t, storage, "image: "+images.Busybox)
	require.NotContains(t, storage, "_IMAGE")
}

func TestKindWhoseFilesChangedIsNoticed(t *testing.T) {
	dir := t.TempDir()
	s := Sources{KindFiles: dir}
	_, err := s.files()
	require.ErrorContains(t, err, "reading kind's base files")
	config := filepath.Join(dir, "etc/containerd/config.toml")
	require.NoError(t, os.MkdirAll(filepath.Dir(config), 0o755))
	require.NoError(t, os.WriteFile(config, []byte("version = 3\n"), 0o644))
	_, err = s.files()
	require.ErrorContains(t, err, "kind's base files have no kubelet.service")
	require.ErrorContains(t, s.addContainerd(images.Files{}), "kind's containerd configuration has no line")
}

func TestRootfsNeedsMmdebstrap(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := RootfsStep(RootfsOptions{}).Make(t.Context(), t.TempDir())
	require.Equal(t, []string{"apt-get install mmdebstrap"}, problem.Remedies(err))
}

func TestRootfsSaysWhatMmdebstrapSaid(t *testing.T) {
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "mmdebstrap"), []byte("#!/bin/sh\necho E: no network\nexit 1\n"), 0o755))
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	err := RootfsStep(RootfsOptions{Mirror: "http://debian.example.org"}).Make(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "E: no network")
	require.Contains(t, problem.Remedies(err)[0], "reach http://debian.example.org")
}

func TestQuote(t *testing.T) {
	require.Equal(t, `'/a b/it'\''s'`, quote("/a b/it's"))
}
