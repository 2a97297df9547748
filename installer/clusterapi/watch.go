package clusterapi

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/retry"
)

// Condition is what an object says of itself.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Change is a condition of an object that is new or another one than before.
type Change struct {
	Object string // Kind namespace/name
	Condition
}

// Conditions returns the conditions of an object of Cluster API.
func Conditions(o *unstructured.Unstructured) []Condition { return conditionsOf(o) }

// conditionsOf returns the conditions of an object. Where one of them says that
// something is wrong but not what, those of the older form that do are added:
// CAPV tells there alone what vCenter said.
func conditionsOf(o *unstructured.Unstructured) []Condition {
	out := conditionsAt(o, "status", "conditions")
	if !slices.ContainsFunc(out, func(c Condition) bool { return c.Status == "False" && c.Message == "" }) {
		return out
	}
	for _, c := range conditionsAt(o, "status", "deprecated", "v1beta1", "conditions") {
		told := slices.ContainsFunc(out, func(o Condition) bool { return o.Type == c.Type || strings.Contains(o.Message, c.Message) })
		if c.Status == "False" && c.Message != "" && !told {
			out = append(out, c)
		}
	}
	return out
}

func conditionsAt(o *unstructured.Unstructured, path ...string) []Condition {
	list, _, _ := unstructured.NestedSlice(o.Object, path...)
	data, err := json.Marshal(list)
	if err != nil {
		return nil
	}
	var out []Condition
	if json.Unmarshal(data, &out) != nil {
		return nil
	}
	return out
}

// watched returns the kinds whose conditions tell how a cluster comes to be.
func watched() []schema.GroupVersionKind {
	const infrastructure = "infrastructure.cluster.x-k8s.io"
	return []schema.GroupVersionKind{
		{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Cluster"},
		{Group: infrastructure, Version: "v1beta2", Kind: "VSphereCluster"},
		{Group: "controlplane.cluster.x-k8s.io", Version: "v1beta2", Kind: "KubeadmControlPlane"},
		{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "MachineDeployment"},
		{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Machine"},
		{Group: infrastructure, Version: "v1beta2", Kind: "VSphereMachine"},
		{Group: infrastructure, Version: "v1beta2", Kind: "VSphereVM"},
	}
}

// watchPause is how often conditions are read. They are few objects, and a
// stream would have to be mended whenever the API server restarts.
const watchPause = time.Second

// Watch yields every condition of the objects in a namespace as it is first,
// and then each change, until ctx is done or the loop is left. An API server
// that does not answer is yielded as an error once, and asked again.
func (m *Management) Watch(ctx context.Context, namespace string) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		known := map[string]Condition{}
		broken := false
		for {
			changes, err := m.changes(ctx, namespace, known)
			if ctx.Err() != nil {
				return
			}
			if err != nil && !broken && !yield(Change{}, err) {
				return
			}
			broken = err != nil
			for _, c := range changes {
				if !yield(c, nil) {
					return
				}
			}
			if retry.Sleep(ctx, watchPause) != nil {
				return
			}
		}
	}
}

// changes returns what is not as it was known, and learns it.
func (m *Management) changes(ctx context.Context, namespace string, known map[string]Condition) ([]Change, error) {
	var out []Change
	for _, kind := range watched() {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := m.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return out, fmt.Errorf("reading the conditions of every %s: %w", kind.Kind, err)
		}
		for i := range list.Items {
			name := identify(&list.Items[i])
			for _, c := range conditionsOf(&list.Items[i]) {
				if key := name + " " + c.Type; known[key] != c {
					known[key] = c
					out = append(out, Change{Object: name, Condition: c})
				}
			}
		}
	}
	return out, nil
}

// WaitCondition returns once a condition of an object is true. It fails when
// ctx is done, with what the object said last.
func (m *Management) WaitCondition(ctx context.Context, kind schema.GroupVersionKind, namespace, name, condition string) error {
	o := &unstructured.Unstructured{}
	for {
		o.SetGroupVersionKind(kind)
		err := m.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
		if err == nil && conditionTrue(o, condition) {
			return nil
		}
		if cause := retry.Sleep(ctx, watchPause); cause != nil {
			words := err
			if words == nil {
				words = lastWords(o)
			}
			return fmt.Errorf("waiting for %s of %s %s/%s: %w", condition, kind.Kind, namespace, name, joined(cause, words))
		}
	}
}

func joined(cause, words error) error {
	if words == nil {
		return cause
	}
	return fmt.Errorf("%w; it says: %w", cause, words)
}
