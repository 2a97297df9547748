package ova

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/vmdk"

	"github.com/sealift/sealift/internal/problem"
)

// small writes the OVA of a small root file system, and returns its path.
func small(t *testing.T) string {
	t.Helper()
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}))
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "etc/hostname", Mode: 0o644, Size: 5, Uid: os.Getuid(), Gid: os.Getgid()}))
	_, err := w.Write([]byte("node\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	path := filepath.Join(t.TempDir(), "node.ova")
	require.NoError(t, Write(t.Context(), path, []io.Reader{&root}, Options{Name: "node", Version: "v1.34.4", DiskGiB: 1}))
	return path
}

// open returns the names in an OVA in their order, and writes its files into a folder.
func open(t *testing.T, path string) (dir string, names []string) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	dir = t.TempDir()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF { //nolint:errorlint // Next returns it as it is
			return dir, names
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, h.Name), data, 0o600))
		names = append(names, h.Name)
	}
}

func TestTheOVAIsWhatVSphereReads(t *testing.T) {
	path := small(t)
	dir, names := open(t, path)
	require.Equal(t, []string{"node.ovf", "node.mf", "node-disk1.vmdk"}, names)

	text, err := os.Open(filepath.Join(dir, "node.ovf"))
	require.NoError(t, err)
	env, err := ovf.Unmarshal(text)
	require.NoError(t, err)
	require.NoError(t, text.Close())
	require.Equal(t, "vmx-19", *env.VirtualSystem.VirtualHardware[0].System.VirtualSystemType)
	require.Equal(t, "debian12_64Guest", *env.VirtualSystem.OperatingSystem.OSType)
	require.Equal(t, "sealift node", env.VirtualSystem.Product[0].Product)
	require.Equal(t, "nodes", env.Network.Networks[0].Name)

	info, err := vmdk.Stat(filepath.Join(dir, "node-disk1.vmdk"))
	require.NoError(t, err, "govmomi takes no other kind than streamOptimized")
	require.EqualValues(t, 1<<30, info.Capacity)
	require.EqualValues(t, env.References[0].Size, info.Size)
}

func TestTheDiskHasTheFiles(t *testing.T) {
	dir, _ := open(t, small(t))
	disk, raw := filepath.Join(dir, "node-disk1.vmdk"), filepath.Join(dir, "disk.raw")
	out, err := exec.CommandContext(t.Context(), "qemu-img", "convert", "-f", "vmdk", "-O", "raw", disk, raw).CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.CommandContext(t.Context(), "/usr/sbin/debugfs", "-R", "cat /etc/hostname", raw).Output()
	require.NoError(t, err)
	require.Equal(t, "node\n", string(out))
	out, err = exec.CommandContext(t.Context(), "/usr/sbin/e2fsck", "-fn", raw).CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestManifestAndDigest(t *testing.T) {
	path := small(t)
	dir, _ := open(t, path)
	digest, err := DiskDigest(path)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "sha256sum", "--tag", "node.ovf", "node-disk1.vmdk")
	cmd.Dir = dir
	sums, err := cmd.Output()
	require.NoError(t, err)
	manifest, err := os.ReadFile(filepath.Join(dir, "node.mf"))
	require.NoError(t, err)
	require.Equal(t, string(bytes.ReplaceAll(bytes.ReplaceAll(sums, []byte(" ("), []byte("(")), []byte(") = "), []byte(")= "))), string(manifest))
	require.Contains(t, string(manifest), fmt.Sprintf("disk1.vmdk)= %s\n", digest))
}

func TestWhatIsNoOVA(t *testing.T) {
	_, err := DiskDigest(filepath.Join(t.TempDir(), "none.ova"))
	require.ErrorIs(t, err, os.ErrNotExist)
	path := filepath.Join(t.TempDir(), "empty.ova")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = DiskDigest(path)
	require.ErrorContains(t, err, "looking for the manifest")
	require.NoError(t, writeTar(path, []entry{{"node.mf", 2, bytes.NewReader([]byte("x\n"))}}))
	_, err = DiskDigest(path)
	require.ErrorContains(t, err, "names no disk")
}

func TestADiskThatBootsNeedsAKernel(t *testing.T) {
	root := bytes.NewReader(make([]byte, 1024)) // an empty archive
	err := Write(t.Context(), filepath.Join(t.TempDir(), "node.ova"), []io.Reader{root}, Options{Name: "node", DiskGiB: 1, Boots: true})
	require.ErrorContains(t, err, "and a disk that boots needs one")
	require.Contains(t, problem.Remedies(err)[0], "one kernel and systemd-boot")
}

func TestADiskThatBootsHasBothPartitions(t *testing.T) {
	var root bytes.Buffer
	w := tar.NewWriter(&root)
	for _, name := range []string{"boot/vmlinuz-6", "boot/initrd.img-6", "usr/lib/systemd/boot/efi/systemd-bootx64.efi", "etc/left-out"} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: 4, Uid: os.Getuid(), Gid: os.Getgid()}))
		_, err := w.Write([]byte("test"))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	path := filepath.Join(t.TempDir(), "node.ova")
	require.NoError(t, Write(t.Context(), path, []io.Reader{&root}, Options{Name: "node", DiskGiB: 1, Boots: true, Without: []string{"etc/left-out"}}))
	dir, _ := open(t, path)
	raw := filepath.Join(dir, "disk.raw")
	out, err := exec.CommandContext(t.Context(), "qemu-img", "convert", "-f", "vmdk", "-O", "raw", filepath.Join(dir, "node-disk1.vmdk"), raw).CombinedOutput()
	require.NoError(t, err, string(out))
	out, err = exec.CommandContext(t.Context(), "mdir", "-b", "-/", "-i", raw+"@@1048576", "::").CombinedOutput()
	require.NoError(t, err, string(out))
	for _, name := range []string{"::/EFI/BOOT/BOOTX64.EFI", "::/node/linux", "::/node/initrd", "::/loader/entries/node.conf"} {
		require.Contains(t, string(out), name)
	}
	out, err = exec.CommandContext(t.Context(), "/usr/sbin/debugfs", "-R", "ls /etc", fmt.Sprintf("%s?offset=%d", raw, rootStart*sector)).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), "left-out")
}

func TestWriteSaysWhatIsMissing(t *testing.T) {
	err := Write(t.Context(), filepath.Join(t.TempDir(), "node.ova"), []io.Reader{bytes.NewReader([]byte("no archive"))}, Options{Name: "node"})
	require.ErrorContains(t, err, "unpacking the root file system")
	err = run(t.Context(), nil, "qemu-utils", "no-such-program")
	require.Equal(t, []string{"apt-get install qemu-utils"}, problem.Remedies(err))
}
