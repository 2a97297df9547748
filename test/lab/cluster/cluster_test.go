package cluster

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// group makes a freezer group as cgroup v1 shows it.
func group(t *testing.T, dir, selfFreezing string) (state string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "freezer.self_freezing"), []byte(selfFreezing+"\n"), 0o644))
	state = filepath.Join(dir, "freezer.state")
	require.NoError(t, os.WriteFile(state, []byte("FROZEN"), 0o644))
	return state
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

func TestThawTouchesOnlyFrozenGroupsOfTheseContainers(t *testing.T) {
	root := t.TempDir()
	node := group(t, filepath.Join(root, "ours"), "0")
	pod := group(t, filepath.Join(root, "ours", "kubelet", "pod"), "1")
	other := group(t, filepath.Join(root, "other"), "1")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go thawUntil(ctx, root, []string{"ours", "vanished"})
	require.Eventually(t, func() bool { return read(t, pod) == "THAWED" }, 8*time.Second, 50*time.Millisecond)
	require.Equal(t, "FROZEN", read(t, node), "it was not frozen itself")
	require.Equal(t, "FROZEN", read(t, other), "it is another's")
}

func TestConfig(t *testing.T) {
	c := Options{Workers: 2, ContainerdPatches: []string{"x"}, Mounts: []Mount{{Host: "/certs", Node: "/etc/containerd/certs.d"}}}.config()
	require.Len(t, c.Nodes, 3)
	require.EqualValues(t, "control-plane", c.Nodes[0].Role)
	for _, n := range c.Nodes {
		require.Len(t, n.ExtraMounts, 1)
		require.True(t, n.ExtraMounts[0].Readonly)
	}
	require.EqualValues(t, "worker", c.Nodes[2].Role)
	require.Equal(t, []string{"x"}, c.ContainerdConfigPatches)
	require.Len(t, Options{}.config().Nodes, 1)
}
