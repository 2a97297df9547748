package site_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serial is what a machine writes to its console.
type serial struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *serial) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *serial) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// The OVA's disk boots in a machine with UEFI: its own kernel, systemd, a login.
func TestBootableDiskBoots(t *testing.T) {
	if os.Getenv("LAB_DISK") != "bootable" {
		t.Skip("set LAB_DISK=bootable for an OVA that boots by itself")
	}
	lab := openBuilt(t)
	path, err := lab.OVA()
	require.NoError(t, err)
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "tar", "--extract", "--file", path, "--directory", dir).CombinedOutput()
	require.NoError(t, err, string(out))
	disk := filepath.Join(dir, strings.TrimSuffix(filepath.Base(path), ".ova")+"-disk1.vmdk")

	// Without KVM, whose place an emulator takes; its newer processors are wrong
	// in places. Debian's UEFI knows no disks of VMware's controller. A
	// streamOptimized disk is read-only, so changes go elsewhere.
	ctx, stop := context.WithTimeout(t.Context(), 8*time.Minute)
	defer stop()
	machine := exec.CommandContext(ctx, "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "qemu64", "-m", "1536", "-nodefaults",
		"-bios", "/usr/share/ovmf/OVMF.fd", "-drive", "file="+disk+",format=vmdk,if=virtio,snapshot=on",
		"-nic", "user,model=vmxnet3,restrict=on", "-display", "none", "-serial", "stdio", "-no-reboot")
	console := &serial{}
	machine.Stdout, machine.Stderr = console, console
	start := time.Now()
	require.NoError(t, machine.Start(), "apt-get install qemu-system-x86 ovmf")
	defer func() {
		_ = machine.Process.Kill()
		_ = machine.Wait()
	}()
	if !assertEventually(t, 8*time.Minute, func() bool { return strings.Contains(console.String(), " login:") }) {
		text := console.String()
		require.Fail(t, "no login", text[max(0, len(text)-4000):])
	}
	t.Logf("a login after %s", time.Since(start))
}
