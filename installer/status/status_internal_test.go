package status

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/test/registries"
)

func object(kind string, replicas, available int64, conditions ...any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{"kind": kind, "metadata": map[string]any{"name": "enterprise"},
		"spec":   map[string]any{"replicas": replicas, "version": "v1.34.4"},
		"status": map[string]any{"phase": "Running", "availableReplicas": available, "conditions": conditions}}}
}

func condition(kind, status, message string) any {
	return map[string]any{"type": kind, "status": status, "message": message}
}

func TestWhatAnObjectSaysOfItself(t *testing.T) {
	fine := newObject(object("KubeadmControlPlane", 3, 3, condition("Available", "True", ""), condition("Ready", "False", "of an older form"), condition("RollingOut", "False", "")))
	require.Empty(t, fine.Troubles)
	require.Equal(t, Object{Kind: "KubeadmControlPlane", Name: "enterprise", Phase: "Running", Ready: 3, Want: 3, Version: "v1.34.4", Conditions: fine.Conditions}, fine)

	ill := newObject(object("KubeadmControlPlane", 3, 2, condition("Available", "False", "* Machine a:\n  * etcd is down"), condition("ScalingUp", "False", "x")))
	require.Equal(t, []string{"2 of 3 machines are available", "Available: * Machine a: * etcd is down"}, ill.Troubles)

	mute := newObject(object("KubeadmControlPlane", 1, 1, condition("Ready", "Unknown", "")))
	require.Equal(t, []string{"it is not ready yet"}, mute.Troubles)
	require.True(t, well(nil), "a kind without conditions")
}

func TestANodeThatIsNotReady(t *testing.T) {
	n := &corev1.Node{}
	require.Equal(t, "it says nothing of itself", newNode(n).Message)
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Message: "Kubelet stopped posting node status."}}
	require.Equal(t, Node{Message: "Kubelet stopped posting node status."}, newNode(n))
	n.Status.Conditions[0].Status = corev1.ConditionTrue
	require.Equal(t, Node{Ready: true}, newNode(n))
}

func TestCertificatesThatEnd(t *testing.T) {
	x := &examination{report: &Report{}}
	x.certificate("a", time.Now().Add(-time.Hour))
	x.certificate("b", time.Now().Add(10*24*time.Hour))
	x.certificate("c", time.Now().Add(100*24*time.Hour))
	require.Len(t, x.report.Certificates, 3)
	require.Len(t, x.report.Problems, 2)
	require.Contains(t, x.report.Problems[0], "certificate of a has expired on")
	require.Contains(t, x.report.Problems[1], "certificate of b expires on")
}

// Who is let in no more learns why.
func TestTheKubeconfigHasExpired(t *testing.T) {
	a, err := authority.New("kubernetes", time.Hour)
	require.NoError(t, err)
	pair, err := a.Issue(authority.Leaf{Name: "kubernetes-admin", Validity: -time.Minute})
	require.NoError(t, err)
	x := &examination{report: &Report{}, found: &Found{ClusterErr: os.ErrPermission}, opts: Options{Site: &site.Site{}, Dir: t.TempDir()}}
	x.opts.Site.Spec.VCenter.Server, x.opts.Site.Spec.Registry.Endpoint = "127.0.0.1:1", "127.0.0.1:1"
	config := api.NewConfig()
	config.AuthInfos["kubernetes-admin"] = &api.AuthInfo{ClientCertificateData: pair.Certificate}
	require.NoError(t, clientcmd.WriteToFile(*config, filepath.Join(x.opts.Dir, "kubeconfig")))
	x.certificates(t.Context())
	require.Len(t, x.report.Problems, 1)
	require.Contains(t, x.report.Problems[0], "the certificate of administrator's kubeconfig has expired on")
}

// Who looks after the console's certificate is told before it ends.
func TestTheConsolesCertificateEnds(t *testing.T) {
	const address = "127.77.64.10"
	listener, err := net.Listen("tcp", net.JoinHostPort(address, consolePort))
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	require.NoError(t, server.Listener.Close())
	server.Listener, server.TLS = listener, registries.NewAuthority(t).Server(time.Now().Add(10*24*time.Hour), false)
	server.StartTLS()
	t.Cleanup(server.Close)
	x := &examination{report: &Report{}, opts: Options{Site: &site.Site{}}}
	x.opts.Site.Spec.Network.ControlPlaneEndpoint = address
	x.console(t.Context())
	require.Len(t, x.report.Problems, 1)
	require.Contains(t, x.report.Problems[0], "the certificate of console expires on")
}

func TestThePhaseOfAnInstallation(t *testing.T) {
	for want, x := range map[Phase]*examination{
		NotKnown:     {found: &Found{}},
		NotInstalled: {found: &Found{}, asked: true},
		Installed:    {found: &Found{Place: Cluster}},
		Installing:   {found: &Found{Place: Bootstrap}},
		Elsewhere:    {found: &Found{}, marked: 1, asked: true},
		Interrupted:  {found: &Found{Cluster: &clusterapi.Management{}}, marked: 1, asked: true},
		Unreachable:  {found: &Found{ClusterErr: os.ErrDeadlineExceeded}},
	} {
		x.opts = Options{Site: &site.Site{}, Dir: t.TempDir()}
		require.Equal(t, want, x.phase())
	}
	x := &examination{found: &Found{}, opts: Options{Dir: t.TempDir()}}
	require.NoError(t, os.Mkdir(filepath.Join(x.opts.Dir, "bootstrap"), 0o700))
	require.Equal(t, Interrupted, x.phase())
}

// A part whose turn has not come is no problem of its own.
func TestOnlyProblemsAreProblems(t *testing.T) {
	dir := t.TempDir()
	x := &examination{found: &Found{}, report: &Report{}, opts: Options{Site: &site.Site{}, Dir: dir}}
	x.clusterSteps()
	require.Equal(t, []string{"API server: there is no kubeconfig in " + dir}, x.report.Problems)
	require.Len(t, x.report.Steps, 4)
	for _, s := range x.report.Steps {
		require.Equal(t, Open, s.State, s.Name)
	}

	x = &examination{found: &Found{Place: Bootstrap}, report: &Report{}, opts: x.opts}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "bootstrap"), 0o700))
	x.clusterSteps()
	require.Contains(t, x.report.Problems, "bootstrap removed: "+filepath.Join(dir, "bootstrap")+" is there")
}
