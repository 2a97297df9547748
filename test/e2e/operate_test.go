//go:build e2e

package e2e_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/vsphere"
	"github.com/sealift/sealift/test/lab/vcenter"
)

// names returns what the vCenter has of machines and templates.
func (v *vSphere) names(t *testing.T) []string {
	t.Helper()
	admin := v.Admin()
	c, err := vsphere.Connect(t.Context(), v.URL().Host, vsphere.User{Name: admin.Name, Password: admin.Password}, vsphere.Options{Thumbprint: v.Thumbprint()})
	require.NoError(t, err)
	defer c.Close(t.Context())
	inventory, err := c.Inventory(t.Context())
	require.NoError(t, err)
	datacenter, err := inventory.Find(vsphere.Datacenter, "north", "")
	require.NoError(t, err)
	all, err := c.Machines(t.Context(), datacenter)
	require.NoError(t, err)
	var out []string
	for _, m := range all {
		out = append(out, m.Name)
	}
	slices.Sort(out)
	return out
}

// nextBundle makes next.tar: the same Kubernetes with another template and one
// addon more.
func (s *darkSite) nextBundle(t *testing.T) {
	dir := filepath.Join(s.dir, "enterprise")
	change := func(name, old, now string) {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Contains(t, string(data), old)
		s.write(t, "enterprise/"+name, strings.Replace(string(data), old, now, 1))
	}
	change("release.yaml", "name: node-1.34", "name: node-1.34-next")
	change("bundle.yaml", "version: 1.0.0", "version: 1.1.0")
	cni, err := os.ReadFile(filepath.Join(dir, "addons", "cni.yaml"))
	require.NoError(t, err)
	s.write(t, "enterprise/addons/cni.yaml", string(cni)+"\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: next, namespace: kube-system}\n")
	s.runWith(t, []string{"HTTPS_PROXY=" + s.proxy}, "sealift", "bundle", "create", "-f", "enterprise/bundle.yaml", "-o", "next.tar", "--key", "cosign.key",
		"--registry-ca", s.authority.File, "--quiet")
}

// well waits until status says that all is well: the controllers that the
// cluster has of its own need a moment for their first look.
func (s *darkSite) well(t *testing.T) {
	t.Helper()
	var out []byte
	require.Eventually(t, func() bool {
		cmd := exec.CommandContext(t.Context(), s.programs["sealift"], "status", "-f", "site.yaml", "--dir", "state")
		cmd.Dir = s.dir
		var err error
		out, err = cmd.CombinedOutput()
		return err == nil
	}, 3*time.Minute, 2*time.Second)
	t.Log(string(out))
}

// supportBundle collects a support bundle and looks for secrets in it.
func (s *darkSite) supportBundle(t *testing.T) {
	t.Helper()
	t.Log(s.run(t, "sealift", "support-bundle", "-f", "site.yaml", "--dir", "state", "-o", "support.tar.gz"))
	s.run(t, "mkdir", "support")
	s.run(t, "tar", "-xzf", "support.tar.gz", "-C", "support")
	var logs int
	secret := regexp.MustCompile(regexp.QuoteMeta(vcenter.Installer().Password) + `|PRIVATE KEY-----|\beyJ[A-Za-z0-9_-]{20,}\.|LS0tLS1CRUdJTi`)
	require.NoError(t, filepath.WalkDir(filepath.Join(s.dir, "support"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		require.Empty(t, secret.FindString(string(data)), path)
		if strings.HasSuffix(path, ".log") && len(data) > 0 {
			logs++
		}
		return err
	}))
	require.Greater(t, logs, 10)
	for _, name := range []string{"status.json", "preflight.json", "cluster/objects/Machine.yaml", "cluster/events.txt", "vcenter/machines.json"} {
		require.FileExists(t, filepath.Join(s.dir, "support", name))
	}
}

// TestOperate is an administrator's life with an installation: it is looked at,
// brought to another release, and removed without a trace.
func TestOperate(t *testing.T) {
	s := openSite(t)
	s.enterpriseBundle(t)
	v := s.vSphere(t)
	before := v.names(t)
	registry := s.serve(t, "registry", "serve", "--data", "dark")
	t.Setenv("SEALIFT_VCENTER_USERNAME", vcenter.Installer().Name)
	t.Setenv("SEALIFT_VCENTER_PASSWORD", vcenter.Installer().Password)
	t.Setenv("SEALIFT_REGISTRY_USERNAME", "nobody")
	t.Setenv("SEALIFT_REGISTRY_PASSWORD", "nothing")
	s.siteFile(t, registry, "local", 1, 1)
	s.run(t, "sealift", "install", "-f", "site.yaml", "--bundle", "enterprise.tar", "--key", "cosign.pub", "--dir", "state")

	s.well(t)
	s.supportBundle(t)
	machines := v.names(t)
	s.nextBundle(t)
	to := []string{"-f", "site.yaml", "--bundle", "next.tar", "--key", "cosign.pub", "--dir", "state"}
	t.Log(s.run(t, "sealift", append([]string{"upgrade", "--dry-run"}, to...)...))
	require.Equal(t, machines, v.names(t), "--dry-run changes nothing")
	t.Log(s.run(t, "sealift", append([]string{"upgrade", "--yes"}, to...)...))
	require.Contains(t, s.run(t, "sealift", append([]string{"upgrade", "--dry-run"}, to...)...), "nothing changes")
	for _, name := range v.names(t) {
		if strings.HasPrefix(name, "enterprise-") {
			require.NotContains(t, machines, name, "every machine is a new one")
		}
	}
	s.well(t)

	t.Log(s.run(t, "sealift", "uninstall", "-f", "site.yaml", "--dir", "state", "--dry-run"))
	s.run(t, "sealift", "uninstall", "-f", "site.yaml", "--dir", "state", "--yes")
	require.Equal(t, before, v.names(t))
	require.NoDirExists(t, s.dir+"/state")
}
