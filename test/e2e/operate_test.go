//go:build e2e

package e2e_test

import (
	"flag"
	"io/fs"
	"os"
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

// long asks for three control planes where the memory allows, and for an upgrade
// that replaces every machine.
var long = flag.Bool("long", false, "three control planes from a local bootstrap too, all of which the console replaces")

// nextBundle makes next.tar, release 1.1.0: the same Kubernetes with one addon
// more, and perhaps with another template.
func (e *enterprise) nextBundle(t *testing.T, template bool) {
	dir := filepath.Join(e.dir, "enterprise")
	if template {
		e.change(t, "release.yaml", "name: node-1.34", "name: node-1.34-next")
	}
	e.change(t, "bundle.yaml", "version: 1.0.0", "version: 1.1.0")
	cni, err := os.ReadFile(filepath.Join(dir, "addons", "cni.yaml"))
	require.NoError(t, err)
	e.write(t, "enterprise/addons/cni.yaml", string(cni)+"\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: next, namespace: kube-system}\n")
	e.createBundle(t, "next.tar")
}

// lastBundle makes last.tar, release 1.2.0, for which no machine is replaced.
func (e *enterprise) lastBundle(t *testing.T) {
	e.change(t, "bundle.yaml", "version: 1.1.0", "version: 1.2.0")
	e.change(t, "addons/cni.yaml", "metadata: {name: next,", "metadata: {name: last,")
	e.createBundle(t, "last.tar")
}

// change replaces a text in a file of the bundle's folder.
func (e *enterprise) change(t *testing.T, name, old, now string) {
	name = filepath.Join("enterprise", name)
	data, err := os.ReadFile(filepath.Join(e.dir, name))
	require.NoError(t, err)
	require.Contains(t, string(data), old)
	e.write(t, name, strings.Replace(string(data), old, now, 1))
}

// well waits until status says that all is well: the controllers that the
// cluster has of its own need a moment for their first look.
func (e *enterprise) well(t *testing.T) {
	t.Helper()
	var out []byte
	require.Eventually(t, func() bool {
		var err error
		out, err = e.command(t, "status", "-f", "site.yaml", "--dir", "state").CombinedOutput()
		return err == nil
	}, 3*time.Minute, 5*time.Second)
	t.Log(string(out))
}

// supportBundle collects a support bundle and looks for secrets in it.
func (e *enterprise) supportBundle(t *testing.T) {
	t.Helper()
	t.Log(string(e.sealift(t, "support-bundle", "-f", "site.yaml", "--dir", "state", "-o", "support.tar.gz")))
	e.run(t, "mkdir", "support")
	e.run(t, "tar", "-xzf", "support.tar.gz", "-C", "support")
	var logs int
	secret := regexp.MustCompile(regexp.QuoteMeta(vcenter.Installer().Password) + `|PRIVATE KEY-----|\beyJ[A-Za-z0-9_-]{20,}\.|LS0tLS1CRUdJTi`)
	require.NoError(t, filepath.WalkDir(filepath.Join(e.dir, "support"), func(path string, d fs.DirEntry, err error) error {
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
		require.FileExists(t, filepath.Join(e.dir, "support", name))
	}
}

// operate is an administrator's life with an installation of some control planes
// and a worker: it is looked at, scaled on the console's page and by a command, brought to other
// releases, and removed without a trace. before is what the vCenter had without it.
func (e *enterprise) operate(t *testing.T, controlPlanes int, before []string) {
	took(t, "a worker more, status, support bundle and two more bundles", func() {
		e.scale("enterprise-default", 2)
		e.supportBundle(t)
		e.nextBundle(t, *long)
		e.lastBundle(t)
		e.awaitNodes(t, controlPlanes+2, 5*time.Minute)
		e.scaled(2)
		e.well(t)
	})
	took(t, "a worker less", func() {
		e.console(t, "cluster", "scale", "enterprise-default", "1", "--wait")
		e.awaitNodes(t, controlPlanes+1, 5*time.Minute)
	})
	machines := e.vcenter.names(t)
	to := []string{"-f", "site.yaml", "--bundle", "next.tar", "--key", "cosign.pub", "--dir", "state"}
	t.Log(string(e.sealift(t, append([]string{"upgrade", "--dry-run"}, to...)...)))
	require.Equal(t, machines, e.vcenter.names(t), "--dry-run changes nothing")
	took(t, "upgrade by the console", func() { e.upgradeByConsole(t, "next.tar", "1.1.0") })
	require.Contains(t, string(e.sealift(t, append([]string{"upgrade", "--dry-run"}, to...)...)), "nothing changes")
	for _, name := range e.vcenter.names(t) {
		if strings.HasPrefix(name, "enterprise-") {
			require.Equal(t, *long, !slices.Contains(machines, name), "with another template every machine is a new one: %s", name)
		}
	}
	machines = e.vcenter.names(t)
	to[3] = "last.tar"
	took(t, "upgrade by the command", func() { t.Log(string(e.sealift(t, append([]string{"upgrade", "--yes"}, to...)...))) })
	require.Contains(t, string(e.sealift(t, append([]string{"upgrade", "--dry-run"}, to...)...)), "nothing changes")
	require.Equal(t, machines, e.vcenter.names(t), "no machine has another template")
	e.well(t)

	took(t, "uninstall", func() { e.uninstall(t, before) })
}

// uninstall removes the installation; then the vCenter is as it was before, and
// the jump host has nothing of it.
func (e *enterprise) uninstall(t *testing.T, before []string) {
	t.Helper()
	t.Log(string(e.sealift(t, "uninstall", "-f", "site.yaml", "--dir", "state", "--dry-run")))
	e.sealift(t, "uninstall", "-f", "site.yaml", "--dir", "state", "--yes")
	require.Equal(t, before, e.vcenter.names(t))
	require.NoDirExists(t, filepath.Join(e.dir, "state"))
}
