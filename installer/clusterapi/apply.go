package clusterapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/retry"
	"github.com/sealift/sealift/mirror"
)

// ApplyOptions is how providers are installed. The zero value leaves images
// where they are and runs the managers in the cluster.
type ApplyOptions struct {
	// Image returns the reference by which the cluster pulls an image; nil
	// leaves references as they are. See RegistryImages.
	Image func(ref string) (string, error)
	// Local runs the managers as processes of this host; nil runs them in the cluster.
	Local *LocalManagers
}

// RegistryImages returns a function that places images in a registry,
// HOST[:PORT], as a push with the same mapping does.
func RegistryImages(registry string, mapping *mirror.Mapping) func(string) (string, error) {
	return func(ref string) (string, error) {
		repository, tag, err := mapping.Repository(ref)
		if err != nil {
			return "", err
		}
		if _, digest, ok := strings.Cut(ref, "@"); ok {
			return registry + "/" + repository + "@" + digest, nil
		}
		return registry + "/" + repository + ":" + tag, nil
	}
}

// ApplyProviders installs providers or brings them to another version: the
// kinds first, then everything else, each by server-side apply. It returns when
// the managers and their webhooks answer and the inventory of clusterctl has
// them. Applying what is there changes nothing.
func (m *Management) ApplyProviders(ctx context.Context, providers []*Provider, opts ApplyOptions) error {
	targets, err := m.secure(ctx, providers, opts, false)
	if err != nil {
		return err
	}
	var kinds, rest []*unstructured.Unstructured
	for _, p := range providers {
		for _, original := range p.Objects {
			o, err := prepare(original, targets, opts)
			if err != nil {
				return fmt.Errorf("preparing provider %s: %w", p.Name, err)
			}
			switch {
			case o == nil || o.GetKind() == "Namespace":
			case o.GetKind() == "CustomResourceDefinition":
				kinds = append(kinds, o)
			default:
				rest = append(rest, o)
			}
		}
	}
	if err := m.ApplyKinds(ctx, kinds); err != nil {
		return err
	}
	if err := m.ApplyObjects(ctx, rest); err != nil {
		return err
	}
	if err := m.start(ctx, providers, opts); err != nil {
		return err
	}
	return m.record(ctx, providers)
}

// secure makes sure that each webhook has a certificate, and returns where
// each is called.
func (m *Management) secure(ctx context.Context, providers []*Provider, opts ApplyOptions, renew bool) (map[string]target, error) {
	targets := map[string]target{}
	for _, p := range providers {
		for _, o := range p.Objects {
			if o.GetKind() == "Namespace" {
				if err := m.apply(ctx, o); err != nil {
					return nil, err
				}
			}
		}
		for _, s := range p.services() {
			cert, fresh, err := m.certificate(ctx, s, renew)
			if err != nil {
				return nil, err
			}
			if fresh {
				if err := m.saveCertificate(ctx, s, cert); err != nil {
					return nil, err
				}
			}
			t := target{authorities: cert.Authorities}
			if opts.Local != nil {
				if t.base, err = opts.Local.serve(p, cert); err != nil {
					return nil, err
				}
			}
			targets[s.key()] = t
		}
	}
	return targets, nil
}

// prepare returns an object of a provider as it is applied; nil for one that
// is not needed where the managers run.
func prepare(original *unstructured.Unstructured, targets map[string]target, opts ApplyOptions) (*unstructured.Unstructured, error) {
	if opts.Local != nil && slices.Contains([]string{"Deployment", "Service"}, original.GetKind()) {
		return nil, nil //nolint:nilnil // there is nothing to apply
	}
	o := original.DeepCopy()
	if err := aim(o, targets); err != nil {
		return nil, err
	}
	return o, rewriteImages(o, opts.Image)
}

// rewriteImages changes the images of a Deployment.
func rewriteImages(o *unstructured.Unstructured, image func(string) (string, error)) error {
	if image == nil || o.GetKind() != "Deployment" {
		return nil
	}
	for _, field := range []string{"initContainers", "containers"} {
		path := []string{"spec", "template", "spec", field}
		containers, found, err := unstructured.NestedSlice(o.Object, path...)
		if err != nil || !found {
			continue
		}
		for _, c := range containers {
			container, _ := c.(map[string]any)
			ref, _ := container["image"].(string)
			if container["image"], err = image(ref); err != nil {
				return fmt.Errorf("%s: image %q: %w", identify(o), ref, err)
			}
		}
		if err := unstructured.SetNestedSlice(o.Object, containers, path...); err != nil {
			return err
		}
	}
	return nil
}

// Times of applying.
const (
	applyWait  = 5 * time.Minute
	applyPause = 500 * time.Millisecond
)

// ApplyObjects applies objects in their order. What is not there yet - a
// webhook that starts, a kind that is being established - is waited for.
func (m *Management) ApplyObjects(ctx context.Context, objects []*unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeoutCause(ctx, applyWait, fmt.Errorf("no success within %s: %w", applyWait, ErrNotInTime))
	defer cancel()
	for _, o := range objects {
		for {
			err := m.apply(ctx, o)
			if err == nil {
				break
			}
			if !unsettled(err) {
				return err
			}
			if cause := retry.Sleep(ctx, applyPause); cause != nil {
				return errors.Join(cause, err)
			}
		}
	}
	return nil
}

