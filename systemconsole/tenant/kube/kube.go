// Package kube gives tenants their place in a cluster: a namespace with a
// quota, a network policy and the rights of the tenant's people.
package kube

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/kube"
	"github.com/sealift/sealift/systemconsole/tenant"
)

// tenantLabel is on the namespaces that this package made.
const tenantLabel = kube.Group + "/tenant"

// DefaultRemovalTime is how long Remove waits for a namespace to go. It leaves
// time to say what holds one to a client that waits two minutes for an answer.
const DefaultRemovalTime = 75 * time.Second

// Options complete a provisioner. The zero value is usable.
type Options struct {
	// RemovalTime is how long Remove waits for a namespace to go; 0 means DefaultRemovalTime.
	RemovalTime time.Duration
}

// Provisioner makes the places of tenants in a cluster.
type Provisioner struct {
	client   dynamic.Interface
	template *template.Template
	opts     Options
}

var _ tenant.Provisioner = (*Provisioner)(nil)

// New returns a provisioner for the cluster that config reaches.
func New(config *rest.Config, opts Options) (*Provisioner, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // a page asks what its tenant uses: the server's own fairness is the limit
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reaching the cluster: %w", err)
	}
	t, err := template.New("tenant.yaml").Parse(manifests.Tenant())
	if err != nil {
		return nil, err
	}
	if opts.RemovalTime == 0 {
		opts.RemovalTime = DefaultRemovalTime
	}
	return &Provisioner{client: client, template: t, opts: opts}, nil
}

// place is what the template is filled in with.
type place struct {
	Name string
	tenant.Limits
}

// Exists tells whether the namespace of a tenant of that name is there.
func (p *Provisioner) Exists(ctx context.Context, name string) (bool, error) {
	_, err := p.namespace(ctx, name)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// Apply makes the tenant's place with server-side apply: what others set
// stays, what this package set before and leaves out now goes. A namespace of
// that name which it did not make is never taken over.
func (p *Provisioner) Apply(ctx context.Context, name string, l tenant.Limits) error {
	objects, err := p.objects(name, l)
	if err != nil {
		return err
	}
	if err := p.checkOwner(ctx, name); err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	for _, o := range objects {
		_, err := p.resource(o).Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: kube.Manager, Force: true})
		if err != nil {
			return fmt.Errorf("applying %s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
	return nil
}

// contents are what a tenant runs and keeps.
func contents() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{
		{Group: "apps", Version: "v1", Resource: "deployments"},
		{Group: "apps", Version: "v1", Resource: "statefulsets"},
		{Group: "apps", Version: "v1", Resource: "daemonsets"},
		{Group: "batch", Version: "v1", Resource: "cronjobs"},
		{Group: "batch", Version: "v1", Resource: "jobs"},
		{Version: "v1", Resource: "pods"},
		{Version: "v1", Resource: "services"},
		{Version: "v1", Resource: "persistentvolumeclaims"},
	}
}

// Remove removes the namespace with all that is in it, and waits until it is
// gone. Its people's rights go first, so that nothing is made anew; quota and
// network policy hold until no pod is left.
func (p *Provisioner) Remove(ctx context.Context, name string) ([]string, error) {
	if err := p.checkOwner(ctx, name); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, err
	}
	objects, err := p.objects(name, tenant.Limits{})
	if err != nil {
		return nil, err
	}
	namespace := objects[0]
	var removed, rest []string
	for _, o := range objects[1:] {
		if o.GetKind() != "RoleBinding" {
			rest = append(rest, title(o))
			continue
		}
		switch err := p.remove(ctx, o); {
		case err == nil:
			removed = append(removed, title(o))
		case !apierrors.IsNotFound(err):
			return removed, err
		}
	}
	held, err := p.held(ctx, namespace.GetName())
	if err != nil {
		return removed, err
	}
	if err := p.remove(ctx, namespace); err != nil && !apierrors.IsNotFound(err) {
		return removed, err
	}
	if err := p.waitGone(ctx, namespace); err != nil {
		if still, unknown := p.held(ctx, namespace.GetName()); unknown == nil {
			left := titles(still)
			removed = append(removed, slices.DeleteFunc(titles(held), func(t string) bool { return slices.Contains(left, t) })...)
		}
		return removed, err
	}
	return slices.Concat(removed, titles(held), rest, []string{title(namespace)}), nil
}

