package bootstrap_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/bootstrap/bootstraptest"
	"github.com/sealift/sealift/test/lab/site"
)

// files are programs of this host.
type files map[string]string

// Program implements bootstrap.Programs.
func (f files) Program(_ context.Context, _, name string) (string, error) {
	if f[name] == "" {
		return "", content.ErrNotFound
	}
	return f[name], nil
}

// programs returns the lab's programs.
func programs(t *testing.T) files {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	lab, err := site.Open(t.Context(), ".", site.Options{})
	require.NoError(t, err)
	all, err := lab.Programs()
	if err != nil || all["etcd"] == "" || all["kube-apiserver"] == "" {
		t.Skip("the lab is not built: make lab-build")
	}
	return all
}

func TestLocal(t *testing.T) {
	all := programs(t)
	dirs := t.TempDir()
	bootstraptest.Run(t, func(t *testing.T) bootstrap.Bootstrap {
		// The folder is that of the subtest's first word: runs of one subtest share it.
		return bootstrap.NewLocal(bootstrap.LocalOptions{Dir: filepath.Join(dirs, filepath.Base(t.Name())), Programs: all})
	})
}

func TestLocalFolderOfOthersIsRefused(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	_, err := bootstrap.NewLocal(bootstrap.LocalOptions{Dir: dir, Programs: files{}}).Start(t.Context())
	require.ErrorContains(t, err, "only its owner writes to")
}
