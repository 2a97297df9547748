package clusterapi

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Rotate renews the webhook certificates that have less than a third of their
// life left, and returns the services whose certificates are new. The
// authority before stays trusted until the managers have read the new one.
func (m *Management) Rotate(ctx context.Context, providers []*Provider, opts ApplyOptions) ([]string, error) {
	var renewed []string
	for _, p := range providers {
		names, err := m.rotate(ctx, p, opts)
		if err != nil {
			return renewed, fmt.Errorf("renewing the webhook certificates of provider %s: %w", p.Name, err)
		}
		renewed = append(renewed, names...)
	}
	return renewed, nil
}

// rotate gives a provider's webhooks new certificates where they are needed,
// and lets the API server trust these first.
func (m *Management) rotate(ctx context.Context, p *Provider, opts ApplyOptions) ([]string, error) {
	fresh := map[service]Certificate{}
	trusted := map[string]target{}
	var renewed []string
	for _, s := range p.services() {
		cert, isNew, err := m.certificate(ctx, s, true)
		if err != nil {
			return nil, err
		}
		trusted[s.key()] = target{authorities: cert.Authorities}
		if isNew {
			fresh[s] = cert
			renewed = append(renewed, s.key())
		}
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	for _, o := range p.Objects {
		if err := m.trust(ctx, o, trusted); err != nil {
			return nil, err
		}
	}
	for s, cert := range fresh {
		if err := m.saveCertificate(ctx, s, cert); err != nil {
			return nil, err
		}
		if opts.Local != nil {
			if _, err := opts.Local.serve(p, cert); err != nil {
				return nil, err
			}
		}
	}
	return renewed, nil
}

// trust changes nothing of a webhook but the authorities, wherever it is called.
func (m *Management) trust(ctx context.Context, o *unstructured.Unstructured, targets map[string]target) error {
	aimed := o.DeepCopy()
	if err := aim(aimed, targets); err != nil {
		return err
	}
	now := &unstructured.Unstructured{}
	now.SetGroupVersionKind(o.GroupVersionKind())
	switch o.GetKind() {
	case "CustomResourceDefinition":
		bundle, found, _ := unstructured.NestedString(aimed.Object, "spec", "conversion", "webhook", "clientConfig", "caBundle")
		if !found {
			return nil
		}
		if err := m.Get(ctx, client.ObjectKeyFromObject(o), now); err != nil {
			return err
		}
		before := now.DeepCopy()
		if err := unstructured.SetNestedField(now.Object, bundle, "spec", "conversion", "webhook", "clientConfig", "caBundle"); err != nil {
			return err
		}
		return m.Patch(ctx, now, client.MergeFrom(before), owner)
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		return m.trustHooks(ctx, aimed, now)
	}
	return nil
}

func (m *Management) trustHooks(ctx context.Context, aimed, now *unstructured.Unstructured) error {
	if err := m.Get(ctx, client.ObjectKeyFromObject(aimed), now); err != nil {
		return err
	}
	before := now.DeepCopy()
	wanted, _, _ := unstructured.NestedSlice(aimed.Object, "webhooks")
	bundles := map[any]any{}
	for _, w := range wanted {
		hook, _ := w.(map[string]any)
		config, _ := hook["clientConfig"].(map[string]any)
		bundles[hook["name"]] = config["caBundle"]
	}
	hooks, _, _ := unstructured.NestedSlice(now.Object, "webhooks")
	for _, h := range hooks {
		hook, _ := h.(map[string]any)
		if config, ok := hook["clientConfig"].(map[string]any); ok && bundles[hook["name"]] != nil {
			config["caBundle"] = bundles[hook["name"]]
		}
	}
	if err := unstructured.SetNestedSlice(now.Object, hooks, "webhooks"); err != nil {
		return err
	}
	return m.Patch(ctx, now, client.MergeFrom(before), owner)
}
