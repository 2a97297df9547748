package bootstrap_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/bootstrap"
)

// engineOf puts a container engine in place of Docker that has only the nodes
// that the file nodes of a folder names, one a line. It notes in the file
// asked what it is told to change.
func engineOf(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script := "#!/bin/sh\ncase \"$1\" in\nps) cat '" + dir + "/nodes' ;;\nimage|network) ;;\n*) echo \"$@\" >>'" + dir + "/asked' ;;\nesac\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nodes"), nil, 0o600))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return dir
}

// What kind and this program leave when they are killed is taken away: kind's
// own lock, which nobody would give back, holds up no removal.
func TestKindLeftovers(t *testing.T) {
	engineOf(t)
	dir := filepath.Join(t.TempDir(), "bootstrap")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "node"), 0o700))
	for _, name := range []string{".kubeconfig.12", "kubeconfig.partial", "kubeconfig.partial.lock", "notes.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	k := bootstrap.NewKind(bootstrap.KindOptions{Name: "sealift-north", Dir: dir})
	require.NoError(t, k.Remove(t.Context()))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "what is somebody else's stays")
	there, err := k.Exists(t.Context())
	require.NoError(t, err)
	require.False(t, there)
}
