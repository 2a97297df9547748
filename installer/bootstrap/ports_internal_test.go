package bootstrap

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Two programs never have the same port, though the first may not listen yet
// when the second gets its own.
func TestPortsAreDifferent(t *testing.T) {
	var refused int
	port, err := freePort(func(port int) bool {
		if refused == 0 {
			refused = port
			return true
		}
		return port == refused
	})
	require.NoError(t, err)
	require.NotZero(t, refused)
	require.NotEqual(t, refused, port)

	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ports.json"), fmt.Appendf(nil, `{"one-health":%d,"two-health":%d}`, port, port), 0o600))
	l := NewLocal(LocalOptions{Dir: dir})
	require.NoError(t, l.loadPorts())
	one, err := l.Port("one-health")
	require.NoError(t, err)
	two, err := l.Port("two-health")
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	require.Contains(t, []int{one, two}, port, "what points at a port that is free stays right")
	again := NewLocal(LocalOptions{Dir: dir})
	require.NoError(t, again.loadPorts())
	require.Equal(t, l.ports, again.ports)
}
