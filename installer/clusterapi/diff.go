package clusterapi

import (
	"context"
	"fmt"
	"reflect"

	"github.com/pmezard/go-difflib/difflib"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/internal/upgrade"
)

// ObjectChange is what an apply would do to an object.
type ObjectChange = upgrade.ObjectChange

// diffContext is how many lines stand around a change.
const diffContext = 2

// Diff tells what an apply of objects would change, found by the API server
// itself. Objects that would stay as they are, are left out.
func (m *Management) Diff(ctx context.Context, objects []*unstructured.Unstructured) ([]ObjectChange, error) {
	var out []ObjectChange
	for _, o := range objects {
		c, err := m.compare(ctx, o)
		switch {
		case err != nil:
			return nil, err
		case c.now == nil:
			out = append(out, ObjectChange{Object: identify(o), New: true})
		case !c.same():
			text, err := diff(c.now, c.then)
			if err != nil {
				return nil, fmt.Errorf("comparing %s: %w", identify(o), err)
			}
			if c.anew {
				text = "# it cannot be changed: it is deleted and made anew\n" + text
			}
			out = append(out, ObjectChange{Object: identify(o), Diff: text})
		}
	}
	return out, nil
}

// diff compares two states of an object.
func diff(now, then *unstructured.Unstructured) (string, error) {
	hide(now, then)
	var texts [2]string
	for i, u := range []*unstructured.Unstructured{now, then} {
		unstructured.RemoveNestedField(u.Object, "status")
		text, err := yaml.Marshal(u.Object)
		if err != nil {
			return "", err
		}
		texts[i] = string(text)
	}
	return difflib.GetUnifiedDiffString(difflib.UnifiedDiff{A: difflib.SplitLines(texts[0]), B: difflib.SplitLines(texts[1]),
		FromFile: "now", ToFile: "after", Context: diffContext})
}

// hide takes the values out of a Secret, and leaves which of them change.
func hide(now, then *unstructured.Unstructured) {
	if then.GetKind() != "Secret" {
		return
	}
	before, _, _ := unstructured.NestedMap(now.Object, "data")
	after, _, _ := unstructured.NestedMap(then.Object, "data")
	for key, value := range after {
		after[key] = "[redacted]"
		if !reflect.DeepEqual(before[key], value) {
			after[key] = "[redacted, another one]"
		}
	}
	for key := range before {
		before[key] = "[redacted]"
	}
	now.Object["data"], then.Object["data"] = before, after
	for _, u := range []*unstructured.Unstructured{now, then} {
		unstructured.RemoveNestedField(u.Object, "stringData")
	}
}
