package enterprise

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/problem"
)

// The fields of a VSphereMachineTemplate that make the size of its machines.
func sizeFields(s *Size) map[string]*int {
	return map[string]*int{"numCPUs": &s.CPUs, "memoryMiB": &s.MemoryMiB, "diskGiB": &s.DiskGiB}
}

// versionOf returns the version in which a kind of a group is to be read: that
// of the contract, which the kind's definition carries as a label.
func (l *Live) versionOf(ref clusterv1.ContractVersionedObjectReference) (schema.GroupVersionKind, error) {
	mapping, err := l.client.RESTMapper().RESTMapping(schema.GroupKind{Group: ref.APIGroup, Kind: ref.Kind})
	if err != nil {
		return schema.GroupVersionKind{}, fmt.Errorf("looking for the version of %s.%s: %w", ref.Kind, ref.APIGroup, err)
	}
	return mapping.GroupVersionKind, nil
}

func (l *Live) template(ctx context.Context, ref clusterv1.ContractVersionedObjectReference) (*unstructured.Unstructured, error) {
	kind, err := l.versionOf(ref)
	if err != nil {
		return nil, err
	}
	t := &unstructured.Unstructured{}
	t.SetGroupVersionKind(kind)
	if err := l.client.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: ref.Name}, t); err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", ref.Kind, ref.Name, found(err))
	}
	return t, nil
}

// sizeOf reads the size that a template gives to machines. A template that
// knows no sizes has none.
func (l *Live) sizeOf(ctx context.Context, ref clusterv1.ContractVersionedObjectReference) (Size, error) {
	t, err := l.template(ctx, ref)
	if err != nil {
		return Size{}, err
	}
	var s Size
	for field, to := range sizeFields(&s) {
		n, _, err := unstructured.NestedInt64(t.Object, "spec", "template", "spec", field)
		if err != nil {
			return Size{}, fmt.Errorf("reading %s of %s %s: %w", field, ref.Kind, ref.Name, err)
		}
		*to = int(n)
	}
	return s, nil
}

// copyTemplate makes a template like another one, with another size, and
// returns its name. Templates are never changed: machines remember which one
// they were made of, and a new one is what has them replaced.
func (l *Live) copyTemplate(ctx context.Context, ref clusterv1.ContractVersionedObjectReference, pool string, size Size) (string, error) {
	from, err := l.template(ctx, ref)
	if err != nil {
		return "", err
	}
	to := &unstructured.Unstructured{Object: map[string]any{}}
	to.SetGroupVersionKind(from.GroupVersionKind())
	to.SetNamespace(l.namespace)
	to.SetGenerateName(pool + "-")
	to.SetLabels(from.GetLabels())
	to.Object["spec"] = from.DeepCopy().Object["spec"]
	for field, n := range sizeFields(&size) {
		if *n == 0 {
			continue
		}
		if err := unstructured.SetNestedField(to.Object, int64(*n), "spec", "template", "spec", field); err != nil {
			return "", fmt.Errorf("setting %s of %s: %w", field, ref.Kind, err)
		}
	}
	if err := l.client.Create(ctx, to); err != nil {
		return "", fmt.Errorf("copying %s %s: %w", ref.Kind, ref.Name, err)
	}
	return to.GetName(), nil
}

func checkNewPool(o *objects, p NewPool) error {
	if problems := validation.IsDNS1123Label(p.Name); len(problems) > 0 || len(p.Name) > 40 {
		return problem.New(problem.Usage, "use at most 40 lower-case letters, digits and hyphens, such as batch", "pool %.60q: the name is %w", p.Name, ErrInvalid)
	}
	if p.Machines < 0 || p.Machines > MaxMachines {
		return problem.New(problem.Usage, fmt.Sprintf("choose 0 to %d", MaxMachines), "pool %s with %d machines: %w", p.Name, p.Machines, ErrInvalid)
	}
	if _, err := deployment(o, p.Name); err == nil || p.Name == o.controlPlane.Name {
		return problem.New(problem.Usage, "choose another name", "pool %s exists already: %w", p.Name, ErrInvalid)
	}
	if err := checkSize(p.Size); err != nil {
		return fmt.Errorf("pool %s: %w", p.Name, err)
	}
	return nil
}

// checkSize refuses what no node can run with.
func checkSize(s Size) error {
	for _, f := range []struct {
		what      string
		n         int
		low, high int
	}{{"CPUs", s.CPUs, 2, 256}, {"MiB of memory", s.MemoryMiB, 2048, 4 << 20}, {"GiB of disk", s.DiskGiB, 20, 16384}} {
		if f.n != 0 && (f.n < f.low || f.n > f.high) {
			return problem.New(problem.Usage, fmt.Sprintf("choose %d to %d", f.low, f.high), "%d %s: %w", f.n, f.what, ErrInvalid)
		}
	}
	return nil
}
