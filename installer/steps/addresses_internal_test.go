package steps

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
)

// With more than the address itself left out, no node would have one.
func TestOnlyTheClustersAddressIsNoNodes(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(ca, []byte("PEM"), 0o600))
	for endpoint, want := range map[string]struct{ api, excluded string }{
		"10.20.0.10": {"https://10.20.0.10:6443", "10.20.0.10/32"}, "fd00::10": {"https://[fd00::10]:6443", "fd00::10/128"},
	} {
		in := &Installation{Options: Options{Site: &site.Site{}}, placement: &vsphere.Placement{Datacenter: vsphere.Object{Path: "/north"}}}
		in.Site.Spec.VCenter.Server, in.Site.Spec.VCenter.CAFile = "vcenter.north.example", ca
		in.Site.Spec.Network.ControlPlaneEndpoint, in.Site.Spec.Console.Hostname = endpoint, endpoint
		require.Equal(t, want.api, in.Address())
		require.Contains(t, []string{"https://10.20.0.10:30443", "https://[fd00::10]:30443"}, consoleURL(in.Site))
		objects, err := (&addons{in}).cloudConfig(t.Context())
		require.NoError(t, err)
		text, _, err := unstructured.NestedString(objects[0].Object, "data", "vsphere.conf")
		require.NoError(t, err)
		require.Contains(t, text, `excludeInternalNetworkSubnetCidr: "`+want.excluded+`"`)
	}
}

// The cloud provider compares a thumbprint letter by letter.
func TestTheCloudProviderTrustsTheVCenter(t *testing.T) {
	v := vcentertest.Start(t, vcenter.Options{Runtime: vcentertest.NewRecorder()})
	in := &Installation{Options: Options{Site: &site.Site{}}, placement: &vsphere.Placement{}}
	in.Site.Spec.VCenter.Server, in.Site.Spec.VCenter.Thumbprint = v.URL().Host, strings.ToLower(v.Thumbprint())
	in.Site.Spec.Network.ControlPlaneEndpoint = "10.20.0.10"
	objects, err := (&addons{in}).cloudConfig(t.Context())
	require.NoError(t, err)
	text, _, err := unstructured.NestedString(objects[0].Object, "data", "vsphere.conf")
	require.NoError(t, err)
	require.Contains(t, text, `thumbprint: "`+v.Thumbprint()+`"`)
}
