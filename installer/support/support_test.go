package support_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/installer/bootstrap"
	"github.com/sealift/sealift/installer/clusterapi"
	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/support"
	lab "github.com/sealift/sealift/test/lab/site"
)

// What nobody may find in the file.
const (
	vcenterPassword  = `Dark-Site-1!"\&+`
	registryPassword = "pull me"
	inSecret         = "q8Zr-only-in-a-secret"
	key              = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2"
	jwt              = "eyJhbGciOiJSUzI1NiIsImtpZCI6IkFCQyJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJlLW9mLWl0"
	joinToken        = "abcdef.0123456789abcdef"
)

func secrets() []string {
	b64 := base64.StdEncoding.EncodeToString
	return []string{vcenterPassword, `Dark-Site-1!\"\\&+`, url.QueryEscape(vcenterPassword), b64([]byte(vcenterPassword)), registryPassword, inSecret,
		b64([]byte(inSecret)), key, key[:40], key[20:60], jwt, joinToken, b64([]byte("admin:" + vcenterPassword)), b64([]byte("user=x pw=" + inSecret + " more"))[16:36]}
}

// noise is a log with every secret in it.
func noise() string {
	b64 := base64.StdEncoding.EncodeToString
	pem := "-----BEGIN EC PRIVATE KEY-----\n" + key + "\n-----END EC PRIVATE KEY-----\n"
	return strings.Join([]string{
		"a line that stays", "login admin " + vcenterPassword, `{"password":"Dark-Site-1!\"\\&+"}`, "https://x/?p=" + url.QueryEscape(vcenterPassword),
		"userdata " + b64([]byte(vcenterPassword)), "auth " + b64([]byte("admin:"+vcenterPassword)), "registry " + registryPassword, "seen " + inSecret,
		"encoded " + b64([]byte(inSecret)), "deeper " + b64([]byte("user=x pw="+inSecret+" more")), pem, strings.ReplaceAll(pem, "\n", `\n`), b64([]byte(pem)),
		"Authorization: Bearer " + jwt, "kubeadm join --token " + joinToken, "another line that stays", "-----BEGIN RSA PRIVATE KEY-----\n" + key,
	}, "\n")
}

const siteYAML = `
apiVersion: sealift.dev/v1
kind: Site
metadata: {name: north}
spec:
  registry: {endpoint: "127.0.0.1:1", prefix: sealift}
  vcenter: {server: "127.0.0.1:1", credentials: prompt, datacenter: dc, cluster: c, datastore: d, network: net, folder: f}
  network: {addresses: {dhcp: true}, controlPlaneEndpoint: 127.0.0.1}
  cluster: {}
`

func options(t *testing.T) support.Options {
	s, err := site.Parse([]byte(siteYAML), t.TempDir())
	require.NoError(t, err)
	return support.Options{Site: s, Dir: t.TempDir(), VCenterErr: errors.New("vCenter is down: " + vcenterPassword), RegistryErr: errors.New("registry is down"),
		Logins: []site.Login{{Username: "admin", Password: site.NewSecret(vcenterPassword)}, {Username: "node", Password: site.NewSecret(registryPassword)}}}
}

// read returns the entries of a file, by their names.
func read(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	gz, err := gzip.NewReader(f)
	require.NoError(t, err)
	out := map[string]string{}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		out[h.Name] = string(data)
	}
}

func requireNoSecret(t *testing.T, entries map[string]string) {
	t.Helper()
	for name, text := range entries {
		for _, s := range secrets() {
			require.False(t, strings.Contains(text, s), "%s: %s", name, s)
		}
	}
}

func TestTheRedactorKnowsSecretsInEveryForm(t *testing.T) {
	r := support.NewRedactor()
	r.Tell(vcenterPassword, "admin:"+vcenterPassword, registryPassword, inSecret)
	text := string(r.Bytes([]byte(noise())))
	requireNoSecret(t, map[string]string{"noise": text})
	require.Contains(t, text, "\na line that stays\n"[1:])
	require.Contains(t, text, "another line that stays")
	cut := key[30:] + "\n-----END EC PRIVATE KEY-----\nstays"
	require.Equal(t, "[redacted]\nstays", string(r.Bytes([]byte(cut))))
}

// Secrets that nobody told are known by what stands before them.
func TestTheRedactorKnowsNamesOfSecrets(t *testing.T) {
	r := support.NewRedactor()
	for text, want := range map[string]string{
		"MYSQL_PWD=geheim":                                   "MYSQL_PWD=[redacted]",
		"--redis-pass=geheim --v=2":                          "--redis-pass=[redacted] --v=2",
		"docker login --password geheim host":                "docker login --password [redacted] host",
		"aws_secret_access_key = geheim":                     "aws_secret_access_key = [redacted]",
		"session_id: geheim, next":                           "session_id: [redacted], next",
		`{"password": "geheim und mehr\"geheim", "a": 1}`:    `{"password": "[redacted]", "a": 1}`,
		`"{\"password\": \"geheim und\\n mehr\", \"a\": 1}"`: `"{\"password\": \"[redacted]\", \"a\": 1}"`,
		"password: 'geheim und mehr'":                        "password: '[redacted]'",
		`{"auths":{"r":{"auth":"Z2VoZWlt"}}}`:                `{"auths":{"r":{"auth":"[redacted]"}}}`,
		"postgres://user:geheim@geheim@host/x":               "postgres://[redacted]@host/x",
		"the token server answers; tests pass: 3":            "the token server answers; tests pass: 3",
		"the bootstrap-token controller runs":                "the bootstrap-token controller runs",
	} {
		require.Equal(t, want, string(r.Bytes([]byte(text))))
	}
	r.Tell(`it's "geheim"`)
	require.Equal(t, "note: 'x: [redacted]'", string(r.Bytes([]byte(`note: 'x: it''s "geheim"'`))))
}

