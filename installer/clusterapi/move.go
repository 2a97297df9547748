package clusterapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	clusterctlv1 "sigs.k8s.io/cluster-api/cmd/clusterctl/api/v1alpha3"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/problem"
)

// movingAnnotation is on a cluster from before its move begins: who finds it
// paused knows that a move was cut off, and that nobody paused it on purpose.
const movingAnnotation = "sealift.dev/moving"

// recoverTime is how long a move that failed or was canceled may take to leave
// one side at work.
const recoverTime = time.Minute

// Errors of moving, to be matched with errors.Is.
var (
	// ErrPaused: somebody has paused the cluster.
	ErrPaused = errors.New("the cluster is paused")
	// ErrNoCluster: there is nothing to move.
	ErrNoCluster = errors.New("there is no such cluster on either side")
)

// move is the move of one cluster, with all that belongs to it.
//
// clusterctl pauses the source, creates everything in the target, paused too,
// then deletes it from the source, and at last resumes the target. It cannot
// be cut off and begun again: so it is looked at what is where. While
// something is missing in the target, nothing was deleted yet: the source goes
// on. Once the target has all that the source has, only the rest of the source
// is to be deleted, and the target goes on.
type move struct {
	from, to *Management
	key      client.ObjectKey
}

// Move moves a cluster and everything that belongs to it to another management
// cluster, which has the same providers. A move that was cut off, at any
// point, goes on; one that was done before does nothing. When it fails, one of
// the two sides is at work.
func Move(ctx context.Context, from, to *Management, name string) error {
	m := &move{from: from, to: to, key: client.ObjectKey{Namespace: Namespace, Name: name}}
	if err := m.run(ctx); err != nil {
		return fmt.Errorf("moving cluster %s: %w", name, err)
	}
	return nil
}

func (m *move) run(ctx context.Context) error {
	source, err := m.cluster(ctx, m.from)
	if err != nil {
		return err
	}
	if source == nil {
		return m.arrive(ctx)
	}
	complete, err := m.complete(ctx)
	if err != nil {
		return err
	}
	if complete {
		return m.finish(ctx)
	}
	if err := m.ready(ctx, source); err != nil {
		return err
	}
	if err := m.from.clusterctl.ObjectMover().Move(ctx, m.key.Namespace, m.to.clusterctl, false); err != nil {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), recoverTime)
		defer cancel()
		return errors.Join(problem.New(problem.Partial, "run it again: it goes on where it stood", "%w", err), m.resume(after))
	}
	return m.arrive(ctx)
}

// cluster returns the cluster's object on one side; nil when it is not there.
func (m *move) cluster(ctx context.Context, side *Management) (*clusterv1.Cluster, error) {
	c := &clusterv1.Cluster{}
	err := side.Get(ctx, m.key, c)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil //nolint:nilnil // it is not there, and that is no error
	}
	if err != nil {
		return nil, fmt.Errorf("reading the cluster: %w", err)
	}
	return c, nil
}

// ready marks the source and lets it go on if an earlier move has paused it:
// clusterctl refuses what is paused.
func (m *move) ready(ctx context.Context, source *clusterv1.Cluster) error {
	_, moving := source.Annotations[movingAnnotation]
	if isPaused(source) && !moving {
		return problem.New(problem.Preflight, "find out who paused it, and why; then take spec.paused out", "%w", ErrPaused)
	}
	return m.set(ctx, m.from, false, true)
}

func isPaused(c *clusterv1.Cluster) bool { return c.Spec.Paused != nil && *c.Spec.Paused }

// set pauses the cluster on one side or lets it go on, and marks it or not.
func (m *move) set(ctx context.Context, side *Management, paused, moving bool) error {
	c, err := m.cluster(ctx, side)
	if err != nil || c == nil {
		return err
	}
	before := c.DeepCopy()
	c.Spec.Paused = nil
	if paused {
		c.Spec.Paused = new(true)
	}
	delete(c.Annotations, movingAnnotation)
	if moving {
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		c.Annotations[movingAnnotation] = "true"
	}
	if err := side.Patch(ctx, c, client.MergeFrom(before), owner); err != nil {
		return fmt.Errorf("pausing the cluster, or letting it go on: %w", err)
	}
	return nil
}

// resume leaves one side at work after a move has failed.
func (m *move) resume(ctx context.Context) error {
	complete, err := m.complete(ctx)
	if err != nil {
		return fmt.Errorf("looking for the side that goes on: %w", err)
	}
	if complete {
		return m.set(ctx, m.to, false, true)
	}
	return m.set(ctx, m.from, false, true)
}

// arrive lets the target go on once nothing is left in the source.
func (m *move) arrive(ctx context.Context) error {
	target, err := m.cluster(ctx, m.to)
	if err != nil {
		return err
	}
	if target == nil {
		return ErrNoCluster
	}
	if _, moving := target.Annotations[movingAnnotation]; !moving {
		return nil
	}
	return m.set(ctx, m.to, false, false)
}

