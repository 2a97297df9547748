package upgrader_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/steps"
	"github.com/sealift/sealift/installer/upgrader"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/lab/controlplane"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/lab/vcenter/vcentertest"
	"github.com/sealift/sealift/test/registries"
)

const siteText = `apiVersion: sealift.dev/v1
kind: Site
metadata: {name: north}
spec:
  registry: {endpoint: "REGISTRY", prefix: sealift, caFile: REGISTRY-CA, credentials: {fromEnv: R}}
  vcenter:
    server: "VCENTER"
    caFile: VCENTER-CA
    credentials: {fromEnv: V}
    datacenter: north
    cluster: cluster-a
    datastore: vmfs-ssd
    network: nodes
    folder: sealift
    templateFolder: templates
    resourcePool: cluster-a/Resources/sealift
  network: {addresses: {dhcp: true}, controlPlaneEndpoint: 192.0.2.10}
  cluster:
    controlPlane: {replicas: 3, size: {cpus: 2, memoryGiB: 2, diskGiB: 20}}
    workers: [{name: default, replicas: 2, size: {cpus: 2, memoryGiB: 2, diskGiB: 20}}]
`

// lab is a site of this machine: a vCenter, a registry, an API server, and keys.
type lab struct {
	config   *rest.Config
	objects  *controlplane.Cluster
	site     *site.Site
	vcenter  site.Login
	registry site.Login
	client   *registry.Client
	mapping  *mirror.Mapping
	signer   *sign.Signer
	public   string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{config: controlplane.Start(t)}
	var err error
	l.objects, err = controlplane.Populate(t.Context(), l.config)
	require.NoError(t, err)
	v := vcentertest.Start(t, vcenter.Options{Runtime: vcentertest.NewRecorder()})
	authority, dir := registries.NewAuthority(t), t.TempDir()
	server := registries.Distribution(t, registries.Options{TLS: authority.Server(time.Now().Add(90*24*time.Hour), false)})
	ca := filepath.Join(dir, "vcenter-ca.crt")
	require.NoError(t, os.WriteFile(ca, v.Authority(), 0o600))
	t.Setenv("DOCKER_CONFIG", dir)
	text := strings.NewReplacer("REGISTRY-CA", authority.File, "REGISTRY", registries.Host(server), "VCENTER-CA", ca, "VCENTER", v.URL().Host).Replace(siteText)
	l.site, err = site.Parse([]byte(text), dir)
	require.NoError(t, err)
	installer := vcenter.Installer()
	l.vcenter = site.Login{Username: installer.Name, Password: site.NewSecret(installer.Password)}
	l.registry = site.Login{Username: "robot", Password: site.NewSecret("pass")}
	l.client, err = registry.NewClient(registry.Options{CAFile: authority.File})
	require.NoError(t, err)
	l.mapping, err = mirror.ParseMapping("sealift", nil)
	require.NoError(t, err)
	prefix := filepath.Join(dir, "cosign")
	require.NoError(t, sign.WriteKeyPair(prefix, nil))
	l.signer, err = sign.NewSigner(t.Context(), prefix+".key", sign.Options{})
	require.NoError(t, err)
	l.public = prefix + ".pub"
	return l
}

