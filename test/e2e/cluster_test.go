//go:build e2e

package e2e_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
)

// kubectl asks the installed cluster.
func (e *enterprise) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := e.tryKubectl(t, args...)
	require.NoError(t, err, out)
	return out
}

func (e *enterprise) tryKubectl(t *testing.T, args ...string) (string, error) {
	cmd := exec.CommandContext(t.Context(), e.programs["kubectl"], append([]string{"--kubeconfig", filepath.Join(e.dir, "state", "kubeconfig"), "--namespace", "sealift-system",
		"--request-timeout", "20s"}, args...)...)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// nodes returns the names of the nodes that are ready and those of all.
func (e *enterprise) readyNodes(t *testing.T) (ready, all []string) {
	out, err := e.tryKubectl(t, "get", "nodes", "-o", `jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`)
	if err != nil {
		return nil, nil // the address is on its way from one node to another
	}
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		all = append(all, f[0])
		if len(f) == 2 && f[1] == "True" {
			ready = append(ready, f[0])
		}
	}
	return ready, all
}

// awaitNodes waits until there are so many nodes, all of them ready, and as
// many machines at the vCenter.
func (e *enterprise) awaitNodes(t *testing.T, count int, wait time.Duration) {
	t.Helper()
	start := time.Now()
	require.Eventually(t, func() bool {
		ready, all := e.readyNodes(t)
		return len(ready) == count && len(all) == count && len(e.machines(t)) == count
	}, wait, 3*time.Second, "%s", lazy(func() string {
		out, _ := e.tryKubectl(t, "get", "nodes,machines,vspherevms", "-A", "-o", "wide")
		return out
	}))
	t.Logf("%d nodes after %s", count, time.Since(start).Round(time.Second))
}

// lazy is a text that is made when it is printed.
type lazy func() string

// String implements fmt.Stringer.
func (l lazy) String() string { return l() }

// machines returns the names of the cluster's machines at the vCenter.
func (e *enterprise) machines(t *testing.T) (names []string) {
	c, err := e.vcenter.Client(t.Context(), e.vcenter.Admin())
	require.NoError(t, err)
	defer c.Logout(t.Context()) // the vCenter ends with the test
	found, err := find.NewFinder(c.Client).VirtualMachineList(t.Context(), "/north/vm/sealift/*")
	if err != nil {
		return nil
	}
	for _, vm := range found {
		names = append(names, vm.Name())
	}
	return names
}

// destroy takes a machine away, as an accident at the vCenter does. Who manages
// it may switch it on again before it is gone.
func (e *enterprise) destroy(t *testing.T, name string) {
	c, err := e.vcenter.Client(t.Context(), e.vcenter.Admin())
	require.NoError(t, err)
	defer c.Logout(t.Context()) // the vCenter ends with the test
	vm, err := find.NewFinder(c.Client).VirtualMachine(t.Context(), "/north/vm/sealift/"+name)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		if task, err := vm.PowerOff(t.Context()); err == nil {
			_ = task.Wait(t.Context())
		}
		task, err := vm.Destroy(t.Context())
		return err == nil && task.Wait(t.Context()) == nil
	}, time.Minute, 100*time.Millisecond, "destroying %s", name)
}

// managesItself fails unless the cluster has its own objects, the jump host has
// nothing of the bootstrap, and the vCenter the machines of the cluster alone.
func (e *enterprise) managesItself(t *testing.T, machines int) {
	t.Helper()
	require.Equal(t, "Provisioned", e.kubectl(t, "get", "cluster", "enterprise", "-o", "jsonpath={.status.phase}"))
	require.Len(t, strings.Fields(e.kubectl(t, "get", "machines", "-o", "name")), machines)
	require.Len(t, strings.Fields(e.kubectl(t, "get", "ipaddresses.ipam.cluster.x-k8s.io", "-o", "name")), machines, "no address is lost")
	require.Len(t, e.machines(t), machines)
	require.NoDirExists(t, filepath.Join(e.dir, "state", "bootstrap"))
	e.noOrphans(t)
}

// described is what the objects that an installation makes ask for. What their
// controllers say of them changes whenever these look again.
func (e *enterprise) described(t *testing.T) string {
	return e.kubectl(t, "get", "cluster,kubeadmcontrolplane,machinedeployment,machines,vspherecluster,vspheremachinetemplates,kubeadmconfigtemplates", "-o",
		`jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid} {.metadata.generation} {.metadata.labels} {.metadata.annotations}{"\n"}{end}`)
}

// secondInstall fails when a run after the last changes anything.
func (e *enterprise) secondInstall(t *testing.T) {
	t.Helper()
	before := ""
	require.Eventually(t, func() bool { // the controllers have come to rest
		last := before
		before = e.described(t)
		return last == before
	}, 2*time.Minute, 5*time.Second)
	for _, s := range e.install(t).Steps {
		require.Equal(t, "skipped", s.Outcome, "%s: %s", s.Name, s.Detail)
	}
	require.Equal(t, before, e.described(t))
	require.NoDirExists(t, filepath.Join(e.dir, "state", "bootstrap"))
}

// repairControlPlane destroys a machine of the control plane and waits for
// another, which nobody asks for: the cluster's own health check does.
func (e *enterprise) repairControlPlane(t *testing.T, controlPlanes int) {
	t.Helper()
	const planes = "cluster.x-k8s.io/control-plane"
	lost := strings.Fields(e.kubectl(t, "get", "machines", "-l", planes, "-o", "jsonpath={.items[*].metadata.name}"))[0]
	e.destroy(t, lost)
	start := time.Now()
	require.Eventually(t, func() bool { // what waits on a lost API server's connection waits for ever
		_, err := e.tryKubectl(t, "wait", "--for=delete", "machine/"+lost, "--timeout=5s")
		return err == nil
	}, 8*time.Minute, time.Second, "machine %s is not given up", lost)
	t.Logf("took %.1fs: machine %s is given up", time.Since(start).Seconds(), lost)
	e.awaitNodes(t, controlPlanes+1, 6*time.Minute)
	t.Logf("%s came back as another:\n%s", lost, e.kubectl(t, "get", "machines"))
}
