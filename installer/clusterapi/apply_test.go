package clusterapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/internal/authority"
)

func TestApplyProvidersLocally(t *testing.T) {
	t.Parallel()
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

	shorten(t, m)
	renewed, err = m.Rotate(t.Context(), providers(t), opts)
	require.NoError(t, err)
	require.Equal(t, []string{"capi-system/capi-webhook-service"}, renewed)
	require.Eventually(t, func() bool {
		err := m.Create(t.Context(), bad.DeepCopy())
		require.Error(t, err)
		return strings.Contains(err.Error(), "admission webhook")
	}, time.Minute, time.Second, "webhooks answer under the new certificate")
}

// shorten replaces the certificate of the core provider's webhooks by one that
// ends soon.
func shorten(t *testing.T, m *clusterapi.Management) {
	t.Helper()
	ca, err := authority.New("old", time.Hour)
	require.NoError(t, err)
	pair, err := ca.Issue(authority.Leaf{Name: "old", DNSNames: []string{"old"}, Validity: time.Minute})
	require.NoError(t, err)
	secret := &corev1.Secret{}
	require.NoError(t, m.Get(t.Context(), client.ObjectKey{Namespace: "capi-system", Name: "capi-webhook-service-cert"}, secret))
	secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey] = pair.Certificate, pair.Key
	require.NoError(t, m.Update(t.Context(), secret))
}
