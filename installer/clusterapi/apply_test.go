package clusterapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"github.com/sealift/sealift/installer/clusterapi"
)

func TestApplyProvidersLocally(t *testing.T) {
	local, m := plane(t, t.TempDir())
	opts := clusterapi.ApplyOptions{Local: clusterapi.NewLocalManagers(local)}
	require.NoError(t, m.ApplyProviders(t.Context(), providers(t), opts))
	require.NoError(t, m.ApplyProviders(t.Context(), providers(t), opts), "applying what is there")
	installed, err := m.InstalledProviders(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]string{"cluster-api": "v1.13.6", "bootstrap-kubeadm": "v1.13.6",
		"control-plane-kubeadm": "v1.13.6", "infrastructure-vsphere": "v1.16.1"}, installed)

	// A webhook refuses what the schema lets pass.
	bad := &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "bad"}}
	bad.Spec.ClusterNetwork.Pods.CIDRBlocks = []string{"no network"}
	err = m.Create(t.Context(), bad)
	require.ErrorContains(t, err, "admission webhook")

	renewed, err := m.Rotate(t.Context(), providers(t), opts)
	require.NoError(t, err)
	require.Empty(t, renewed, "nothing is near its end")
}
