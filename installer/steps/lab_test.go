package steps_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/steps"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
	"github.com/sealift/sealift/test/registries"
)

// lab is a site of this machine: a vCenter, a registry with a login, and a
// bundle with the release that ships, whose images are small.
type lab struct {
	t        *testing.T
	dir      string // of the installation
	text     string // site.yaml
	vcenter  *vcenter.VCenter
	registry *httptest.Server
	htpasswd string // the registry's file of users
	release  *release.Content
	bundle   *archive.Reader
	login    struct{ vcenter, registry site.Login }
}

const siteText = `apiVersion: sealift.dev/v1
kind: Site
metadata: {name: north}
spec:
  registry: {endpoint: "REGISTRY", prefix: sealift, plainHTTP: true, credentials: prompt}
  vcenter:
    server: "VCENTER"
    thumbprint: "THUMBPRINT"
    credentials: prompt
    datacenter: north
    cluster: cluster-a
    datastore: vmfs-ssd
    network: nodes
    folder: sealift
    templateFolder: templates
    resourcePool: cluster-a/Resources/sealift
  network:
    addresses: {range: 10.20.0.20-10.20.0.40, prefix: 24, gateway: 10.20.0.1}
    controlPlaneEndpoint: 10.20.0.10
  cluster:
    controlPlane: {replicas: 1, size: {cpus: 2, memoryGiB: 2, diskGiB: 20}}
    workers: [{name: default, replicas: 1, size: {cpus: 2, memoryGiB: 2, diskGiB: 20}}]
`

// newLab takes a layer before the registry, and what is put into the bundle
// besides what ships.
func newLab(t *testing.T, wrap func(http.Handler) http.Handler, more func(*bundle)) *lab {
	t.Helper()
	l := &lab{t: t, dir: t.TempDir(), vcenter: vcentertest.Start(t, vcenter.Options{Runtime: vcentertest.NewRecorder()}),
		htpasswd: filepath.Join(t.TempDir(), "htpasswd")}
	l.login.vcenter = site.Login{Username: vcenter.Installer().Name, Password: site.NewSecret(vcenter.Installer().Password)}
	l.registryPassword("Registry-1!")
	l.registry = registries.Distribution(t, registries.Options{Htpasswd: l.htpasswd, Wrap: wrap})
	l.text = strings.NewReplacer("REGISTRY", registries.Host(l.registry), "VCENTER", l.vcenter.URL().Host, "THUMBPRINT", l.vcenter.Thumbprint()).Replace(siteText)
	b := newBundle(t)
	if more != nil {
		more(b)
	}
	l.bundle, l.release = b.open()
	return l
}

// registryPassword lets the registry have another password, and the site know it.
func (l *lab) registryPassword(password string) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(l.t, err)
	require.NoError(l.t, os.WriteFile(l.htpasswd, []byte("robot:"+string(hash)+"\n"), 0o600))
	l.login.registry = site.Login{Username: "robot", Password: site.NewSecret(password)}
}

// vcenterPassword does so with the vCenter.
func (l *lab) vcenterPassword(password string) {
	l.vcenter.SetPassword(l.login.vcenter.Username, password)
	l.login.vcenter.Password = site.NewSecret(password)
}

// open logs in and opens the installation, as one run of the program does.
func (l *lab) open() *steps.Installation {
	l.t.Helper()
	s, err := site.Parse([]byte(l.text), l.t.TempDir())
	require.NoError(l.t, err)
	v, err := vsphere.Connect(l.t.Context(), l.vcenter.URL().Host, vsphere.User{Name: l.login.vcenter.Username, Password: l.login.vcenter.Password.Reveal()},
		vsphere.Options{Thumbprint: l.vcenter.Thumbprint()})
	require.NoError(l.t, err)
	host := registries.Host(l.registry)
	r, err := registry.NewClient(registry.Options{Host: host, Username: l.login.registry.Username, Password: l.login.registry.Password.Reveal(), PlainHTTP: []string{host}})
	require.NoError(l.t, err)
	in, err := steps.New(l.t.Context(), steps.Options{Site: s, Bundle: l.bundle, Release: l.release, Registry: r, VCenter: v, VCenterLogin: l.login.vcenter,
		RegistryLogin: l.login.registry, Dir: l.dir})
	require.NoError(l.t, err)
	l.t.Cleanup(func() {
		require.NoError(l.t, in.Close(l.t.Context()))
		_ = v.Close(l.t.Context()) // the session may have ended with a restart
	})
	return in
}

