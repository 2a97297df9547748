package bootstrap_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/sealift/sealift/installer/bootstrap"
)

// TestKilled is the program that TestNoOrphanIsLeft kills.
func TestKilled(t *testing.T) {
	dir := os.Getenv("BOOTSTRAP_TEST_DIR")
	if dir == "" {
		t.Skip("run by TestNoOrphanIsLeft")
	}
	local := bootstrap.NewLocal(bootstrap.LocalOptions{Dir: dir, Programs: programs(t)})
	config, err := local.Start(t.Context())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config.Path+".seen", nil, 0o600))
	fmt.Println("READY")
	select {}
}

// processes returns how many processes have a folder in their command line.
func processes(t *testing.T, dir string) (n int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range all {
		data, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(data), dir) {
			n++
		}
	}
	return n
}

func TestNoOrphanIsLeft(t *testing.T) {
	all := programs(t)
	dir := filepath.Join(t.TempDir(), "state")
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0], "-test.run=^TestKilled$", "-test.v")
	cmd.Env = append(os.Environ(), "BOOTSTRAP_TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ready := false
	for lines := bufio.NewScanner(out); !ready && lines.Scan(); {
		ready = strings.Contains(lines.Text(), "READY")
	}
	require.True(t, ready)
	require.Equal(t, 2, processes(t, dir))

	local := bootstrap.NewLocal(bootstrap.LocalOptions{Dir: dir, Programs: all})
	_, err = local.Start(t.Context())
	require.ErrorIs(t, err, bootstrap.ErrInUse)
	require.ErrorIs(t, local.Remove(t.Context()), bootstrap.ErrInUse)

	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	require.Error(t, cmd.Wait())
	require.Eventually(t, func() bool { return processes(t, dir) == 0 }, 10*time.Second, 50*time.Millisecond)

	config, err := local.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, local.Remove(context.WithoutCancel(t.Context()))) })
	rest, err := config.REST()
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(rest)
	require.NoError(t, err)
	_, err = client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{})
	require.NoError(t, err)
}

// A program that dies is started again, and the objects are still there.
func TestADeadProgramComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	local := bootstrap.NewLocal(bootstrap.LocalOptions{Dir: dir, Programs: programs(t)})
	config, err := local.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, local.Remove(context.WithoutCancel(t.Context()))) })
	rest, err := config.REST()
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(rest)
	require.NoError(t, err)
	killOne(t, dir, "etcd")
	require.Eventually(t, func() bool {
		_, err := client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{})
		return err == nil && processes(t, dir) == 2
	}, 30*time.Second, 100*time.Millisecond)
}

// killOne kills the program of a name that has a folder in its command line.
func killOne(t *testing.T, dir, name string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, file := range all {
		data, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(data), dir) {
			continue
		}
		program, _, _ := strings.Cut(string(data), "\x00")
		var pid int
		if _, err := fmt.Sscanf(file, "/proc/%d/cmdline", &pid); err == nil && filepath.Base(program) == name {
			require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
			return
		}
	}
	require.Fail(t, name+" does not run")
}
