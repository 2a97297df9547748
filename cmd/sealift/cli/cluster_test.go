package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/test/consoles"
	"github.com/sealift/sealift/test/lab/controlplane"
)

// releases are what an upgrade in a test is made of: it waits for next, and
// fails with what it is told there.
type releases struct{ next chan error }

var _ enterprise.Upgrader = (*releases)(nil)

func (*releases) Bundles(context.Context) ([]upgrade.Bundle, error) {
	return []upgrade.Bundle{{ID: "enterprise-1.1.0", Name: "enterprise", Version: "1.1.0", Statement: "sha256:b7", From: "registry.north.example/sealift"}}, nil
}

func (*releases) Plan(context.Context, string) (*upgrade.Plan, error) {
	return &upgrade.Plan{Cluster: controlplane.Name, Release: "enterprise 1.1.0", Filled: true,
		Versions: []upgrade.VersionChange{{Name: "kubernetes", From: "v1.34.4", To: "v1.35.1"}, {Name: "provider cluster-api", From: "v1.13.6", To: "v1.13.6"}},
		Machines: []string{"enterprise-control-plane-1"}, Warnings: []string{"pool batch is not in the site"},
		Values: []upgrade.Setting{{Path: "/console/replicas", Before: "2", Live: "3", After: "4", Outcome: upgrade.Conflict}}}, nil
}

func (r *releases) Run(ctx context.Context, _ string, _ upgrade.Choices, o upgrade.Observer) error {
	o.Steps([]string{"fill the registry", "replace the control plane", "install the system console"})
	o.Step(0, upgrade.Before, "214 images and artifacts")
	o.Step(1, upgrade.Running, "Machine enterprise-control-plane-1: Ready: waiting for the node")
	select {
	case err := <-r.next:
		if err != nil {
			o.Step(1, upgrade.Failed, err.Error())
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	o.Step(1, upgrade.Done, "3 machines")
	o.Step(2, upgrade.Done, "3 replicas")
	return nil
}

func (*releases) Installed(context.Context) (*upgrade.Installed, error) {
	return &upgrade.Installed{Release: "enterprise 1.0.0", Bundle: upgrade.Bundle{Name: "enterprise", Version: "1.0.0", From: "registry.north.example/sealift", Statement: "sha256:3f"},
		Key: "sha256:5c", Verified: time.Now(), Components: []upgrade.Component{{Name: "registry.k8s.io/etcd", Kind: "image", Version: "3.6.5-0", Digest: "sha256:11"}}}, nil
}

func (*releases) Registry(context.Context) (*upgrade.Registry, error) {
	return &upgrade.Registry{Endpoint: "registry.north.example:1", Prefix: "sealift", Username: "robot", Password: "Hush-9"}, nil
}

// clusterConsole is a console of a cluster on a real API server, where a test
// does the work of Cluster API's controllers.
type clusterConsole struct {
	t        *testing.T
	objects  *controlplane.Cluster
	silence  func() // ends the heartbeats
	releases *releases
	server   *httptest.Server
	ca       string
}

func startClusterConsole(t *testing.T) *clusterConsole {
	config := controlplane.Start(t)
	objects, err := controlplane.Populate(t.Context(), config)
	require.NoError(t, err)
	beating, silence := context.WithCancel(t.Context())
	t.Cleanup(silence)
	var hearts sync.WaitGroup
	hearts.Go(func() { objects.Beat(beating) })
	s, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	c := &clusterConsole{t: t, objects: objects, silence: func() { silence(); hearts.Wait() }, releases: &releases{next: make(chan error)}, ca: filepath.Join(t.TempDir(), "ca.crt")}
	handler, err := systemconsole.New(t.Context(), systemconsole.Options{Store: s, Keeper: keeper, FailureTime: time.Millisecond, Upgrader: c.releases,
		Cluster: func(ctx context.Context) (enterprise.Source, error) {
			return enterprise.Connect(ctx, config, enterprise.Options{})
		}})
	require.NoError(t, err)
	c.server = httptest.NewTLSServer(handler)
	t.Cleanup(c.server.Close)
	require.NoError(t, os.WriteFile(c.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.server.Certificate().Raw}), 0o600))
	t.Setenv("SEALIFT_CONSOLE", c.server.URL)
	t.Setenv("SEALIFT_TOKEN", consoles.Token(t, auth.New(s, audit.New(s, audit.Options{}), auth.Options{Keeper: keeper})))
	return c
}

