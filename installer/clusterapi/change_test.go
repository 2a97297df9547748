package clusterapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/release"
)

func TestScaleAndUpgrade(t *testing.T) {
	_, m := plane(t, t.TempDir())
	require.NoError(t, m.ApplyProviders(t.Context(), kinds(t), clusterapi.ApplyOptions{}))
	require.NoError(t, m.ApplyCluster(t.Context(), small(t)))
	ctx := t.Context()
	require.NoError(t, m.ScaleWorkers(ctx, "enterprise", "default", 3))
	require.NoError(t, m.ScaleControlPlane(ctx, "enterprise", 3))
	require.NoError(t, m.UpgradeControlPlane(ctx, "enterprise", clusterapi.Upgrade{Version: "v1.35.1", Template: "new"}))
	require.NoError(t, m.UpgradeWorkers(ctx, "enterprise", "default", clusterapi.Upgrade{Version: "v1.35.1"}))

	kcp, pool := &controlplanev1.KubeadmControlPlane{}, &clusterv1.MachineDeployment{}
	require.NoError(t, m.Get(ctx, clusterKey, kcp))
	require.NoError(t, m.Get(ctx, client.ObjectKey{Namespace: clusterapi.Namespace, Name: "enterprise-default"}, pool))
	require.Equal(t, "v1.35.1", kcp.Spec.Version)
	require.Equal(t, "new", kcp.Spec.MachineTemplate.Spec.InfrastructureRef.Name)
	require.EqualValues(t, 1, kcp.Spec.Rollout.Strategy.RollingUpdate.MaxSurge.IntValue())
	require.EqualValues(t, 3, *kcp.Spec.Replicas)
	require.EqualValues(t, 3, *pool.Spec.Replicas)
	require.Equal(t, "v1.35.1", pool.Spec.Template.Spec.Version)

	require.ErrorContains(t, m.ScaleControlPlane(ctx, "enterprise", 2), "2 machines")
	require.ErrorContains(t, m.ScaleWorkers(ctx, "enterprise", "default", -1), "-1 machines")
	require.ErrorContains(t, m.ScaleWorkers(ctx, "enterprise", "other", 1), "not found")
	require.ErrorContains(t, m.UpgradeControlPlane(ctx, "enterprise", clusterapi.Upgrade{Version: "v1.34.4"}), "older")
	require.ErrorContains(t, m.UpgradeWorkers(ctx, "enterprise", "default", clusterapi.Upgrade{Version: "v1.37.0"}), "more than one minor")
	require.ErrorContains(t, m.UpgradeWorkers(ctx, "enterprise", "default", clusterapi.Upgrade{Version: "newest"}), "not a version")
}

func TestComponentsThatCannotBeInstalled(t *testing.T) {
	namespace := "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
	for text, want := range map[string]string{
		"":                              "it is empty",
		"kind: [":                       "document 1",
		"kind: Namespace\n":             "no apiVersion, kind or name",
		namespace + "kind: Other\n":     "document 1",
		namespace + "---\n" + namespace: "stands twice",
		"apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {name: a, namespace: b}\n": "cert-manager",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: \"${PASSWORD}\"}\n":  "variables",
	} {
		_, err := clusterapi.ParseProvider(release.Provider{Name: "p"}, []byte(text))
		require.ErrorIs(t, err, clusterapi.ErrComponents, text)
		require.ErrorContains(t, err, want)
	}
}

func TestAWebhookOfNobodyIsRefused(t *testing.T) {
	_, m := plane(t, t.TempDir())
	p, err := clusterapi.ParseProvider(release.Provider{Name: "p", Type: release.Core, Version: "v1.0.0"}, []byte(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
webhooks:
- name: a.example.org
  clientConfig: {service: {namespace: kube-system, name: evil, path: /}}
`))
	require.NoError(t, err)
	require.ErrorIs(t, m.ApplyProviders(t.Context(), []*clusterapi.Provider{p}, clusterapi.ApplyOptions{}), clusterapi.ErrComponents)
}

func FuzzParseProvider(f *testing.F) {
	f.Add([]byte("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\nkind: x\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := clusterapi.ParseProvider(release.Provider{Name: "p"}, data)
		if err == nil {
			require.NotEmpty(t, p.Objects)
		}
	})
}
