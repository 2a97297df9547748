package clusterapi_test

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/installer/clusterapi"
)

// While machines are replaced, webhooks and API servers are away for moments:
// what fails meanwhile may pass, and nothing else may.
func TestWhatPasses(t *testing.T) {
	t.Parallel()
	local, m := plane(t, t.TempDir())
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "one", "namespace": metav1.NamespaceDefault}, "data": map[string]any{"a": "b"}}}
	objects := []*unstructured.Unstructured{o}
	require.NoError(t, m.ApplyObjects(t.Context(), objects))
	hook := admissionv1.MutatingWebhook{Name: "away.sealift.dev", AdmissionReviewVersions: []string{"v1"}, SideEffects: new(admissionv1.SideEffectClassNone),
		ClientConfig: admissionv1.WebhookClientConfig{URL: new("https://127.0.0.1:1")},
		Rules: []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{admissionv1.Update},
			Rule: admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}}}}}
	require.NoError(t, m.Create(t.Context(), &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "away"}, Webhooks: []admissionv1.MutatingWebhook{hook}}))
	var err error
	require.Eventually(t, func() bool { // the API server hears of its webhooks
		_, err = m.Differences(t.Context(), objects)
		return err != nil
	}, 30*time.Second, 200*time.Millisecond)
	require.True(t, clusterapi.Passing(err), err)

	require.NoError(t, local.Stop(context.WithoutCancel(t.Context())))
	_, err = m.Differences(t.Context(), objects)
	require.True(t, clusterapi.Passing(err), err)
	require.False(t, clusterapi.Passing(fmt.Errorf("reading the machine image: %w", io.ErrUnexpectedEOF)))
	require.False(t, clusterapi.Passing(fmt.Errorf("%w: %w", clusterapi.ErrNotInTime, err)), "it was waited for")
}
