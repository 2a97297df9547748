package preflight_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/preflight"
	"github.com/sealift/sealift/test/sites"
)

func TestEngine(t *testing.T) {
	l := newLabWith(t, sites.Options{})
	l.edit("spec:\n", "spec:\n  bootstrap: kind\n")
	ip, err := exec.LookPath("ip") // that the other checks need
	require.NoError(t, err)
	bin := t.TempDir()
	require.NoError(t, os.Symlink(ip, filepath.Join(bin, "ip")))
	t.Setenv("PATH", bin)
	all := l.require("host-engine", preflight.Failed, `docker: exec: "docker": executable file not found`)
	require.Contains(t, all["host-engine"].Remedy, "leave out spec.bootstrap")
	requireState(t, all["host-disk"], preflight.Skipped, "not known where")

	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\necho 'permission denied'; exit 1\n"), 0o755))
	l.require("host-engine", preflight.Failed, "docker: exit status 1 permission denied")
	require.NoError(t, os.WriteFile(filepath.Join(bin, "docker"), []byte("#!/bin/sh\necho "+bin+"\n"), 0o755))
	all = l.require("host-engine", preflight.OK, "docker runs, in "+bin)
	require.Contains(t, all["host-disk"].Evidence, "free in "+bin+", 10 GiB needed")
}

func TestDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a file system is mounted by root only")
	}
	l := newLabWith(t, sites.Options{})
	small := filepath.Join(t.TempDir(), "small")
	require.NoError(t, os.Mkdir(small, 0o755))
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small).CombinedOutput()
	require.NoError(t, err, string(out))
	t.Cleanup(func() { _ = exec.Command("umount", small).Run() })
	l.options.Dir = filepath.Join(small, "sealift", "north")
	all := l.require("host-disk", preflight.Failed, "1.0 MiB free in "+small)
	require.Contains(t, all["host-disk"].Remedy, "--dir")
	out, err = exec.Command("mount", "-o", "remount,ro", small).CombinedOutput()
	require.NoError(t, err, string(out))
	l.require("host-disk", preflight.Failed, "writing to "+small+": read-only file system")
	l.options.Dir = ""
	l.require("host-disk", preflight.Skipped, "not known where")

	t.Setenv("TMPDIR", small) // which nothing of an installation is written to
	l.options.Dir = filepath.Join(l.Dir, "state")
	require.NotContains(t, l.run()["host-disk"].Evidence, small)
}
