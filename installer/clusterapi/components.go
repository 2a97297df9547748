package clusterapi

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/internal/problem"
)

// ErrComponents means: the manifests of a provider cannot be installed.
var ErrComponents = errors.New("not the components of a provider")

// Provider is a provider and its components.
type Provider struct {
	release.Provider
	Objects []*unstructured.Unstructured
}

// ParseProvider reads the components of a provider. They need neither
// cert-manager nor variables: both are refused, with every problem at once.
func ParseProvider(p release.Provider, manifests []byte) (*Provider, error) {
	objects, err := ParseManifests(manifests)
	if err != nil {
		return nil, fmt.Errorf("components of provider %s: %w", p.Name, err)
	}
	var faults []error
	seen := map[string]bool{}
	for _, o := range objects {
		id := identify(o)
		if seen[id] {
			faults = append(faults, fmt.Errorf("%s stands twice", id))
		}
		seen[id] = true
		if o.GroupVersionKind().Group == "cert-manager.io" {
			faults = append(faults, fmt.Errorf("%s wants cert-manager, which is not there: webhook certificates are issued by sealift", id))
		}
	}
	if bytes.Contains(manifests, []byte("${")) {
		faults = append(faults, errors.New("it has variables of clusterctl, ${...}"))
	}
	if len(faults) > 0 {
		return nil, problem.As(problem.Verification, fmt.Errorf("components of provider %s: %w: %w", p.Name, ErrComponents, errors.Join(faults...)))
	}
	return &Provider{Provider: p, Objects: objects}, nil
}

// ParseManifests reads objects from a stream of YAML documents. There is at
// least one, and each has a kind and a name.
func ParseManifests(data []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	reader := kyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for n := 1; ; n++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w: %w", n, ErrComponents, err)
		}
		o := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict(document, &o.Object); err != nil {
			return nil, fmt.Errorf("document %d: %w: %w", n, ErrComponents, err)
		}
		if len(o.Object) == 0 {
			continue
		}
		if o.GetKind() == "" || o.GetAPIVersion() == "" || o.GetName() == "" {
			return nil, fmt.Errorf("document %d: it has no apiVersion, kind or name: %w", n, ErrComponents)
		}
		out = append(out, o)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("it is empty: %w", ErrComponents)
	}
	return out, nil
}

// identify names an object for people: Kind namespace/name.
func identify(o *unstructured.Unstructured) string {
	return o.GetKind() + " " + strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/")
}

// label is clusterctl's name of a provider: NAME or TYPE-NAME.
func (p *Provider) label() string {
	if p.Type == release.Core {
		return p.Name
	}
	return string(p.Type) + "-" + p.Name
}

// Namespace returns the namespace of the provider; "" when it brings none.
func (p *Provider) Namespace() string {
	for _, o := range p.Objects {
		if o.GetKind() == "Namespace" {
			return o.GetName()
		}
	}
	return ""
}

// deployments returns the provider's managers as they run in a cluster.
func (p *Provider) deployments() []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, o := range p.Objects {
		if o.GetKind() == "Deployment" {
			out = append(out, o)
		}
	}
	return out
}
