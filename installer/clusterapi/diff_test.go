package clusterapi_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/clusterapi"
)

const before = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data: {color: red, size: small}
---
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: default}
data: {password: b25lIHNlY3JldA==, user: YWRtaW4=}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: same, namespace: default}
data: {a: b}
`

func TestADiffShowsFieldsAndNoSecret(t *testing.T) {
	t.Parallel()
	_, m := plane(t, t.TempDir())
	objects, err := clusterapi.ParseManifests([]byte(before))
	require.NoError(t, err)
	changes, err := m.Diff(t.Context(), objects)
	require.NoError(t, err)
	require.Len(t, changes, 3)
	require.Equal(t, clusterapi.ObjectChange{Object: "ConfigMap default/settings", New: true}, changes[0])
	require.NoError(t, m.ApplyObjects(t.Context(), objects))
	changes, err = m.Diff(t.Context(), objects)
	require.NoError(t, err)
	require.Empty(t, changes)

	after, err := clusterapi.ParseManifests([]byte(replaced(before, "red", "blue", "b25lIHNlY3JldA==", "YW5vdGhlciBzZWNyZXQ=")))
	require.NoError(t, err)
	changes, err = m.Diff(t.Context(), after)
	require.NoError(t, err)
	require.Len(t, changes, 2)
	require.Contains(t, changes[0].Diff, "-  color: red\n+  color: blue\n")
	require.NotContains(t, changes[0].Diff, "resourceVersion")
	require.Contains(t, changes[1].Diff, "-  password: '[redacted]'\n+  password: '[redacted, another one]'\n")
	require.NotContains(t, changes[1].Diff, "b25l")
	require.NotContains(t, changes[1].Diff, "YW5v")
	changes, err = m.Diff(t.Context(), after)
	require.NoError(t, err)
	require.Len(t, changes, 2, "a look changes nothing")
}

const jobBefore = `
apiVersion: batch/v1
kind: Job
metadata: {name: moor, namespace: default}
spec:
  backoffLimit: 3
  template:
    spec:
      restartPolicy: Never
      containers:
        - {name: moor, image: "registry.example/moor:1.0.0"}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: moor, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: moor, namespace: default}]
`

// What nobody can change is made anew; what is wrong leaves the one that is there.
func TestAJobIsMadeAnew(t *testing.T) {
	t.Parallel()
	_, m := plane(t, t.TempDir())
	objects, err := clusterapi.ParseManifests([]byte(jobBefore))
	require.NoError(t, err)
	require.NoError(t, m.ApplyObjects(t.Context(), objects))
	changes, err := m.Diff(t.Context(), objects)
	require.NoError(t, err)
	require.Empty(t, changes)
	uid := func() types.UID {
		job := &batchv1.Job{}
		require.NoError(t, m.Get(t.Context(), client.ObjectKeyFromObject(objects[0]), job))
		return job.UID
	}
	first := uid()

	after, err := clusterapi.ParseManifests([]byte(replaced(jobBefore, ":1.0.0", ":1.1.0", "name: view", "name: edit")))
	require.NoError(t, err)
	changes, err = m.Diff(t.Context(), after)
	require.NoError(t, err)
	require.Len(t, changes, 2)
	require.Contains(t, changes[0].Diff, "it is deleted and made anew\n")
	require.Contains(t, changes[0].Diff, "-      - image: registry.example/moor:1.0.0\n+      - image: registry.example/moor:1.1.0\n")
	require.NotContains(t, changes[0].Diff, "uid")
	waiting, err := m.Differences(t.Context(), after)
	require.NoError(t, err)
	require.Equal(t, []string{"Job default/moor", "RoleBinding default/moor"}, waiting)
	require.Equal(t, first, uid(), "a look changes nothing")
	require.NoError(t, m.ApplyObjects(t.Context(), after))
	second := uid()
	require.NotEqual(t, first, second)
	changes, err = m.Diff(t.Context(), after)
	require.NoError(t, err)
	require.Empty(t, changes)

	bad, err := clusterapi.ParseManifests([]byte(replaced(jobBefore, "restartPolicy: Never", "restartPolicy: Always")))
	require.NoError(t, err)
	require.ErrorContains(t, m.ApplyObjects(t.Context(), bad), "restartPolicy")
	require.Equal(t, second, uid())
}

const pierKind = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: piers.harborage.example}
spec:
  group: harborage.example
  scope: Namespaced
  names: {kind: Pier, plural: piers, singular: pier, listKind: PierList}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// Whoever uses a kind at once finds it: Helm does, and does not wait.
func TestAppliedKindsAreServed(t *testing.T) {
	t.Parallel()
	_, m := plane(t, t.TempDir())
	for i := range 5 {
		name := fmt.Sprintf("harborage%d.example", i)
		kinds, err := clusterapi.ParseManifests([]byte(replaced(pierKind, "harborage.example", name)))
		require.NoError(t, err)
		require.NoError(t, m.ApplyKinds(t.Context(), kinds))
		pier := &unstructured.Unstructured{Object: map[string]any{"apiVersion": name + "/v1", "kind": "Pier", "metadata": map[string]any{"name": "north", "namespace": "default"}}}
		require.NoError(t, m.Create(t.Context(), pier))
	}
}

// What a controller changes between two questions is no difference.
func TestAnObjectThatAControllerChangesIsAsDescribed(t *testing.T) {
	t.Parallel()
	_, m := plane(t, t.TempDir())
	objects, err := clusterapi.ParseManifests([]byte(before))
	require.NoError(t, err)
	require.NoError(t, m.ApplyObjects(t.Context(), objects))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			o := objects[0].DeepCopy()
			_ = m.Patch(ctx, o, client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"count":"%d"}}}`, i)))
			time.Sleep(10 * time.Millisecond)
		}
	}()
	for range 100 {
		changes, err := m.Differences(t.Context(), objects[:1])
		require.NoError(t, err)
		require.Empty(t, changes)
	}
	stop()
	<-ended
}
