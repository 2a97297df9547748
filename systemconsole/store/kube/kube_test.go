package kube_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

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

func makeNamespace(t *testing.T, config *rest.Config, name string) {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": name}}}
	_, err = client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(t.Context(), u, metav1.CreateOptions{})
	require.NoError(t, err)
}
