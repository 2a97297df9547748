// Package kube keeps the console's objects as custom resources of a cluster.
//
// Each kind is a resource of the group console.sealift.dev in the console's
// namespace; the value of an object is the resource's spec. Package manifests
// has their definitions, which Definition writes.
package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/systemconsole/store"
)

// The group and version of the resources.
const (
	Group   = "console.sealift.dev"
	Version = "v1"
)

// An owner's name can be longer than a label: the label has its hash.
const (
	ownerLabel      = Group + "/owner"
	ownerAnnotation = Group + "/owner"
)

// Store is a store in a namespace of a cluster.
type Store struct {
	client    dynamic.Interface
	namespace string
}

var _ store.Store = (*Store)(nil)

// Open returns the store in a namespace of the cluster that config reaches.
func Open(config *rest.Config, namespace string) (*Store, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = -1, 0 // the server's own fairness is the limit
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("opening the store in namespace %s: %w", namespace, err)
	}
	return &Store{client: client, namespace: namespace}, nil
}

func (s *Store) resource(kind string) dynamic.ResourceInterface {
	return s.client.Resource(schema.GroupVersionResource{Group: Group, Version: Version, Resource: Plural(kind)}).Namespace(s.namespace)
}

// Plural is the name of the resource of a kind: a word in lower case.
func Plural(kind string) string {
	name := strings.ToLower(kind)
	if strings.HasSuffix(name, "s") {
		return name // Settings are many already
	}
	if stem, ok := strings.CutSuffix(name, "y"); ok {
		return stem + "ies"
	}
	return name + "s"
}

// Get returns an object.
func (s *Store) Get(ctx context.Context, kind, name string) (store.Object, error) {
	if err := store.CheckName(name); err != nil {
		return store.Object{}, fmt.Errorf("%s %.60q: %w", kind, name, store.ErrNotFound)
	}
	u, err := s.resource(kind).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return store.Object{}, wrap(kind, name, err)
	}
	return decode(u)
}

// List returns a page.
func (s *Store) List(ctx context.Context, kind string, opts store.ListOptions) (store.Page, error) {
	list := metav1.ListOptions{Limit: int64(opts.PageSize()), Continue: opts.Continue}
	if opts.Owner != "" {
		list.LabelSelector = ownerLabel + "=" + ownerHash(opts.Owner)
	}
	found, err := s.resource(kind).List(ctx, list)
	if err != nil {
		return store.Page{}, wrap(kind, "", err)
	}
	page := store.Page{Continue: found.GetContinue()}
	for i := range found.Items {
		o, err := decode(&found.Items[i])
		if err != nil {
			return store.Page{}, err
		}
		page.Objects = append(page.Objects, o)
	}
	return page, nil
}

// Create adds an object.
func (s *Store) Create(ctx context.Context, o store.Object) (string, error) {
	if err := store.CheckName(o.Name); err != nil {
		return "", err
	}
	u := &unstructured.Unstructured{Object: map[string]any{}}
	u.SetAPIVersion(Group + "/" + Version)
	u.SetKind(o.Kind)
	u.SetName(o.Name)
	if o.Owner != "" {
		if err := store.CheckName(o.Owner); err != nil {
			return "", err
		}
		u.SetLabels(map[string]string{ownerLabel: ownerHash(o.Owner)})
		u.SetAnnotations(map[string]string{ownerAnnotation: o.Owner})
	}
	spec, err := spec(o)
	if err != nil {
		return "", err
	}
	u.Object["spec"] = spec
	made, err := s.resource(o.Kind).Create(ctx, u, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return "", wrap(o.Kind, o.Name, err)
	}
	return made.GetResourceVersion(), nil
}

// Update replaces the spec. One patch says both what is expected and what is
// new, so that nothing can come in between.
func (s *Store) Update(ctx context.Context, o store.Object) (string, error) {
	if _, err := spec(o); err != nil {
		return "", err
	}
	if o.Version == "" { // which Kubernetes takes for any
		return "", fmt.Errorf("%s %s: %w", o.Kind, o.Name, store.ErrConflict)
	}
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": o.Version},
		{"op": "replace", "path": "/spec", "value": o.Data},
	})
	if err != nil {
		return "", fmt.Errorf("writing %s %s: %w", o.Kind, o.Name, err)
	}
	made, err := s.resource(o.Kind).Patch(ctx, o.Name, types.JSONPatchType, patch, metav1.PatchOptions{FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		return "", wrap(o.Kind, o.Name, err)
	}
	return made.GetResourceVersion(), nil
}

// Delete removes an object.
func (s *Store) Delete(ctx context.Context, kind, name, version string) error {
	var opts metav1.DeleteOptions
	if version != "" {
		opts.Preconditions = &metav1.Preconditions{ResourceVersion: &version}
	}
	if err := s.resource(kind).Delete(ctx, name, opts); err != nil {
		return wrap(kind, name, err)
	}
	return nil
}

// Watch returns the changes of a kind.
func (s *Store) Watch(ctx context.Context, kind string) (<-chan store.Event, error) {
	now, err := s.resource(kind).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return nil, wrap(kind, "", err)
	}
	w, err := s.resource(kind).Watch(ctx, metav1.ListOptions{ResourceVersion: now.GetResourceVersion()})
	if err != nil {
		return nil, wrap(kind, "", err)
	}
	out := make(chan store.Event)
	go func() {
		defer close(out)
		defer w.Stop()
		for e := range w.ResultChan() {
			event, ok := decodeEvent(e)
			if !ok {
				return
			}
			select {
			case out <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// decodeEvent fails for what ends a watch.
func decodeEvent(e watch.Event) (store.Event, bool) {
	u, ok := e.Object.(*unstructured.Unstructured)
	if !ok {
		return store.Event{}, false
	}
	change, ok := map[watch.EventType]store.Change{watch.Added: store.Added, watch.Modified: store.Modified, watch.Deleted: store.Deleted}[e.Type]
	if !ok {
		return store.Event{}, false
	}
	o, err := decode(u)
	return store.Event{Change: change, Object: o}, err == nil
}

func decode(u *unstructured.Unstructured) (store.Object, error) {
	data, err := json.Marshal(u.Object["spec"])
	if err != nil {
		return store.Object{}, fmt.Errorf("reading %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return store.Object{Kind: u.GetKind(), Name: u.GetName(), Owner: u.GetAnnotations()[ownerAnnotation], Version: u.GetResourceVersion(), Data: data}, nil
}

func spec(o store.Object) (map[string]any, error) {
	var out map[string]any
	if err := json.Unmarshal(o.Data, &out); err != nil || out == nil {
		return nil, fmt.Errorf("%s %s: the data is no JSON object", o.Kind, o.Name)
	}
	return out, nil
}

func ownerHash(owner string) string {
	sum := sha256.Sum256([]byte(owner))
	return hex.EncodeToString(sum[:16])
}

// wrap turns the cluster's errors into the store's.
func wrap(kind, name string, err error) error {
	subject := strings.TrimSpace(kind + " " + name)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s: %w", subject, store.ErrNotFound)
	case apierrors.IsConflict(err):
		return fmt.Errorf("%s: %w", subject, store.ErrConflict)
	case apierrors.IsAlreadyExists(err):
		return fmt.Errorf("%s: %w", subject, store.ErrExists)
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return fmt.Errorf("%s: %w", subject, store.ErrExpired)
	default:
		return fmt.Errorf("%s: %w", subject, err)
	}
}
