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
// names: two of one name would be one.
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
	if a.namespace == "" {
		return a.objects, nil
	}
	wide := clusterWide(a.objects)
	for _, o := range a.objects {
		if o.GetNamespace() != "" || wide[o.GroupVersionKind().GroupKind().String()] {
			continue
		}
		in, err := own.IsObjectNamespaced(o)
		if err != nil && !meta.IsNoMatchError(err) {
			return nil, fmt.Errorf("asking for the scope of %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		if in || err != nil { // a kind that comes with a chart is most often of a namespace
			o.SetNamespace(a.namespace)
		}
	}
	return a.objects, nil
}

// clusterWide are the kinds, as KIND.GROUP, that definitions among objects make
// for the whole cluster.
func clusterWide(objects []*unstructured.Unstructured) map[string]bool {
	out := map[string]bool{}
	for _, o := range objects {
		scope, _, _ := unstructured.NestedString(o.Object, "spec", "scope")
		if o.GetKind() != "CustomResourceDefinition" || scope != "Cluster" {
			continue
		}
		kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
		group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
		out[kind+"."+group] = true
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
	objects, err := a.placed(own)
	if err != nil {
		return err
	}
	if err := own.ApplyObjects(ctx, objects); err != nil {
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
	return nil
}
