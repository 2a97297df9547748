package clusterapi_test

import (
	"context"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/test/lab/site"
)

// labPrograms are the lab's programs, by the last part of an image's name.
type labPrograms map[string]string

// Program implements bootstrap.Programs.
func (l labPrograms) Program(_ context.Context, image, _ string) (string, error) {
	name := path.Base(image)
	name = name[:strings.IndexAny(name+":", ":@")]
	if l[name] == "" {
		return "", content.ErrNotFound
	}
	return l[name], nil
}

// programs returns the lab's programs.
func programs(t *testing.T) labPrograms {
	t.Helper()
	if testing.Short() {
		t.Skip("starts control planes")
	}
	lab, err := site.Open(t.Context(), ".", site.Options{})
	require.NoError(t, err)
	all, err := lab.Programs()
	if err != nil || all["etcd"] == "" || all["cluster-api-controller"] == "" {
		t.Skip("the lab is not built: make lab-build")
	}
	return all
}

// plane is a local control plane that ends with the test.
func plane(t *testing.T, dir string) (*bootstrap.Local, *clusterapi.Management) {
	t.Helper()
	local := bootstrap.NewLocal(bootstrap.LocalOptions{Dir: dir, Programs: programs(t), Etcd: "etcd:v1", APIServer: "kube-apiserver:v1"})
	config, err := local.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, local.Stop(context.WithoutCancel(t.Context()))) })
	m, err := clusterapi.Connect(t.Context(), config.Path)
	require.NoError(t, err)
	return local, m
}

// providers are those that ship.
func providers(t *testing.T) []*clusterapi.Provider {
	t.Helper()
	all := []release.Provider{
		{Name: "cluster-api", Type: release.Core, Version: "v1.13.6", Manifests: "core"},
		{Name: "kubeadm", Type: release.Bootstrap, Version: "v1.13.6", Manifests: "bootstrap-kubeadm"},
		{Name: "kubeadm", Type: release.ControlPlane, Version: "v1.13.6", Manifests: "control-plane-kubeadm"},
		{Name: "vsphere", Type: release.Infrastructure, Version: "v1.16.1", Manifests: "infrastructure-vsphere"},
	}
	var out []*clusterapi.Provider
	for _, p := range all {
		data, err := fs.ReadFile(manifests.Enterprise(), "providers/"+p.Manifests+".yaml")
		require.NoError(t, err)
		provider, err := clusterapi.ParseProvider(p, data)
		require.NoError(t, err)
		out = append(out, provider)
	}
	return out
}