// bundle makes a signed bundle of the release that ships, under another version
// and with small contents, and pushes it.
func (l *lab) bundle(t *testing.T, version, kubernetes string) *archive.Reader {
	t.Helper()
	text, err := fs.ReadFile(manifests.Enterprise(), release.FileName)
	require.NoError(t, err)
	text = bytes.ReplaceAll(text, []byte("v1.34.4"), []byte(kubernetes))
	text = bytes.Replace(text, []byte("version: 1.0.0"), []byte("version: "+version), 1)
	text, _, _ = bytes.Cut(text, []byte("\n  console:"))
	r, err := release.Parse(text)
	require.NoError(t, err)
	b := archivetest.New(t)
	b.Contents.Name, b.Contents.Version = "enterprise", version
	addFile(t, b, archive.RootFile, "files", release.FileName, string(text))
	addFile(t, b, archive.RootFile, "files", r.Spec.Template.File, "no machine image")
	for _, p := range r.Spec.Providers {
		addFile(t, b, archive.RootManifests, "manifests", p.Manifests, configMap(p.Manifests))
	}
	for _, a := range r.Spec.Addons {
		addFile(t, b, archive.RootManifests, "manifests", a.Manifests, configMap(a.Manifests))
	}
	i := r.Spec.Images
	for _, ref := range []string{i.Etcd, i.APIServer, i.ControllerManager, i.Scheduler, i.Proxy, i.CoreDNS, i.Pause, i.KubeVIP} {
		b.Root(ref, b.Image("amd64", ref))
	}
	layout, file := b.Layout(), filepath.Join(t.TempDir(), "enterprise.tar")
	w, err := archive.Create(file, layout, archive.CreateOptions{})
	require.NoError(t, err)
	b.Fill(w)
	signature, err := l.signer.Sign(t.Context(), layout.StatementBytes())
	require.NoError(t, err)
	require.NoError(t, w.Finish(signature))
	v, err := sign.NewVerifier(t.Context(), l.public)
	require.NoError(t, err)
	bundle, err := bundles.Open(t.Context(), file, bundles.OpenOptions{Verifier: v})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bundle.Close()) })
	return bundle
}

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: default}\n"
}

func addFile(t *testing.T, b *archivetest.Builder, kind, folder, name, text string) {
	t.Helper()
	a, err := artifact.New(artifact.TypeFile, []artifact.Layer{artifact.Bytes("application/yaml", name, []byte(text))}, artifact.Options{})
	require.NoError(t, err)
	for d, data := range a.Blobs {
		mediaType := "application/yaml"
		if d == ocispec.DescriptorEmptyJSON.Digest {
			mediaType = ocispec.MediaTypeEmptyJSON
		}
		b.Blob(mediaType, data)
	}
	b.Contents.Documents[a.Descriptor.Digest] = a.Manifest
	b.Contents.Blobs = append(b.Contents.Blobs, a.Descriptor)
	b.Root("sealift.local/"+folder+"/"+name+":1.0.0", a.Descriptor)
	b.Contents.Roots[len(b.Contents.Roots)-1].Kind = kind
}

func (l *lab) push(t *testing.T, b *archive.Reader) {
	t.Helper()
	host := l.site.Spec.Registry.Endpoint
	_, err := mirror.Push(t.Context(), []*archive.Reader{b}, l.client, host, l.mapping, mirror.PushOptions{})
	require.NoError(t, err)
	require.NoError(t, mirror.KeepHead(t.Context(), b, l.client, host, l.mapping))
}

// install writes the objects of the cluster as an installation does, and keeps
// the record of it there.
func (l *lab) install(t *testing.T, b *archive.Reader) {
	t.Helper()
	files, err := l.site.Files(l.vcenter, l.registry)
	require.NoError(t, err)
	files[steps.RecordKey], err = os.ReadFile(l.public)
	require.NoError(t, err)
	files[steps.RecordRelease] = []byte(`{"release": "enterprise 1.0.0", "bundle": {"statement": "` + string(b.StatementDigest()) + `"}, "key": "sha256:00", "verified": "2026-11-02T09:30:00Z", "components": []}`)
	require.NoError(t, l.objects.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: steps.RecordSecret, Namespace: clusterapi.Namespace}, Data: files}))
	account := metav1.ObjectMeta{Name: "systemconsole-upgrade", Namespace: clusterapi.Namespace}
	require.NoError(t, l.objects.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: account}))
	require.NoError(t, l.objects.Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "upgrade"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: account.Name, Namespace: account.Namespace}}}))

	content, err := release.Open(t.Context(), b)
	require.NoError(t, err)
	d := clusterapi.Description{Site: l.site, Release: &content.Release, Mapping: l.mapping, Images: content.Images(), Registry: l.registry, VCenter: l.vcenter, Thumbprint: "AA:BB"}
	objects, err := d.Objects()
	require.NoError(t, err)
	c := api.NewConfig()
	c.Clusters["lab"] = &api.Cluster{Server: l.config.Host, InsecureSkipTLSVerify: true}
	c.AuthInfos["lab"] = &api.AuthInfo{Token: l.config.BearerToken}
	c.Contexts["lab"] = &api.Context{Cluster: "lab", AuthInfo: "lab"}
	c.CurrentContext = "lab"
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*c, kubeconfig))
	m, err := clusterapi.Connect(t.Context(), kubeconfig)
	require.NoError(t, err)
	require.NoError(t, m.ApplyObjects(t.Context(), objects))
}

