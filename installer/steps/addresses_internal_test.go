package steps

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
)

// With more than the address itself left out, no node would have one.
func TestOnlyTheClustersAddressIsNoNodes(t *testing.T) {
	for endpoint, want := range map[string]struct{ api, excluded string }{
		"10.20.0.10": {"https://10.20.0.10:6443", "10.20.0.10/32"}, "fd00::10": {"https://[fd00::10]:6443", "fd00::10/128"},
	} {
		in := &Installation{Options: Options{Site: &site.Site{}}, placement: &vsphere.Placement{Datacenter: vsphere.Object{Path: "/north"}}}
		in.Site.Spec.VCenter.Server = "vcenter.north.example"
		in.Site.Spec.Network.ControlPlaneEndpoint, in.Site.Spec.Console.Hostname = endpoint, endpoint
		require.Equal(t, want.api, in.Address())
		require.Contains(t, []string{"https://10.20.0.10:30443", "https://[fd00::10]:30443"}, consoleURL(in.Site))
		objects, err := (&addons{in}).cloudConfig()
		require.NoError(t, err)
		text, _, err := unstructured.NestedString(objects[0].Object, "data", "vsphere.conf")
		require.NoError(t, err)
		require.Contains(t, text, `excludeInternalNetworkSubnetCidr: "`+want.excluded+`"`)
	}
}
