package release_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/manifests"
)

func shipped(t *testing.T) string {
	t.Helper()
	data, err := fs.ReadFile(manifests.Enterprise(), release.FileName)
	require.NoError(t, err)
	return string(data)
}

// The definition and the release that ship fit together.
func TestWhatShips(t *testing.T) {
	r, err := release.Parse([]byte(shipped(t)))
	require.NoError(t, err)
	def, err := definition.Load(filepath.Join("..", "..", "manifests", "enterprise", "bundle.yaml"))
	require.NoError(t, err)
	require.Equal(t, r.Metadata.Version, def.Metadata.Version)
	var images, names []string
	for _, i := range def.Spec.Images {
		images = append(images, i.Ref)
	}
	for _, f := range def.Spec.Files {
		names = append(names, f.Name)
		if f.Path != "node.ova" {
			_, err := fs.Stat(manifests.Enterprise(), f.Path)
			require.NoError(t, err)
		}
	}
	for _, m := range def.Spec.Manifests {
		names = append(names, m.Name)
		text, err := fs.ReadFile(manifests.Enterprise(), m.Path)
		require.NoError(t, err)
		require.Contains(t, string(text), "image: ")
	}
	i := r.Spec.Images
	for _, ref := range []string{i.Etcd, i.APIServer, i.ControllerManager, i.Scheduler, i.Proxy, i.CoreDNS, i.Pause, i.KubeVIP} {
		require.Contains(t, images, ref)
	}
	require.Contains(t, names, r.Spec.Template.File)
	for _, p := range r.Spec.Providers {
		require.Contains(t, names, p.Manifests)
		text, err := fs.ReadFile(manifests.Enterprise(), "providers/"+p.Manifests+".yaml")
		require.NoError(t, err)
		require.Contains(t, string(text), ":"+p.Version+"\n", "the manager's image has the provider's version")
	}
	for _, a := range r.Spec.Addons {
		require.Contains(t, names, a.Manifests)
	}
}

func TestEveryProblemIsToldAtOnce(t *testing.T) {
	bad := strings.NewReplacer("kind: Release", "kind: Relaese", "kubernetesVersion: v1.34.4", "kubernetesVersion: 1.34", "version: 1.0.0", "version: newest",
		"type: core", "type: kernel", "etcd: registry.k8s.io/etcd:3.6.5-0", "etcd: etcd", "pause: registry.k8s.io/pause:3.10.1", "pauze: 1",
		"type: cpi", "type: cni", "manifests: cni", "pack: Cilium", "file: node.ova", "file: ../node.ova").Replace(shipped(t))
	_, err := release.Parse([]byte(bad))
	require.ErrorIs(t, err, release.ErrInvalid)
	for _, text := range []string{
		"kind: is", "spec.kubernetesVersion", "metadata.version", "spec.providers[0].type", "none of the type core", "spec.images.etcd",
		"pauze", "spec.images.pause: is empty", "none of the type cpi", "spec.addons[0].pack", "spec.template.file",
	} {
		require.ErrorContains(t, err, text)
	}
}

func TestAddonsComeFromOnePlace(t *testing.T) {
	for _, from := range []string{"manifests: cpi, pack: cpi", "manifests: ''"} {
		_, err := release.Parse([]byte(strings.Replace(shipped(t), "manifests: cpi", from, 1)))
		require.ErrorContains(t, err, "spec.addons[1]: needs either manifests or pack")
	}
}

func TestALargeReleaseIsRefused(t *testing.T) {
	_, err := release.Parse(make([]byte, 2<<20))
	require.ErrorIs(t, err, release.ErrInvalid)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("apiVersion: sealift.dev/v1\nkind: Release\nspec: {addons: [{name: a, pack: b}]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := release.Parse(data)
		if err == nil {
			require.NotEmpty(t, r.Spec.KubernetesVersion)
		}
	})
}

// bundle makes a bundle of files and manifests by their names, and of images.
func bundle(t *testing.T, files, documents map[string]string, images ...string) *archive.Reader {
	t.Helper()
	b := archivetest.New(t)
	add := func(kind, name, text string) {
		b.File(kind, name, text).Needs = []archive.Need{{Kind: archive.RootImage, Reference: "registry.k8s.io/manager-of-" + name + ":v1", Certainty: "certain", Where: name}}
	}
	for name, text := range files {
		add(archive.RootFile, name, text)
	}
	for name, text := range documents {
		add(archive.RootManifests, name, text)
	}
	for _, ref := range images {
		b.Root(ref, b.Image("amd64", ref))
	}
	return archivetest.Open(t, b.Write())
}

func TestOpen(t *testing.T) {
	r, err := release.Parse([]byte(shipped(t)))
	require.NoError(t, err)
	b := bundle(t, map[string]string{"release.yaml": shipped(t), "node.ova": "machine"},
		map[string]string{"core": "kind: Deployment", "cni": "kind: DaemonSet"}, r.Spec.Images.Etcd)
	c, err := release.Open(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, "v1.34.4", c.Spec.KubernetesVersion)
	ova, err := c.Template(t.Context())
	require.NoError(t, err)
	require.Equal(t, "node.ova", ova.Name)
	require.EqualValues(t, len("machine"), ova.Descriptor.Size)
	text, err := c.Components(t.Context(), c.Spec.Providers[0])
	require.NoError(t, err)
	require.Equal(t, "kind: Deployment", string(text))
	text, err = c.AddonManifests(t.Context(), c.AddonsInOrder()[0])
	require.NoError(t, err)
	require.Equal(t, "kind: DaemonSet", string(text))

	require.Contains(t, c.Images(), "registry.k8s.io/manager-of-core:v1", "what manifests name is needed")
	require.Len(t, c.Descriptors(), 1)
	missing := c.Missing()
	for _, text := range []string{"manifests bootstrap-kubeadm", "manifests cpi", r.Spec.Images.KubeVIP, "registry.k8s.io/manager-of-core:v1"} {
		found := false
		for _, err := range missing {
			require.ErrorIs(t, err, release.ErrMissing)
			found = found || strings.Contains(err.Error(), text)
		}
		require.True(t, found, text)
	}
}

func TestABundleWithoutARelease(t *testing.T) {
	_, err := release.Open(t.Context(), bundle(t, nil, nil, "registry.k8s.io/pause:3.10"))
	require.ErrorIs(t, err, release.ErrNoRelease)
	require.Equal(t, []string{"give an enterprise bundle: sealift bundle init writes what one is made of"}, problem.Remedies(err))
	_, err = release.Open(t.Context(), bundle(t, map[string]string{"release.yaml": "kind: Release\n"}, nil))
	require.ErrorIs(t, err, release.ErrInvalid)
}
