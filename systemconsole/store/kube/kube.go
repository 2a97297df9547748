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
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
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
	client    *rest.RESTClient
	namespace string
}

var _ store.Store = (*Store)(nil)

// Open returns the store in a namespace of the cluster that config reaches.
func Open(config *rest.Config, namespace string) (*Store, error) {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // the server's errors
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = -1, 0 // the server's own fairness is the limit
	config.APIPath, config.GroupVersion = "/apis", &schema.GroupVersion{Group: Group, Version: Version}
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("opening the store in namespace %s: %w", namespace, err)
	}
	return &Store{client: client, namespace: namespace}, nil
}

// resource is an object as the server writes it, as far as it matters here. Its
// spec stays as it came: who asked for it decodes it.
type resource struct {
	APIVersion string          `json:"apiVersion,omitempty"`
	Kind       string          `json:"kind,omitempty"`
	Metadata   metadata        `json:"metadata"`
	Spec       json.RawMessage `json:"spec"`
}

type metadata struct {
	Name            string            `json:"name"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
}

// of directs a request to the resources of a kind.
func (s *Store) of(kind string, r *rest.Request) *rest.Request {
	return r.Namespace(s.namespace).Resource(Plural(kind))
}

// answer sends a request and reads what comes into out, unless that is nil.
func answer(ctx context.Context, r *rest.Request, out any) error {
	result := r.Do(ctx)
	if err := result.Error(); err != nil || out == nil {
		return err
	}
	data, err := result.Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
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
	var found resource
	if err := answer(ctx, s.of(kind, s.client.Get()).Name(name), &found); err != nil {
		return store.Object{}, wrap(kind, name, err)
	}
	return found.object(), nil
}

// List returns a page.
func (s *Store) List(ctx context.Context, kind string, opts store.ListOptions) (store.Page, error) {
	r := s.of(kind, s.client.Get()).Param("limit", strconv.Itoa(opts.PageSize()))
	if opts.Continue != "" {
		r = r.Param("continue", opts.Continue)
	}
	if opts.Owner != "" {
		r = r.Param("labelSelector", ownerLabel+"="+ownerHash(opts.Owner))
	}
	var found list
	if err := answer(ctx, r, &found); err != nil {
		return store.Page{}, wrap(kind, "", err)
	}
	page := store.Page{Continue: found.Metadata.Continue}
	for _, item := range found.Items {
		page.Objects = append(page.Objects, item.object())
	}
	return page, nil
}

type list struct {
	Metadata struct {
		Continue        string `json:"continue"`
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Items []resource `json:"items"`
}

// Create adds an object.
func (s *Store) Create(ctx context.Context, o store.Object) (string, error) {
	if err := store.CheckName(o.Name); err != nil {
		return "", err
	}
	if err := check(o); err != nil {
		return "", err
	}
	made := resource{APIVersion: Group + "/" + Version, Kind: o.Kind, Metadata: metadata{Name: o.Name}, Spec: o.Data}
	if o.Owner != "" {
		if err := store.CheckName(o.Owner); err != nil {
			return "", err
		}
		made.Metadata.Labels = map[string]string{ownerLabel: ownerHash(o.Owner)}
		made.Metadata.Annotations = map[string]string{ownerAnnotation: o.Owner}
	}
	return s.write(ctx, o, s.client.Post().SetHeader("Content-Type", "application/json"), made)
}

// Update replaces the spec. One patch says both what is expected and what is
// new, so that nothing can come in between.
func (s *Store) Update(ctx context.Context, o store.Object) (string, error) {
	if err := check(o); err != nil {
		return "", err
	}
	if o.Version == "" { // which Kubernetes takes for any
		return "", fmt.Errorf("%s %s: %w", o.Kind, o.Name, store.ErrConflict)
	}
	return s.write(ctx, o, s.client.Patch(types.JSONPatchType).Name(o.Name), []map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": o.Version},
		{"op": "replace", "path": "/spec", "value": o.Data},
	})
}

// write sends what changes an object and returns its new version.
func (s *Store) write(ctx context.Context, o store.Object, r *rest.Request, body any) (string, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("writing %s %s: %w", o.Kind, o.Name, err)
	}
	var made resource
	if err := answer(ctx, s.of(o.Kind, r).Param("fieldValidation", metav1.FieldValidationStrict).Body(data), &made); err != nil {
		return "", wrap(o.Kind, o.Name, err)
	}
	return made.Metadata.ResourceVersion, nil
}

// Delete removes an object.
func (s *Store) Delete(ctx context.Context, kind, name, version string) error {
	r := s.of(kind, s.client.Delete()).Name(name)
	if version != "" {
		data, err := json.Marshal(metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &version}})
		if err != nil {
			return err
		}
		r = r.SetHeader("Content-Type", "application/json").Body(data)
	}
	if err := answer(ctx, r, nil); err != nil {
		return wrap(kind, name, err)
	}
	return nil
}

// Watch returns the changes of a kind.
func (s *Store) Watch(ctx context.Context, kind string) (<-chan store.Event, error) {
	var now list
	if err := answer(ctx, s.of(kind, s.client.Get()).Param("limit", "1"), &now); err != nil {
		return nil, wrap(kind, "", err)
	}
	stream, err := s.of(kind, s.client.Get()).Param("watch", "true").Param("resourceVersion", now.Metadata.ResourceVersion).Stream(ctx)
	if err != nil {
		return nil, wrap(kind, "", err)
	}
	out := make(chan store.Event)
	go func() {
		defer close(out)
		defer stream.Close() //nolint:errcheck // it was only read
		for in := json.NewDecoder(stream); ; {
			event, ok := next(in)
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

// next fails for what ends a watch.
func next(in *json.Decoder) (store.Event, bool) {
	var e struct {
		Type   watch.EventType `json:"type"`
		Object resource        `json:"object"`
	}
	if in.Decode(&e) != nil {
		return store.Event{}, false
	}
	change, ok := map[watch.EventType]store.Change{watch.Added: store.Added, watch.Modified: store.Modified, watch.Deleted: store.Deleted}[e.Type]
	return store.Event{Change: change, Object: e.Object.object()}, ok
}

func (r resource) object() store.Object {
	return store.Object{Kind: r.Kind, Name: r.Metadata.Name, Owner: r.Metadata.Annotations[ownerAnnotation], Version: r.Metadata.ResourceVersion, Data: r.Spec}
}

// check fails for data that is no JSON object.
func check(o store.Object) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(o.Data, &fields); err != nil || fields == nil {
		return fmt.Errorf("%s %s: the data is no JSON object", o.Kind, o.Name)
	}
	return nil
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