// notes is an observer.
type notes struct {
	mu    sync.Mutex
	names []string
	state map[int]upgrade.State
	text  map[int]string
}

func (n *notes) Steps(names []string) { n.names = names }

func (n *notes) Step(i int, state upgrade.State, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state[i], n.text[i] = state, text
}

// The console in the cluster lists the bundles of the registry, plans an upgrade
// to one with nothing but its own account and the record, and begins it.
func TestUpgradeInTheCluster(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	l := newLab(t)
	u := upgrader.InCluster(l.config, "systemconsole-upgrade")
	installed, err := u.Installed(t.Context())
	require.NoError(t, err)
	require.Nil(t, installed)
	_, err = u.Bundles(t.Context())
	require.ErrorIs(t, err, upgrader.ErrNoRecord)
	require.NotEmpty(t, problem.Remedies(err))

	older, newer := l.bundle(t, "1.0.0", "v1.34.4"), l.bundle(t, "1.1.0", "v1.35.0")
	l.push(t, older)
	l.push(t, newer)
	l.install(t, older)
	installed, err = u.Installed(t.Context())
	require.NoError(t, err)
	require.Equal(t, "enterprise 1.0.0", installed.Release)
	all, err := u.Bundles(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 2)
	require.Equal(t, []string{"1.1.0", "1.0.0"}, []string{all[0].Version, all[1].Version})
	require.Equal(t, string(older.StatementDigest()), all[1].Statement)

	plan, err := u.Plan(t.Context(), all[0].ID)
	require.NoError(t, err)
	require.Equal(t, upgrade.VersionChange{Name: "kubernetes", From: "v1.34.4", To: "v1.35.0"}, plan.Versions[0])
	require.True(t, plan.Filled)
	require.Empty(t, plan.Missing())
	changes := map[string]string{}
	for _, o := range plan.Objects {
		kind, _, _ := strings.Cut(o.Object, " ")
		changes[kind] += o.Diff
		require.NotContains(t, o.Diff, l.vcenter.Password.Reveal())
	}
	require.Contains(t, changes["KubeadmControlPlane"], "+  version: v1.35.0")
	require.Contains(t, changes["MachineDeployment"], "v1.35.0")

	run := &notes{state: map[int]upgrade.State{}, text: map[int]string{}}
	err = u.Run(t.Context(), all[0].ID, nil, run)
	require.Error(t, err, "the machine image is none")
	require.Equal(t, "fill the registry", run.names[0])
	require.Equal(t, "keep the site in the cluster", run.names[len(run.names)-1])
	require.Equal(t, upgrade.Before, run.state[0])
	require.Equal(t, upgrade.Failed, run.state[1], run.text)
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	for _, f := range left {
		require.NotContains(t, f.Name(), "sealift-upgrade-", "the logins are not left behind")
	}
	_, err = u.Plan(context.WithoutCancel(t.Context()), "nothing")
	require.ErrorIs(t, err, mirror.ErrNoHead)
}
