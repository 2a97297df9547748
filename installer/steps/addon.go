package steps

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/internal/problem"
)

// addon is what one addon puts into the cluster: objects, and charts that Helm
// installs after them.
type addon struct {
	name    string
	objects []*unstructured.Unstructured
	// namespace is for objects that do not say theirs; "" where all do.
	namespace string
	charts    []chartRelease
}

// size says how much it is, for people.
func (a addon) size() string {
	if len(a.charts) == 0 {
		return fmt.Sprintf("%d objects", len(a.objects))
	}
	return fmt.Sprintf("%d objects, %d charts", len(a.objects), len(a.charts))
}

// readPack reads an addon that is a pack. Charts are installed under their own
// names.
func (s *addons) readPack(ctx context.Context, from release.Addon) (addon, error) {
	d, err := s.Release.AddonPack(ctx, from)
	if err != nil {
		return addon{}, err
	}
	a := addon{name: from.Name, namespace: d.Namespace}
	if a.namespace == "" {
		a.namespace = "default"
	}
	for _, file := range d.Manifests {
		objects, err := clusterapi.ParseManifests(file.Data)
		if err != nil {
			return a, fmt.Errorf("%s of pack %s: %w", file.Source, d.Name, err)
		}
		a.objects = append(a.objects, objects...)
	}
	stay(a.objects)
	for _, c := range d.Charts {
		r := chartRelease{name: c.Chart.Name(), namespace: a.namespace, values: c.Values}
		if r.chart, err = loadChart(r.name, c.Chart.Archive); err != nil {
			return a, err
		}
		a.charts = append(a.charts, r)
	}
	if own := namespaceOf(a, d); own != nil {
		a.objects = slices.Insert(a.objects, 0, own)
	}
	return a, nil
}

// stay lets Jobs stay after their end: one that clears itself away would be
// missing, and run again, each time somebody looks.
func stay(objects []*unstructured.Unstructured) {
	for _, o := range objects {
		if o.GroupVersionKind().GroupKind().String() == "Job.batch" {
			unstructured.RemoveNestedField(o.Object, "spec", "ttlSecondsAfterFinished")
		}
	}
}

// distinct fails when two charts would be installed under one name: each run
// would bring the one back that the other replaced.
func distinct(all []addon) error {
	from := map[string]string{}
	for _, a := range all {
		for _, r := range a.charts {
			name := r.namespace + "/" + r.name
			if other, ok := from[name]; ok {
				return problem.New(problem.Preflight, "give one of them another pack.namespace in its values, then make the bundle again",
					"addons %s and %s both install chart %s", other, a.name, name)
			}
			from[name] = a.name
		}
	}
	return nil
}

// namespaceOf returns the namespace that a pack needs and does not bring; nil
// for one that every cluster has.
func namespaceOf(a addon, d *closure.Deployment) *unstructured.Unstructured {
	brings := slices.ContainsFunc(a.objects, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == "Namespace" && o.GetName() == a.namespace
	})
	if d.Namespace == "" || d.Namespace == "default" || d.Namespace == "kube-system" || brings {
		return nil
	}
	return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": d.Namespace}}}
}

// placed returns the objects, each in its namespace.
func (a addon) placed(own *clusterapi.Management) ([]*unstructured.Unstructured, error) {
	now, later, err := a.inTurn(own)
	return append(now, later...), err
}

// inTurn places the objects, and divides them into those that can be applied at
// once and those whose kinds come with the charts.
func (a addon) inTurn(own *clusterapi.Management) (now, later []*unstructured.Unstructured, err error) {
	if a.namespace == "" {
		return a.objects, nil, nil
	}
	defined := scopes(a.objects)
	for _, o := range a.objects {
		scope, err := scopeOf(own, o, defined)
		switch {
		case err != nil:
			return nil, nil, err
		case scope == "" && len(a.charts) > 0:
			later = append(later, o)
			continue
		case scope != wide && o.GetNamespace() == "": // of an unknown kind, it most often is of a namespace
			o.SetNamespace(a.namespace)
		}
		now = append(now, o)
	}
	return now, later, nil
}

// Scopes of kinds, as definitions name them.
const (
	wide       = "Cluster"
	namespaced = "Namespaced"
)

// scopeOf is the scope of an object's kind; "" when nobody knows the kind yet.
func scopeOf(own *clusterapi.Management, o *unstructured.Unstructured, defined map[string]string) (string, error) {
	if scope, ok := defined[o.GroupVersionKind().GroupKind().String()]; ok {
		return scope, nil
	}
	in, err := own.IsObjectNamespaced(o)
	switch {
	case meta.IsNoMatchError(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("asking for the scope of %s %s: %w", o.GetKind(), o.GetName(), err)
	case in:
		return namespaced, nil
	default:
		return wide, nil
	}
}

// scopes are those of the kinds, as KIND.GROUP, that definitions among objects make.
func scopes(objects []*unstructured.Unstructured) map[string]string {
	out := map[string]string{}
	for _, o := range objects {
		if o.GetKind() != "CustomResourceDefinition" {
			continue
		}
		scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		out[kind+"."+group] = scope
	}
	return out
}

// differences names what of the addon is missing in the cluster or other there.
func (a addon) differences(ctx context.Context, in *Installation, own *clusterapi.Management) ([]string, error) {
	objects, err := a.placed(own)
	if err != nil {
		return nil, err
	}
	out, err := own.Differences(ctx, objects)
	if err != nil {
		return nil, err
	}
	more, err := in.waiting(a.charts)
	return append(out, more...), err
}

// apply makes the cluster have the addon.
func (a addon) apply(ctx context.Context, in *Installation, own *clusterapi.Management) error {
	now, _, err := a.inTurn(own)
	if err != nil {
		return err
	}
	if err := own.ApplyObjects(ctx, now); err != nil {
		return err
	}
	for _, r := range a.charts {
		there, err := in.installed(r)
		if err != nil {
			return err
		}
		if r.is(there) {
			continue
		}
		if err := in.applyChart(ctx, own, r); err != nil {
			return err
		}
	}
	return a.applyRest(ctx, own, now)
}

// applyRest applies what had to wait for the charts.
func (a addon) applyRest(ctx context.Context, own *clusterapi.Management, done []*unstructured.Unstructured) error {
	rest := addon{namespace: a.namespace, objects: slices.DeleteFunc(slices.Clone(a.objects), func(o *unstructured.Unstructured) bool { return slices.Contains(done, o) })}
	objects, err := rest.placed(own) // the scopes of all kinds are known now
	if err != nil {
		return err
	}
	return own.ApplyObjects(ctx, objects)
}
