package kube

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// Manager is the name of the console among those who manage fields of objects.
const Manager = "sealift-console"

// Install applies definitions to a cluster, and waits until they are served.
func Install(ctx context.Context, config *rest.Config, definitions ...[]byte) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("installing the console's resources: %w", err)
	}
	crds := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	force := true
	for _, d := range definitions {
		var u unstructured.Unstructured
		if err := yaml.Unmarshal(d, &u.Object); err != nil {
			return fmt.Errorf("reading a definition: %w", err)
		}
		data, err := yaml.YAMLToJSON(d)
		if err != nil {
			return fmt.Errorf("reading the definition %s: %w", u.GetName(), err)
		}
		if _, err = crds.Patch(ctx, u.GetName(), types.ApplyPatchType, data, metav1.PatchOptions{FieldManager: Manager, Force: &force}); err != nil {
			return fmt.Errorf("applying the definition %s: %w", u.GetName(), err)
		}
		if err := established(ctx, crds, u.GetName()); err != nil {
			return err
		}
	}
	return nil
}

// established waits until a definition is served.
func established(ctx context.Context, crds dynamic.ResourceInterface, name string) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		u, err := crds.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("waiting for the definition %s: %w", name, err)
		}
		if hasCondition(u, "Established") {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the definition %s: %w", name, ctx.Err())
		}
	}
}

func hasCondition(u *unstructured.Unstructured, kind string) bool {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions") // none yet is none
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == kind && m["status"] == "True" {
			return true
		}
	}
	return false
}
