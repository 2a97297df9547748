package steps

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize/english"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/internal/problem"
)

// describeCluster applies the objects of the cluster. After the pivot the
// cluster's own objects hold, which administrators change; of the site's only
// the logins are still applied, for their passwords change.
type describeCluster struct{ *Installation }

// Name implements step.Step.
func (*describeCluster) Name() string { return "describe the cluster" }

// Check implements step.Step.
func (s *describeCluster) Check(ctx context.Context) (step.Status, error) {
	m, objects, err := s.objects(ctx)
	if m == nil || err != nil {
		return step.Status{Detail: "no control plane yet"}, err
	}
	changes, err := m.Differences(ctx, objects)
	if err != nil {
		return step.Status{}, err
	}
	switch {
	case len(changes) > 0:
		return step.Status{Detail: summary(changes)}, nil
	case m == s.own:
		return step.Status{Done: true, Detail: managesItself().Detail + ", with the site's logins"}, nil
	}
	c := s.Site.Spec.Cluster
	return step.Status{Done: true, Detail: fmt.Sprintf("Cluster %s: %s, %s", c.Name,
		english.Plural(c.ControlPlane.Replicas, "control plane", ""), english.Plural(len(c.Workers), "pool of workers", "pools of workers"))}, nil
}

// summary names the first of what is to be changed.
func summary(changes []string) string {
	if len(changes) == 1 {
		return changes[0]
	}
	return fmt.Sprintf("%s and %d more", changes[0], len(changes)-1)
}

// objects are those that the site has a say in, and where they are applied; nil
// where there is no control plane yet.
func (s *describeCluster) objects(ctx context.Context) (*clusterapi.Management, []*unstructured.Unstructured, error) {
	m, err := s.manager(ctx)
	if m == nil || err != nil {
		return nil, nil, err
	}
	d, err := s.description(ctx)
	if err != nil {
		return nil, nil, err
	}
	if m == s.own {
		objects, err := d.Logins()
		return m, objects, err
	}
	objects, err := d.Objects()
	return m, objects, err
}

// Apply implements step.Step.
func (s *describeCluster) Apply(ctx context.Context, say step.Say) error {
	m, objects, err := s.objects(ctx)
	if err != nil {
		return err
	}
	if m == nil {
		return errNoControlPlane
	}
	if m == s.own {
		say("the logins to vCenter and registry")
	}
	return m.ApplyObjects(ctx, objects)
}

// Plan implements step.Planner.
func (s *describeCluster) Plan(ctx context.Context) (step.Plan, error) {
	d, err := s.description(ctx)
	if err != nil {
		return step.Plan{}, err
	}
	objects, err := d.Render()
	return step.Plan{Objects: string(objects)}, err
}

// errNoControlPlane means: a step comes before the one that it builds on.
var errNoControlPlane = errors.New("there is no control plane that makes machines")

// maxAuthority is the largest file of an authority, in bytes, that is read.
const maxAuthority = 1 << 20

// description is what the cluster is made of.
func (in *Installation) description(ctx context.Context) (clusterapi.Description, error) {
	d := clusterapi.Description{Site: in.Site, Release: &in.Release.Release, Placement: in.placement, Mapping: in.mapping, Images: in.Release.Images(),
		Registry: in.RegistryLogin, VCenter: in.VCenterLogin}
	var err error
	if d.Thumbprint, err = in.thumbprint(ctx); err != nil {
		return d, err
	}
	d.RegistryCA, err = in.registryAuthority()
	return d, err
}

// thumbprint is that of the vCenter's certificate, which this host trusts, as
// vSphere writes it.
func (in *Installation) thumbprint(ctx context.Context) (string, error) {
	v := in.Site.Spec.VCenter
	cert, err := vsphere.Handshake(ctx, v.Server, vsphere.Options{CAFile: in.Site.Path(v.CAFile), Thumbprint: v.Thumbprint})
	if err != nil {
		return "", err
	}
	return vsphere.Thumbprint(cert), nil
}

// registryAuthority returns the authority of the registry; nil when the system's are enough.
func (in *Installation) registryAuthority() ([]byte, error) {
	ca := in.Site.Path(in.Site.Spec.Registry.CAFile)
	if ca == "" {
		return nil, nil
	}
	data, err := content.ReadFile(ca, maxAuthority)
	if err != nil {
		return nil, fmt.Errorf("reading the authority of the registry: %w", err)
	}
	return data, nil
}

// firstNode waits for the first control plane.
type firstNode struct{ *Installation }

// Name implements step.Step.
func (*firstNode) Name() string { return "boot the first control plane" }

// Check implements step.Step.
func (s *firstNode) Check(ctx context.Context) (step.Status, error) {
	own, err := s.cluster(ctx)
	if own == nil || err != nil {
		return step.Status{Detail: "no API server yet"}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := own.Answers(ctx); err != nil {
		return step.Status{Detail: err.Error()}, nil
	}
	return step.Status{Done: true, Detail: s.Address()}, nil
}

// How long machines may take.
const (
	firstNodeTimeout = 20 * time.Minute
	nodesTimeout     = 40 * time.Minute
	controllerPause  = 2 * time.Second
)

// Apply implements step.Step.
func (s *firstNode) Apply(ctx context.Context, say step.Say) error {
	if s.first == nil { // only a cluster that was lost has a kubeconfig and no bootstrap
		return problem.New(problem.Failed, "see why its control plane is down; sealift status shows its machines",
			"the cluster manages itself, but its API server at %s does not answer", s.Site.Spec.Network.ControlPlaneEndpoint)
	}
	name := s.Site.Spec.Cluster.Name
	return s.first.Follow(ctx, firstNodeTimeout, s.tell(say), func(ctx context.Context) (bool, error) {
		config, err := s.first.ClusterKubeconfig(ctx, name)
		if config == nil || err != nil {
			return false, err
		}
		if err := s.saveKubeconfig(config); err != nil {
			return false, err
		}
		status, err := s.Check(ctx)
		return status.Done, err
	})
}

// tell says each change of a condition that is not true yet.
func (in *Installation) tell(say step.Say) func(clusterapi.Change) {
	return func(c clusterapi.Change) {
		switch {
		case c.Status == "True" || c.Message == "":
			say("%s: %s %s", c.Object, c.Type, c.Status)
		default:
			say("%s: %s: %s", c.Object, c.Type, c.Message)
		}
	}
}

// allNodes waits until every machine is a node that is ready.
type allNodes struct{ *Installation }

// Name implements step.Step.
func (*allNodes) Name() string { return "wait for all nodes" }

// Check implements step.Step.
func (s *allNodes) Check(ctx context.Context) (step.Status, error) {
	m, err := s.manager(ctx)
	if m == nil || err != nil {
		return step.Status{Detail: "no machines yet"}, err
	}
	ready, want, err := m.Ready(ctx, s.Site.Spec.Cluster.Name)
	if err != nil {
		return step.Status{}, err
	}
	return step.Status{Done: want > 0 && ready == want, Detail: fmt.Sprintf("%d of %d nodes are ready", ready, want)}, nil
}

// Apply implements step.Step.
func (s *allNodes) Apply(ctx context.Context, say step.Say) error {
	m, err := s.manager(ctx)
	if err != nil {
		return err
	}
	if m == nil {
		return errNoControlPlane
	}
	return m.Follow(ctx, nodesTimeout, s.tell(say), func(ctx context.Context) (bool, error) {
		status, err := s.Check(ctx)
		return status.Done, err
	})
}
