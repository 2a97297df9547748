package images_test

import (
	"archive/tar"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/lab/images"
)

func TestImagesOfClusterAPI(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "rootfs.tar")
	out, err := os.Create(archive)
	require.NoError(t, err)
	w := tar.NewWriter(out)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "./etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Size: 4}))
	_, err = w.Write([]byte("PEM\n"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, out.Close())

	s := images.Sources{Rootfs: archive, Programs: map[string]string{"cluster-api-controller": "/bin/manager"}}
	all, err := images.ClusterAPI(s, images.Versions{ClusterAPI: "v1.13.6", VSphere: "v1.16.1", IPAM: "v1.1.0", KubeVIP: "v0.9.1", CPI: "v1.36.0"})
	require.NoError(t, err)
	require.Len(t, all, 7)
	core := all[0]
	require.Equal(t, "registry.k8s.io/cluster-api/cluster-api-controller:v1.13.6", core.Name)
	require.Equal(t, []string{"/manager"}, core.Config.Entrypoint)
	require.Equal(t, "65532", core.Config.User)
	require.Equal(t, images.Program("/bin/manager"), core.Files["manager"])
	require.Equal(t, "PEM\n", core.Files["etc/ssl/certs/ca-certificates.crt"].Text)
	require.Equal(t, "ghcr.io/kube-vip/kube-vip:v0.9.1", all[5].Name)
	require.Empty(t, all[5].Config.User, "announcing an address takes root")
}

func TestImagesOfClusterAPINeedAuthorities(t *testing.T) {
	archive, _ := rootfs(t, "")
	_, err := images.ClusterAPI(images.Sources{Rootfs: archive}, images.Versions{})
	require.ErrorContains(t, err, "etc/ssl/certs/ca-certificates.crt is not in the root file system")
}
