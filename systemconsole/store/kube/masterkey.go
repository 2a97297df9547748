package kube

import (
	"context"
	"encoding/base64"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/seal"
)

// masterKeyField is the field of the Secret.
const masterKeyField = "key"

// MasterKey returns the keeper of the master key in a Secret, which it makes
// when there is none. Of several servers that start at the same time one makes
// it. Without that Secret nothing of a backup can be read.
func MasterKey(ctx context.Context, config *rest.Config, namespace, name string) (seal.Keeper, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	secrets := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace(namespace)
	found, err := secrets.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		made := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "immutable": true,
			"metadata": map[string]any{"name": name}, "data": map[string]any{masterKeyField: base64.StdEncoding.EncodeToString(seal.NewSecret())}}}
		_, err = secrets.Create(ctx, made, metav1.CreateOptions{FieldManager: Manager})
		if err == nil || apierrors.IsAlreadyExists(err) {
			found, err = secrets.Get(ctx, name, metav1.GetOptions{})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the master key in Secret %s/%s: %w", namespace, name, err)
	}
	text, _, _ := unstructured.NestedString(found.Object, "data", masterKeyField) // what is missing is no key
	master, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(master) != seal.KeySize {
		return nil, problem.New(problem.Failed, "restore it from a backup", "reading the master key: Secret %s/%s holds none", namespace, name)
	}
	return seal.Local(master)
}
