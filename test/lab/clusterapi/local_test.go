//go:build e2e

package clusterapi_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/test/lab/site"
	"github.com/sealift/sealift/test/registries"
)

// local is a control plane of processes on this machine: etcd, an API server,
// and managers whose webhooks it asks on 127.0.0.1.
type local struct {
	t          *testing.T
	dir        string
	programs   map[string]string
	server     string // URL of the API server
	kubeconfig string
	authority  *registries.Authority
	ca         []byte // its certificate, PEM
}

type fields = map[string]any

func startLocal(t *testing.T) *local {
	t.Helper()
	lab, err := site.Open(t.Context(), ".", site.Options{Log: t.Logf})
	require.NoError(t, err)
	programs, err := lab.Programs()
	require.NoError(t, err, "make lab-build")
	l := &local{t: t, dir: t.TempDir(), programs: programs, authority: registries.NewAuthority(t)}
	l.ca, err = os.ReadFile(l.authority.File)
	require.NoError(t, err)
	etcd, peer, port := l.port(), l.port(), l.port()
	l.start("etcd", nil, "--data-dir="+filepath.Join(l.dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls=http://127.0.0.1:"+etcd, "--advertise-client-urls=http://127.0.0.1:"+etcd,
		"--listen-peer-urls=http://127.0.0.1:"+peer, "--initial-advertise-peer-urls=http://127.0.0.1:"+peer,
		"--initial-cluster=default=http://127.0.0.1:"+peer)
	certFile, keyFile := l.authority.Issue("apiserver", time.Now().Add(time.Hour), "kubernetes")
	_, signer := l.authority.Issue("tokens", time.Now().Add(time.Hour))
	l.start("kube-apiserver", nil, "--etcd-servers=http://127.0.0.1:"+etcd, "--bind-address=127.0.0.1", "--secure-port="+port,
		"--cert-dir="+filepath.Join(l.dir, "apiserver"), "--tls-cert-file="+certFile, "--tls-private-key-file="+keyFile,
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+signer,
		"--service-account-signing-key-file="+signer, "--token-auth-file="+l.write("tokens.csv", []byte("secret,admin,1,system:masters\n")),
		"--authorization-mode=RBAC", "--service-cluster-ip-range=10.96.0.0/16")
	l.server = "https://127.0.0.1:" + port
	l.kubeconfig = l.writeKubeconfig("admin.conf", "secret")
	l.eventually(time.Minute, func() error { _, err := l.try("get", "--raw", "/readyz"); return err })
	return l
}

func (l *local) write(name string, data []byte) string {
	l.t.Helper()
	path := filepath.Join(l.dir, name)
	require.NoError(l.t, os.WriteFile(path, data, 0o600))
	return path
}

func (l *local) writeKubeconfig(name, token string) string {
	l.t.Helper()
	text, err := yaml.Marshal(fields{
		"apiVersion": "v1", "kind": "Config", "current-context": "lab",
		"contexts": []fields{{"name": "lab", "context": fields{"cluster": "lab", "user": "lab"}}},
		"clusters": []fields{{"name": "lab", "cluster": fields{"server": l.server, "certificate-authority-data": l.ca}}},
		"users":    []fields{{"name": "lab", "user": fields{"token": token}}},
	})
	require.NoError(l.t, err)
	return l.write(name, text)
}

// port returns a port of 127.0.0.1 that is free.
func (l *local) port() string {
	l.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(l.t, err)
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(l.t, err)
	return port
}

// start starts a program that is killed when the test ends. What it said last
// is shown if the test failed.
func (l *local) start(program string, env []string, args ...string) {
	l.t.Helper()
	require.Contains(l.t, l.programs, program, "make lab-build")
	log, err := os.Create(filepath.Join(l.dir, program+".log"))
	require.NoError(l.t, err)
	defer log.Close()
	cmd := exec.Command(l.programs[program], args...)
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, append(os.Environ(), env...)
	require.NoError(l.t, cmd.Start())
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if l.t.Failed() {
			lines := strings.Split(l.said(program), "\n")
			l.t.Logf("%s said at last:\n%s", program, strings.Join(lines[max(0, len(lines)-25):], "\n"))
		}
	})
}

