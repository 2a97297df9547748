package steps_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
)

// harborage is a pack with all that packs have: a chart with a kind of its own
// and with a password that is another one at each rendering, and manifests
// without namespaces: a template, a Job, and an object of the chart's kind.
func harborage() map[string]string {
	return map[string]string{
		"pack.json": `{"name": "harborage", "displayName": "Harborage", "version": "VERSION", "layer": "csi", "cloudTypes": ["vsphere"],
			"charts": ["charts/harborage"], "kubeManifests": ["manifests/kinds.yaml", "manifests/berths.yaml", "manifests/moor.yaml"], "annotations": {"source": "community"}}`,
		"values.yaml":                      "pack:\n  namespace: harborage\ncharts:\n  harborage: {berths: 3}\nmanifests:\n  berths: {length: 12}\n",
		"charts/harborage/Chart.yaml":      "apiVersion: v2\nname: harborage\nversion: VERSION\n",
		"charts/harborage/values.yaml":     "berths: 1\n",
		"charts/harborage/crds/piers.yaml": strings.NewReplacer("berth", "pier", "Berth", "Pier", "scope: Cluster", "scope: Namespaced").Replace(berthKind),
		"charts/harborage/templates/all.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: harborage}\ndata: {berths: \"{{ .Values.berths }}\", version: {{ .Chart.Version }}}\n" +
			"---\napiVersion: v1\nkind: Secret\nmetadata: {name: harborage}\nstringData: {password: {{ randAlphaNum 20 }}}\n" +
			"---\napiVersion: harborage.example/v1\nkind: Pier\nmetadata: {name: north}\n",
		"manifests/kinds.yaml": berthKind,
		"manifests/moor.yaml": "apiVersion: harborage.example/v1\nkind: Pier\nmetadata: {name: south}\n" +
			"---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: moor}\nspec:\n  ttlSecondsAfterFinished: 60\n  template:\n    spec:\n      restartPolicy: Never\n" +
			"      containers: [{name: moor, image: \"registry.example/moor:VERSION\"}]\n",
		"manifests/berths.yaml": "apiVersion: harborage.example/v1\nkind: Berth\nmetadata: {name: long}\nspec: {length: {{ .Values.length }}}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: berths}\ndata: {length: \"{{ .Values.length }}\"}\n",
	}
}

const berthKind = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: berths.harborage.example}
spec:
  group: harborage.example
  scope: Cluster
  names: {kind: Berth, plural: berths, singular: berth, listKind: BerthList}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// pack puts a pack into the bundle, and names it as an addon of the release.
func (b *bundle) pack(files map[string]string, version string) {
	b.t.Helper()
	dir := b.t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(b.t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(b.t, os.WriteFile(path, []byte(strings.ReplaceAll(text, "VERSION", version)), 0o600))
	}
	pack, err := packs.Open(b.t.Context(), dir)
	require.NoError(b.t, err)
	defer pack.Close()
	require.False(b.t, packs.HasErrors(pack.Problems()), pack.Problems())
	a, err := pack.Artifact(b.t.Context())
	require.NoError(b.t, err)
	for _, l := range a.Layers {
		f, err := l.File.Open()
		require.NoError(b.t, err)
		data, err := io.ReadAll(f)
		require.NoError(b.t, err)
		require.NoError(b.t, f.Close())
		b.Blob(l.Descriptor.MediaType, data)
	}
	b.Made(archive.RootPack, "sealift.local/"+pack.Repository()+":"+pack.Tag(), a.Artifact)
	b.Release = strings.Replace(b.Release, "  addons:\n", "  addons:\n    - {name: storage, type: csi, pack: "+pack.Meta.Name+"}\n", 1)
}

// has fails unless an object of the cluster has a text in its data.
func (l *lab) has(m client.Client, kind client.Object, namespace, name, field, text string) {
	l.t.Helper()
	require.NoError(l.t, m.Get(l.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, kind))
	if c, ok := kind.(*corev1.ConfigMap); ok {
		require.Equal(l.t, text, c.Data[field])
	}
}

func berth(kind string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "harborage.example/v1", "kind": kind}}
}