func TestHalfOfTheSiteIsDown(t *testing.T) {
	opts := options(t)
	logs := filepath.Join(opts.Dir, "bootstrap", "logs")
	require.NoError(t, os.MkdirAll(logs, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(logs, "etcd.log"), []byte(noise()+"\n"+"seen "), 0o600))
	file := filepath.Join(t.TempDir(), "support.tar.gz")
	sum, err := support.Collect(t.Context(), file, opts)
	require.NoError(t, err)
	entries := read(t, file)
	require.Contains(t, entries["bootstrap/logs/etcd.log"], "a line that stays")
	require.Contains(t, entries["missing.txt"], "vcenter: vCenter is down: [redacted]")
	require.Contains(t, entries["status.json"], `"phase": "interrupted"`)
	require.Contains(t, entries, "preflight.json")
	delete(entries, "bootstrap/logs/etcd.log") // what only the cluster could tell is known in the other test
	requireNoSecret(t, entries)
	require.NotContains(t, strings.Join(sum.Missing, "\n"), vcenterPassword)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
}

func TestNoLoginIsNoSecret(t *testing.T) {
	opts := options(t)
	opts.Logins = []site.Login{{}, {}}
	file := filepath.Join(t.TempDir(), "support.tar.gz")
	_, err := support.Collect(t.Context(), file, opts)
	require.NoError(t, err)
	require.Contains(t, read(t, file)["status.json"], `"site": "north"`)
}

func TestTheSizeIsCapped(t *testing.T) {
	opts := options(t)
	opts.MaxSize = 64 << 10
	logs := filepath.Join(opts.Dir, "bootstrap", "logs")
	require.NoError(t, os.MkdirAll(logs, 0o700))
	for _, name := range []string{"a.log", "b.log"} {
		require.NoError(t, os.WriteFile(filepath.Join(logs, name), make([]byte, 40<<10), 0o600))
	}
	file := filepath.Join(t.TempDir(), "support.tar.gz")
	sum, err := support.Collect(t.Context(), file, opts)
	require.NoError(t, err)
	require.LessOrEqual(t, sum.Bytes, opts.MaxSize)
	opts.MaxSize = 1
	_, err = support.Collect(t.Context(), file, opts)
	require.NoError(t, err)
	require.Contains(t, read(t, file)["missing.txt"], "bootstrap/logs/a.log: no room in 1 bytes")
}

func TestNothingIsLeftOfACanceledCollection(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	_, err := support.Collect(ctx, filepath.Join(dir, "support.tar.gz"), options(t))
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// programs are the lab's, by the last part of an image's name.
type programs map[string]string

// Program implements bootstrap.Programs.
func (p programs) Program(_ context.Context, image, _ string) (string, error) {
	name, _, _ := strings.Cut(path.Base(image), ":")
	if p[name] == "" {
		return "", content.ErrNotFound
	}
	return p[name], nil
}

// startPlane runs etcd and kube-apiserver in the folder of an installation.
func startPlane(t *testing.T, dir string) *clusterapi.Management {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	l, err := lab.Open(t.Context(), ".", lab.Options{})
	require.NoError(t, err)
	all, err := l.Programs()
	if err != nil || all["etcd"] == "" || all["kube-apiserver"] == "" {
		t.Skip("the lab is not built: make lab-build")
	}
	local := bootstrap.NewLocal(bootstrap.LocalOptions{Dir: filepath.Join(dir, "bootstrap"), Programs: programs(all), Etcd: "etcd:v1", APIServer: "kube-apiserver:v1"})
	config, err := local.Start(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, local.Stop(context.WithoutCancel(t.Context()))) })
	m, err := clusterapi.Connect(t.Context(), config.Path)
	require.NoError(t, err)
	return m
}

func TestSecretsOfTheClusterAreInNoText(t *testing.T) {
	opts := options(t)
	m := startPlane(t, opts.Dir)
	meta := metav1.ObjectMeta{Name: "planted", Namespace: "default"}
	require.NoError(t, m.Create(t.Context(), &corev1.Secret{ObjectMeta: meta, StringData: map[string]string{"password": inSecret, "note": "x\n" + key}}))
	require.NoError(t, m.Create(t.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "noisy", Namespace: "default", Annotations: map[string]string{"note": noise()}},
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}))
	require.NoError(t, m.Create(t.Context(), &corev1.Event{ObjectMeta: metav1.ObjectMeta{GenerateName: "e", Namespace: "default"}, Message: strings.ReplaceAll(noise(), "\n", " ")[:1000],
		InvolvedObject: corev1.ObjectReference{Kind: "Service", Name: "noisy", Namespace: "default"}, LastTimestamp: metav1.NewTime(time.Now())}))
	require.NoError(t, os.WriteFile(filepath.Join(opts.Dir, "bootstrap", "logs", "planted.log"), []byte(noise()), 0o600))
	file := filepath.Join(t.TempDir(), "support.tar.gz")
	_, err := support.Collect(t.Context(), file, opts)
	require.NoError(t, err)
	entries := read(t, file)
	require.Contains(t, entries["bootstrap/objects/Service.yaml"], "name: noisy")
	require.Contains(t, entries["bootstrap/events.txt"], "default/noisy")
	require.Contains(t, entries["bootstrap/secrets.txt"], "default/planted Opaque:")
	require.Contains(t, entries["bootstrap/logs/planted.log"], "another line that stays")
	require.NotEmpty(t, entries["bootstrap/logs/kube-apiserver.log"])
	requireNoSecret(t, entries)
}
