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

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/cache"
)

// Suite is the release of Debian that nodes run.
const Suite = "trixie"

// RootfsFile is the name of the tar archive in the result of RootfsStep.
const RootfsFile = "rootfs.tar"

//go:embed customize.sh
var customize string

// packages are what kind's base image has, Debian's containerd and runc, what
// the lab's images take from here, and cloud-init with what it sets up for machines of vSphere.
func packages() []string {
	return strings.Fields(`systemd dbus conntrack iptables nftables iproute2 ethtool util-linux mount kmod libseccomp2 e2fsprogs
		bash ca-certificates curl jq procps socat hostname iputils-ping containerd runc busybox-static cloud-init systemd-timesyncd`)
}

// RootfsOptions is where Debian comes from.
type RootfsOptions struct {
	Mirror string // "" means deb.debian.org
}

// RootfsStep returns the step that installs Debian into a tar archive.
func RootfsStep(opts RootfsOptions) *cache.Step {
	return &cache.Step{
		Name:   "rootfs",
		Inputs: append([]string{Suite, customize}, packages()...),
		Make:   func(ctx context.Context, dir string) error { return makeRootfs(ctx, dir, opts) },
	}
}

func makeRootfs(ctx context.Context, dir string, opts RootfsOptions) error {
	if opts.Mirror == "" {
		opts.Mirror = "http://deb.debian.org/debian"
	}
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return problem.New(problem.Preflight, "apt-get install mmdebstrap", "making a root file system: %w", err)
	}
	script := filepath.Join(dir, "customize.sh")
	if err := os.WriteFile(script, []byte(customize), 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--variant=minbase", "--include="+strings.Join(packages(), ","),
		`--aptopt=APT::Install-Recommends "false"`,
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*", "--dpkgopt=path-exclude=/usr/share/i18n/*",
		`--customize-hook=chroot "$1" sh -s < `+quote(script),
		Suite, filepath.Join(dir, RootfsFile), opts.Mirror)
	cmd.WaitDelay = waitDelay
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it removes what it made
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return problem.New(problem.Failed, "reach "+opts.Mirror+", and run this as root; mmdebstrap's own words stand above",
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
