package incluster_test

import (
	"crypto/tls"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/test/lab/controlplane"
)

// chart renders the console's chart as the installation does.
func chart(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	ch, err := loader.LoadDir("../../manifests/enterprise/charts/systemconsole")
	require.NoError(t, err)
	install := action.NewInstall(&action.Configuration{})
	install.ReleaseName, install.Namespace, install.DryRun, install.ClientOnly = "systemconsole", "sealift-system", true, true
	install.KubeVersion = &chartutil.KubeVersion{Version: "v1.34.4", Major: "1", Minor: "34"}
	rendered, err := install.Run(ch, map[string]any{})
	require.NoError(t, err)
	var out []*unstructured.Unstructured
	for document := range strings.SplitSeq(rendered.Manifest, "\n---\n") {
		u := &unstructured.Unstructured{}
		require.NoError(t, yaml.Unmarshal([]byte(document), &u.Object))
		if u.GetNamespace() == "" && !strings.HasPrefix(u.GetKind(), "ClusterRole") {
			u.SetNamespace("sealift-system") // as Helm does
		}
		out = append(out, u)
	}
	return out
}

// asConsole installs the chart's objects and returns the kubeconfig of its
// account, which has the chart's rights alone. The deployment is accepted, but
// nothing here runs it.
func asConsole(t *testing.T, config *rest.Config, objects client.Client) string {
	t.Helper()
	for _, u := range chart(t) {
		require.NoError(t, objects.Create(t.Context(), u), "%s %s", u.GetKind(), u.GetName())
	}
	clients, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	token, err := clients.CoreV1().ServiceAccounts("sealift-system").CreateToken(t.Context(), "systemconsole", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	account := rest.CopyConfig(config)
	account.BearerToken = token.Status.Token
	return controlplane.Kubeconfig(t, account)
}

// With the rights of its chart, and no others, the console does all that its
// pages offer.
func TestTheChartsRightsAreEnough(t *testing.T) {
	config, _ := prepare(t)
	cluster, err := controlplane.Populate(t.Context(), config)
	require.NoError(t, err)
	dir := t.TempDir()
	certFile, keyFile, err := systemconsole.SelfSigned(dir, "")
	require.NoError(t, err)
	certificate, err := os.ReadFile(certFile)
	require.NoError(t, err)
	key, err := os.ReadFile(keyFile)
	require.NoError(t, err)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "systemconsole-tls", Namespace: "sealift-system"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key}}
	require.NoError(t, cluster.Create(t.Context(), secret))
	url := run(t, asConsole(t, config, cluster))
	v := newVisitor(t)
	v.get(url + "/login")
	v.send(url+"/login", "name", "admin", "password", "admin")
	v.send(url+"/password", "current", "admin", "password", password, "again", password)

	t.Run("tenants", func(t *testing.T) { visitTenants(v.in(t), url) })
	t.Run("cluster", func(t *testing.T) { visitCluster(v.in(t), url) })
	t.Run("the rest", func(t *testing.T) { visitTheRest(v.in(t), url) })
	t.Run("certificate", func(t *testing.T) {
		v := v.in(t)
		other, otherKey, err := systemconsole.SelfSigned(filepath.Join(t.TempDir()), "console.example")
		require.NoError(t, err)
		certificate, err := os.ReadFile(other)
		require.NoError(t, err)
		key, err := os.ReadFile(otherKey)
		require.NoError(t, err)
		v.get(url + "/administration/certificate")
		v.send(url+"/administration/certificate", "host", "console.example", "certificate", string(certificate), "key", string(key))
		require.Contains(t, v.page, "All replicas of the console have it in about a minute.")
		var kept corev1.Secret
		require.NoError(t, cluster.Get(t.Context(), client.ObjectKeyFromObject(secret), &kept))
		require.Equal(t, string(certificate), string(kept.Data[corev1.TLSCertKey]))
		require.Equal(t, string(key), string(kept.Data[corev1.TLSPrivateKeyKey]))
	})
	t.Run("restore", func(t *testing.T) { restore(v.in(t), url) })
	t.Run("nothing else", func(t *testing.T) { forbidden(t, config) })
}

func visitTenants(v *visitor, url string) {
	v.t.Helper()
	v.get(url + "/new-tenant")
	v.send(url+"/tenants", "organization", "Acme", "firstName", "Ada", "lastName", "Lovelace", "email", "ada@example.com")
	v.send(url + "/tenants/acme/activate")
	require.NotEmpty(v.t, regexp.MustCompile(`/link/[A-Za-z0-9_-]+`).FindString(v.page))
	v.get(url + "/tenants/acme/delete")
	v.send(url+"/tenants/acme/delete", "confirm", "acme")
	require.Contains(v.t, v.page, "Namespace tenant-acme")
}

