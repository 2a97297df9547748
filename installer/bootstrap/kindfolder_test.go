package bootstrap_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/internal/problem"
)

// engineOf puts a container engine in place of Docker that has only the nodes
// that the file nodes of a folder names, one a line, all made from the folder
// that the file made names. It notes in the file asked what it is told to change.
func engineOf(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script := "#!/bin/sh\ncase \"$1\" in\nps) cat '" + dir + "/nodes' ;;\ncontainer) cat '" + dir + "/made' ;;\ninspect) echo control-plane ;;\nimage|network) ;;\n*) echo \"$@\" >>'" + dir + "/asked'; : >'" + dir + "/nodes' ;;\nesac\n"
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

// A kind cluster of this name that was made from another folder, or by somebody
// else, is neither used nor removed.
func TestKindOfAnotherFolder(t *testing.T) {
	engine := engineOf(t)
	has := func(made string) {
		require.NoError(t, os.WriteFile(filepath.Join(engine, "nodes"), []byte("sealift-north-control-plane\n"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(engine, "made"), []byte(made+"\n"), 0o600))
	}
	base := t.TempDir()
	dir := filepath.Join(base, "mine", "bootstrap")
	k := bootstrap.NewKind(bootstrap.KindOptions{Name: "sealift-north", Dir: dir})
	for made, remedy := range map[string]string{
		filepath.Join(base, "with spaces", "bootstrap", "node"): "go on with --dir " + filepath.Join(base, "with spaces") + ",",
		"": "docker rm --force --volumes sealift-north-control-plane",
	} {
		has(made)
		_, err := k.Exists(t.Context())
		require.ErrorContains(t, err, "kind cluster sealift-north")
		_, err = k.Start(t.Context())
		require.ErrorContains(t, err, "kind cluster sealift-north")
		require.NoDirExists(t, dir)
		require.Contains(t, problem.Remedies(err)[0], remedy)
		require.ErrorContains(t, k.Remove(t.Context()), "kind cluster sealift-north")
		require.NoFileExists(t, filepath.Join(engine, "asked"))
	}

	has(filepath.Join(dir, "node"))
	there, err := k.Exists(t.Context())
	require.NoError(t, err)
	require.True(t, there, "though the folder has gone")
	require.NoError(t, k.Remove(t.Context()))
	asked, err := os.ReadFile(filepath.Join(engine, "asked"))
	require.NoError(t, err)
	require.Equal(t, "rm -f -v sealift-north-control-plane\n", string(asked))
	require.NoDirExists(t, dir)
}
