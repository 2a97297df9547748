// Package node makes the machine of the lab: a root file system of Debian, and
// from it, from the compiled programs and from kind's own base files a node
// image in the layout that kind expects.
package node

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/cache"
)

// Suite is the release of Debian that nodes run.
const Suite = "trixie"

// RootfsFile is the name of the tar archive in the result of RootfsStep.
const RootfsFile = "rootfs.tar"

//go:embed customize.sh
var customize string

//go:embed bootable.sh
var bootable string

// packages are what kind's base image has, Debian's containerd and runc, what
// the lab's images take from here, and cloud-init with what it sets up for machines of vSphere.
func packages() []string {
	return strings.Fields(`systemd dbus conntrack iptables nftables iproute2 ethtool util-linux mount kmod libseccomp2 e2fsprogs
		bash ca-certificates curl jq procps socat hostname iputils-ping containerd pigz runc busybox-static cloud-init systemd-timesyncd`)
}

// bootPackages are what a machine has that boots by itself.
func bootPackages() []string {
	return strings.Fields(`linux-image-cloud-amd64 initramfs-tools systemd-sysv udev systemd-boot-efi systemd-resolved
		open-vm-tools openssh-server sudo cloud-guest-utils login`)
}

// ContainerOnly returns the files of a node image, but for Debian's, that only
// make sense in a container.
func ContainerOnly() []string {
	const units = "etc/systemd/system/"
	return []string{units + "kubelet.service.d/11-kind.conf", units + "undo-mount-hacks.service", units + "multi-user.target.wants/undo-mount-hacks.service",
		units + "systemd-binfmt.service", "etc/systemd/journald.conf.d/kind.conf", "usr/local/bin/entrypoint", guestDir}
}

// RootfsOptions is where Debian comes from, and what it is for. The zero value
// is a root file system for node images.
type RootfsOptions struct {
	Mirror   string // "" means deb.debian.org
	Bootable bool   // with a kernel, for a machine's disk
}

// RootfsStep returns the step that installs Debian into a tar archive.
func RootfsStep(opts RootfsOptions) *cache.Step {
	name, script, include := "rootfs", customize, packages()
	if opts.Bootable {
		name, script, include = "rootfs-bootable", bootable, append(include, bootPackages()...)
	}
	return &cache.Step{
		Name:   name,
		Inputs: append([]string{Suite, script}, include...),
		Make:   func(ctx context.Context, dir string) error { return makeRootfs(ctx, dir, script, include, opts.Mirror) },
	}
}

func makeRootfs(ctx context.Context, dir, text string, include []string, mirror string) error {
	if mirror == "" {
		mirror = "http://deb.debian.org/debian"
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return problem.New(problem.Preflight, "apt-get install mmdebstrap", "making a root file system: %w", err)
	}
	script := filepath.Join(dir, "customize.sh")
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--variant=minbase", "--include="+strings.Join(include, ","),
		`--aptopt=APT::Install-Recommends "false"`,
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/i18n/*",
		`--customize-hook=chroot "$1" sh -s < `+quote(script),
		Suite, filepath.Join(dir, RootfsFile), mirror)
	cmd.WaitDelay = waitDelay
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it removes what it made
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
	if os.Geteuid() == 0 { // what it mounts is nowhere else to be seen, and gone with it
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return problem.New(problem.Failed, "reach "+mirror+", and run this as root; mmdebstrap's own words stand above",
			"making a root file system: %w\n%s", err, tail(out.String(), 15))
	}
	return os.Remove(script)
}

// tail returns the last lines of a text.
func tail(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// quote makes a word of the shell of any path.
func quote(path string) string {
	return fmt.Sprintf("'%s'", strings.ReplaceAll(path, "'", `'\''`))
}
