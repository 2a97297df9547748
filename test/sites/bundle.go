package sites

import (
	"cmp"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/manifests"
)

// BundleOptions say what a bundle has of the release that ships. The zero value
// has its names and versions, and of each part no more than a few bytes.
type BundleOptions struct {
	Version    string // of bundle and release
	Kubernetes string
	OVA        []byte // nil means a file that is no machine image
	Shipped    bool   // providers and addons are those that ship, not a ConfigMap each
}

// Bundle is a bundle under way of the release that ships, without the console.
type Bundle struct {
	*archivetest.Builder
	Release string // release.yaml; Complete puts it into the bundle

	t testing.TB
}

// NewBundle begins a bundle.
func NewBundle(t testing.TB, opts BundleOptions) *Bundle {
	t.Helper()
	b := &Bundle{t: t, Builder: archivetest.New(t)}
	b.Release = strings.Replace(shipped(t, release.FileName), "  console: {chart: systemconsole}\n", "", 1)
	b.Release = strings.Replace(b.Release, "version: 1.0.0", "version: "+cmp.Or(opts.Version, "1.0.0"), 1)
	if opts.Kubernetes != "" {
		b.Release = strings.ReplaceAll(b.Release, "v1.34.4", opts.Kubernetes)
	}
	b.Contents.Name, b.Contents.Version = "enterprise", cmp.Or(opts.Version, "1.0.0")
	r := b.parse()
	ova := opts.OVA
	if ova == nil {
		ova = []byte("no machine image")
	}
	b.File(archive.RootFile, r.Spec.Template.File, string(ova))
	for _, p := range r.Spec.Providers {
		b.manifests("providers", p.Manifests, opts)
	}
	for _, a := range r.Spec.Addons {
		b.manifests("addons", a.Manifests, opts)
	}
	return b
}

func (b *Bundle) manifests(folder, name string, opts BundleOptions) {
	b.t.Helper()
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: default}\n"
	if opts.Shipped {
		text = shipped(b.t, folder+"/"+name+".yaml")
	}
	b.File(archive.RootManifests, name, text)
}

// shipped returns a file of what ships.
func shipped(t testing.TB, name string) string {
	t.Helper()
	data, err := fs.ReadFile(manifests.Enterprise(), name)
	require.NoError(t, err)
	return string(data)
}

func (b *Bundle) parse() *release.Release {
	b.t.Helper()
	r, err := release.Parse([]byte(b.Release))
	require.NoError(b.t, err)
	return r
}

// Complete adds the release, and an image of a few bytes for each that it names
// by its role.
func (b *Bundle) Complete() *archivetest.Builder {
	b.t.Helper()
	i := b.parse().Spec.Images
	for _, ref := range []string{i.Etcd, i.APIServer, i.ControllerManager, i.Scheduler, i.Proxy, i.CoreDNS, i.Pause, i.KubeVIP} {
		b.Root(ref, b.Image("amd64", ref))
	}
	b.File(archive.RootFile, release.FileName, b.Release)
	return b.Builder
}

// Key signs bundles.
type Key struct {
	Public string // file

	t      testing.TB
	signer *sign.Signer
}

// NewKey makes a key.
func NewKey(t testing.TB) *Key {
	t.Helper()
	prefix := filepath.Join(t.TempDir(), "cosign")
	require.NoError(t, sign.WriteKeyPair(prefix, nil))
	signer, err := sign.NewSigner(t.Context(), prefix+".key", sign.Options{})
	require.NoError(t, err)
	return &Key{t: t, signer: signer, Public: prefix + ".pub"}
}

// Write makes a bundle that the key has signed in a new folder, and returns its path.
func (k *Key) Write(b *archivetest.Builder) (file string) {
	k.t.Helper()
	layout, file := b.Layout(), filepath.Join(k.t.TempDir(), "enterprise.tar")
	w, err := archive.Create(file, layout, archive.CreateOptions{})
	require.NoError(k.t, err)
	b.Fill(w)
	signature, err := k.signer.Sign(k.t.Context(), layout.StatementBytes())
	require.NoError(k.t, err)
	require.NoError(k.t, w.Finish(signature))
	return file
}