// named returns a step of an installation by its name.
func named(t *testing.T, in *steps.Installation, name string) step.Step {
	t.Helper()
	list := in.Steps()
	at := slices.IndexFunc(list, func(s step.Step) bool { return s.Name() == name })
	require.GreaterOrEqual(t, at, 0, name)
	return list[at]
}

// bundle is made of what ships, and of an image of a few bytes for each that the
// release names by its role.
type bundle struct {
	*archivetest.Builder
	t       *testing.T
	release string // release.yaml
}

func newBundle(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{Builder: archivetest.New(t), t: t}
	b.release = strings.Replace(shipped(t, release.FileName), "  console: {chart: systemconsole}\n", "", 1)
	b.add(archive.RootFile, "node.ova", string(ova(t)))
	for _, name := range []string{"core", "bootstrap-kubeadm", "control-plane-kubeadm", "infrastructure-vsphere", "ipam-in-cluster"} {
		b.add(archive.RootManifests, name, shipped(t, "providers/"+name+".yaml"))
	}
	for _, name := range []string{"cni", "cpi"} {
		b.add(archive.RootManifests, name, shipped(t, "addons/"+name+".yaml"))
	}
	return b
}

func shipped(t *testing.T, name string) string {
	t.Helper()
	data, err := fs.ReadFile(manifests.Enterprise(), name)
	require.NoError(t, err)
	return string(data)
}

// add puts an artifact of one file into the bundle.
func (b *bundle) add(kind, name, text string) {
	a, err := artifact.New(artifact.TypeFile, []artifact.Layer{artifact.Bytes("application/octet-stream", name, []byte(text))}, artifact.Options{})
	require.NoError(b.t, err)
	b.place(kind, "sealift.local/"+kind+"/"+name+":1.0.0", a)
}

// place puts an artifact into the bundle whose blobs are in memory.
func (b *bundle) place(kind, reference string, a *artifact.Artifact) {
	for d, data := range a.Blobs {
		mediaType := "application/octet-stream"
		if d == ocispec.DescriptorEmptyJSON.Digest {
			mediaType = ocispec.MediaTypeEmptyJSON
		}
		b.Blob(mediaType, data)
	}
	b.Contents.Documents[a.Descriptor.Digest] = a.Manifest
	b.Contents.Blobs = append(b.Contents.Blobs, a.Descriptor)
	b.Root(reference, a.Descriptor)
	b.Contents.Roots[len(b.Contents.Roots)-1].Kind = kind
}

// open writes the bundle, and opens it and its release.
func (b *bundle) open() (*archive.Reader, *release.Content) {
	b.t.Helper()
	r, err := release.Parse([]byte(b.release))
	require.NoError(b.t, err)
	i := r.Spec.Images
	for _, ref := range []string{i.Etcd, i.APIServer, i.ControllerManager, i.Scheduler, i.Proxy, i.CoreDNS, i.Pause, i.KubeVIP} {
		b.Root(ref, b.Image("amd64", ref))
	}
	b.add(archive.RootFile, release.FileName, b.release)
	reader := archivetest.Open(b.t, b.Write())
	content, err := release.Open(b.t.Context(), reader)
	require.NoError(b.t, err)
	require.Empty(b.t, content.Missing())
	return reader, content
}

// ova is a machine image whose disk has a few bytes.
func ova(t *testing.T) []byte {
	t.Helper()
	disk := bytes.Repeat([]byte("KDMV"), 1000)
	template, err := os.ReadFile(filepath.Join("..", "template", "testdata", "node.ovf"))
	require.NoError(t, err)
	text := fmt.Appendf(nil, string(template), len(disk))
	manifest := fmt.Appendf(nil, "SHA256(node.ovf)= %x\nSHA256(disk.vmdk)= %x\n", sha256.Sum256(text), sha256.Sum256(disk))
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range []struct {
		name string
		data []byte
	}{{"node.ovf", text}, {"node.mf", manifest}, {"disk.vmdk", disk}} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(f.data))}))
		_, err := w.Write(f.data)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}
