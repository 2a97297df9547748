package clusterapi

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/retry"
)

// replaceable tells whether an object may be deleted to be made anew: nothing
// is lost with one of these kinds, whose fields the API server lets nobody change.
func replaceable(o *unstructured.Unstructured) bool {
	return slices.Contains([]string{"Job.batch", "StorageClass.storage.k8s.io", "RoleBinding.rbac.authorization.k8s.io", "ClusterRoleBinding.rbac.authorization.k8s.io"},
		o.GroupVersionKind().GroupKind().String())
}

// unchangeable tells whether an apply failed because the object that is there
// cannot become the one that is wanted, though that one is good.
func (m *Management) unchangeable(ctx context.Context, o *unstructured.Unstructured, failed error) bool {
	if !apierrors.IsInvalid(failed) || !replaceable(o) {
		return false
	}
	trial := o.DeepCopy()
	trial.SetName("")
	trial.SetGenerateName("sealift-")
	return m.Create(ctx, trial, client.DryRunAll) == nil
}

// replace deletes an object and makes it anew. When it is killed in between,
// the object is missing, and the next apply makes it.
func (m *Management) replace(ctx context.Context, o *unstructured.Unstructured) error {
	err := m.Delete(ctx, o.DeepCopy(), client.PropagationPolicy(metav1.DeletePropagationBackground))
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	for {
		err := m.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), owner, client.ForceOwnership)
		if !apierrors.IsInvalid(err) { // else the one before is still on its way out
			return err
		}
		if cause := retry.Sleep(ctx, applyPause); cause != nil {
			return errors.Join(cause, err)
		}
	}
}

// fieldsOf returns what a value has of the fields of another: of an object,
// what somebody who described it so would have written.
func fieldsOf(value, other any) any {
	switch other := other.(type) {
	case map[string]any:
		have, ok := value.(map[string]any)
		if !ok {
			return value
		}
		out := map[string]any{}
		for key, wanted := range other {
			if v, ok := have[key]; ok {
				out[key] = fieldsOf(v, wanted)
			}
		}
		return out
	case []any:
		have, ok := value.([]any)
		if !ok || len(have) != len(other) {
			return value
		}
		out := make([]any, len(have))
		for i := range have {
			out[i] = fieldsOf(have[i], other[i])
		}
		return out
	default:
		return value
	}
}
