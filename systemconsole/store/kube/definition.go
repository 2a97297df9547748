package kube

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/systemconsole/schema"
	"github.com/sealift/sealift/systemconsole/store"
)

// definition is a CustomResourceDefinition, as far as it is used here.
type definition struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   metadata       `json:"metadata"`
	Spec       definitionSpec `json:"spec"`
}

type definitionSpec struct {
	Group    string    `json:"group"`
	Scope    string    `json:"scope"`
	Names    names     `json:"names"`
	Versions []version `json:"versions"`
}

type names struct {
	Kind     string `json:"kind"`
	ListKind string `json:"listKind"`
	Plural   string `json:"plural"`
	Singular string `json:"singular"`
}

type version struct {
	Name    string         `json:"name"`
	Served  bool           `json:"served"`
	Storage bool           `json:"storage"`
	Schema  versionsSchema `json:"schema"`
}

type versionsSchema struct {
	OpenAPI *schema.Schema `json:"openAPIV3Schema"`
}

// Definition returns the CustomResourceDefinition of a kind as YAML.
func Definition(k store.Kind) ([]byte, error) {
	whole := &schema.Schema{Type: "object", Required: []string{"spec"}, Properties: map[string]*schema.Schema{
		"apiVersion": {Type: "string"}, "kind": {Type: "string"}, "metadata": {Type: "object"}, "spec": schema.Of(k.Value)}}
	d := definition{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition",
		Metadata: metadata{Name: Plural(k.Name) + "." + Group},
		Spec: definitionSpec{Group: Group, Scope: "Namespaced",
			Names:    names{Kind: k.Name, ListKind: k.Name + "List", Plural: Plural(k.Name), Singular: strings.ToLower(k.Name)},
			Versions: []version{{Name: Version, Served: true, Storage: true, Schema: versionsSchema{whole}}}}}
	out, err := yaml.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("writing the definition of %s: %w", k.Name, err)
	}
	return out, nil
}
