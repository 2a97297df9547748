package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
)

// docker puts a program of this name and text first on PATH.
func docker(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
	t.Setenv("PATH", dir+":/usr/bin:/bin")
}

func TestFindTakesTheEngineThatRuns(t *testing.T) {
	docker(t, "echo 28.2.2")
	e, err := Find(t.Context())
	require.NoError(t, err)
	require.Equal(t, "28.2.2", e.Version)
	require.False(t, e.Own)
	require.Empty(t, e.Env())
}

func TestFindWithoutAnEngine(t *testing.T) {
	docker(t, "echo Cannot connect to the Docker daemon >&2; exit 1")
	_, err := Find(t.Context())
	require.ErrorIs(t, err, ErrNone)
	require.ErrorContains(t, err, "Cannot connect")
	t.Setenv("PATH", t.TempDir())
	_, err = Find(t.Context())
	require.ErrorIs(t, err, ErrNone)
}

func TestOldDockerIsNamed(t *testing.T) {
	docker(t, "echo 20.10.24+dfsg1")
	_, err := Find(t.Context())
	require.ErrorContains(t, err, "docker 20.10.24+dfsg1 is too old")
	require.Equal(t, problem.Preflight, problem.KindOf(err))
	require.Contains(t, problem.Remedies(err)[0], "LAB_ENGINE=own")
	require.NoError(t, checkVersion("dev"), "a build of one's own has no number")
}

func TestCodename(t *testing.T) {
	file := filepath.Join(t.TempDir(), "os-release")
	require.NoError(t, os.WriteFile(file, []byte("ID=debian\nVERSION_CODENAME=bookworm\n"), 0o644))
	name, err := codename(file)
	require.NoError(t, err)
	require.Equal(t, "bookworm", name)
	require.NoError(t, os.WriteFile(file, []byte("PRETTY_NAME=\"Other Linux 9\"\nID=other\n"), 0o644))
	_, err = codename(file)
	require.ErrorContains(t, err, `only on Debian, not on "Other Linux 9"`)
	require.NotEmpty(t, problem.Remedies(err))
}

func TestMissingCapabilities(t *testing.T) {
	require.Empty(t, missingCapabilities("Name:\tx\nCapEff:\t000001ffffffffff\n"))
	require.Equal(t, []string{"CAP_SYS_ADMIN", "CAP_NET_ADMIN"}, missingCapabilities("CapEff:\t00000000a80425fb\n"), "those of a plain container")
	require.Len(t, missingCapabilities(""), 2)
}

// own is an engine whose dockerd is a script.
func own(t *testing.T, dockerd string) *Own {
	t.Helper()
	dir := t.TempDir()
	sbin := filepath.Join(dir, "packages/root/usr/sbin")
	require.NoError(t, os.MkdirAll(sbin, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(sbin, "dockerd"), []byte("#!/bin/sh\n"+dockerd+"\n"), 0o755))
	return &Own{Packages: filepath.Join(dir, "packages"), Data: filepath.Join(dir, "data"), Run: filepath.Join(dir, "run")}
}

func TestEngineThatDoesNotStartSaysWhy(t *testing.T) {
	o := own(t, "echo first; echo no cgroups; exit 1")
	require.NoError(t, os.MkdirAll(o.Data, 0o755))
	require.NoError(t, os.MkdirAll(o.Run, 0o755))
	ended, err := o.launch(o.engine())
	require.NoError(t, err)
	err = o.await(t.Context(), o.engine(), ended)
	require.ErrorContains(t, err, "starting an engine: it ended: no cgroups")
	require.Contains(t, problem.Remedies(err)[0], o.log())
	require.True(t, o.Exists())
	require.NoError(t, o.Stop(t.Context()))
	require.False(t, o.Exists())
	require.NoDirExists(t, o.Data)
}

func TestStopWithoutAnEngine(t *testing.T) {
	o := own(t, "")
	require.NoError(t, o.Stop(t.Context()))
}

func TestStopLeavesOtherProcessesAlone(t *testing.T) {
	o := own(t, "")
	other := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, other.Start())
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	require.NoError(t, os.MkdirAll(o.Run, 0o755))
	for _, pid := range []string{fmt.Sprint(other.Process.Pid), "1", "-1", "", "x"} {
		require.NoError(t, os.WriteFile(o.pidfile(), []byte(pid), 0o644))
		require.NoError(t, end(t.Context(), "dockerd", o.pidfile()))
	}
	require.True(t, runs("sleep", other.Process.Pid), "its number was in a pidfile that a reboot made stale")
}

func TestEndWaitsForTheProcess(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, cmd.Start())
	go func() { _ = cmd.Wait() }()
	pidfile := filepath.Join(t.TempDir(), "pid")
	require.NoError(t, os.WriteFile(pidfile, []byte(fmt.Sprint(cmd.Process.Pid)), 0o644))
	require.NoError(t, end(t.Context(), "sleep", pidfile))
	require.False(t, runs("sleep", cmd.Process.Pid))
}

func TestTwoLabsHaveTwoEngines(t *testing.T) {
	a, b := NewOwn("/a/.cache/lab", "/p"), NewOwn("/b/.cache/lab", "/p")
	require.NotEqual(t, a.Run, b.Run)
	require.Less(t, len(a.socket()), 108, "the length of a socket's path")
}

func TestUndoFirewall(t *testing.T) {
	rules := `-P FORWARD DROP
-N DOCKER
-N DOCKER-USER
-N OTHER
-A FORWARD -j DOCKER-USER
-A FORWARD -j OTHER
-A DOCKER-USER -j RETURN
`
	require.Equal(t, [][]string{
		{"-D", "FORWARD", "-j", "DOCKER-USER"},
		{"-F", "DOCKER"}, {"-F", "DOCKER-USER"},
		{"-X", "DOCKER"}, {"-X", "DOCKER-USER"},
	}, undo(rules))
	require.Empty(t, undo("-P INPUT ACCEPT\n"))
}

func TestPidfileOfAKilledEngineIsForgotten(t *testing.T) {
	o := own(t, "")
	require.NoError(t, os.MkdirAll(o.Run, 0o755))
	for _, pid := range []string{fmt.Sprint(os.Getpid()), "1", "x"} {
		require.NoError(t, os.WriteFile(o.pidfile(), []byte(pid), 0o644))
		require.NoError(t, o.forget())
		require.NoFileExists(t, o.pidfile())
	}
	require.NoError(t, o.forget())
}

func TestMountPoints(t *testing.T) {
	const mounts = "/dev/vda / ext4 rw 0 0\n/dev/vda /lab/data ext4 rw 0 0\noverlay /lab/data/a/merged overlay rw 0 0\ntmpfs /lab/data2 tmpfs rw 0 0\n"
	require.Equal(t, []string{"/lab/data/a/merged", "/lab/data"}, mountPoints(mounts, "/lab/data"))
	require.Empty(t, mountPoints(mounts, "/other"))
}
