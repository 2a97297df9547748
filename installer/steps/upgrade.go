package steps

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/problem"
)

// UpgradeSteps returns what brings an installed cluster to the release, in
// order. Nothing is removed but machines, by Cluster API, each after its
// successor is ready; templates, images and objects of before stay.
func (in *Installation) UpgradeSteps() []step.Step {
	list := []step.Step{&fill{in}, &importTemplate{in}, &ownProviders{in}, &rollControlPlane{in}}
	for _, pool := range in.Site.Spec.Cluster.Workers {
		list = append(list, &rollPool{in, pool.Name})
	}
	return append(list, &addons{in}, &allNodes{in}, &console{in})
}

// Upgradable fails unless the cluster manages itself.
func (in *Installation) Upgradable(ctx context.Context) error {
	done, err := in.pivoted(ctx)
	if err != nil {
		return err
	}
	if !done {
		return problem.New(problem.Preflight, "sealift install installs it, or goes on with an installation; sealift status says how it stands",
			"cluster %s does not manage itself: there is nothing to upgrade", in.Site.Spec.Cluster.Name)
	}
	return nil
}

// next is the description of the cluster after the upgrade, with as many
// machines as it has now: administrators scale it in the cluster.
func (in *Installation) next(ctx context.Context) (clusterapi.Description, error) {
	present, err := in.own.Present(ctx, in.Site.Spec.Cluster.Name)
	if err != nil {
		return clusterapi.Description{}, err
	}
	d, err := in.description(ctx)
	if err != nil {
		return d, err
	}
	d.Site = asPresent(in.Site, present)
	return d, nil
}

// asPresent is a site with the numbers of machines that a cluster has.
func asPresent(s *site.Site, present *clusterapi.Present) *site.Site {
	out := *s
	c := &out.Spec.Cluster
	c.ControlPlane.Replicas, c.Workers = present.ControlPlanes, slices.Clone(c.Workers)
	for i, pool := range c.Workers {
		if n, ok := present.Pools[pool.Name]; ok {
			c.Workers[i].Replicas = n
		}
	}
	return &out
}

// isPool tells whether an object makes workers.
func isPool(o *unstructured.Unstructured) bool { return o.GetKind() == "MachineDeployment" }

// rollTimeout is how long all machines of one control plane or pool may take.
const rollTimeout = 2 * time.Hour

// rollControlPlane replaces the control plane's machines, one at a time.
type rollControlPlane struct{ *Installation }

// Name implements step.Step.
func (*rollControlPlane) Name() string { return "replace the control plane" }

// objects are all but the pools: what is named after its content is used by
// nobody until a pool refers to it.
func (s *rollControlPlane) objects(ctx context.Context) ([]*unstructured.Unstructured, error) {
	d, err := s.next(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := d.Objects()
	return slices.DeleteFunc(objects, isPool), err
}

// Check implements step.Step.
func (s *rollControlPlane) Check(ctx context.Context) (step.Status, error) {
	objects, err := s.objects(ctx)
	if err != nil {
		return step.Status{}, err
	}
	changes, err := s.own.Differences(ctx, objects)
	if err != nil {
		return step.Status{}, err
	}
	if len(changes) > 0 {
		return step.Status{Detail: fmt.Sprintf("%s and %d more are to be changed", changes[0], len(changes)-1)}, nil
	}
	r, err := s.own.ControlPlaneRollout(ctx, s.Site.Spec.Cluster.Name)
	return step.Status{Done: r.Done(), Detail: r.String()}, err
}

// Apply implements step.Step.
func (s *rollControlPlane) Apply(ctx context.Context, say step.Say) error {
	objects, err := s.objects(ctx)
	if err != nil {
		return err
	}
	if err := s.own.ApplyObjects(ctx, objects); err != nil {
		return err
	}
	return s.own.Follow(ctx, rollTimeout, s.tell(say), func(ctx context.Context) (bool, error) {
		r, err := s.own.ControlPlaneRollout(ctx, s.Site.Spec.Cluster.Name)
		return err == nil && r.Done(), err
	})
}

// rollPool replaces the machines of a pool of workers, one at a time.
type rollPool struct {
	*Installation
	pool string
}

// Name implements step.Step.
func (s *rollPool) Name() string { return "replace the workers of pool " + s.pool }

func (s *rollPool) objects(ctx context.Context) ([]*unstructured.Unstructured, error) {
	d, err := s.next(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := d.Objects()
	name := s.Site.Spec.Cluster.Name + "-" + s.pool
	return slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return !isPool(o) || o.GetName() != name }), err
}

// Check implements step.Step.
func (s *rollPool) Check(ctx context.Context) (step.Status, error) {
	objects, err := s.objects(ctx)
	if err != nil {
		return step.Status{}, err
	}
	changes, err := s.own.Differences(ctx, objects)
	if err != nil || len(changes) > 0 {
		return step.Status{Detail: "it is to be changed"}, err
	}
	r, err := s.own.PoolRollout(ctx, s.Site.Spec.Cluster.Name, s.pool)
	return step.Status{Done: r.Done(), Detail: r.String()}, err
}

// Apply implements step.Step.
func (s *rollPool) Apply(ctx context.Context, say step.Say) error {
	objects, err := s.objects(ctx)
	if err != nil {
		return err
	}
	if err := s.own.ApplyObjects(ctx, objects); err != nil {
		return err
	}
	return s.own.Follow(ctx, rollTimeout, s.tell(say), func(ctx context.Context) (bool, error) {
		r, err := s.own.PoolRollout(ctx, s.Site.Spec.Cluster.Name, s.pool)
		return err == nil && r.Done(), err
	})
}