// ApplyKinds applies definitions of kinds, and returns when the API server
// serves them.
func (m *Management) ApplyKinds(ctx context.Context, kinds []*unstructured.Unstructured) error {
	if err := m.ApplyObjects(ctx, kinds); err != nil {
		return err
	}
	return m.waitEstablished(ctx, kinds)
}

// apply makes an object be as given; fields that others set stay. What cannot
// be changed to it is made anew, where that loses nothing.
func (m *Management) apply(ctx context.Context, o *unstructured.Unstructured) error {
	err := m.Apply(ctx, client.ApplyConfigurationFromUnstructured(o.DeepCopy()), owner, client.ForceOwnership)
	if err != nil && m.unchangeable(ctx, o, err) {
		err = m.replace(ctx, o)
	}
	if err != nil {
		return fmt.Errorf("applying %s: %w", identify(o), err)
	}
	return nil
}

// unestablished is how long a kind whose names are accepted may take to be served.
const unestablished = 2 * time.Second

// waitEstablished returns once the API server serves kinds. One that was killed
// between the two forgets to serve a kind until somebody changes it.
func (m *Management) waitEstablished(ctx context.Context, kinds []*unstructured.Unstructured) error {
	for _, kind := range kinds {
		last := time.Now()
		err := m.until(ctx, kind, func(o *unstructured.Unstructured) bool {
			if !conditionTrue(o, "Established") && conditionTrue(o, "NamesAccepted") && time.Since(last) > unestablished {
				last = time.Now()
				m.touch(ctx, o)
			}
			return conditionTrue(o, "Established") && m.listed(o)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// listed tells whether the API server lists a kind in all versions that it is to
// be served in. It does so only a moment after it serves it, a long one under
// load, and until then clients do not know the kind.
func (m *Management) listed(kind *unstructured.Unstructured) bool {
	group, _, _ := unstructured.NestedString(kind.Object, "spec", "group")
	name, _, _ := unstructured.NestedString(kind.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(kind.Object, "spec", "versions")
	for _, v := range versions {
		version, ok := v.(map[string]any)
		if !ok || version["served"] != true {
			continue
		}
		if _, err := m.RESTMapper().RESTMapping(schema.GroupKind{Group: group, Kind: name}, fmt.Sprint(version["name"])); err != nil {
			return false // whatever it is, who waits asks again
		}
	}
	return true
}

// touchedAnnotation has no meaning but that it changes.
const touchedAnnotation = "sealift.dev/touched"

// touch changes an object in a way that nobody minds. Who waits tries again.
func (m *Management) touch(ctx context.Context, o *unstructured.Unstructured) {
	before := o.DeepCopy()
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[touchedAnnotation] = time.Now().UTC().Format(time.RFC3339)
	o.SetAnnotations(annotations)
	_ = m.Patch(ctx, o, client.MergeFrom(before), owner)
}

// until reads an object until it is as wanted.
func (m *Management) until(ctx context.Context, o *unstructured.Unstructured, wanted func(*unstructured.Unstructured) bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, applyWait, fmt.Errorf("it was not ready within %s: %w", applyWait, ErrNotInTime))
	defer cancel()
	for {
		now := &unstructured.Unstructured{}
		now.SetGroupVersionKind(o.GroupVersionKind())
		err := m.Get(ctx, client.ObjectKeyFromObject(o), now)
		if err == nil && wanted(now) {
			return nil
		}
		if cause := retry.Sleep(ctx, applyPause); cause != nil {
			return fmt.Errorf("waiting for %s: %w", identify(o), errors.Join(cause, err, lastWords(now)))
		}
	}
}

// conditionTrue tells whether a condition of an object is true.
func conditionTrue(o *unstructured.Unstructured, kind string) bool {
	for _, c := range conditionsOf(o) {
		if c.Type == kind {
			return c.Status == "True"
		}
	}
	return false
}

// lastWords are an object's conditions that are not as they should be; nil if none.
func lastWords(o *unstructured.Unstructured) error {
	var out []error
	for _, c := range conditionsOf(o) {
		if c.Status == "False" && c.Message != "" {
			out = append(out, fmt.Errorf("%s: %s", c.Type, c.Message))
		}
	}
	return errors.Join(out...)
}

// start runs the managers and waits until they answer. A manager that is ready
// serves its webhooks.
func (m *Management) start(ctx context.Context, providers []*Provider, opts ApplyOptions) error {
	if opts.Local != nil {
		return opts.Local.start(ctx, m.Kubeconfig, providers)
	}
	for _, p := range providers {
		for _, d := range p.deployments() {
			if err := m.started(ctx, client.ObjectKeyFromObject(d)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *Management) started(ctx context.Context, deployment client.ObjectKey) error {
	ctx, cancel := context.WithTimeoutCause(ctx, applyWait, fmt.Errorf("it was not ready within %s", applyWait))
	defer cancel()
	return m.WaitWorkload(ctx, deployment, func(string, ...any) {})
}
