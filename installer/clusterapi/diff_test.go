package clusterapi_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

// What a controller changes between two questions is no difference.
func TestAnObjectThatAControllerChangesIsAsDescribed(t *testing.T) {
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
