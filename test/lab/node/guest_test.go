package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/lab/images"
)

func TestImageBootsAsAMachineToo(t *testing.T) {
	files := images.Files{}
	require.NoError(t, addGuest(files))
	for _, program := range []string{"boot", "hook", "network", "online", "addresses", "vmware-rpctool", "bin/systemd-detect-virt"} {
		require.EqualValues(t, 0o755, files[guestDir+"/"+program].Mode, program)
	}
	require.Zero(t, files[guestDir+"/kubelet.conf"].Mode)
	require.NotContains(t, files, guestDir+"/systemd-detect-virt", "it would be found by all")
	require.Equal(t, []string{"/usr/local/bin/entrypoint", "/usr/local/lib/guest/boot", "/sbin/init"}, config().Entrypoint)
	require.Contains(t, config().Volumes, "/var")
}

// rpctool runs the lab's vmware-rpctool over a folder of values.
func rpctool(values string, args ...string) (stdout, stderr string, err error) {
	cmd := exec.Command("guest/vmware-rpctool", args...)
	cmd.Env = append(os.Environ(), "GUESTINFO="+values)
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // Output returns it as it is
		stderr = string(exit.Stderr)
	}
	return string(out), stderr, err
}

func TestRPCToolReadsAndSetsGuestinfo(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "guestinfo.metadata"), []byte("a: $b `c`\n"), 0o600))
	out, _, err := rpctool(dir, "info-get guestinfo.metadata")
	require.NoError(t, err)
	require.Equal(t, "a: $b `c`\n", out)
	out, _, err = rpctool(dir, "--cmd", "info-get guestinfo.metadata")
	require.NoError(t, err)
	require.Equal(t, "a: $b `c`\n", out, "as vmtoolsd")

	_, _, err = rpctool(dir, "info-set guestinfo.local-ipv4 192.0.2.1 and more")
	require.NoError(t, err)
	out, _, err = rpctool(dir, "info-get guestinfo.local-ipv4")
	require.NoError(t, err)
	require.Equal(t, "192.0.2.1 and more", out)
}

func TestRPCToolRefusesWhatThereIsNot(t *testing.T) {
	dir := t.TempDir()
	_, said, err := rpctool(dir, "info-get guestinfo.vendordata")
	require.Error(t, err)
	require.Equal(t, "No value found", said, "cloud-init compares all of it")
	for _, command := range []string{"info-get ../etc/passwd", "info-set a/b c", "info-get .hidden", "info-get ", "restart now", ""} {
		_, said, err = rpctool(dir, command)
		require.Error(t, err, command)
		require.Equal(t, "Unknown command\n", said, command)
	}
}
