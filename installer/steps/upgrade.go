package steps

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
)

// UpgradeSteps returns what brings an installed cluster to the release, in
// order. Nothing is removed but machines, by Cluster API, each after its
// successor is ready; templates, images and objects of before stay. It refuses
// what PlanUpgrade refuses: who begins may have read a plan of yesterday.
func (in *Installation) UpgradeSteps(ctx context.Context) ([]step.Step, error) {
	if err := in.Upgradable(ctx); err != nil {
		return nil, err
	}
	n, err := in.next(ctx)
	if err != nil {
		return nil, err
	}
	if err := in.planVersions(ctx, &upgrade.Plan{}, n.present); err != nil {
		return nil, err
	}
	if err := in.planTemplate(ctx); err != nil {
		return nil, err
	}
	list := []step.Step{&fill{in}, &importTemplate{in}, &ownProviders{in}, &rollControlPlane{in}}
	for _, pool := range n.Site.Spec.Cluster.Workers {
		list = append(list, &rollPool{in, pool.Name})
	}
	return append(list, &addons{in}, &allNodes{in}, &console{in}, &renewKubeconfig{in}, &keepSite{in}), nil
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

// next is what the cluster shall be after an upgrade.
type next struct {
	clusterapi.Description
	present  *clusterapi.Present
	settings []upgrade.Setting // sizes that differ
	removed  []string          // pools that administrators took away
}

// next describes the cluster after the upgrade, with as many machines as it has
// now: administrators scale it in the cluster. They also resize, add and remove
// pools there, which stays.
func (in *Installation) next(ctx context.Context) (*next, error) {
	present, err := in.own.Present(ctx, in.Site.Spec.Cluster.Name)
	if err != nil {
		return nil, err
	}
	recorded, err := in.recorded(ctx)
	if err != nil {
		return nil, err
	}
	n := &next{present: present}
	if n.Description, err = in.description(ctx); err != nil {
		return nil, err
	}
	n.Site, n.removed = asPresent(in.Site, recorded, present)
	merged, settings, err := sizeStates(n.Site, recorded, present).merge("cluster", in.Choices)
	if err != nil {
		return nil, err
	}
	n.settings = settings
	c := &n.Site.Spec.Cluster
	c.ControlPlane.Size = sized(merged["controlPlane"])
	workers, _ := merged["workers"].(map[string]any) // nil when there are none
	for i := range c.Workers {
		c.Workers[i].Size = sized(workers[c.Workers[i].Name])
	}
	return n, nil
}

// asPresent is a site with the pools and the numbers of machines that a cluster
// has. A pool that the cluster was made with, and has no more, is not made again.
func asPresent(s, recorded *site.Site, present *clusterapi.Present) (next *site.Site, removed []string) {
	out := *s
	c := &out.Spec.Cluster
	c.ControlPlane.Replicas, c.Workers = present.ControlPlanes, nil
	for _, pool := range s.Spec.Cluster.Workers {
		n, there := present.Pools[pool.Name]
		if there {
			pool.Replicas = n
		} else if recorded != nil && hasPool(recorded, pool.Name) {
			removed = append(removed, pool.Name)
			continue
		}
		c.Workers = append(c.Workers, pool)
	}
	for _, name := range slices.Sorted(maps.Keys(present.Pools)) {
		if !hasPool(s, name) {
			c.Workers = append(c.Workers, site.WorkerPool{Name: name, Replicas: present.Pools[name], Size: present.Sizes[name]})
		}
	}
	return &out, removed
}

func hasPool(s *site.Site, name string) bool {
	return slices.ContainsFunc(s.Spec.Cluster.Workers, func(w site.WorkerPool) bool { return w.Name == name })
}

// Objects are those of the description. A pool that was not made by the
// installer keeps its name and the labels by which it finds its machines.
func (n *next) Objects() ([]*unstructured.Unstructured, error) {
	objects, err := n.Description.Objects()
	for _, o := range objects {
		if !isPool(o) {
			continue
		}
		name := n.present.Deployments[strings.TrimPrefix(o.GetName(), n.Site.Spec.Cluster.Name+"-")]
		if name == "" || name == o.GetName() {
			continue
		}
		o.SetName(name)
		unstructured.RemoveNestedField(o.Object, "spec", "selector")
		unstructured.RemoveNestedField(o.Object, "spec", "template", "metadata")
	}
	return objects, err
}

// deployment is the name of a pool's object.
func (n *next) deployment(pool string) string {
	if name, ok := n.present.Deployments[pool]; ok {
		return name
	}
	return n.Site.Spec.Cluster.Name + "-" + pool
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
		return step.Status{Detail: summary(changes)}, nil
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

// objects are the pool's own, and its name.
func (s *rollPool) objects(ctx context.Context) ([]*unstructured.Unstructured, string, error) {
	n, err := s.next(ctx)
	if err != nil {
		return nil, "", err
	}
	objects, err := n.Objects()
	name := n.deployment(s.pool)
	return slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return !isPool(o) || o.GetName() != name }), name, err
}

// Check implements step.Step.
func (s *rollPool) Check(ctx context.Context) (step.Status, error) {
	objects, name, err := s.objects(ctx)
	if err != nil {
		return step.Status{}, err
	}
	changes, err := s.own.Differences(ctx, objects)
	if err != nil || len(changes) > 0 {
		return step.Status{Detail: "it is to be changed"}, err
	}
	r, err := s.own.PoolRollout(ctx, name)
	return step.Status{Done: r.Done(), Detail: r.String()}, err
}

// Apply implements step.Step.
func (s *rollPool) Apply(ctx context.Context, say step.Say) error {
	objects, name, err := s.objects(ctx)
	if err != nil {
		return err
	}
	if err := s.own.ApplyObjects(ctx, objects); err != nil {
		return err
	}
	return s.own.Follow(ctx, rollTimeout, s.tell(say), func(ctx context.Context) (bool, error) {
		r, err := s.own.PoolRollout(ctx, name)
		return err == nil && r.Done(), err
	})
}
