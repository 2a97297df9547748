package systemconsole_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/tenant"
	"github.com/sealift/sealift/systemconsole/tenant/kube"
)

// hurriedTime stands for the time that answers have by themselves.
const hurriedTime = time.Second

// hurried makes a console serve over HTTP/2, and cut off answers that are not
// there after hurriedTime. It comes after a login, which may take longer on a
// busy machine.
func hurried(t *testing.T, c *console) {
	t.Helper()
	server := httptest.NewUnstartedServer(c.Config.Handler)
	server.EnableHTTP2, server.Config.WriteTimeout = true, hurriedTime
	server.StartTLS()
	t.Cleanup(server.Close)
	c.Server = server
}

// slowCluster needs longer than answers have by themselves.
type slowCluster struct{ enterprise.Installation }

func (slowCluster) Site(context.Context) (string, error) { return "", nil }
func (slowCluster) Progress(context.Context) (enterprise.Progress, error) {
	return enterprise.Progress{}, nil
}
func (slowCluster) Exists(context.Context, string) (bool, error)       { return false, nil }
func (slowCluster) Apply(context.Context, string, tenant.Limits) error { return nil }

func (slowCluster) Remove(context.Context, string) ([]string, error) {
	time.Sleep(2 * hurriedTime)
	return nil, problem.New(problem.Failed, "mend or remove what holds it", "Pod tenant-acme/held is there and waits for example.com/held")
}

func (slowCluster) Preflight(context.Context, string) ([]enterprise.Check, error) {
	time.Sleep(2 * hurriedTime)
	return []enterprise.Check{{Name: "clocks", Evidence: "all the same"}}, nil
}

// Who deletes a tenant that something holds is told what that is.
func TestADeletionThatIsHeldSaysByWhat(t *testing.T) {
	c := startWith(t, systemconsole.Options{Tenants: slowCluster{}})
	p := c.program(t)
	hurried(t, c)
	p.ok("POST", "/api/v1/tenants", tenant.Draft{Organization: "Acme", FirstName: "Ada", LastName: "L", Email: "ada@example.com"}, nil)
	var f systemconsole.Failure
	require.Equal(t, http.StatusConflict, p.call("POST", "/api/v1/tenants/acme/delete", systemconsole.Removal{Confirm: "acme"}, &f))
	require.Contains(t, f.Message, "waits for example.com/held")
	require.Equal(t, []string{"mend or remove what holds it"}, f.Remedies)
	var d tenant.Deletion
	p.ok("POST", "/api/v1/tenants/acme/delete", systemconsole.Removal{Confirm: "acme", Force: true}, &d)
	require.Len(t, d.Left, 1)
	require.Contains(t, d.Left[0], "waits for example.com/held")
	require.Less(t, kube.DefaultRemovalTime, systemconsole.WriteTime*3/4, "programs and proxies wait no longer than answers have by themselves")
}

// The preflight of the page takes the time that its checks need.
func TestAPreflightIsNotCutOff(t *testing.T) {
	c := startWith(t, systemconsole.Options{Installation: slowCluster{}})
	b := c.admin(t)
	hurried(t, c)
	b.base = c.URL
	b.get("/cluster").send("/cluster/install/check", "site", "name: north")
	require.Equal(t, http.StatusOK, b.status)
	require.Contains(t, b.page, "all the same")
}

// A backup is sent whole to whoever goes on taking it.
func TestADownloadIsNotCutOff(t *testing.T) {
	c := start(t)
	b := c.admin(t)
	hurried(t, c)
	b.base = c.URL
	dir := t.TempDir()
	b.get("/administration/backup").send("/administration/backup", "folder", dir, "hours", "0", "keep", "14")
	const name, size = "console-20260102T030405.000Z.backup", 64 << 20 // more than is under way at a time
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600))
	resp, err := b.client.Get(b.base + "/administration/backup/folder/" + name)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	time.Sleep(2 * hurriedTime)
	n, err := io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.EqualValues(t, size, n)
}