func visitCluster(v *visitor, url string) {
	v.t.Helper()
	for _, page := range []string{"", "/nodes", "/nodes/enterprise-default-1", "/events", "/certificates", "/new-pool", "/pools/enterprise-default"} {
		v.get(url + "/cluster" + page)
		require.NotContains(v.t, v.page, "forbidden", page)
	}
	v.get(url + "/cluster/new-pool")
	v.send(url+"/cluster/new-pool", "name", "batch", "machines", "1", "size", "small")
	v.get(url + "/cluster/pools/enterprise-default")
	v.send(url+"/cluster/pools/enterprise-default/scale", "machines", "3")
	v.send(url+"/cluster/pools/enterprise-default/resize", "size", "medium")
	v.send(url+"/cluster/pools/enterprise-control-plane/scale", "machines", "5")
	v.get(url + "/cluster/pools/batch/remove")
	v.send(url+"/cluster/pools/batch/remove", "expect", "batch")
}

func visitTheRest(v *visitor, url string) {
	v.t.Helper()
	for _, page := range []string{"/", "/registries", "/new-registry", "/accounts", "/audit", "/me", "/administration", "/administration/security", "/administration/mail", "/administration/proxy", "/administration/backup"} {
		v.get(url + page)
	}
	v.get(url + "/administration/master-key")
	v.send(url + "/administration/master-key")
	require.Contains(v.t, v.page, "The master key was rotated.")
	v.get(url + "/administration")
	v.send(url+"/administration", "banner", "North", "logLevel", "debug")
	require.Contains(v.t, v.page, "North")
	v.get(url + "/new-registry")
	v.send(url+"/new-registry", "name", "site", "type", "oci", "endpoint", "127.0.0.1:1")
	v.get(url + "/registries")
	require.Contains(v.t, v.page, "data-upload", "bundles can be uploaded")
}

// restore writes a backup, changes something, and brings the backup back into
// the custom resources. It ends all sessions.
func restore(v *visitor, url string) {
	v.t.Helper()
	v.get(url + "/administration/backup")
	v.send(url+"/administration/backup", "folder", v.t.TempDir(), "hours", "24", "keep", "3")
	name := regexp.MustCompile(`console-[0-9TZ.]+\.backup`).FindString(v.page)
	require.NotEmpty(v.t, name, v.page)
	v.get(url + "/new-tenant")
	v.send(url+"/tenants", "organization", "Later", "firstName", "Ada", "lastName", "Lovelace", "email", "ada@example.com")
	v.get(url + "/administration/backup/folder/" + name + "/restore")
	v.send(url+"/administration/backup/folder/"+name+"/restore", "confirm", name)
	require.Contains(v.t, v.page, "The backup was restored")
	v.send(url+"/login", "name", "admin", "password", password)
	v.get(url + "/tenants")
	require.NotContains(v.t, v.page, "Later")
}

// forbidden proves that the account may no more than the console needs.
func forbidden(t *testing.T, config *rest.Config) {
	clients, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	token, err := clients.CoreV1().ServiceAccounts("sealift-system").CreateToken(t.Context(), "systemconsole", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	account := rest.CopyConfig(config)
	account.BearerToken = token.Status.Token
	mine, err := kubernetes.NewForConfig(account)
	require.NoError(t, err)
	_, err = mine.CoreV1().Secrets("kube-system").List(t.Context(), metav1.ListOptions{})
	require.ErrorContains(t, err, "forbidden")
	err = mine.CoreV1().Secrets("sealift-system").Delete(t.Context(), "console-master-key", metav1.DeleteOptions{})
	require.ErrorContains(t, err, "forbidden")
	_, err = mine.CoreV1().ServiceAccounts("sealift-system").CreateToken(t.Context(), "systemconsole-upgrade", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err, "an upgrade has rights of its own")
	_, err = mine.CoreV1().ServiceAccounts("sealift-system").CreateToken(t.Context(), "systemconsole", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.ErrorContains(t, err, "forbidden")
	err = mine.CoreV1().Nodes().Delete(t.Context(), "enterprise-default-1", metav1.DeleteOptions{})
	require.ErrorContains(t, err, "forbidden")
}

// newVisitor is a browser without a session. Its jar knows no ports: all
// replicas are one host.
func newVisitor(t *testing.T) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &visitor{t: t, client: &http.Client{Jar: jar, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
}

// in is the same browser in a subtest.
func (v *visitor) in(t *testing.T) *visitor { return &visitor{t: t, client: v.client, page: v.page} }
