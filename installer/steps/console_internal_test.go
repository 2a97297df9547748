package steps

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/controlplane"
)

// issued is a certificate for the console by an authority of a name.
func issued(t *testing.T, by string, validity time.Duration) authority.Pair {
	t.Helper()
	a, err := authority.New(by, 24*time.Hour)
	require.NoError(t, err)
	pair, err := a.Issue(authority.Leaf{Name: "console.north.example", DNSNames: []string{"console.north.example"}, Validity: validity})
	require.NoError(t, err)
	return pair
}

// A certificate that was made here is renewed, and one of the site takes the
// place of an older one: nothing else takes away what administrators set.
func TestTheConsolesCertificate(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	own, err := clusterapi.Connect(t.Context(), controlplane.Kubeconfig(t, controlplane.Start(t)))
	require.NoError(t, err)
	require.NoError(t, own.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: clusterapi.Namespace}}))
	s := &console{&Installation{Options: Options{Site: &site.Site{Metadata: site.Metadata{Name: "north"}}}}}
	s.Site.Spec.Console.Hostname, s.Site.Spec.Network.ControlPlaneEndpoint = "console.north.example", "192.0.2.10"
	there := func() []byte {
		secret := &corev1.Secret{}
		require.NoError(t, own.Get(t.Context(), client.ObjectKey{Namespace: clusterapi.Namespace, Name: consoleSecret}, secret))
		return secret.Data[corev1.TLSCertKey]
	}
	put := func(pair authority.Pair) {
		require.NoError(t, own.ApplyObjects(t.Context(), []*unstructured.Unstructured{secret(clusterapi.Namespace, consoleSecret, string(corev1.SecretTypeTLS),
			map[string][]byte{corev1.TLSCertKey: pair.Certificate, corev1.TLSPrivateKeyKey: pair.Key})}))
	}
	stays := func(why string) {
		before := there()
		pair, err := s.certificateFor(t.Context(), own)
		require.NoError(t, err)
		require.Nil(t, pair, why)
		require.NoError(t, s.ensureCertificate(t.Context(), own))
		require.Equal(t, before, there(), why)
	}

	require.NoError(t, s.ensureCertificate(t.Context(), own))
	leaf, err := authority.Certificate(there())
	require.NoError(t, err)
	require.NoError(t, leaf.VerifyHostname("console.north.example"))
	stays("it is new")

	old := issued(t, "sealift console north", time.Minute)
	put(old)
	require.NoError(t, s.ensureCertificate(t.Context(), own))
	require.NotEqual(t, old.Certificate, there(), "one that was made here and is near its end")
	put(issued(t, "authority of the company", time.Minute))
	stays("administrators renew it")

	time.Sleep(1100 * time.Millisecond) // certificates count seconds
	dir, ours := t.TempDir(), issued(t, "authority of the company", time.Hour)
	s.Site.Spec.Console.TLS = site.TLS{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	require.NoError(t, os.WriteFile(s.Site.Spec.Console.TLS.CertFile, ours.Certificate, 0o600))
	require.NoError(t, os.WriteFile(s.Site.Spec.Console.TLS.KeyFile, ours.Key, 0o600))
	require.NoError(t, s.ensureCertificate(t.Context(), own))
	require.Equal(t, ours.Certificate, there(), "the site's is newer")
	stays("it is the site's")
	time.Sleep(1100 * time.Millisecond)
	put(issued(t, "authority of the company", time.Hour))
	stays("administrators gave the console a newer one than the site's")
	put(issued(t, "sealift console north", 24*time.Hour))
	require.NoError(t, s.ensureCertificate(t.Context(), own))
	require.Equal(t, ours.Certificate, there(), "the site's is better than one that was made here")

	require.NoError(t, os.WriteFile(s.Site.Spec.Console.TLS.KeyFile, old.Key, 0o600))
	_, err = s.certificateFor(t.Context(), own)
	require.ErrorContains(t, err, "private key does not match")
	require.NotEmpty(t, problem.Remedies(err))
}
