package systemconsole_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/test/lab/controlplane"
)

// labUpgrade upgrades the lab's cluster, which has objects and no machines: it
// sets the version of the control plane and of each pool, waits until the test
// lets it go on, and settles the machines. The real one is the installer's,
// whose own tests try it; what pages do with it is tried here.
type labUpgrade struct {
	objects  *controlplane.Cluster
	registry *upgrade.Registry
	goOn     chan struct{}

	mu      sync.Mutex
	live    map[string]any
	missing []string
}

var _ enterprise.Upgrader = (*labUpgrade)(nil)

const newVersion = "v1.35.1"

func newLabUpgrade() *labUpgrade {
	return &labUpgrade{goOn: make(chan struct{}), live: map[string]any{
		"console": map[string]any{"replicas": 3, "image": map[string]any{"tag": "1.0.0"}, "resources": map[string]any{"limits": map[string]any{"memory": "1Gi"}}, "uploads": map[string]any{"sizeGiB": 48}},
		"cluster": map[string]any{"controlPlane": map[string]any{"size": map[string]any{"cpus": 16, "memoryGiB": 16}}},
	}}
}

func before() map[string]any {
	return map[string]any{
		"console": map[string]any{"replicas": 3, "image": map[string]any{"tag": "1.0.0"}, "resources": map[string]any{"limits": map[string]any{"memory": "512Mi"}}, "uploads": map[string]any{"sizeGiB": 24}},
		"cluster": map[string]any{"controlPlane": map[string]any{"size": map[string]any{"cpus": 8, "memoryGiB": 16}}},
	}
}

func after() map[string]any {
	return map[string]any{
		"console": map[string]any{"replicas": 3, "image": map[string]any{"tag": "1.1.0"}, "resources": map[string]any{"limits": map[string]any{"memory": "768Mi"}}, "uploads": map[string]any{"sizeGiB": 24},
			"nodeSelector": map[string]any{"node-role.kubernetes.io/control-plane": ""}},
		"cluster": map[string]any{"controlPlane": map[string]any{"size": map[string]any{"cpus": 12, "memoryGiB": 16}}},
	}
}

func (u *labUpgrade) Bundles(context.Context) ([]upgrade.Bundle, error) {
	return []upgrade.Bundle{
		{ID: "enterprise-1.1.0", Name: "enterprise", Version: "1.1.0", Statement: "sha256:" + strings.Repeat("b7", 32), From: "registry.north.example/sealift"},
		{ID: "enterprise-1.0.0", Name: "enterprise", Version: "1.0.0", Statement: "sha256:" + strings.Repeat("3f", 32), From: "registry.north.example/sealift"},
		{ID: "enterprise-0.9.0", Name: "enterprise", Version: "0.9.0", Statement: "sha256:" + strings.Repeat("99", 32), From: "registry.north.example/sealift"},
	}, nil
}

func (u *labUpgrade) controlPlane(ctx context.Context) (*controlplanev1.KubeadmControlPlane, error) {
	k := &controlplanev1.KubeadmControlPlane{}
	return k, u.objects.Get(ctx, client.ObjectKey{Namespace: controlplane.Namespace, Name: controlplane.Name + "-control-plane"}, k)
}