// run runs sealift cluster and returns what it printed, after a check of its
// exit code.
func (c *clusterConsole) run(code int, args ...string) (stdout, stderr string) {
	c.t.Helper()
	var out, err bytes.Buffer
	got := Run(c.t.Context(), append(append([]string{"cluster"}, args...), "--console-ca", c.ca), Streams{In: strings.NewReader(""), Out: &out, Err: &err})
	require.Equal(c.t, code, got, "%s\n%s", &out, &err)
	return out.String(), err.String()
}

// work does what do does a moment later, when a command waits, and returns how
// to find out that it was done.
func (c *clusterConsole) work(do func(context.Context) error) (done func()) {
	result := make(chan error, 1)
	go func() {
		time.Sleep(1500 * time.Millisecond)
		result <- do(c.t.Context())
	}()
	return func() { require.NoError(c.t, <-result) }
}

// replace makes the machines of a pool anew.
func (c *clusterConsole) replace(pool string) func(context.Context) error {
	return func(ctx context.Context) error {
		var machines clusterv1.MachineList
		err := c.objects.List(ctx, &machines, client.InNamespace(controlplane.Namespace), client.MatchingLabels{clusterv1.MachineDeploymentNameLabel: pool})
		for i := range machines.Items {
			err = errors.Join(err, c.objects.Delete(ctx, &machines.Items[i]),
				c.objects.Delete(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: machines.Items[i].Name}}))
		}
		return errors.Join(err, c.objects.Settle(ctx))
	}
}

func TestCluster(t *testing.T) {
	c := startClusterConsole(t)
	part := func(name string, test func(*clusterConsole, *testing.T)) {
		t.Run(name, func(t *testing.T) {
			c.t = t
			test(c, t)
		})
	}
	part("looks", (*clusterConsole).testLooks)
	part("scale", (*clusterConsole).testScale)
	part("pools", (*clusterConsole).testPools)
	part("upgrade", (*clusterConsole).testUpgrade)
	part("quorum", (*clusterConsole).testQuorum)
	part("silence", (*clusterConsole).testSilence)
}

func (c *clusterConsole) testLooks(t *testing.T) {
	out, _ := c.run(0, "status")
	require.Regexp(t, `(?s)^cluster enterprise: Healthy\nKubernetes v1.34.4 at https://10.20.0.10:6443\n.*enterprise-control-plane +control plane +3 +3 +3 +v1.34.4 +8 CPUs, 16 GiB memory, 60 GiB disk +Healthy`, out)
	out, _ = c.run(0, "status", "-o", "json")
	var state clusterState
	require.NoError(t, json.Unmarshal([]byte(out), &state))
	require.Len(t, state.Pools, 2)
	require.Nil(t, state.Upgrade)
	out, _ = c.run(0, "nodes")
	require.Regexp(t, `enterprise-default-2 +enterprise-default +Ready +v1.34.4 +10.20.0.21 +(now|.*ago)`, out)
	out, _ = c.run(0, "nodes", "--pool", "control-plane", "-o", "json")
	require.Equal(t, 3, strings.Count(out, `"machine"`))
	out, _ = c.run(0, "nodes", "--attention", "-o", "json")
	require.Equal(t, "[]\n", out)
	out, _ = c.run(0, "nodes", "enterprise-default-1")
	require.Regexp(t, `MemoryPressure +False`, out)
	_, said := c.run(2, "nodes", "enterprise-default-9")
	require.Contains(t, said, "there is no node")
	_, said = c.run(2, "nodes", "--pool", "nowhere")
	require.Contains(t, said, "remedy: the pools are enterprise-control-plane, enterprise-default")
	out, _ = c.run(0, "certificates")
	require.Regexp(t, `Kubernetes on enterprise-control-plane-1 +Machine/enterprise-control-plane-1 +\d{4}-\d\d-\d\d +Valid`, out)
	out, _ = c.run(0, "components")
	require.Regexp(t, `(?s)release +enterprise 1.0.0.*signed with +sha256:5c.*registry.k8s.io/etcd +image +3.6.5-0 +sha256:11`, out)
	require.NoError(t, c.objects.Create(t.Context(), &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "slow", Namespace: controlplane.Namespace},
		InvolvedObject: corev1.ObjectReference{Kind: "Machine", Name: "enterprise-default-1", Namespace: controlplane.Namespace}, Type: corev1.EventTypeWarning, Reason: "Slow",
		Message: "powering on\ntakes \x1b[31mlong", LastTimestamp: metav1.Now(), Count: 2}))
	out, _ = c.run(0, "events", "--warnings")
	require.Regexp(t, `warning +Slow +Machine/enterprise-default-1 +2 +powering on takes \[31mlong\n$`, out)
	out, _ = c.run(0, "events", "--limit", "1", "-o", "json")
	require.Equal(t, 1, strings.Count(out, `"reason"`))

	var offered bytes.Buffer
	require.Zero(t, Run(t.Context(), []string{"__complete", "cluster", "scale", "--console-ca", c.ca, ""}, Streams{Out: &offered, Err: &offered}))
	require.Contains(t, offered.String(), "control-plane\nenterprise-default\n")
	offered.Reset()
	require.Zero(t, Run(t.Context(), []string{"__complete", "cluster", "upgrade", "plan", "--console-ca", c.ca, ""}, Streams{Out: &offered, Err: &offered}))
	require.Contains(t, offered.String(), "enterprise-1.1.0\tenterprise 1.1.0\n")
}

