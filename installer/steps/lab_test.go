package steps_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/vim25/types"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/installer/steps"
	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/sites"
)

// lab is a site of this machine, and a bundle with the release that ships,
// whose images are small.
type lab struct {
	*sites.Lab
	t       *testing.T
	dir     string // of the installation
	text    string // site.yaml
	release *release.Content
	bundle  *archive.Reader
}

// newLab takes a layer before the registry, and what is put into the bundle
// besides what ships. Tests that run beside others begin to after it: the
// simulator of vCenters has variables that each start writes.
func newLab(t *testing.T, wrap func(http.Handler) http.Handler, more func(*bundle)) *lab {
	t.Helper()
	l := &lab{Lab: sites.Start(t, sites.Options{PlainHTTP: true, Wrap: wrap}), t: t, dir: t.TempDir()}
	l.Site.VCenter.CAFile, l.Site.VCenter.Thumbprint = "", l.VCenter.Thumbprint()
	l.Site.Network = sites.Network{Addresses: "{range: 10.20.0.20-10.20.0.40, prefix: 24, gateway: 10.20.0.1}", Endpoint: "10.20.0.10"}
	l.Site.Workers = 1
	l.text = l.Site.Text(t)
	b := newBundle(t)
	if more != nil {
		more(b)
	}
	l.bundle, l.release = b.open()
	return l
}

// open logs in and opens the installation, as one run of the program does.
func (l *lab) open() *steps.Installation {
	l.t.Helper()
	in, err := l.begin()
	require.NoError(l.t, err)
	return in
}

func (l *lab) begin() (*steps.Installation, error) {
	l.t.Helper()
	s, err := site.Parse([]byte(l.text), l.t.TempDir())
	require.NoError(l.t, err)
	v, err := vsphere.Connect(l.t.Context(), l.Site.VCenter.Address, vsphere.User{Name: l.VCenterLogin.Username, Password: l.VCenterLogin.Password.Reveal()},
		vsphere.Options{Thumbprint: l.VCenter.Thumbprint()})
	require.NoError(l.t, err)
	host := l.Site.Registry.Address
	r, err := registry.NewClient(registry.Options{Host: host, Username: l.RegistryLogin.Username, Password: l.RegistryLogin.Password.Reveal(), PlainHTTP: []string{host}})
	require.NoError(l.t, err)
	in, err := steps.New(l.t.Context(), steps.Options{Site: s, Bundle: l.bundle, Release: l.release, Registry: r, VCenter: v, VCenterLogin: l.VCenterLogin,
		RegistryLogin: l.RegistryLogin, Dir: l.dir})
	l.t.Cleanup(func() {
		if in != nil {
			require.NoError(l.t, in.Close(l.t.Context()))
		}
		_ = v.Close(l.t.Context()) // the session may have ended with a restart
	})
	return in, err
}

// machine makes a machine with a mark.
func (l *lab) machine(name, mark string) {
	l.t.Helper()
	admin, err := l.VCenter.Client(l.t.Context(), l.VCenter.Admin())
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, admin.Logout(l.t.Context())) }()
	finder := find.NewFinder(admin.Client)
	folder, err := finder.Folder(l.t.Context(), "/north/vm/sealift")
	require.NoError(l.t, err)
	pool, err := finder.ResourcePool(l.t.Context(), "/north/host/cluster-a/Resources/sealift")
	require.NoError(l.t, err)
	task, err := folder.CreateVM(l.t.Context(), types.VirtualMachineConfigSpec{Name: name, GuestId: "otherGuest", NumCPUs: 1, MemoryMB: 64,
		Files:       &types.VirtualMachineFileInfo{VmPathName: "[vmfs-ssd]"},
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: vsphere.OwnerKey, Value: mark}}}, pool, nil)
	require.NoError(l.t, err)
	require.NoError(l.t, task.Wait(l.t.Context()))
}

// named returns a step of an installation by its name.
func named(t *testing.T, in *steps.Installation, name string) step.Step {
	t.Helper()
	list := in.Steps()
	at := slices.IndexFunc(list, func(s step.Step) bool { return s.Name() == name })
	require.GreaterOrEqual(t, at, 0, name)
	return list[at]
}

// bundle is made of what ships, with a machine image of a few bytes.
type bundle struct {
	*sites.Bundle
	t *testing.T
}

func newBundle(t *testing.T) *bundle {
	t.Helper()
	return &bundle{sites.NewBundle(t, sites.BundleOptions{Shipped: true, OVA: ova(t)}), t}
}

// open writes the bundle, and opens it and its release.
func (b *bundle) open() (*archive.Reader, *release.Content) {
	b.t.Helper()
	reader := archivetest.Open(b.t, b.Complete().Write())
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
