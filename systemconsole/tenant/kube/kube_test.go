package kube_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/systemconsole/tenant"
	"github.com/sealift/sealift/systemconsole/tenant/kube"
	"github.com/sealift/sealift/test/lab/controlplane"
)

func quotas() schema.GroupVersionResource {
	return schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
}

func TestProvisioner(t *testing.T) {
	config := controlplane.Start(t)
	p, err := kube.New(config, kube.Options{RemovalTime: 8 * time.Second})
	require.NoError(t, err)
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	ctx := t.Context()

	require.NoError(t, p.Apply(ctx, "acme", tenant.Limits{CPU: 8, Pods: 100}))
	require.NoError(t, p.Apply(ctx, "other", tenant.Limits{}))
	quota, err := client.Resource(quotas()).Namespace("tenant-acme").Get(ctx, "tenant", metav1.GetOptions{})
	require.NoError(t, err)
	hard, _, err := unstructured.NestedStringMap(quota.Object, "spec", "hard")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"count/secrets": "500", "requests.cpu": "8", "limits.cpu": "8", "requests.memory": "1000000Gi", "requests.storage": "1000000Gi", "pods": "100"}, hard)

	require.NoError(t, p.Apply(ctx, "acme", tenant.Limits{MemoryGiB: 16}), "limits change")
	quota, err = client.Resource(quotas()).Namespace("tenant-acme").Get(ctx, "tenant", metav1.GetOptions{})
	require.NoError(t, err)
	hard, _, err = unstructured.NestedStringMap(quota.Object, "spec", "hard")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"count/secrets": "500", "requests.cpu": "1M", "requests.memory": "16Gi", "limits.memory": "16Gi", "requests.storage": "1000000Gi", "pods": "1M"}, hard)

	countsWhatIsUsed(t, p, client)
	holdsLimits(t, client)
	reachesItsOwnPlaceOnly(t, config)
	refusesForeignNamespaces(t, p, client)

	removesEverything(t, p, client)
	exists(t, p, "acme", false)
	exists(t, p, "other", true)
	_, err = client.Resource(quotas()).Namespace("tenant-other").Get(ctx, "tenant", metav1.GetOptions{})
	require.NoError(t, err, "nothing of another's")

	removed, err := p.Remove(ctx, "never")
	require.NoError(t, err)
	require.Empty(t, removed)
}

// countsWhatIsUsed makes a pod and a claim in tenant acme's place.
func countsWhatIsUsed(t *testing.T, p *kube.Provisioner, client dynamic.Interface) {
	t.Helper()
	for resource, object := range map[string]map[string]any{
		"pods": pod("p", "512Mi", "1Gi"),
		"persistentvolumeclaims": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": "v"}, "spec": map[string]any{
			"accessModes": []any{"ReadWriteOnce"}, "resources": map[string]any{"requests": map[string]any{"storage": "3Gi"}}}},
	} {
		objects := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: resource}).Namespace("tenant-acme")
		_, err := objects.Create(t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	want := tenant.Usage{Measured: true, CPU: .25, MemoryGiB: .5, StorageGiB: 3, Pods: 1}
	var u tenant.Usage
	var err error
	require.Eventually(t, func() bool {
		u, err = p.Usage(t.Context(), "acme")
		return err == nil && u == want
	}, 20*time.Second, 200*time.Millisecond, "%+v %v", &u, &err)
	// As many pages as people look at: a client that keeps itself to five questions a second takes 20 s.
	start := time.Now()
	for range 100 {
		_, err := p.Usage(t.Context(), "acme")
		require.NoError(t, err)
	}
	require.Less(t, time.Since(start), 10*time.Second)
	u, err = p.Usage(t.Context(), "nobody")
	require.NoError(t, err)
	require.Equal(t, tenant.Usage{Measured: true}, u)
	zero := int64(0) // the pod has no node that would say that it ended
	pods := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("tenant-acme")
	require.NoError(t, pods.Delete(t.Context(), "p", metav1.DeleteOptions{GracePeriodSeconds: &zero}))
	claims := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}).Namespace("tenant-acme")
	require.NoError(t, claims.Delete(t.Context(), "v", metav1.DeleteOptions{}))
	// No controller is here that would end the protection of volumes in use.
	_, err = claims.Patch(t.Context(), "v", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
}

// pod is one that the namespaces of tenants admit.
func pod(name, memory, limit string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name}, "spec": map[string]any{
		"securityContext": map[string]any{"runAsNonRoot": true, "runAsUser": int64(1000), "seccompProfile": map[string]any{"type": "RuntimeDefault"}},
		"containers": []any{map[string]any{"name": "c", "image": "x",
			"resources":       map[string]any{"requests": map[string]any{"cpu": "250m", "memory": memory}, "limits": map[string]any{"memory": limit}},
			"securityContext": map[string]any{"allowPrivilegeEscalation": false, "capabilities": map[string]any{"drop": []any{"ALL"}}}}}}}
}