func (c *clusterConsole) testScale(t *testing.T) {
	_, said := c.run(2, "scale", "control-plane", "2")
	require.Contains(t, said, "the console says: scaling the control plane to 2: not possible\n  remedy: choose 1, 3 or 5")
	_, said = c.run(2, "scale", "nowhere", "2")
	require.Contains(t, said, "there is no pool")
	done := c.work(c.objects.Settle)
	_, said = c.run(0, "scale", "enterprise-default", "4", "--wait")
	done()
	require.Contains(t, said, "scale enterprise-default to 4 machines: Scaling: 2 of 4 machines\n")
	require.Regexp(t, `scale enterprise-default to 4 machines: done in .*: 4 machines ready`, said)
	_, said = c.run(0, "scale", "enterprise-default", "2")
	require.Contains(t, said, "accepted: scale enterprise-default to 2 machines")
	out, _ := c.run(0, "pools")
	require.Regexp(t, `enterprise-default +workers +4 of 2`, out)
	_, said = c.run(1, "scale", "enterprise-default", "2", "--wait", "--timeout", "1s", "--log-format", "json")
	require.Contains(t, said, "it is not done yet")
	require.Contains(t, said, "it goes on all the same")
	require.NoError(t, c.objects.Settle(t.Context()))
}

func (c *clusterConsole) testPools(t *testing.T) {
	_, said := c.run(2, "pool", "remove", "enterprise-default", "--confirm", "default")
	require.Contains(t, said, "give the pool's name to remove it")
	_, said = c.run(2, "pool", "add", "Batch")
	require.Contains(t, said, "the console says: ")
	done := c.work(c.objects.Settle)
	_, said = c.run(0, "pool", "add", "batch", "--machines", "2", "--size", "medium", "--disk", "200", "--wait")
	done()
	require.Regexp(t, `add pool batch with 2 machines: done in`, said)
	out, _ := c.run(0, "pools")
	require.Regexp(t, `batch +workers +2 +2 +2 +v1.34.4 +16 CPUs, 32 GiB memory, 200 GiB disk +Healthy`, out)
	done = c.work(c.replace("batch"))
	_, said = c.run(0, "pool", "resize", "batch", "--memory", "48", "--wait")
	done()
	require.Contains(t, said, "resize the machines of batch: 0 of 2 replaced; ")
	require.Regexp(t, `done in .*: each machine has 16 CPUs, 48 GiB memory, 200 GiB disk`, said)
	_, said = c.run(2, "pool", "resize", "batch", "--memory", "48")
	require.Contains(t, said, "already")
	_, said = c.run(0, "pool", "remove", "batch", "--confirm", "batch", "--wait", "--quiet")
	require.Empty(t, said)
	_, said = c.run(2, "pool", "remove", "enterprise-default", "--confirm", "enterprise-default")
	require.Contains(t, said, "remedy: add another pool first")
}

