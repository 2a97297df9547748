package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/sealift/sealift/manifests"
)

// kinds reads the definitions of Cluster API's kinds, and of its providers',
// out of the components that ship. Their conversion is left out: it takes a
// controller, and one version needs none.
func kinds() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := fs.Glob(manifests.Enterprise(), "providers/*.yaml")
	if err != nil {
		return nil, err
	}
	var out []*apiextensionsv1.CustomResourceDefinition
	for _, file := range files {
		text, err := fs.ReadFile(manifests.Enterprise(), file)
		if err != nil {
			return nil, fmt.Errorf("reading kinds: %w", err)
		}
		documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
		for {
			d := &apiextensionsv1.CustomResourceDefinition{}
			if err := documents.Decode(d); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading kinds of %s: %w", file, err)
			}
			if d.Kind == "CustomResourceDefinition" {
				d.Spec.Conversion = nil
				out = append(out, d)
			}
		}
	}
	return out, nil
}
