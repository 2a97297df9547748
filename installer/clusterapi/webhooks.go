package clusterapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sealift/sealift/internal/authority"
)

// certificateLife is how long a webhook's certificate is good.
const certificateLife = 365 * 24 * time.Hour

// Certificate is what a webhook server shows, and by what it is checked.
type Certificate struct {
	authority.Pair
	Authorities []byte // PEM; the present authority first, the one before it after
}

// service is a service that webhooks are called through.
type service struct {
	namespace, name string
	secret          string // that its manager reads the certificate from
	provider        *Provider
}

// key names a service as webhooks do: NAMESPACE/NAME.
func (s service) key() string { return s.namespace + "/" + s.name }

// services returns the webhook services of a provider: those that a webhook
// names. Others, for metrics say, may lead to the same manager.
func (p *Provider) services() []service {
	called := map[string]bool{}
	for _, o := range p.Objects {
		for _, config := range clientConfigs(o) {
			called[serviceOf(config)] = true
		}
	}
	var out []service
	for _, o := range p.Objects {
		if o.GetKind() != "Service" || !called[o.GetNamespace()+"/"+o.GetName()] {
			continue
		}
		if secret := p.certificateOf(o); secret != "" {
			out = append(out, service{o.GetNamespace(), o.GetName(), secret, p})
		}
	}
	return out
}

// certificateOf returns the name of the secret that the manager behind a
// service mounts as its certificate: the volume that is called cert.
func (p *Provider) certificateOf(svc *unstructured.Unstructured) string {
	selector, _, _ := unstructured.NestedStringMap(svc.Object, "spec", "selector")
	for _, d := range p.deployments() {
		labels, _, _ := unstructured.NestedStringMap(d.Object, "spec", "template", "metadata", "labels")
		if d.GetNamespace() != svc.GetNamespace() || len(selector) == 0 || !contains(labels, selector) {
			continue
		}
		volumes, _, _ := unstructured.NestedSlice(d.Object, "spec", "template", "spec", "volumes")
		for _, v := range volumes {
			volume, _ := v.(map[string]any)
			if volume["name"] == "cert" {
				secret, _, _ := unstructured.NestedString(volume, "secret", "secretName")
				return secret
			}
		}
	}
	return ""
}

func contains(labels, selector map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// certificate returns the certificate of a service. One that is not there is
// issued; with renew, also one with less than a third of its life left. The
// authority lives only as long as this call: nobody can issue a second one.
func (m *Management) certificate(ctx context.Context, s service, renew bool) (cert Certificate, fresh bool, err error) {
	secret := &corev1.Secret{}
	err = m.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: s.secret}, secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return cert, false, fmt.Errorf("reading the certificate of %s: %w", s.name, err)
	}
	old := Certificate{authority.Pair{Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey]}, secret.Data[authorityKey]}
	parsed, parseErr := authority.Certificate(old.Certificate)
	if parseErr == nil && time.Now().Before(parsed.NotAfter) && (!renew || !authority.Expiring(parsed, time.Now())) {
		return old, false, nil
	}
	cert, err = issue(s, old)
	return cert, true, err
}

// authorityKey is the key of the authorities in the secret of a certificate.
const authorityKey = "ca.crt"

// issue makes a new authority and a certificate of it. The authority before it
// stays trusted, for as long as the manager still shows the old certificate.
func issue(s service, old Certificate) (Certificate, error) {
	host := s.name + "." + s.namespace + ".svc"
	ca, err := authority.New("sealift webhooks "+s.name, certificateLife)
	if err != nil {
		return Certificate{}, err
	}
	pair, err := ca.Issue(authority.Leaf{Name: host, DNSNames: []string{host, host + ".cluster.local"},
		IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, Validity: certificateLife})
	if err != nil {
		return Certificate{}, err
	}
	trusted := slices.Clone(ca.Pair().Certificate)
	if end := bytes.Index(old.Authorities, []byte("-----END CERTIFICATE-----\n")); end >= 0 {
		trusted = append(trusted, old.Authorities[:end+len("-----END CERTIFICATE-----\n")]...)
	}
	return Certificate{Pair: pair, Authorities: trusted}, nil
}

// saveCertificate writes the secret that the manager mounts.
func (m *Management) saveCertificate(ctx context.Context, s service, cert Certificate) error {
	secret := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": string(corev1.SecretTypeTLS),
		"metadata": map[string]any{"name": s.secret, "namespace": s.namespace,
			"labels": map[string]any{"cluster.x-k8s.io/provider": s.provider.label()}},
		"data": map[string]any{
			corev1.TLSCertKey: encode(cert.Certificate), corev1.TLSPrivateKeyKey: encode(cert.Key), authorityKey: encode(cert.Authorities),
		},
	}}
	return m.apply(ctx, secret)
}

func encode(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// target is where webhooks of a service are called.
type target struct {
	base        string // URL of a local manager; "" leaves the service
	authorities []byte
}

// clientConfigs returns how the webhooks in an object, of admission or
// conversion, are called. They are the object's own: what is changed in them is
// changed in it.
func clientConfigs(o *unstructured.Unstructured) []map[string]any {
	var out []map[string]any
	switch o.GetKind() {
	case "CustomResourceDefinition":
		webhook, _, _ := unstructured.NestedFieldNoCopy(o.Object, "spec", "conversion", "webhook", "clientConfig")
		if config, ok := webhook.(map[string]any); ok {
			out = append(out, config)
		}
	case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		field, _, _ := unstructured.NestedFieldNoCopy(o.Object, "webhooks")
		hooks, _ := field.([]any)
		for _, h := range hooks {
			hook, _ := h.(map[string]any)
			if config, ok := hook["clientConfig"].(map[string]any); ok {
				out = append(out, config)
			}
		}
	}
	return out
}

// serviceOf returns NAMESPACE/NAME of the service that a webhook is called through.
func serviceOf(config map[string]any) string {
	svc, _ := config["service"].(map[string]any)
	return fmt.Sprint(svc["namespace"], "/", svc["name"])
}

// aim lets every webhook in an object trust its service's authorities, and call
// the local manager where there is one.
func aim(o *unstructured.Unstructured, targets map[string]target) error {
	for _, config := range clientConfigs(o) {
		if err := aimOne(config, targets); err != nil {
			return fmt.Errorf("%s: %w", identify(o), err)
		}
	}
	return nil
}

func aimOne(config map[string]any, targets map[string]target) error {
	key := serviceOf(config)
	t, ok := targets[key]
	if !ok {
		return fmt.Errorf("its webhook calls %s, which is no webhook service of the provider: %w", key, ErrComponents)
	}
	config["caBundle"] = encode(t.authorities)
	if t.base != "" {
		svc, _ := config["service"].(map[string]any)
		path, _ := svc["path"].(string)
		config["url"] = t.base + "/" + strings.TrimPrefix(path, "/")
		delete(config, "service")
	}
	return nil
}