func (c *clusterConsole) testUpgrade(t *testing.T) {
	out, _ := c.run(0, "upgrade", "bundles")
	require.Contains(t, out, "enterprise-1.1.0")
	out, _ = c.run(0, "upgrade", "plan", "1.1.0")
	require.Regexp(t, `kubernetes +v1.34.4 +v1.35.1\nprovider cluster-api +v1.13.6 +stays\n`, out)
	require.Regexp(t, `/console/replicas +2 +3 +4 +choose: --keep PATH as it is set, or --take PATH of the release`, out)
	require.Contains(t, out, "warning: pool batch is not in the site")
	begin := []string{"upgrade", "begin", "enterprise-1.1.0", "--confirm", controlplane.Name}
	_, said := c.run(2, begin...)
	require.Contains(t, said, "choose which value of /console/replicas is taken")
	_, said = c.run(2, "upgrade", "begin", "1.1.0", "--keep", "/console/replicas")
	require.Contains(t, said, "type the cluster's name, enterprise, to upgrade it")

	full := problem.New(problem.Failed, "make room on the datastore", "the datastore is full")
	done := c.work(func(context.Context) error { c.releases.next <- full; return nil })
	_, said = c.run(5, append(begin, "--keep", "/console/replicas", "--wait")...)
	done()
	require.Contains(t, said, "fill the registry: done before: 214 images and artifacts\n")
	require.Regexp(t, `replace the control plane: failed after`, said)
	require.Contains(t, said, "stopped: the datastore is full; make room on the datastore\n  remedy: then go on with sealift cluster upgrade resume")
	out, _ = c.run(5, "upgrade", "status")
	require.Regexp(t, `(?s)the upgrade to enterprise 1.1.0 stopped\n.*replace the control plane +failed +the datastore is full`, out)

	_, said = c.run(0, "upgrade", "resume")
	require.Contains(t, said, "the upgrade has begun")
	out, _ = c.run(0, "status")
	require.Contains(t, out, "an upgrade to enterprise 1.1.0 is under way")
	_, said = c.run(1, "scale", "enterprise-default", "3")
	require.Contains(t, said, "another change is under way")
	done = c.work(func(context.Context) error { c.releases.next <- nil; return nil })
	out, said = c.run(0, "upgrade", "status", "--wait", "-o", "json")
	done()
	require.Contains(t, out, `"state": "done"`)
	require.Contains(t, said, "install the system console: done in")
	_, said = c.run(2, "upgrade", "resume")
	require.Contains(t, said, "no upgrade has stopped")
}

func (c *clusterConsole) testQuorum(t *testing.T) {
	c.silence()
	for _, name := range []string{"enterprise-control-plane-1", "enterprise-control-plane-2"} {
		require.NoError(t, c.objects.Heartbeat(t.Context(), name, time.Now().Add(-5*time.Minute)))
	}
	_, said := c.run(1, "scale", "control-plane", "1")
	require.Contains(t, said, "etcd would lose its quorum\n  remedy: mend or replace the nodes that are not ready first")
	require.Eventually(t, func() bool {
		var out, err bytes.Buffer
		return Run(t.Context(), []string{"cluster", "status", "--console-ca", c.ca}, Streams{Out: &out, Err: &err}) == exitFailed &&
			strings.Contains(out.String(), "etcd has no majority\n") && strings.Contains(out.String(), "  node enterprise-control-plane-1: No heartbeat since ") &&
			strings.Contains(err.String(), "cluster enterprise: not all is well")
	}, 30*time.Second, 500*time.Millisecond)
	out, _ := c.run(0, "nodes", "--attention")
	require.GreaterOrEqual(t, strings.Count(out, "No heartbeat"), 2)
}

// A console that is gone is no answer, and a command that does not wait says so.
func (c *clusterConsole) testSilence(t *testing.T) {
	c.server.Close()
	_, said := c.run(1, "status")
	require.Contains(t, said, "the console is not available")
	require.Contains(t, said, "\n  remedy: see that --console or SEALIFT_CONSOLE is its address")
}
