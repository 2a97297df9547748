package steps_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/test/lab/controlplane"
)

// installed gives the lab a cluster that manages itself: a real API server with
// the kinds of Cluster API and the objects of the cluster, as an installation
// leaves them. What its controllers would write of their status is written here.
func (l *lab) installed() *clusterapi.Management {
	l.t.Helper()
	kubeconfig := filepath.Join(l.dir, "kubeconfig")
	require.NoError(l.t, os.Rename(controlplane.Kubeconfig(l.t, controlplane.Start(l.t)), kubeconfig))
	m, err := clusterapi.Connect(l.t.Context(), kubeconfig)
	require.NoError(l.t, err)
	require.NoError(l.t, m.ApplyProviders(l.t.Context(), l.kinds(), clusterapi.ApplyOptions{}))
	require.NoError(l.t, m.ApplyCluster(l.t.Context(), l.describe()))
	l.settle(m)
	return m
}

// kinds are the providers without their managers.
func (l *lab) kinds() []*clusterapi.Provider {
	var out []*clusterapi.Provider
	for _, r := range l.release.Spec.Providers {
		data, err := l.release.Components(l.t.Context(), r)
		require.NoError(l.t, err)
		p, err := clusterapi.ParseProvider(r, data)
		require.NoError(l.t, err)
		p.Objects = slices.DeleteFunc(p.Objects, func(o *unstructured.Unstructured) bool {
			unstructured.RemoveNestedField(o.Object, "spec", "conversion")
			return o.GetKind() != "CustomResourceDefinition" && o.GetKind() != "Namespace"
		})
		out = append(out, p)
	}
	return out
}

func (l *lab) describe() clusterapi.Description {
	s, err := site.Parse([]byte(l.text), l.dir)
	require.NoError(l.t, err)
	mapping, err := mirror.ParseMapping(s.Spec.Registry.Prefix, nil)
	require.NoError(l.t, err)
	return clusterapi.Description{Site: s, Release: &l.release.Release, Placement: l.Placement(s), Mapping: mapping, Images: l.release.Images(), Registry: l.RegistryLogin,
		VCenter: l.VCenterLogin, Thumbprint: l.VCenter.Thumbprint()}
}

// settle lets every machine be a node that is ready.
func (l *lab) settle(m *clusterapi.Management) {
	l.t.Helper()
	c := &clusterv1.Cluster{}
	require.NoError(l.t, m.Get(l.t.Context(), client.ObjectKey{Namespace: clusterapi.Namespace, Name: "enterprise"}, c))
	c.Status.ControlPlane = &clusterv1.ClusterControlPlaneStatus{DesiredReplicas: new(int32(1)), AvailableReplicas: new(int32(1))}
	require.NoError(l.t, m.Status().Update(l.t.Context(), c))
}

// install takes every step, and returns the names of those that had something to do.
func (l *lab) install() (applied []string) {
	l.t.Helper()
	results, err := step.Run(l.t.Context(), l.open().Steps(), step.Options{})
	require.NoError(l.t, err)
	for _, r := range results {
		if r.Outcome == step.Applied {
			applied = append(applied, r.Name)
		}
	}
	return applied
}

// versions are the resource versions of all that an installation applies to the
// cluster, by kind and name.
func versions(t *testing.T, m *clusterapi.Management) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, kind := range []metav1.TypeMeta{
		{APIVersion: "v1", Kind: "Secret"}, {APIVersion: "v1", Kind: "ConfigMap"}, {APIVersion: "apps/v1", Kind: "DaemonSet"}, {APIVersion: "v1", Kind: "Namespace"},
		{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "Cluster"}, {APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "MachineDeployment"},
		{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "MachineHealthCheck"}, {APIVersion: "controlplane.cluster.x-k8s.io/v1beta2", Kind: "KubeadmControlPlane"},
		{APIVersion: "bootstrap.cluster.x-k8s.io/v1beta2", Kind: "KubeadmConfigTemplate"},
		{APIVersion: "infrastructure.cluster.x-k8s.io/v1beta2", Kind: "VSphereCluster"},
		{APIVersion: "infrastructure.cluster.x-k8s.io/v1beta2", Kind: "VSphereMachineTemplate"},
	} {
		list := &unstructured.UnstructuredList{}
		list.SetAPIVersion(kind.APIVersion)
		list.SetKind(kind.Kind + "List")
		require.NoError(t, m.List(t.Context(), list))
		for _, o := range list.Items {
			out[fmt.Sprintf("%s %s/%s", kind.Kind, o.GetNamespace(), o.GetName())] = o.GetResourceVersion()
		}
	}
	return out
}

// changed names what has another version, or is new.
func changed(before, after map[string]string) (out []string) {
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] != after[name] {
			out = append(out, name)
		}
	}
	return out
}

func secretOf(ctx context.Context, t *testing.T, m *clusterapi.Management, namespace, name, key string) string {
	t.Helper()
	s := &corev1.Secret{}
	require.NoError(t, m.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s))
	return string(s.Data[key])
}

const (
	describing = "describe the cluster"
	addonsStep = "install network, cloud provider and storage"
	keeping    = "keep the site in the cluster"
)

