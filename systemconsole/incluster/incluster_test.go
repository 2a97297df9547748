package incluster_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"time"

	"io"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/incluster"
	"github.com/sealift/sealift/systemconsole/store/kube"
	"github.com/sealift/sealift/test/lab/controlplane"
)

const password = "Correct-Horse-7-Battery"

// prepare makes the cluster ready for the console, and a kubeconfig for it.
func prepare(t *testing.T) (config *rest.Config, kubeconfig string) {
	t.Helper()
	config = controlplane.Start(t)
	definitions, err := manifests.ConsoleResources()
	require.NoError(t, err)
	require.NoError(t, kube.Install(t.Context(), config, definitions...))
	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "sealift-system"}}}
	_, err = client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Create(t.Context(), ns, metav1.CreateOptions{})
	require.NoError(t, err)
	return config, controlplane.Kubeconfig(t, config)
}

// run starts a server and returns its address.
func run(t *testing.T, kubeconfig string) string {
	t.Helper()
	var opts incluster.Options
	var err error
	opts.Addr, opts.Kubeconfig, opts.TLSSecret = "127.0.0.1:0", kubeconfig, "systemconsole-tls"
	opts.Uploads, opts.Level = t.TempDir(), &slog.LevelVar{}
	opts.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	opts.CertFile, opts.KeyFile, err = systemconsole.SelfSigned(t.TempDir(), "")
	require.NoError(t, err)
	listening := make(chan string, 1)
	opts.Listening = func(url string) { listening <- url }
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- incluster.Run(ctx, opts) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	select {
	case url := <-listening:
		return url
	case err := <-ended:
		ended <- nil
		require.FailNow(t, "the console ended", "%v", err)
	case <-time.After(time.Minute):
		require.FailNow(t, "the console does not listen")
	}
	return ""
}

// visitor is a browser that can go from one replica to the other.
type visitor struct {
	t      *testing.T
	client *http.Client
	page   string
}

func (v *visitor) get(address string) {
	v.t.Helper()
	resp, err := v.client.Get(address)
	v.show(resp, err)
}

func (v *visitor) send(address string, fields ...string) {
	v.t.Helper()
	form := url.Values{}
	if m := regexp.MustCompile(`name="form-token" value="([^"]*)"`).FindStringSubmatch(v.page); m != nil {
		form.Set("form-token", m[1])
	}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	resp, err := v.client.PostForm(address, form)
	v.show(resp, err)
}

func (v *visitor) show(resp *http.Response, err error) {
	v.t.Helper()
	require.NoError(v.t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(v.t, err)
	v.page = string(data)
	require.Less(v.t, resp.StatusCode, 400, v.page)
}

// Two replicas start at the same time on an empty cluster, and one browser goes
// from the one to the other: first login, a tenant from creation to its own
// page, its place in the cluster, its deletion.
func TestTwoReplicas(t *testing.T) {
	config, kubeconfig := prepare(t)
	var one, two string
	var both sync.WaitGroup
	both.Go(func() { one = run(t, kubeconfig) })
	both.Go(func() { two = run(t, kubeconfig) })
	both.Wait()
	v := newVisitor(t)
	v.get(one + "/login")
	v.send(two+"/login", "name", "admin", "password", "admin")
	v.send(one+"/password", "current", "admin", "password", password, "again", password)
	require.Contains(t, v.page, "Your password was changed.")
	v.get(two + "/new-tenant")
	v.send(one+"/tenants", "organization", "Acme", "firstName", "Ada", "lastName", "Lovelace", "email", "ada@example.com")
	v.send(two + "/tenants/acme/activate")
	link := regexp.MustCompile(`/link/[A-Za-z0-9_-]+`).FindString(v.page)
	require.NotEmpty(t, link)
	v.get(one + link)
	v.send(two+link, "password", password, "again", password)
	v.send(one+"/t/acme/login", "email", "ada@example.com", "password", password)
	require.Contains(t, v.page, "Lovelace")
	v.get(two + "/t/acme/")
	require.Contains(t, v.page, "Lovelace", "a session of the one is one of the other")

	client, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	namespaces := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	_, err = namespaces.Get(t.Context(), "tenant-acme", metav1.GetOptions{})
	require.NoError(t, err)
	v.get(one + "/tenants/acme/delete")
	v.send(two+"/tenants/acme/delete", "confirm", "acme")
	require.Contains(t, v.page, "Namespace tenant-acme")

	again := newVisitor(t)
	address, err := url.Parse(two)
	require.NoError(t, err)
	again.client.Jar.SetCookies(address, v.client.Jar.Cookies(address))
	again.get(two + "/me")
	require.Contains(t, again.page, "My account")
	v.send(one + "/logout")
	again.get(two + "/me")
	require.Contains(t, again.page, "/login", "who is logged out at the one is out at the other with the next request")
	require.NotContains(t, again.page, "My account")

	s, err := kube.Open(config, "sealift-system")
	require.NoError(t, err)
	var all sync.WaitGroup
	for range 4 {
		l := audit.New(s, audit.Options{})
		all.Go(func() {
			for range 5 {
				if _, err := l.Append(t.Context(), audit.Event{Action: "x"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	sum, err := audit.New(s, audit.Options{}).Verify(t.Context(), "")
	require.NoError(t, err)
	require.Greater(t, sum.Records, uint64(25))
}

// A second console with another master key opens nothing.
func TestMasterKeyInASecret(t *testing.T) {
	config, _ := prepare(t)
	first, err := kube.MasterKey(t.Context(), config, "sealift-system", "one")
	require.NoError(t, err)
	again, err := kube.MasterKey(t.Context(), config, "sealift-system", "one")
	require.NoError(t, err)
	other, err := kube.MasterKey(t.Context(), config, "sealift-system", "two")
	require.NoError(t, err)
	secret := make([]byte, 32)
	wrapped, err := first.Wrap(t.Context(), secret, "acme")
	require.NoError(t, err)
	got, err := again.Unwrap(t.Context(), wrapped, "acme")
	require.NoError(t, err)
	require.Equal(t, secret, got)
	_, err = other.Unwrap(t.Context(), wrapped, "acme")
	require.Error(t, err)
}
