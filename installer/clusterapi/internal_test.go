package clusterapi

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/mirror"
)

// Where a condition does not say what is wrong, the older form's words are shown.
func TestConditionsOfTheOlderForm(t *testing.T) {
	o := &unstructured.Unstructured{Object: map[string]any{"status": map[string]any{
		"conditions": []any{map[string]any{"type": "VirtualMachineProvisioned", "status": "False", "reason": "TaskFailed"}},
		"deprecated": map[string]any{"v1beta1": map[string]any{"conditions": []any{
			map[string]any{"type": "VMProvisioned", "status": "False", "reason": "TaskFailure", "message": "no space left"},
			map[string]any{"type": "VCenterAvailable", "status": "True", "message": "yes"}}}},
	}}}
	require.Equal(t, []Condition{
		{Type: "VirtualMachineProvisioned", Status: "False", Reason: "TaskFailed"},
		{Type: "VMProvisioned", Status: "False", Reason: "TaskFailure", Message: "no space left"},
	}, conditionsOf(o))
	require.Empty(t, conditionsOf(&unstructured.Unstructured{Object: map[string]any{"status": map[string]any{"conditions": []any{"text", 1.5}}}}))
}

// Two certificates of one service: the authority of the first stays trusted.
func TestTheAuthorityBeforeStaysTrusted(t *testing.T) {
	s := service{namespace: "capi-system", name: "hook"}
	first, err := issue(s, Certificate{})
	require.NoError(t, err)
	second, err := issue(s, first)
	require.NoError(t, err)
	third, err := issue(s, second)
	require.NoError(t, err)
	require.Contains(t, string(second.Authorities), string(first.Authorities))
	require.NotContains(t, string(third.Authorities), string(first.Authorities), "but only the one before")
	leaf, err := authority.Certificate(second.Certificate)
	require.NoError(t, err)
	require.NoError(t, leaf.VerifyHostname("hook.capi-system.svc"))
	require.False(t, authority.Expiring(leaf, time.Now()))
	require.True(t, authority.Expiring(leaf, leaf.NotAfter.Add(-certificateLife/3+time.Hour)))
}

func TestImagesAreWhereAPushPutsThem(t *testing.T) {
	mapping, err := mirror.ParseMapping("project", nil)
	require.NoError(t, err)
	image := RegistryImages("registry.site:5000", mapping)
	for ref, want := range map[string]string{
		"registry.k8s.io/cluster-api/cluster-api-controller:v1.13.6": "registry.site:5000/project/cluster-api/cluster-api-controller:v1.13.6",
		"docker.io/library/nginx:1.27":                               "registry.site:5000/project/library/nginx:1.27",
	} {
		got, err := image(ref)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	deployment := &unstructured.Unstructured{Object: map[string]any{"kind": "Deployment", "spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"containers": []any{map[string]any{"image": "registry.k8s.io/pause:3.10"}}}}}}}
	require.NoError(t, rewriteImages(deployment, image))
	container, err := managerOf(deployment)
	require.NoError(t, err)
	require.Equal(t, "registry.site:5000/project/pause:3.10", container["image"])
	_, err = image("not a reference")
	require.Error(t, err)
}