// finish deletes from the source what the target has, owners last, without
// anything being done about it; then the target goes on.
func (m *move) finish(ctx context.Context) error {
	if err := m.set(ctx, m.from, true, true); err != nil {
		return err
	}
	objects, err := m.movable(ctx, m.from)
	if err != nil {
		return err
	}
	for _, o := range slices.Backward(objects) {
		if err := m.discard(ctx, o); err != nil {
			return fmt.Errorf("deleting %s from the source: %w", identify(o), err)
		}
	}
	return m.arrive(ctx)
}

// discard deletes an object as clusterctl does: marked, so that no webhook
// minds, and without its finalizers, so that no machine is destroyed.
func (m *move) discard(ctx context.Context, o *unstructured.Unstructured) error {
	before := o.DeepCopy()
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[clusterctlv1.DeleteForMoveAnnotation] = ""
	o.SetAnnotations(annotations)
	o.SetFinalizers(nil)
	if err := m.from.Patch(ctx, o, client.MergeFrom(before), owner); err != nil {
		return client.IgnoreNotFound(err)
	}
	return client.IgnoreNotFound(m.from.Delete(ctx, o))
}

// complete tells whether the target has every object of the source.
func (m *move) complete(ctx context.Context) (bool, error) {
	if target, err := m.cluster(ctx, m.to); err != nil || target == nil {
		return false, err
	}
	source, err := m.movable(ctx, m.from)
	if err != nil {
		return false, err
	}
	target, err := m.movable(ctx, m.to)
	if err != nil {
		return false, err
	}
	there := map[string]bool{}
	for _, o := range target {
		there[identify(o)] = true
	}
	return !slices.ContainsFunc(source, func(o *unstructured.Unstructured) bool { return !there[identify(o)] }), nil
}

// movable returns the objects of one side that go along with a move, owners
// before what they own.
func (m *move) movable(ctx context.Context, side *Management) ([]*unstructured.Unstructured, error) {
	kinds, err := movableKinds(ctx, side)
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, kind := range kinds {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind)
		if err := side.List(ctx, list, client.InNamespace(m.key.Namespace)); err != nil {
			return nil, fmt.Errorf("listing every %s: %w", kind.Kind, err)
		}
		for i := range list.Items {
			out = append(out, &list.Items[i])
		}
	}
	return belonging(ownersFirst(out)), nil
}

// movableKinds returns the kinds in namespaces that providers have brought,
// and those of Kubernetes that they use.
func movableKinds(ctx context.Context, side *Management) ([]schema.GroupVersionKind, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	if err := side.List(ctx, list, client.HasLabels{clusterctlv1.ClusterctlLabel}); err != nil {
		return nil, fmt.Errorf("listing the kinds of providers: %w", err)
	}
	kinds := []schema.GroupVersionKind{{Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "ConfigMap"}}
	for _, crd := range list.Items {
		group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
		kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
		scope, _, _ := unstructured.NestedString(crd.Object, "spec", "scope")
		versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
		for _, v := range versions {
			version, _ := v.(map[string]any)
			name, _ := version["name"].(string)
			if version["storage"] == true && scope == "Namespaced" && group != clusterctlv1.GroupVersion.Group {
				kinds = append(kinds, schema.GroupVersionKind{Group: group, Version: name, Kind: kind})
			}
		}
	}
	return kinds, nil
}

// belonging returns those objects that clusterctl moves: clusters, what has its
// label, and all that these own. Owners come before what they own.
func belonging(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	ours := map[types.UID]bool{}
	for _, o := range objects {
		_, labeled := o.GetLabels()[clusterctlv1.ClusterctlMoveLabel]
		isCluster := o.GetKind() == "Cluster" && o.GroupVersionKind().Group == clusterv1.GroupVersion.Group
		owned := slices.ContainsFunc(o.GetOwnerReferences(), func(ref metav1.OwnerReference) bool { return ours[ref.UID] })
		if labeled || isCluster || owned {
			ours[o.GetUID()] = true
			out = append(out, o)
		}
	}
	return out
}

// ownersFirst sorts objects so that each comes after its owners.
func ownersFirst(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	left := map[types.UID]*unstructured.Unstructured{}
	for _, o := range objects {
		left[o.GetUID()] = o
	}
	var out []*unstructured.Unstructured
	var place func(o *unstructured.Unstructured)
	place = func(o *unstructured.Unstructured) {
		if left[o.GetUID()] == nil {
			return
		}
		delete(left, o.GetUID())
		for _, ref := range o.GetOwnerReferences() {
			if above := left[ref.UID]; above != nil {
				place(above)
			}
		}
		out = append(out, o)
	}
	for _, o := range objects {
		place(o)
	}
	return out
}
