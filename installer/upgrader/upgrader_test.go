package upgrader_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/steps"
	"github.com/sealift/sealift/installer/upgrader"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/registry"
	"github.com/sealift/sealift/test/lab/controlplane"
	"github.com/sealift/sealift/test/sites"
)

// lab is a site of this machine with an API server, and what signs its bundles.
type lab struct {
	*sites.Lab
	config  *rest.Config
	objects *controlplane.Cluster
	site    *site.Site
	client  *registry.Client
	mapping *mirror.Mapping
	key     *sites.Key
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{Lab: sites.Start(t, sites.Options{}), config: controlplane.Start(t), key: sites.NewKey(t)}
	var err error
	l.objects, err = controlplane.Populate(t.Context(), l.config)
	require.NoError(t, err)
	t.Setenv("DOCKER_CONFIG", l.Dir)
	l.Site.ControlPlanes, l.Site.Workers = 3, 2
	l.site, err = site.Parse([]byte(l.Site.Text(t)), l.Dir)
	require.NoError(t, err)
	l.client, err = registry.NewClient(registry.Options{CAFile: l.Authority.File, Host: l.Site.Registry.Address, Username: l.RegistryLogin.Username, Password: l.RegistryLogin.Password.Reveal()})
	require.NoError(t, err)
	l.mapping, err = mirror.ParseMapping("sealift", nil)
	require.NoError(t, err)
	return l
}

// bundle makes a signed bundle of the release that ships, under another version
// and with small contents.
func (l *lab) bundle(t *testing.T, version, kubernetes string) *archive.Reader {
	t.Helper()
	file := l.key.Write(sites.NewBundle(t, sites.BundleOptions{Version: version, Kubernetes: kubernetes}).Complete())
	v, err := sign.NewVerifier(t.Context(), l.key.Public)
	require.NoError(t, err)
	bundle, err := bundles.Open(t.Context(), file, bundles.OpenOptions{Verifier: v})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bundle.Close()) })
	return bundle
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
	files, err := l.site.Files(l.VCenterLogin, l.RegistryLogin)
	require.NoError(t, err)
	files[steps.RecordKey], err = os.ReadFile(l.key.Public)
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
	d := clusterapi.Description{Site: l.site, Release: &content.Release, Placement: l.Placement(l.site), Mapping: l.mapping, Images: content.Images(), Registry: l.RegistryLogin, VCenter: l.VCenterLogin, Thumbprint: "AA:BB"}
	objects, err := d.Objects()
	require.NoError(t, err)
	m, err := clusterapi.Connect(t.Context(), controlplane.Kubeconfig(t, l.config))
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

// What a killed process left has logins in it.
func TestLoginsOfAKilledProcessAreRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	folder := func(pid int) string {
		dir := filepath.Join(os.TempDir(), fmt.Sprintf("sealift-upgrade-%d-1", pid))
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "vcenter-login.yaml"), []byte("password: x"), 0o600))
		return dir
	}
	before, alive := folder(os.Getpid()), folder(os.Getppid())
	gone := exec.Command("true")
	require.NoError(t, gone.Run())
	dead := folder(gone.Process.Pid)
	upgrader.InCluster(nil, "")
	require.NoDirExists(t, before)
	require.NoDirExists(t, dead)
	require.DirExists(t, alive)
}

// Whoever takes an upgrade up may find the API server away.
func TestAnUpgradeWaitsForTheAPIServer(t *testing.T) {
	config := &rest.Config{Host: "https://127.0.0.1:1"}
	clusterapi.Mark(config)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	calls, lost := 0, errors.New("the record is lost")
	u := upgrader.New(upgrader.Options{Enter: func(ctx context.Context) (*upgrader.Surroundings, func() error, error) {
		if calls++; calls > 2 {
			return nil, nil, lost
		}
		_, err := client.CoreV1().Secrets(clusterapi.Namespace).Get(ctx, "any", metav1.GetOptions{})
		return nil, nil, err
	}})
	require.ErrorIs(t, u.Run(t.Context(), "any", nil, &notes{}), lost)
	require.Equal(t, 3, calls)
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
	registry, err := u.Registry(t.Context())
	require.NoError(t, err)
	require.Equal(t, l.site.Spec.Registry.Endpoint, registry.Endpoint)
	require.Equal(t, l.RegistryLogin.Password.Reveal(), registry.Password)
	require.Contains(t, registry.CA, "BEGIN CERTIFICATE")
	require.Contains(t, registry.Key, "BEGIN PUBLIC KEY")
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
		require.NotContains(t, o.Diff, l.VCenterLogin.Password.Reveal())
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
	older = l.bundle(t, "0.9.0", "v1.33.0")
	l.push(t, older)
	run = &notes{}
	err = u.Run(t.Context(), "enterprise-0.9.0", nil, run)
	require.ErrorContains(t, err, "Kubernetes does not go back", "nobody has to have read a plan")
	require.Empty(t, run.names)
	_, err = u.Plan(context.WithoutCancel(t.Context()), "nothing")
	require.ErrorIs(t, err, mirror.ErrNoHead)
}
