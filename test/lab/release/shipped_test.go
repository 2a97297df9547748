package release_test

import (
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/discovery"
	content "github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/test/lab/programs"
)

// sources writes the sources that ship into a folder and reads them.
func sources(t *testing.T) (dir string, def *definition.Bundle, r *content.Release) {
	t.Helper()
	dir = t.TempDir()
	_, err := content.Write(dir)
	require.NoError(t, err)
	def, err = definition.Load(filepath.Join(dir, "bundle.yaml"))
	require.NoError(t, err)
	text, err := fs.ReadFile(manifests.Enterprise(), content.FileName)
	require.NoError(t, err)
	r, err = content.Parse(text)
	require.NoError(t, err)
	return dir, def, r
}

// carried returns the references that the definition lists, and those that are
// found in the manifests that it lists.
func carried(t *testing.T, def *definition.Bundle) []string {
	t.Helper()
	var out []string
	for _, i := range def.Spec.Images {
		out = append(out, i.Ref)
	}
	for _, m := range def.Spec.Manifests {
		report, err := closure.Path(t.Context(), def.Path(m.Path), closure.PathOptions{})
		require.NoError(t, err)
		out = append(out, report.Images(discovery.Likely)...)
	}
	return out
}

// Whatever the sources name, be it in a file that is listed or not, travels.
func TestEveryImageThatIsNamedTravels(t *testing.T) {
	dir, def, r := sources(t)
	all := carried(t, def)
	for _, folder := range []string{"providers", "addons"} {
		report, err := closure.Path(t.Context(), filepath.Join(dir, folder), closure.PathOptions{})
		require.NoError(t, err)
		require.NotEmpty(t, report.Found)
		require.Subset(t, all, report.Images(discovery.Likely))
	}
	i := r.Spec.Images
	require.Subset(t, all, []string{i.Etcd, i.APIServer, i.ControllerManager, i.Scheduler, i.Proxy, i.CoreDNS, i.Pause, i.KubeVIP})
	require.Equal(t, def.Metadata, definition.Metadata(r.Metadata))
}

// What ships has the versions of the programs that the lab is made of.
func TestVersionsAreThoseOfThePrograms(t *testing.T) {
	_, def, r := sources(t)
	pinned := func(module, dependency string) string {
		v, err := programs.Version("../programs", module, dependency)
		require.NoError(t, err)
		return v
	}
	kubernetes := pinned("kubernetes", "k8s.io/kubernetes")
	require.Equal(t, kubernetes, r.Spec.KubernetesVersion)
	require.Equal(t, kubernetes, "v"+def.Spec.Kubernetes.Version)
	require.Equal(t, "node-"+strings.TrimPrefix(kubernetes[:strings.LastIndex(kubernetes, ".")], "v"), r.Spec.Template.Name)
	i := r.Spec.Images
	for _, ref := range []string{i.APIServer, i.ControllerManager, i.Scheduler, i.Proxy} {
		require.True(t, strings.HasSuffix(ref, ":"+kubernetes), ref)
	}
	require.True(t, strings.HasSuffix(i.KubeVIP, ":"+pinned("clusterapi", "github.com/kube-vip/kube-vip")), i.KubeVIP)
	capi := pinned("clusterapi", "sigs.k8s.io/cluster-api")
	require.Equal(t, []content.Provider{
		{Name: "cluster-api", Type: content.Core, Version: capi, Manifests: "core"},
		{Name: "kubeadm", Type: content.Bootstrap, Version: capi, Manifests: "bootstrap-kubeadm"},
		{Name: "kubeadm", Type: content.ControlPlane, Version: capi, Manifests: "control-plane-kubeadm"},
		{Name: "vsphere", Type: content.Infrastructure, Manifests: "infrastructure-vsphere", Version: pinned("clusterapi", "sigs.k8s.io/cluster-api-provider-vsphere")},
		{Name: "in-cluster", Type: content.IPAM, Manifests: "ipam-in-cluster", Version: pinned("ipam", "sigs.k8s.io/cluster-api-ipam-provider-in-cluster")},
	}, r.Spec.Providers)
	require.Contains(t, carried(t, def), "registry.k8s.io/cloud-pv-vsphere/cloud-provider-vsphere:"+pinned("cpi", "k8s.io/cloud-provider-vsphere"))
	for _, m := range def.Spec.Manifests {
		require.Equal(t, m.Name+".yaml", path.Base(m.Path))
	}
}

// kubeadm asks for no image that the definition does not list.
func TestImagesOfKubeadmAreListed(t *testing.T) {
	compiled, err := openBuilt(t).Programs()
	require.NoError(t, err)
	_, def, r := sources(t)
	out, err := exec.CommandContext(t.Context(), compiled["kubeadm"], "config", "images", "list", "--kubernetes-version", r.Spec.KubernetesVersion).Output()
	require.NoError(t, err)
	var listed []string
	for _, i := range def.Spec.Images {
		listed = append(listed, i.Ref)
	}
	require.Subset(t, listed, strings.Fields(string(out)))
	require.Len(t, strings.Fields(string(out)), 7)
}