func (p *Provisioner) remove(ctx context.Context, o *unstructured.Unstructured) error {
	if err := p.resource(o).Delete(ctx, o.GetName(), metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("removing %s: %w", title(o), err)
	}
	return nil
}

// held returns what a tenant runs and keeps, but for what its cluster made of that.
func (p *Provisioner) held(ctx context.Context, namespace string) ([]unstructured.Unstructured, error) {
	var out []unstructured.Unstructured
	for _, resource := range contents() {
		list, err := p.client.Resource(resource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return nil, fmt.Errorf("listing what is in the namespace %s: %w", namespace, err)
		}
		for i := range list.Items {
			if o := &list.Items[i]; len(o.GetOwnerReferences()) == 0 {
				out = append(out, *o)
			}
		}
	}
	return out, nil
}

func titles(objects []unstructured.Unstructured) []string {
	out := make([]string, len(objects))
	for i := range objects {
		out[i] = title(&objects[i])
	}
	return out
}

func title(o *unstructured.Unstructured) string {
	return o.GetKind() + " " + strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/")
}

// waitGone waits until the cluster has emptied and removed a namespace.
func (p *Provisioner) waitGone(ctx context.Context, namespace *unstructured.Unstructured) error {
	deadline := time.Now().Add(p.opts.RemovalTime)
	for {
		found, err := p.resource(namespace).Get(ctx, namespace.GetName(), metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		switch over := time.Now().After(deadline); {
		case over && err != nil:
			return fmt.Errorf("waiting until the namespace %s is gone: %w", namespace.GetName(), err)
		case over:
			return problem.New(problem.Failed, "mend or remove what holds it, and delete the tenant again",
				"the namespace %s is still there after %s: %s", namespace.GetName(), p.opts.RemovalTime, p.holding(ctx, found))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until the namespace %s is gone: %w", namespace.GetName(), ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// holding says what keeps a namespace from going. As long as pods are there
// Kubernetes says nothing of it in the namespace's conditions.
func (p *Provisioner) holding(ctx context.Context, namespace *unstructured.Unstructured) string {
	var out []string
	conditions, _, _ := unstructured.NestedSlice(namespace.Object, "status", "conditions")
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["status"] == "True" {
			out = append(out, fmt.Sprint(c["message"]))
		}
	}
	held, err := p.held(ctx, namespace.GetName())
	if err != nil {
		return err.Error()
	}
	for i := range held {
		what := title(&held[i]) + " is there"
		if f := held[i].GetFinalizers(); len(f) > 0 {
			what += " and waits for " + strings.Join(f, ", ")
		}
		out = append(out, what)
	}
	return strings.Join(out, "; ")
}

// checkOwner fails for a namespace that is not the tenant's.
func (p *Provisioner) checkOwner(ctx context.Context, name string) error {
	u, err := p.namespace(ctx, name)
	if err != nil {
		return err
	}
	if u.GetLabels()[tenantLabel] != name {
		return problem.New(problem.Failed, "rename or remove it, or choose another name for the organization",
			"the namespace tenant-%s is there already and belongs to somebody else", name)
	}
	return nil
}

// namespace returns the namespace that a tenant of a name has, or would have.
func (p *Provisioner) namespace(ctx context.Context, name string) (*unstructured.Unstructured, error) {
	if err := store.CheckName(name); err != nil {
		return nil, err
	}
	return p.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Get(ctx, "tenant-"+name, metav1.GetOptions{})
}

// objects returns the place of a tenant.
func (p *Provisioner) objects(name string, l tenant.Limits) ([]*unstructured.Unstructured, error) {
	if err := store.CheckName(name); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := p.template.Execute(&b, place{Name: name, Limits: l}); err != nil {
		return nil, fmt.Errorf("filling in the place of tenant %s: %w", name, err)
	}
	var out []*unstructured.Unstructured
	for part := range strings.SplitSeq(b.String(), "\n---\n") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(part), &u.Object); err != nil {
			return nil, fmt.Errorf("reading the place of tenant %s: %w", name, err)
		}
		out = append(out, u)
	}
	return out, nil
}

func (p *Provisioner) resource(u *unstructured.Unstructured) dynamic.ResourceInterface {
	resource, _ := meta.UnsafeGuessKindToResource(u.GroupVersionKind())
	if u.GetNamespace() == "" {
		return p.client.Resource(resource)
	}
	return p.client.Resource(resource).Namespace(u.GetNamespace())
}
