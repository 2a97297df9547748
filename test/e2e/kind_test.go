//go:build e2e

package e2e_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/lab/engine"
)

// kindCluster is the name of the site's kind cluster.
const kindCluster = "sealift-north"

// kindNode publishes the lab's node image, and lets the bundle in a folder
// carry it, as the comments there say.
func (s *darkSite) kindNode(t *testing.T, dir string) {
	names, err := s.lab.NodeImages()
	require.NoError(t, err)
	tag, err := name.NewTag(names.Full)
	require.NoError(t, err)
	image, err := tarball.ImageFromPath(s.lab.NodeArchive(), &tag)
	require.NoError(t, err)
	to, err := name.NewTag(s.published+"/kindest/node:v1.34.4", name.Insecure)
	require.NoError(t, err)
	require.NoError(t, remote.Write(to, image, remote.WithContext(t.Context())))
	for file, line := range map[string]string{"release.yaml": "kindNode: ", "bundle.yaml": "- docker.io/kindest/node"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		require.Contains(t, string(data), "# "+line)
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(strings.Replace(string(data), "# "+line, line, 1)), 0o600))
	}
}

// jumpEngine starts a container engine on the jump host. What its containers
// send leaves by the jump host's own address, and is counted on the dark network.
func (e *enterprise) jumpEngine(t *testing.T) *engine.Engine {
	docker, err := e.lab.JumpEngine(t.Context(), e.network.Name, e.jump.Enter())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.lab.StopJumpEngine(context.Background(), e.network.Name)) })
	e.variables = append(e.variables, docker.Env()...)
	return docker
}

// TestGivenUpWithKind begins an installation from a kind cluster on the jump
// host that is killed while the kind cluster is being made, and again while that
// makes machines; then it is removed, and the site is as before.
func TestGivenUpWithKind(t *testing.T) {
	e := newEnterprise(t, "kind", 1)
	before := e.vcenter.names(t)
	docker := e.jumpEngine(t)
	e.killedWhen(t, func() bool { return e.has(t, docker, "ps", "--quiet", "--all") })
	e.killedWhen(t, func() bool { return len(e.machines(t)) > 0 })
	e.uninstall(t, before)
	e.nothingOfKind(t, docker)
	e.awaitSilence(t)
	e.nothingLeft(t)
}

// TestInstallKind builds the enterprise cluster from a kind cluster, with three
// control planes where the memory allows, by two runs of which the first is
// killed while kubeadm works in the kind node. Of three one is lost, and comes back.
func TestInstallKind(t *testing.T) {
	controlPlanes := affordable(t)
	e := newEnterprise(t, "kind", controlPlanes)
	docker := e.jumpEngine(t)
	e.preflight(t)
	took(t, "a run that is killed while kind works", func() {
		e.killedWhen(t, func() bool {
			return e.has(t, docker, "exec", kindCluster+"-control-plane", "test", "-f", "/etc/kubernetes/admin.conf")
		})
	})
	e.kindIsWatched(t, docker)
	var done installation
	took(t, "install", func() { done = e.install(t) })
	e.nothingOfKind(t, docker)
	e.awaitNodes(t, controlPlanes+1, time.Minute)
	e.managesItself(t, controlPlanes+1)
	e.consoleAnswers(t, done.Console)
	if controlPlanes > 1 {
		took(t, "a lost control plane comes back", func() { e.repairControlPlane(t, controlPlanes) })
	}
	e.nothingLeft(t)
}

// kindIsWatched fails unless what a kind node sends away from the site is
// counted like what the jump host sends.
func (e *enterprise) kindIsWatched(t *testing.T, docker *engine.Engine) {
	t.Helper()
	e.nothingLeft(t)
	_, err := docker.Run(t.Context(), "exec", kindCluster+"-control-plane", "timeout", "2", "bash", "-c", "echo >/dev/tcp/192.0.2.1/443")
	require.Error(t, err)
	attempts, err := e.network.Attempts(t.Context())
	require.NoError(t, err)
	require.Len(t, attempts.Flows, 1)
	require.Contains(t, attempts.Flows[0], e.jump.Address.String()+" > 192.0.2.1 ")
	require.NoError(t, e.network.Forget(t.Context()))
	e.nothingLeft(t)
}

// awaitSilence waits until no machine answers any more, as preflight sees it:
// the lab's begin and end some time after the vCenter says so.
func (e *enterprise) awaitSilence(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		out, err := e.engine.Run(t.Context(), "ps", "--all", "--quiet", "--filter", "name="+e.vcenter.machines.Name+"-vm-")
		return err == nil && out == ""
	}, 2*time.Minute, time.Second)
	var said []byte
	require.Eventually(t, func() bool {
		var err error
		said, err = e.command(t, "preflight", "-f", "site.yaml", "--bundle", "enterprise.tar", "--key", "cosign.pub").CombinedOutput()
		return err == nil
	}, time.Minute, 3*time.Second, "%s", lazy(func() string { return string(said) }))
}

// has tells whether a command of an engine succeeds and prints something or has
// nothing to print.
func (e *enterprise) has(t *testing.T, docker *engine.Engine, args ...string) bool {
	out, err := docker.Run(t.Context(), args...)
	return err == nil && (out != "" || args[0] == "exec")
}

// killedWhen runs the installation and kills it when something is there.
func (e *enterprise) killedWhen(t *testing.T, there func() bool) {
	t.Helper()
	cmd := e.command(t, installArgs()...)
	var lines strings.Builder
	cmd.Stderr = &lines
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline) && !there(); time.Sleep(time.Second) {
		select {
		case err := <-ended:
			require.NoError(t, err, lines.String())
			require.Fail(t, "it ended before it could be killed")
		default:
		}
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	require.ErrorContains(t, <-ended, "killed")
	t.Log(lines.String())
}

// nothingOfKind fails when something of the kind cluster is left on the jump host.
func (e *enterprise) nothingOfKind(t *testing.T, docker *engine.Engine) {
	t.Helper()
	require.NoDirExists(t, filepath.Join(e.dir, "state", "bootstrap"))
	for _, list := range [][]string{
		{"container", "ls", "--all", "--format", "{{.Names}}"}, {"image", "ls", "--format", "{{.Repository}}"},
		{"volume", "ls", "--format", "{{.Name}}"}, {"network", "ls", "--filter", "type=custom", "--format", "{{.Name}}"},
	} {
		out, err := docker.Run(t.Context(), list...)
		require.NoError(t, err)
		require.Empty(t, out, list[0])
	}
}