// A password that was changed is brought to the cluster by running the same
// command again: the Secrets with it change, and nothing else.
func TestPasswordsThatChange(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l := newLab(t, nil, nil)
	m := l.installed()
	require.Contains(t, l.install(), addonsStep)
	require.Empty(t, l.install(), "the second run changes nothing")

	before := versions(t, m)
	l.SetVCenterPassword("Rotated-1! 'quoted'")
	require.Equal(t, []string{describing, addonsStep, keeping}, l.install())
	after := versions(t, m)
	require.Equal(t, []string{"Secret kube-system/vsphere-cloud-secret", "Secret sealift-system/enterprise-vcenter", "Secret sealift-system/sealift-site"}, changed(before, after))
	require.Equal(t, "Rotated-1! 'quoted'", secretOf(t.Context(), t, m, clusterapi.Namespace, "enterprise-vcenter", "password"))
	require.Equal(t, "Rotated-1! 'quoted'", secretOf(t.Context(), t, m, "kube-system", "vsphere-cloud-secret", strings.Split(l.VCenter.URL().Host, ":")[0]+".password"))
	require.Empty(t, l.install())

	l.SetRegistryPassword("Rotated-2!")
	require.Equal(t, []string{describing, keeping}, l.install())
	require.Equal(t, []string{"Secret sealift-system/enterprise-registry", "Secret sealift-system/sealift-site"}, changed(after, versions(t, m)))
	require.Empty(t, l.install())
}

// What an administrator changed in the cluster stays when a login is brought there.
func TestALoginLeavesTheClusterAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l := newLab(t, nil, nil)
	m := l.installed()
	pool := &clusterv1.MachineDeployment{}
	require.NoError(t, m.Get(t.Context(), client.ObjectKey{Namespace: clusterapi.Namespace, Name: "enterprise-default"}, pool))
	pool.Spec.Replicas = new(int32(4))
	require.NoError(t, m.Update(t.Context(), pool))
	l.SetVCenterPassword("Rotated-1!")
	s := named(t, l.open(), describing)
	status, err := s.Check(t.Context())
	require.NoError(t, err)
	require.Equal(t, step.Status{Detail: "Secret sealift-system/enterprise-vcenter"}, status)
	require.NoError(t, s.Apply(t.Context(), func(string, ...any) {}))
	require.NoError(t, m.Get(t.Context(), client.ObjectKey{Namespace: clusterapi.Namespace, Name: "enterprise-default"}, pool))
	require.EqualValues(t, 4, *pool.Spec.Replicas)
	replaceMachines(t, m)
	require.NotContains(t, l.install(), describing)
}

// A cluster that somebody paused, and an interrupted uninstallation does, is not
// made a second time from a new bootstrap control plane.
func TestAPausedClusterIsNotMadeAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l := newLab(t, nil, nil)
	m := l.installed()
	l.install()
	pause := func(paused bool) {
		c := &clusterv1.Cluster{}
		require.NoError(t, m.Get(t.Context(), client.ObjectKey{Namespace: clusterapi.Namespace, Name: "enterprise"}, c))
		c.Spec.Paused = &paused
		require.NoError(t, m.Update(t.Context(), c))
	}
	pause(true)
	in := l.open()
	_, err := step.Run(t.Context(), in.Steps(), step.Options{})
	require.ErrorContains(t, err, "cluster enterprise is paused")
	require.Contains(t, strings.Join(problem.Remedies(err), "; "), "take spec.paused out of Cluster enterprise")
	require.NoDirExists(t, filepath.Join(l.dir, "bootstrap"))
	_, err = in.PlanUpgrade(t.Context())
	require.ErrorContains(t, err, "cluster enterprise is paused")
	pause(false)
	require.Empty(t, l.install())
}

// replaceMachines does what docs/operate.md says of machines whose login to the
// registry is an old one.
func replaceMachines(t *testing.T, m *clusterapi.Management) {
	t.Helper()
	for kind, name := range map[string]string{"controlplane.cluster.x-k8s.io/v1beta2 KubeadmControlPlane": "enterprise", "cluster.x-k8s.io/v1beta2 MachineDeployment": "enterprise-default"} {
		version, kind, _ := strings.Cut(kind, " ")
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": version, "kind": kind, "metadata": map[string]any{"namespace": clusterapi.Namespace, "name": name}}}
		require.NoError(t, m.Patch(t.Context(), o, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"rollout":{"after":"2026-11-21T12:00:00Z"}}}`))))
		after, _, err := unstructured.NestedString(o.Object, "spec", "rollout", "after")
		require.NoError(t, err)
		require.Equal(t, "2026-11-21T12:00:00Z", after)
	}
}

// The cluster has a new kubeconfig half a year before the old one ends.
func TestTheKubeconfigIsRenewed(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l := newLab(t, nil, nil)
	m := l.installed()
	renew := named(t, l.open(), "renew the kubeconfig on this host")
	status, err := renew.Check(t.Context())
	require.NoError(t, err)
	require.True(t, status.Done, "the cluster has none")

	file := filepath.Join(l.dir, "kubeconfig")
	config, err := clientcmd.LoadFromFile(file)
	require.NoError(t, err)
	of, err := authority.New("kubernetes", time.Hour)
	require.NoError(t, err)
	pair, err := of.Issue(authority.Leaf{Name: "kubernetes-admin", Validity: time.Hour})
	require.NoError(t, err)
	for _, user := range config.AuthInfos {
		user.ClientCertificateData, user.ClientKeyData = pair.Certificate, pair.Key
	}
	old, err := clientcmd.Write(*config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, old, 0o600))
	renewed := append(slices.Clone(old), "# another\n"...)
	require.NoError(t, m.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "enterprise-kubeconfig", Namespace: clusterapi.Namespace},
		Data: map[string][]byte{"value": renewed}}))
	results, err := step.Run(t.Context(), []step.Step{renew}, step.Options{})
	require.NoError(t, err)
	require.Equal(t, step.Applied, results[0].Outcome)
	now, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(renewed), string(now))

	token := "apiVersion: v1\nkind: Config\nusers: [{name: own, user: {token: x}}]\n" + "clusters: []\n"
	require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
	status, err = renew.Check(t.Context())
	require.NoError(t, err)
	require.True(t, status.Done, "it is none of the administrator's")
}