// holdsLimits asks for more than the 16 GiB of tenant acme.
func holdsLimits(t *testing.T, client dynamic.Interface) {
	t.Helper()
	pods := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("tenant-acme")
	_, err := pods.Create(t.Context(), &unstructured.Unstructured{Object: pod("big", "17Gi", "17Gi")}, metav1.CreateOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)
	require.ErrorContains(t, err, "exceeded quota: tenant")
}

// removesEverything removes tenant acme while a finalizer holds something of
// it, and again when it does no more.
func removesEverything(t *testing.T, p *kube.Provisioner, client dynamic.Interface) {
	t.Helper()
	pods := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("tenant-acme")
	held := &unstructured.Unstructured{Object: pod("held", "1Mi", "1Mi")}
	held.SetFinalizers([]string{"example.com/held"})
	_, err := pods.Create(t.Context(), held, metav1.CreateOptions{})
	require.NoError(t, err)
	service := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "front"},
		"spec": map[string]any{"ports": []any{map[string]any{"port": int64(80)}}}}}
	_, err = client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "services"}).Namespace("tenant-acme").Create(t.Context(), service, metav1.CreateOptions{})
	require.NoError(t, err)

	removed, err := p.Remove(t.Context(), "acme")
	require.ErrorContains(t, err, "still there")
	require.ErrorContains(t, err, "Pod tenant-acme/held is there and waits for example.com/held", "what holds it is named")
	require.Equal(t, []string{"RoleBinding tenant-acme/tenant-administrators", "RoleBinding tenant-acme/tenant-members"}, removed)
	exists(t, p, "acme", true)
	policies := client.Resource(schema.GroupVersionResource{Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"}).Namespace("tenant-acme")
	_, err = policies.Get(t.Context(), "tenant", metav1.GetOptions{})
	require.NoError(t, err, "a pod that is still there has no more ways out than before")

	_, err = pods.Patch(t.Context(), "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	removed, err = p.Remove(t.Context(), "acme")
	require.NoError(t, err)
	require.Subset(t, removed, []string{"Service tenant-acme/front", "ResourceQuota tenant-acme/tenant",
		"NetworkPolicy tenant-acme/tenant", "Namespace tenant-acme"})
}

// reachesItsOwnPlaceOnly acts as an administrator of tenant acme.
func reachesItsOwnPlaceOnly(t *testing.T, config *rest.Config) {
	t.Helper()
	config = rest.CopyConfig(config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "ada", Groups: []string{"sealift:tenant:acme:administrators"}}
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	secrets := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"})
	require.Eventually(t, func() bool { // the roles of a new cluster take a moment
		_, err = secrets.Namespace("tenant-acme").List(t.Context(), metav1.ListOptions{})
		return err == nil
	}, 20*time.Second, 200*time.Millisecond, "%v", err)
	for _, namespace := range []string{"tenant-other", "default", ""} {
		_, err = secrets.Namespace(namespace).List(t.Context(), metav1.ListOptions{})
		require.True(t, apierrors.IsForbidden(err), "namespace %q: %v", namespace, err)
	}
	err = client.Resource(quotas()).Namespace("tenant-acme").Delete(t.Context(), "tenant", metav1.DeleteOptions{})
	require.True(t, apierrors.IsForbidden(err), "the quota is not the tenant's to remove: %v", err)

	// A tenant has one namespace: nobody of it makes another, whatever its name,
	// or changes what the own one enforces.
	namespaces := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	for _, name := range []string{"acme-2", "tenant-acme-2"} {
		more := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name,
			"labels": map[string]any{"console.sealift.dev/tenant": "acme"}}}}
		_, err = namespaces.Create(t.Context(), more, metav1.CreateOptions{})
		require.True(t, apierrors.IsForbidden(err), "%s: %v", name, err)
	}
	_, err = namespaces.Patch(t.Context(), "tenant-acme", types.MergePatchType, []byte(`{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"privileged"}}}`), metav1.PatchOptions{})
	require.True(t, apierrors.IsForbidden(err), "what pods may do is not the tenant's to say: %v", err)
}

func refusesForeignNamespaces(t *testing.T, p *kube.Provisioner, client dynamic.Interface) {
	t.Helper()
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "tenant-theirs"}}}
	_, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(t.Context(), u, metav1.CreateOptions{})
	require.NoError(t, err)
	require.ErrorContains(t, p.Apply(t.Context(), "theirs", tenant.Limits{}), "somebody else")
	_, err = p.Remove(t.Context(), "theirs")
	require.ErrorContains(t, err, "somebody else")
	exists(t, p, "theirs", true)
	require.Error(t, p.Apply(t.Context(), "a: b\n", tenant.Limits{}))
}

func exists(t *testing.T, p *kube.Provisioner, name string, want bool) {
	t.Helper()
	there, err := p.Exists(t.Context(), name)
	require.NoError(t, err)
	require.Equal(t, want, there, name)
}