// said returns what a program has said until now.
func (l *local) said(program string) string {
	l.t.Helper()
	text, err := os.ReadFile(filepath.Join(l.dir, program+".log"))
	require.NoError(l.t, err)
	return string(text)
}

// startManager starts a provider's manager with the flags that are the same
// for all of them.
func (l *local) startManager(program, namespace, webhookPort, healthFlag string, args ...string) {
	l.t.Helper()
	certs := filepath.Join(l.dir, program)
	require.NoError(l.t, os.Mkdir(certs, 0o700))
	certFile, keyFile := l.authority.Issue(program, time.Now().Add(time.Hour))
	require.NoError(l.t, os.Symlink(certFile, filepath.Join(certs, "tls.crt")))
	require.NoError(l.t, os.Symlink(keyFile, filepath.Join(certs, "tls.key")))
	health := "127.0.0.1:" + l.port()
	l.start(program, []string{"POD_NAMESPACE=" + namespace, "POD_NAME=" + program, "POD_UID=0"},
		append([]string{"--kubeconfig=" + l.kubeconfig, "--leader-elect=false", "--webhook-port=" + webhookPort, "--webhook-cert-dir=" + certs,
			healthFlag + "=" + health, "--diagnostics-address=127.0.0.1:" + l.port()}, args...)...)
	l.eventually(time.Minute, func() error {
		answer, err := http.Get("http://" + health + "/readyz")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s is not ready: %s", program, answer.Status)
		}
		return nil
	})
}

// applyComponents applies a provider's components but its Deployment: the
// manager is a process. Webhooks are asked at a port of 127.0.0.1.
func (l *local) applyComponents(provider, webhookPort string) {
	l.t.Helper()
	text, err := fs.ReadFile(manifests.Enterprise(), "providers/"+provider+".yaml")
	require.NoError(l.t, err)
	items := []fields{}
	for _, document := range strings.Split(string(text), "\n---\n")[1:] {
		var o fields
		require.NoError(l.t, yaml.Unmarshal([]byte(document), &o))
		if o["kind"] == "Deployment" {
			continue
		}
		l.redirect(o, webhookPort)
		items = append(items, o)
	}
	list, err := json.Marshal(fields{"apiVersion": "v1", "kind": "List", "items": items})
	require.NoError(l.t, err)
	l.kubectl("apply", "--server-side", "-f", l.write(provider+".json", list))
}

// redirect lets webhooks anywhere in a value have a URL in place of a Service.
func (l *local) redirect(value any, port string) {
	switch v := value.(type) {
	case fields:
		// A schema too may have a property of this name, without a path.
		config, _ := v["clientConfig"].(fields)
		service, _ := config["service"].(fields)
		if path, ok := service["path"].(string); ok {
			v["clientConfig"] = fields{"url": "https://127.0.0.1:" + port + path, "caBundle": l.ca}
			return
		}
		for _, below := range v {
			l.redirect(below, port)
		}
	case []any:
		for _, below := range v {
			l.redirect(below, port)
		}
	}
}

func (l *local) try(args ...string) (string, error) {
	out, err := exec.Command(l.programs["kubectl"], append([]string{"--kubeconfig=" + l.kubeconfig}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func (l *local) kubectl(args ...string) string {
	l.t.Helper()
	out, err := l.try(args...)
	require.NoError(l.t, err)
	return out
}

// eventually waits until check passes.
func (l *local) eventually(timeout time.Duration, check func() error) {
	l.t.Helper()
	var err error
	for end := time.Now().Add(timeout); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	require.NoError(l.t, err)
}
