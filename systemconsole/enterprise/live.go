package enterprise

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/problem"
)

// Live is the enterprise cluster behind an API server that holds both its
// Cluster API objects and its own nodes, as it is after the pivot.
type Live struct {
	client     client.Client
	namespace  string
	name       string
	thresholds Thresholds
	watched    *watched
}

var _ Source = (*Live)(nil)

// Options of Connect. The zero value is the only cluster of all namespaces.
type Options struct {
	Namespace  string // of the Cluster; all when empty
	Name       string // of the Cluster; the only one when empty
	Thresholds Thresholds
}

// Connect finds the enterprise cluster. ErrNotFound means that the API server
// has no such Cluster object.
func Connect(ctx context.Context, config *rest.Config, opts Options) (*Live, error) {
	kinds, err := newScheme()
	if err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: kinds})
	if err != nil {
		return nil, problem.WithRemedy(fmt.Errorf("connecting to the cluster: %w", err), "look whether the API server's address can be reached from the console")
	}
	l, err := find(ctx, c, opts)
	if err != nil {
		return nil, err
	}
	l.watched = &watched{config: config, kinds: kinds, mapper: c.RESTMapper(), namespace: l.namespace}
	return l, nil
}

func find(ctx context.Context, c client.Client, opts Options) (*Live, error) {
	var clusters clusterv1.ClusterList
	if err := c.List(ctx, &clusters, client.InNamespace(opts.Namespace)); err != nil {
		return nil, fmt.Errorf("listing clusters: %w", err)
	}
	var found []clusterv1.Cluster
	for _, one := range clusters.Items {
		if opts.Name == "" || one.Name == opts.Name {
			found = append(found, one)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("cluster %q: %w", opts.Name, ErrNotFound)
	case 1:
		return &Live{client: c, namespace: found[0].Namespace, name: found[0].Name, thresholds: opts.Thresholds.withDefaults()}, nil
	default:
		return nil, problem.New(problem.Usage, "name the enterprise cluster", "%d clusters could be the enterprise cluster", len(found))
	}
}

func newScheme() (*runtime.Scheme, error) {
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, clusterv1.AddToScheme, controlplanev1.AddToScheme, bootstrapv1.AddToScheme} {
		if err := add(kinds); err != nil {
			return nil, fmt.Errorf("registering Kubernetes' types: %w", err)
		}
	}
	return kinds, nil
}

// objects is everything that an overview is made of, read at one time.
type objects struct {
	cluster      clusterv1.Cluster
	controlPlane controlplanev1.KubeadmControlPlane
	deployments  clusterv1.MachineDeploymentList
	machines     clusterv1.MachineList
	nodes        map[string]corev1.Node
	heartbeats   map[string]time.Time // by node
}

// read reads everything; machines and nodes, which are many, from where they
// are to come from.
func (l *Live) read(ctx context.Context, many lister) (*objects, error) {
	o := &objects{}
	if err := l.client.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: l.name}, &o.cluster); err != nil {
		return nil, fmt.Errorf("reading cluster %s: %w", l.name, found(err))
	}
	ref := o.cluster.Spec.ControlPlaneRef
	if err := l.client.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: ref.Name}, &o.controlPlane); err != nil {
		return nil, fmt.Errorf("reading control plane %s: %w", ref.Name, found(err))
	}
	mine := []client.ListOption{client.InNamespace(l.namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: l.name}}
	if err := l.client.List(ctx, &o.deployments, mine...); err != nil {
		return nil, fmt.Errorf("listing pools of cluster %s: %w", l.name, err)
	}
	if err := many.List(ctx, &o.machines, mine...); err != nil {
		return nil, fmt.Errorf("listing machines of cluster %s: %w", l.name, err)
	}
	// In memory they have no order, and what is alike would change places on each page.
	slices.SortFunc(o.machines.Items, func(a, b clusterv1.Machine) int { return strings.Compare(a.Name, b.Name) })
	return o, l.readNodes(ctx, many, o)
}

// found turns the API server's words for a missing object into ErrNotFound.
func found(err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// Overview returns the cluster as it is now.
func (l *Live) Overview(ctx context.Context) (*Overview, error) { return l.overview(ctx, l.client) }

// Watched returns the cluster with the machines and nodes of a moment ago, as
// long as a watch takes: reading a thousand of them anew takes more than all else.
func (l *Live) Watched(ctx context.Context) (*Overview, error) { return l.overview(ctx, l.watched) }

func (l *Live) overview(ctx context.Context, many lister) (*Overview, error) {
	o, err := l.read(ctx, many)
	if err != nil {
		return nil, err
	}
	out := &Overview{
		Name: l.name, Version: o.controlPlane.Spec.Version, Created: o.cluster.CreationTimestamp.Time,
		Conditions: conditionsOf(o.cluster.Status.Conditions),
	}
	if e := o.cluster.Spec.ControlPlaneEndpoint; e.Host != "" {
		out.Endpoint = fmt.Sprintf("%s:%d", e.Host, e.Port)
	}
	if out.Pools, err = l.pools(ctx, o); err != nil {
		return nil, err
	}
	if out.Certificates, err = l.certificates(ctx, o); err != nil {
		return nil, err
	}
	out.Status = summary(out)
	return out, nil
}

func (l *Live) pools(ctx context.Context, o *objects) ([]Pool, error) {
	first := l.controlPlane(o)
	ref := o.controlPlane.Spec.MachineTemplate.Spec.InfrastructureRef
	var err error
	if first.Size, err = l.sizeOf(ctx, ref); err != nil {
		return nil, err
	}
	out := []Pool{first}
	for i := range o.deployments.Items {
		d := &o.deployments.Items[i]
		p := l.workers(o, d)
		if p.Size, err = l.sizeOf(ctx, d.Spec.Template.Spec.InfrastructureRef); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	slices.SortFunc(out[1:], func(a, b Pool) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// summary is the worst that any part of the cluster is.
func summary(o *Overview) Status {
	worst := Status{Good, "Healthy"}
	for _, p := range o.Pools {
		if worse(p.Status.State, worst.State) {
			worst = Status{p.Status.State, p.Name + ": " + lowerFirst(p.Status.Text)}
		}
	}
	for _, c := range o.Certificates {
		if c.Status.State != Unknown && worse(c.Status.State, worst.State) {
			worst = Status{c.Status.State, "certificate " + c.Name + " " + lowerFirst(c.Status.Text)}
		}
	}
	return worst
}

func worse(a, b Health) bool {
	rank := func(h Health) int { return slices.Index([]Health{Good, Unknown, Busy, Warn, Bad}, h) }
	return rank(a) > rank(b)
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