func (u *labUpgrade) Plan(ctx context.Context, id string) (*upgrade.Plan, error) {
	if id == "enterprise-0.9.0" {
		return nil, problem.New(problem.Usage, "use a bundle that is not older", "the cluster has Kubernetes v1.34.4, and the bundle's v1.33.9 is older: Kubernetes does not go back")
	}
	k, err := u.controlPlane(ctx)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	values, err := upgrade.Compare(before(), u.live, after())
	if err != nil {
		return nil, err
	}
	p := &upgrade.Plan{Cluster: controlplane.Name, Release: "enterprise 1.1.0", Values: values, Images: u.missing, Filled: true, Versions: []upgrade.VersionChange{
		{Name: "kubernetes", From: k.Spec.Version, To: newVersion}, {Name: "node template", From: "node-1.34", To: "node-1.35"},
		{Name: "provider cluster-api", From: "v1.13.6", To: "v1.13.6"}, {Name: "provider infrastructure-vsphere", From: "v1.16.1", To: "v1.16.2"}}}
	p.Machines = []string{"enterprise-control-plane-1", "enterprise-control-plane-2", "enterprise-control-plane-3", "enterprise-default-1", "enterprise-default-2"}
	p.Objects = []upgrade.ObjectChange{{Object: "VSphereMachineTemplate sealift-system/enterprise-control-plane-1f2e3d4c", New: true},
		{Object: "KubeadmControlPlane sealift-system/enterprise", Diff: "--- now\n+++ after\n@@ -60,5 +60,5 @@\n       infrastructureRef:\n         kind: VSphereMachineTemplate\n-        name: enterprise-control-plane-9a8b7c6d\n+        name: enterprise-control-plane-1f2e3d4c\n@@ -71,3 +71,3 @@\n   replicas: 3\n-  version: " + k.Spec.Version + "\n+  version: " + newVersion + "\n"},
		{Object: "ConfigMap kube-flannel/kube-flannel-cfg", Diff: "--- now\n+++ after\n@@ -3,5 +3,6 @@\n data:\n   net-conf.json: |\n     {\n+      \"EnableNFTables\": true,\n       \"Network\": \"100.64.0.0/16\"\n     }\n"}}
	p.Warnings = []string{"pool batch is not in the site: its machines stay as they are; add it to spec.cluster.workers"}
	return p, nil
}

