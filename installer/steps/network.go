package steps

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// netConf is the key of flannel's configuration in its ConfigMap.
const netConf = "net-conf.json"

// setPodNetwork puts the range of the site's pods into flannel's configuration:
// the manifests that ship have upstream's. A network that has no such
// configuration takes the range from the nodes, and is left as it is.
func setPodNetwork(objects []*unstructured.Unstructured, cidr string) error {
	for _, o := range objects {
		text, found, err := unstructured.NestedString(o.Object, "data", netConf)
		if o.GetKind() != "ConfigMap" || !found || err != nil {
			continue
		}
		var conf map[string]any
		if err := json.Unmarshal([]byte(text), &conf); err != nil {
			return fmt.Errorf("reading %s of ConfigMap %s/%s: %w", netConf, o.GetNamespace(), o.GetName(), err)
		}
		conf["Network"] = cidr
		out, err := json.MarshalIndent(conf, "", "  ")
		if err != nil {
			return fmt.Errorf("writing %s: %w", netConf, err)
		}
		if err := unstructured.SetNestedField(o.Object, string(out)+"\n", "data", netConf); err != nil {
			return fmt.Errorf("writing %s: %w", netConf, err)
		}
	}
	return nil
}
