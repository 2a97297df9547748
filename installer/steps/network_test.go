package steps

import (
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/manifests"
)

// network returns the objects of the network that ships, and its ConfigMap.
func network(t *testing.T) (objects []*unstructured.Unstructured, config *unstructured.Unstructured) {
	t.Helper()
	data, err := fs.ReadFile(manifests.Enterprise(), "addons/cni.yaml")
	require.NoError(t, err)
	objects, err = clusterapi.ParseManifests(data)
	require.NoError(t, err)
	for _, o := range objects {
		if o.GetKind() == "ConfigMap" {
			config = o
		}
	}
	require.NotNil(t, config)
	return objects, config
}

func TestTheNetworkHasTheSitesPods(t *testing.T) {
	objects, config := network(t)
	require.NoError(t, setPodNetwork(objects, "100.64.0.0/16"))
	text, _, err := unstructured.NestedString(config.Object, "data", "net-conf.json")
	require.NoError(t, err)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(text), &got))
	require.Equal(t, map[string]any{"Network": "100.64.0.0/16", "EnableNFTables": false, "Backend": map[string]any{"Type": "vxlan"}}, got)
}

func TestOtherNetworksAreLeftAlone(t *testing.T) {
	objects, config := network(t)
	unstructured.RemoveNestedField(config.Object, "data", "net-conf.json")
	before := config.DeepCopy()
	require.NoError(t, setPodNetwork(objects, "100.64.0.0/16"))
	require.Equal(t, before, config)
}

func TestABrokenNetworkIsNamed(t *testing.T) {
	objects, config := network(t)
	require.NoError(t, unstructured.SetNestedField(config.Object, "{", "data", "net-conf.json"))
	require.ErrorContains(t, setPodNetwork(objects, "100.64.0.0/16"), "reading net-conf.json of ConfigMap kube-flannel/kube-flannel-cfg")
}