func (u *labUpgrade) Run(ctx context.Context, _ string, choices upgrade.Choices, o upgrade.Observer) error {
	o.Steps([]string{"fill the registry", "import the node template", "install Cluster API in the cluster", "replace the control plane", "replace the workers of pool default", "install the system console"})
	o.Step(0, upgrade.Before, "214 images and artifacts in registry.north.example")
	o.Step(1, upgrade.Done, "/north/vm/templates/node-1.35")
	o.Step(2, upgrade.Done, "cluster-api v1.13.6, kubeadm v1.13.6, vsphere v1.16.2")
	o.Step(3, upgrade.Running, "Machine enterprise-control-plane-1: Ready: waiting for the node")
	k, err := u.controlPlane(ctx)
	if err != nil {
		return err
	}
	k.Spec.Version = newVersion
	if err := u.objects.Update(ctx, k); err != nil {
		return err
	}
	select {
	case _, open := <-u.goOn:
		if open {
			err := problem.New(problem.Failed, "make room on the datastore", "Machine enterprise-control-plane-1: the datastore vmfs-ssd is full")
			o.Step(3, upgrade.Failed, err.Error())
			return err
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := u.objects.Settle(ctx); err != nil {
		return err
	}
	for n := range 3 {
		o.Step(3+n, upgrade.Done, "done")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.live, err = upgrade.Merge(before(), u.live, after(), choices)
	return err
}

func (u *labUpgrade) Installed(context.Context) (*upgrade.Installed, error) {
	bundles, _ := u.Bundles(nil) //nolint:staticcheck // it reaches nothing
	i := &upgrade.Installed{Release: "enterprise 1.0.0", Bundle: bundles[1], Key: "sha256:" + strings.Repeat("5c", 32), Verified: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)}
	for n, c := range [][3]string{{"registry.k8s.io/kube-apiserver", "image", "v1.34.4"}, {"registry.k8s.io/etcd", "image", "3.6.5-0"}, {"kubernetes", "control plane", "v1.34.4"},
		{"infrastructure-vsphere", "provider", "v1.16.1"}, {"flannel", "addon", ""}, {"systemconsole", "chart", "1.0.0"}, {"node.ova", "file", ""}} {
		i.Components = append(i.Components, upgrade.Component{Name: c[0], Kind: c[1], Version: c[2], Digest: "sha256:" + strings.Repeat(fmt.Sprintf("%02x", 17*(n+1)), 32)})
	}
	return i, nil
}

func (u *labUpgrade) Registry(context.Context) (*upgrade.Registry, error) {
	if u.registry == nil {
		return nil, problem.New(problem.Failed, "give the registry a certificate", "registry registry.north.example has no TLS")
	}
	return u.registry, nil
}

// upgradable is the console of the lab's cluster with a newer release.
func upgradable(t *testing.T) (*console, *labUpgrade) {
	t.Helper()
	config := controlplane.Start(t)
	objects, err := controlplane.Populate(t.Context(), config)
	require.NoError(t, err)
	go objects.Beat(t.Context())
	u := newLabUpgrade()
	u.objects = objects
	return startWith(t, systemconsole.Options{Upgrader: u, Cluster: func(ctx context.Context) (enterprise.Source, error) {
		return enterprise.Connect(ctx, config, enterprise.Options{})
	}}), u
}

// A browser goes through an upgrade: bundles, plan, conflicts, start, a failure
// and its resumption, the end.
func TestUpgradeInABrowser(t *testing.T) {
	c, u := upgradable(t)
	b := c.chromium(t)
	b.signIn()
	b.Visit("/registries")
	require.Contains(t, b.Text("main"), "Add the site's own")
	b.looks("registries-of-the-installation")
	b.Visit("/cluster/upgrade")
	b.looks("upgrade-bundles")
	b.Visit("/cluster/components")
	b.looks("upgrade-components")
	b.Visit("/cluster/upgrade/bundles/enterprise-0.9.0")
	require.Contains(t, b.Text("main"), "Kubernetes does not go back")
	b.looks("upgrade-refused")

	u.mu.Lock()
	u.missing = []string{"registry.k8s.io/kube-apiserver:v1.35.1", "registry.k8s.io/kube-proxy:v1.35.1"}
	u.mu.Unlock()
	b.Visit("/cluster/upgrade/bundles/enterprise-1.1.0")
	require.Contains(t, b.Text("[role=alert]"), "lacks 2 images and artifacts")
	require.NotContains(t, b.Text("main"), "Name of the cluster")
	b.looks("upgrade-missing")
	u.mu.Lock()
	u.missing = nil
	u.mu.Unlock()

	b.Visit("/cluster/upgrade/bundles/enterprise-1.1.0")
	b.Run(chromedp.Evaluate(`document.querySelectorAll("details.change").forEach(d => d.open = true)`, nil))
	b.looks("upgrade-plan")
	b.Press(`input[name="value/cluster/controlPlane/size/cpus"][value=live]`, "main")
	b.Press(`input[name="value/console/resources/limits/memory"][value=after]`, "main")
	b.Fill("expect", "another")
	b.Press(`form[action*=bundles] .first`, "#expect-error")
	b.looks("upgrade-unconfirmed")
	b.Fill("expect", "enterprise")
	b.Press(`form[action*=bundles] .first`, ".says.good")
	b.Until(`document.querySelector("#live").textContent.includes("waiting for the node")`)
	b.looks("upgrade-running")
	b.Visit("/cluster/pools/enterprise-default")
	b.Fill("machines", "4")
	b.Press("form[action$=scale] button", "[role=alert]")
	require.Contains(t, b.Text("main"), "another change is under way")

	b.Visit("/cluster/upgrade")
	u.goOn <- struct{}{}
	b.Until(`document.querySelector("#installed-title") && document.querySelector("#live").textContent.includes("Stopped")`)
	b.looks("upgrade-stopped")
	close(u.goOn)
	b.Press("form[action$=resume] button", ".says.good")
	b.Until(`document.querySelector("#installed-title") && document.querySelector("#live .chip.good")`)
	b.looks("upgrade-done")

	k, err := u.controlPlane(t.Context())
	require.NoError(t, err)
	require.Equal(t, newVersion, k.Spec.Version)
	settings, err := upgrade.Compare(before(), u.live, after())
	require.NoError(t, err)
	left := map[string]string{}
	for _, s := range settings {
		left[s.Path] = s.Live
	}
	require.Equal(t, "16", left["/cluster/controlPlane/size/cpus"], "kept, as it was chosen")
	require.Equal(t, `"768Mi"`, left["/console/resources/limits/memory"], "taken, as it was chosen")
	require.Equal(t, "48", left["/console/uploads/sizeGiB"], "kept without a question")
	require.Equal(t, `"1.1.0"`, left["/console/image/tag"], "taken without a question")
}

// The forms do without JavaScript, and refuse what has to be refused.
func TestUpgradeOnThePages(t *testing.T) {
	c, u := upgradable(t)
	b := c.admin(t)
	const plan = "/cluster/upgrade/bundles/enterprise-1.1.0"
	confirmed := []string{"expect", "enterprise", "value/cluster/controlPlane/size/cpus", "live", "value/console/resources/limits/memory", "after"}

	b.get("/cluster/upgrade/bundles/nothing")
	require.Equal(t, http.StatusNotFound, b.status)
	b.get(plan)
	state := b.hidden("state")
	b.send(plan, "state", state, "expect", "enterprise")
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	require.Contains(t, b.page, "choose which value of /console/resources/limits/memory is taken")
	b.send(plan, append(confirmed, "state", "x")...)
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	require.Contains(t, b.page, "the values have changed since this page was shown")

	var pool clusterv1.MachineDeployment
	require.NoError(t, u.objects.Get(t.Context(), client.ObjectKey{Namespace: controlplane.Namespace, Name: "enterprise-default"}, &pool))
	pool.Spec.Replicas = new(int32(3))
	require.NoError(t, u.objects.Update(t.Context(), &pool))
	b.send(plan, append(confirmed, "state", state)...)
	require.Equal(t, http.StatusUnprocessableEntity, b.status, "while a pool is scaled")
	require.Contains(t, b.page, "Scaling: 2 of 3 machines")
	require.NoError(t, u.objects.Settle(t.Context()))

	u.missing = []string{"registry.k8s.io/kube-proxy:v1.35.1"}
	b.send(plan, append(confirmed, "state", state)...)
	require.Equal(t, http.StatusUnprocessableEntity, b.status)
	require.Contains(t, b.page, "kube-proxy:v1.35.1")
	u.missing = nil

	b.get(plan).send(plan, append(confirmed, "state", state)...)
	require.Equal(t, http.StatusOK, b.status)
	require.Equal(t, "/cluster/upgrade?notice=upgrading", b.path)
	require.Contains(t, b.page, `http-equiv="refresh"`)
	b.get(plan)
	require.Contains(t, b.page, "The upgrade cannot start now: ")
	require.Contains(t, b.page, "wait until it has ended")
	b.send(plan, append(confirmed, "state", state)...)
	require.Equal(t, http.StatusUnprocessableEntity, b.status, "one at a time")
	for path, fields := range map[string][]string{"/cluster/new-pool": {"name", "batch", "machines", "1", "size", "small"}, "/cluster/pools/enterprise-default/scale": {"machines", "5"},
		"/cluster/pools/enterprise-default/resize": {"size", "large"}, "/cluster/pools/enterprise-default/remove": {"expect", "enterprise-default"}} {
		b.send(path, fields...)
		require.Equal(t, http.StatusUnprocessableEntity, b.status, path)
		require.Contains(t, b.page, "another change is under way", path)
	}
	close(u.goOn)
	require.Eventually(t, func() bool { return strings.Contains(b.get("/cluster/upgrade").page, "Last upgrade, to") }, 20*time.Second, 100*time.Millisecond)
	b.send("/cluster/upgrade/resume")
	require.Equal(t, http.StatusUnprocessableEntity, b.status, "nothing has stopped")

	var actions []string
	for record, err := range newest(t, c) {
		require.NoError(t, err)
		actions = append(actions, record.Action)
	}
	require.Contains(t, actions, "cluster.upgrade")
	require.Contains(t, actions, "cluster.upgrade.end")
	require.NotContains(t, actions, "pool.scale", "what was refused before it began is no change")
}

func newest(t *testing.T, c *console) func(func(audit.Record, error) bool) {
	return func(yield func(audit.Record, error) bool) {
		records, err := audit.New(c.store, audit.Options{}).Newest(t.Context(), 0, 50)
		if err != nil {
			yield(audit.Record{}, err)
		}
		for _, r := range records {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// hidden returns the value of a hidden field of the page.
func (b *browser) hidden(name string) string {
	b.t.Helper()
	_, rest, ok := strings.Cut(b.page, `name="`+name+`" value="`)
	require.True(b.t, ok, b.page)
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

// A console that was given no way to upgrade says so.
func TestWithoutAnUpgrader(t *testing.T) {
	b := start(t).admin(t)
	require.Contains(t, b.get("/cluster/upgrade").page, "Run sealift upgrade")
	require.Contains(t, b.get("/cluster/components").page, "no record")
	for _, path := range []string{"/cluster/upgrade/bundles/x", "/cluster/upgrade/resume"} {
		b.get("/me").send(path)
		require.Equal(t, http.StatusNotFound, b.status, path)
		require.Contains(t, b.page, "run sealift upgrade on the host", path)
	}
}

func TestClusterAPI(t *testing.T) {
	c, u := upgradable(t)
	p := c.program(t)
	var o enterprise.Overview
	p.ok("GET", clusterCalls, nil, &o)
	require.Len(t, o.Pools, 2)
	var events systemconsole.EventList
	p.ok("GET", clusterCalls+"/events", nil, &events)
	var installed upgrade.Installed
	p.ok("GET", clusterCalls+"/components", nil, &installed)
	require.Len(t, installed.Components, 7)
	var bundles systemconsole.BundleList
	p.ok("GET", clusterCalls+"/bundles", nil, &bundles)
	require.Len(t, bundles.Bundles, 3)
	var plan upgrade.Plan
	p.ok("GET", clusterCalls+"/bundles/enterprise-1.1.0/plan", nil, &plan)
	require.Len(t, plan.Machines, 5)

	var f systemconsole.Failure
	require.Equal(t, http.StatusBadRequest, p.call("GET", clusterCalls+"/bundles/enterprise-0.9.0/plan", nil, &f))
	require.Contains(t, f.Remedies, "use a bundle that is not older")
	require.Equal(t, http.StatusNotFound, p.call("GET", clusterCalls+"/bundles/nothing/plan", nil, &f))
	require.Contains(t, f.Message, `"nothing"`)
	require.NotEmpty(t, f.Remedies)
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", clusterCalls+"/pools/enterprise-control-plane/scale", systemconsole.Scale{Machines: 2}, &f))
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", clusterCalls+"/pools/enterprise-default/resize", enterprise.Size{CPUs: 8}, &f), "it has this size")
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", clusterCalls+"/upgrade/resume", nil, &f))
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", clusterCalls+"/bundles/enterprise-1.1.0/upgrade", systemconsole.UpgradeRequest{Confirm: "enterprise"}, &f))
	require.Len(t, f.Problems, 2)

	p.ok("POST", clusterCalls+"/pools", enterprise.NewPool{Name: "batch", Machines: 1, Size: enterprise.Size{CPUs: 4}}, nil)
	require.NoError(t, u.objects.Settle(t.Context()))
	p.ok("POST", clusterCalls+"/pools/batch/scale", systemconsole.Scale{Machines: 2}, nil)
	p.ok("POST", clusterCalls+"/pools/batch/resize", enterprise.Size{CPUs: 16}, nil)
	require.Equal(t, http.StatusUnprocessableEntity, p.call("POST", clusterCalls+"/pools/batch/delete", systemconsole.PoolRemoval{}, &f))
	p.ok("POST", clusterCalls+"/pools/batch/delete", systemconsole.PoolRemoval{Confirm: "batch"}, nil)

	request := systemconsole.UpgradeRequest{Confirm: "enterprise", Choices: upgrade.Choices{"/cluster/controlPlane/size/cpus": "live", "/console/resources/limits/memory": "after"}}
	p.ok("POST", clusterCalls+"/bundles/enterprise-1.1.0/upgrade", request, nil)
	require.Equal(t, http.StatusConflict, p.call("POST", clusterCalls+"/bundles/enterprise-1.1.0/upgrade", request, &f))
	require.Equal(t, http.StatusConflict, p.call("POST", clusterCalls+"/pools/enterprise-default/scale", systemconsole.Scale{Machines: 5}, &f))
	u.goOn <- struct{}{}
	require.Eventually(t, func() bool {
		var s systemconsole.UpgradeState
		p.ok("GET", clusterCalls+"/upgrade", nil, &s)
		return s.Upgrade.State == enterprise.Stopped && strings.Contains(s.Upgrade.Failure, "is full")
	}, 20*time.Second, 100*time.Millisecond)
	close(u.goOn)
	p.ok("POST", clusterCalls+"/upgrade/resume", nil, nil)
	p.everythingWasCalled(func(path string) bool { return strings.HasPrefix(path, clusterCalls) })
	require.Eventually(t, func() bool {
		var s systemconsole.UpgradeState
		p.ok("GET", clusterCalls+"/upgrade", nil, &s)
		return s.Upgrade.State == enterprise.Done
	}, 20*time.Second, 100*time.Millisecond)
}
