// Package runtimes starts container runtimes for tests: those that are
// installed here, each with folders of its own.
package runtimes

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// config has the folders and the socket of a containerd without CRI.
const config = `version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = %q
[ttrpc]
address = %q
`

// Containerd starts the system's containerd, 1.6 on Debian 12, until the test
// ends, and returns its socket. It needs root.
func Containerd(t *testing.T) string {
	program, err := exec.LookPath("containerd")
	require.NoError(t, err, "containerd is not here: run make test, which installs it, or apt-get install containerd")
	dir, err := os.MkdirTemp("", "containerd") // a socket's path must be short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, file := filepath.Join(dir, "c.sock"), filepath.Join(dir, "config.toml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, config, filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket, socket+".ttrpc"), 0o600))
	cmd := exec.Command(program, "--config", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		return exec.Command("ctr", "-a", socket, "version").Run() == nil
	}, 30*time.Second, 100*time.Millisecond, "containerd did not start")
	return socket
}