// An addon that is a pack is installed - charts by Helm, manifests as objects -
// once, and brought to the pack of a newer bundle.
func TestAPackIsAnAddon(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l := newLab(t, nil, func(b *bundle) { b.pack(harborage(), "1.0.0") })
	m := l.installed()
	require.Contains(t, l.install(), addonsStep)
	l.has(m, &corev1.ConfigMap{}, "harborage", "harborage", "berths", "3")
	l.has(m, &corev1.ConfigMap{}, "harborage", "berths", "length", "12")
	l.has(m, berth("Berth"), "", "long", "", "")
	l.has(m, berth("Pier"), "harborage", "north", "", "")
	l.has(m, berth("Pier"), "harborage", "south", "", "")
	job := &batchv1.Job{}
	l.has(m, job, "harborage", "moor", "", "")
	require.Nil(t, job.Spec.TTLSecondsAfterFinished, "that it is there says that it ran")
	password := secretOf(t.Context(), t, m, "harborage", "harborage", "password")
	require.Len(t, password, 20)
	require.Empty(t, l.install(), "the second run changes nothing, though the chart would render to another password")

	next := newBundle(t)
	next.pack(harborage(), "1.1.0")
	l.bundle, l.release = next.open()
	in := l.open()
	plan, err := in.PlanUpgrade(t.Context())
	require.NoError(t, err)
	require.Contains(t, plan.Versions, upgrade.VersionChange{Name: "chart harborage", From: "1.0.0", To: "1.1.0"})
	at := slices.IndexFunc(plan.Objects, func(o upgrade.ObjectChange) bool { return o.Object == "Job harborage/moor" })
	require.GreaterOrEqual(t, at, 0)
	require.Contains(t, plan.Objects[at].Diff, "it is deleted and made anew")
	list, err := in.UpgradeSteps(t.Context())
	require.NoError(t, err)
	at = slices.IndexFunc(list, func(s step.Step) bool { return s.Name() == addonsStep })
	results, err := step.Run(t.Context(), list[at:at+1], step.Options{})
	require.NoError(t, err)
	require.Equal(t, step.Applied, results[0].Outcome)
	l.has(m, &corev1.ConfigMap{}, "harborage", "harborage", "version", "1.1.0")
	l.has(m, job, "harborage", "moor", "", "")
	require.Equal(t, "registry.example/moor:1.1.0", job.Spec.Template.Spec.Containers[0].Image)
	plan, err = l.open().PlanUpgrade(t.Context())
	require.NoError(t, err)
	require.Contains(t, plan.Versions, upgrade.VersionChange{Name: "chart harborage", From: "1.1.0", To: "1.1.0"})
	require.Empty(t, plan.Objects)
}

// Two packs with a chart of one name in one namespace would take turns.
func TestChartsOfOneName(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	other := harborage()
	other["pack.json"] = strings.Replace(other["pack.json"], `"name": "harborage"`, `"name": "anchorage"`, 1)
	l := newLab(t, nil, func(b *bundle) {
		b.pack(harborage(), "1.0.0")
		b.Release = strings.Replace(b.Release, "name: storage", "name: first", 1)
		b.pack(other, "1.0.0")
	})
	l.installed()
	_, err := named(t, l.open(), addonsStep).Check(t.Context())
	require.ErrorContains(t, err, "both install chart harborage/harborage")
	require.NotEmpty(t, problem.Remedies(err))
}

// What a pack asks of machines is counted with the values that travel with it.
func TestWhatPacksAskFor(t *testing.T) {
	files := harborage()
	files["pack.json"] = strings.Replace(files["pack.json"], `"annotations"`, `"constraints": {"resources": [
		{"type": "cpu", "minLimit": 500}, {"type": "diskSize", "minLimit": 2}, {"type": "memory", "minLimit": 100, "components": [
		{"scheduleType": "all", "resourceRequestParamRef": "charts.harborage.memory", "replicaCountParamRef": "charts.harborage.berths"},
		{"scheduleType": "master", "resourceRequestParamRef": "charts.harborage.watch"},
		{"scheduleType": "all", "resourceRequestParamRef": ""},
		{"scheduleType": "worker", "resourceRequestParamRef": "charts.harborage.memory", "replicaCountParamRef": "charts.harborage.none"}]}]}, "annotations"`, 1)
	files["values.yaml"] = strings.Replace(files["values.yaml"], "berths: 3", "berths: 3, memory: 64Mi, watch: 128Mi, none: 0", 1)
	b := newBundle(t)
	b.pack(files, "1.0.0")
	_, content := b.open()
	requests, err := content.Requests(t.Context())
	require.NoError(t, err)
	require.Equal(t, []release.Request{
		{Addon: "storage", Resource: release.CPU, Each: 500, Replicas: 1},
		{Addon: "storage", Resource: release.Disk, Each: 2_000_000_000, Replicas: 1},
		{Addon: "storage", Resource: release.Memory, Each: 64 << 20, Replicas: 3},
		{Addon: "storage", Resource: release.Memory, Each: 128 << 20, ControlPlane: true},
	}, requests)
}

// A macro that only another platform fills in is named, with where it stands.
func TestAPackWithAMacro(t *testing.T) {
	files := harborage()
	files["values.yaml"] = strings.Replace(files["values.yaml"], "berths: 3", `berths: "{{.spectro.var.berths}}"`, 1)
	b := newBundle(t)
	b.pack(files, "1.0.0")
	_, content := b.open()
	_, err := content.AddonPack(t.Context(), release.Addon{Pack: "harborage"})
	require.ErrorIs(t, err, closure.ErrMacro)
	require.ErrorContains(t, err, "values.yaml: charts.harborage")
	require.ErrorContains(t, err, "{{.spectro.var.berths}}")
	require.NotEmpty(t, problem.Remedies(err))
}
