package clusterapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/internal/retry"
)

// Label returns clusterctl's name of a provider, by which the inventory has it.
func Label(p release.Provider) string { return (&Provider{Provider: p}).label() }

// Answers returns nil when the API server answers as one that can be worked with.
func (m *Management) Answers(ctx context.Context) error {
	if err := m.List(ctx, &corev1.NodeList{}, client.Limit(1)); err != nil {
		return fmt.Errorf("asking %s: %w", m.rest.Host, err)
	}
	return nil
}

// Cluster returns the Cluster of a name; nil when there is none, or nothing
// knows what a Cluster is.
func (m *Management) Cluster(ctx context.Context, name string) (*clusterv1.Cluster, error) {
	c := &clusterv1.Cluster{}
	err := m.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name}, c)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, fmt.Errorf("reading Cluster %s: %w", name, err)
	}
	return c, nil
}

// ClusterKubeconfig returns the kubeconfig of a cluster's administrator; nil as
// long as the cluster has none.
func (m *Management) ClusterKubeconfig(ctx context.Context, name string) ([]byte, error) {
	s := &corev1.Secret{}
	err := m.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: name + "-kubeconfig"}, s)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of cluster %s: %w", name, err)
	}
	return s.Data["value"], nil
}

// Ready returns how many of the machines that a cluster should have are nodes
// that are ready and available, and how many it should have.
func (m *Management) Ready(ctx context.Context, name string) (ready, want int, err error) {
	c, err := m.Cluster(ctx, name)
	if c == nil || err != nil {
		return 0, 0, err
	}
	if s := c.Status.ControlPlane; s != nil {
		ready, want = ready+value(s.AvailableReplicas), want+value(s.DesiredReplicas)
	}
	if s := c.Status.Workers; s != nil {
		ready, want = ready+value(s.AvailableReplicas), want+value(s.DesiredReplicas)
	}
	return ready, want, nil
}

func value(n *int32) int {
	if n == nil {
		return 0
	}
	return int(*n)
}

// Differences names every object that is not as given: what an apply would make
// or change, found by the API server itself. It is empty when an apply would
// change nothing.
func (m *Management) Differences(ctx context.Context, objects []*unstructured.Unstructured) ([]string, error) {
	var out []string
	for _, o := range objects {
		same, err := m.same(ctx, o)
		if err != nil {
			return nil, err
		}
		if !same {
			out = append(out, identify(o))
		}
	}
	return out, nil
}

// same tells whether an apply would leave an object as it is.
func (m *Management) same(ctx context.Context, o *unstructured.Unstructured) (bool, error) {
	c, err := m.compare(ctx, o)
	return err == nil && c.same(), err
}

// comparison is an object as it is and as it would be after an apply.
type comparison struct {
	now, then *unstructured.Unstructured // now is nil when it is not there
	anew      bool                       // it cannot be changed, and would be made anew
}

func (c comparison) same() bool {
	return c.now != nil && !c.anew && reflect.DeepEqual(c.now.Object, c.then.Object)
}

// looks is how often an object is looked at that a controller changes between
// two questions.
const looks = 10

// compare compares an object without what the API server counts.
func (m *Management) compare(ctx context.Context, o *unstructured.Unstructured) (c comparison, err error) {
	for range looks {
		c, err = m.compareOnce(ctx, o)
		if err != nil || c.now == nil || c.anew {
			return c, err
		}
		still := c.now.GetResourceVersion() == c.then.GetResourceVersion()
		for _, u := range []*unstructured.Unstructured{c.now, c.then} {
			u.SetManagedFields(nil)
			u.SetResourceVersion("")
			u.SetGeneration(0)
		}
		if still || c.same() {
			break
		}
	}
	return c, nil
}

func (m *Management) compareOnce(ctx context.Context, o *unstructured.Unstructured) (comparison, error) {
	now := &unstructured.Unstructured{}
	now.SetGroupVersionKind(o.GroupVersionKind())
	err := m.Get(ctx, client.ObjectKeyFromObject(o), now)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return comparison{then: o}, nil
	}
	if err != nil {
		return comparison{}, fmt.Errorf("reading %s: %w", identify(o), err)
	}
	then := o.DeepCopy()
	err = m.Apply(ctx, client.ApplyConfigurationFromUnstructured(then), owner, client.ForceOwnership, client.DryRunAll)
	if err != nil && m.unchangeable(ctx, o, err) {
		now.Object, _ = fieldsOf(now.Object, o.Object).(map[string]any) // a mapping stays one
		return comparison{now: now, then: o.DeepCopy(), anew: true}, nil
	}
	if err != nil {
		return comparison{}, fmt.Errorf("comparing %s: %w", identify(o), err)
	}
	return comparison{now: now, then: then}, nil
}

// ErrNotInTime means: what was waited for did not happen in time.
var ErrNotInTime = errors.New("not done in time")

// Follow looks every second whether something is done, and tells each change of
// a condition in the meantime. It fails with ErrNotInTime and the conditions
// that are not true.
func (m *Management) Follow(ctx context.Context, timeout time.Duration, tell func(Change), done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, ErrNotInTime)
	defer cancel()
	known := map[string]Condition{}
	for {
		finished, err := done(ctx)
		if finished {
			return nil
		}
		if err != nil && !unsettled(err) && ctx.Err() == nil {
			return err
		}
		changes, _ := m.changes(ctx, Namespace, known) // that it does not answer shows in the end
		for _, c := range changes {
			tell(c)
		}
		if cause := retry.Sleep(ctx, watchPause); cause != nil {
			return fmt.Errorf("after %s: %w", timeout, errors.Join(cause, err, words(known)))
		}
	}
}

// words are the messages of conditions that are not true.
func words(known map[string]Condition) error {
	var out []error
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if c := known[name]; c.Status == "False" && c.Message != "" {
			out = append(out, fmt.Errorf("%s: %s", name, c.Message))
		}
	}
	return errors.Join(out...)
}
