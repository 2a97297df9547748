// Package controlplane runs etcd, kube-apiserver (with RBAC) and the controllers that need
// no nodes as processes of this machine, for one test: a real API to test against what reads and
// writes objects. The programs are the lab's. Populate adds an enterprise cluster.
package controlplane

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/sealift/sealift/test/lab/site"
)

// startTime is how long the API may take to be ready.
const startTime = 90 * time.Second

// Start runs them until the test ends and returns how the API is reached, as a
// member of system:masters. The test is skipped where the lab is not built.
func Start(t *testing.T) *rest.Config {
	t.Helper()
	lab, err := site.Open(t.Context(), ".", site.Options{})
	require.NoError(t, err)
	programs, err := lab.Programs()
	if err != nil || programs["kube-apiserver"] == "" || programs["etcd"] == "" {
		t.Skip("the lab's programs are not built: make lab-build")
	}
	dir := t.TempDir()
	client, peer, secure := freePort(t), freePort(t), freePort(t)
	etcd := "http://127.0.0.1:" + client
	run(t, programs["etcd"], "--data-dir="+filepath.Join(dir, "etcd"), "--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
		"--listen-peer-urls=http://127.0.0.1:"+peer, "--log-level=error")
	token := rand.Text()
	tokens, key := filepath.Join(dir, "tokens.csv"), filepath.Join(dir, "sa.key")
	require.NoError(t, os.WriteFile(tokens, []byte(token+",test,test,system:masters\n"), 0o600))
	writeKey(t, key)
	run(t, programs["kube-apiserver"], "--etcd-servers="+etcd, "--secure-port="+secure, "--bind-address=127.0.0.1", "--cert-dir="+filepath.Join(dir, "certs"),
		"--token-auth-file="+tokens, "--authorization-mode=RBAC", "--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+key, "--service-account-signing-key-file="+key, "--service-cluster-ip-range=10.0.0.0/24",
		"--disable-admission-plugins=ServiceAccount")
	config := &rest.Config{Host: "https://127.0.0.1:" + secure, BearerToken: token, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	waitReady(t, config)
	run(t, programs["kube-controller-manager"], "--kubeconfig="+Kubeconfig(t, config), "--leader-elect=false", "--secure-port=0",
		"--controllers=namespace-controller,clusterrole-aggregation-controller,resourcequota-controller")
	return config
}

// Kubeconfig writes how the API is reached to a file, for programs, and returns its path.
func Kubeconfig(t *testing.T, config *rest.Config) string {
	t.Helper()
	c := api.NewConfig()
	c.Clusters["lab"] = &api.Cluster{Server: config.Host, InsecureSkipTLSVerify: true}
	c.AuthInfos["lab"] = &api.AuthInfo{Token: config.BearerToken}
	c.Contexts["lab"] = &api.Context{Cluster: "lab", AuthInfo: "lab"}
	c.CurrentContext = "lab"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*c, path))
	return path
}

// run runs a program until the test ends; what it wrote is shown when the test failed.
func run(t *testing.T, program string, args ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if data, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(program), data[max(0, len(data)-4096):])
		}
	})
}

func waitReady(t *testing.T, config *rest.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/readyz", nil)
		require.NoError(t, err)
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ctx.Done():
			require.FailNow(t, fmt.Sprintf("kube-apiserver is not ready after %s: %v", startTime, err))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // it was only asked for its port
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

func writeKey(t *testing.T, path string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	data := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	require.NoError(t, os.WriteFile(path, data, 0o600))
}
