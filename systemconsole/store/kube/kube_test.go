package kube_test

import (
	"encoding/base64"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/kube"
	"github.com/sealift/sealift/systemconsole/store/storetest"
	"github.com/sealift/sealift/test/lab/controlplane"
)

func TestContract(t *testing.T) {
	config := controlplane.Start(t)
	for _, k := range storetest.ReplicaKinds() {
		d, err := kube.Definition(k)
		require.NoError(t, err)
		require.NoError(t, kube.Install(t.Context(), config, d))
	}
	var count atomic.Int32
	storetest.Run(t, func(t *testing.T) store.Store {
		namespace := fmt.Sprintf("test-%d", count.Add(1))
		makeNamespace(t, config, namespace)
		return open(t, config, namespace)
	})
	storetest.Replicas(t, func(t *testing.T) (first, second store.Store) {
		namespace := fmt.Sprintf("test-%d", count.Add(1))
		makeNamespace(t, config, namespace)
		return open(t, config, namespace), open(t, config, namespace)
	})
}

func open(t *testing.T, config *rest.Config, namespace string) *kube.Store {
	t.Helper()
	s, err := kube.Open(config, namespace)
	require.NoError(t, err)
	return s
}

// One server rotates the master key: another one wraps with the new one at once
// and opens what is wrapped with it, and both open what the one before wrapped.
func TestMasterKey(t *testing.T) {
	config := controlplane.Start(t)
	makeNamespace(t, config, "site")
	ctx := t.Context()
	one, err := kube.MasterKey(ctx, config, "site", "key")
	require.NoError(t, err)
	two, err := kube.MasterKey(ctx, config, "site", "key")
	require.NoError(t, err)
	secret := seal.NewSecret()
	old, err := two.Wrap(ctx, secret, "acme")
	require.NoError(t, err)
	require.NoError(t, one.(seal.Rotator).Rotate(ctx))
	made, err := two.Wrap(ctx, secret, "acme")
	require.NoError(t, err)
	_, err = newest(t, config, "site", "key").Unwrap(ctx, made, "acme")
	require.NoError(t, err, "without the key before")
	renewed, err := seal.Rewrap(ctx, one, old, "acme")
	require.NoError(t, err)
	for _, k := range []seal.Keeper{one, two} {
		for _, wrapped := range []string{old, renewed} {
			got, err := k.Unwrap(ctx, wrapped, "acme")
			require.NoError(t, err)
			require.Equal(t, secret, got)
		}
		_, err := k.Unwrap(ctx, renewed, "other")
		require.ErrorIs(t, err, seal.ErrSealed)
	}
	other, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	both, err := kube.BeforeMasterKey(ctx, config, "site", "key", other)
	require.NoError(t, err)
	_, err = both.Unwrap(ctx, renewed, "acme")
	require.NoError(t, err)
	same, err := kube.BeforeMasterKey(ctx, config, "site", "none", other)
	require.NoError(t, err)
	require.Equal(t, other, same)
}

// newest is the keeper of the key alone that wraps, as a Secret has it.
func newest(t *testing.T, config *rest.Config, namespace, name string) seal.Keeper {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	found, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace(namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	text, _, err := unstructured.NestedString(found.Object, "data", "key")
	require.NoError(t, err)
	key, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	keeper, err := seal.Local(key)
	require.NoError(t, err)
	return keeper
}

func makeNamespace(t *testing.T, config *rest.Config, name string) {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
	_, err = client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(t.Context(), u, metav1.CreateOptions{})
	require.NoError(t, err)
}
