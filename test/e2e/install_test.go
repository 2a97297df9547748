//go:build e2e

package e2e_test

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/lab/node"
	"github.com/sealift/sealift/test/lab/vcenter"
)

// vSphere is the vCenter of the dark site, whose machines are containers on
// the site's network.
type vSphere struct {
	*vcenter.VCenter
	machines *vcenter.Containers
}

// vSphere starts the vCenter on the site's network.
func (s *darkSite) vSphere(t *testing.T) *vSphere {
	disks, err := s.lab.Disks()
	require.NoError(t, err)
	machines := &vcenter.Containers{Engine: s.engine, Name: s.network.Name, Disks: disks, Network: s.network.Name,
		Args: append(node.MachineArgs(), "--dns", s.network.NameServer.String())}
	require.NoError(t, machines.Clean(t.Context()))
	t.Cleanup(func() { require.NoError(t, machines.Clean(context.Background())) })
	log, err := os.Create(filepath.Join(s.dir, "vcenter.log"))
	require.NoError(t, err)
	v, err := vcenter.Start(context.Background(), vcenter.Options{Addr: s.address + ":443", Runtime: machines, Log: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	t.Cleanup(v.Close)
	s.write(t, "vcenter-ca.crt", string(v.Authority()))
	return &vSphere{v, machines}
}

// siteText is site.yaml of the lab.
const siteText = `apiVersion: sealift.dev/v1
kind: Site
metadata: {name: north}
spec:
  bootstrap: {{.Bootstrap}}
  registry:
    endpoint: {{.Registry}}
    prefix: sealift
    caFile: ca.crt
    credentials: {fromEnv: SEALIFT_REGISTRY}
  vcenter:
    server: {{.Address}}
    caFile: vcenter-ca.crt
    credentials: {fromEnv: SEALIFT_VCENTER}
    datacenter: north
    cluster: cluster-a
    datastore: vmfs-ssd
    network: nodes
    folder: sealift
    templateFolder: templates
    resourcePool: cluster-a/Resources/sealift
  network:
    addresses: {range: {{.First}}-{{.Last}}, prefix: {{.Bits}}, gateway: {{.Address}}}
    controlPlaneEndpoint: {{.VIP}}
    nameservers: [{{.NameServer}}]
  cluster:
    controlPlane: {replicas: {{.ControlPlanes}}, size: {cpus: 2, memoryGiB: 2, diskGiB: 20}}
    workers: [{name: default, replicas: {{.Workers}}, size: {cpus: 2, memoryGiB: 2, diskGiB: 20}}]
`

// siteFile writes site.yaml.
func (s *darkSite) siteFile(t *testing.T, registry, bootstrap string, controlPlanes, workers int) {
	pool := s.network.Pool(21)
	var out strings.Builder
	require.NoError(t, template.Must(template.New("").Parse(siteText)).Execute(&out, map[string]any{
		"Bootstrap": bootstrap, "Registry": registry, "Address": s.address, "First": pool[1], "Last": pool[20], "Bits": s.network.Prefix.Bits(),
		"VIP": pool[0], "NameServer": s.network.NameServer, "ControlPlanes": controlPlanes, "Workers": workers,
	}))
	s.write(t, "site.yaml", out.String())
	ca, err := os.ReadFile(s.authority.File)
	require.NoError(t, err)
	s.write(t, "ca.crt", string(ca))
}

// TestInstall builds the enterprise cluster on the lab's vCenter from a local
// control plane on this host.
func TestInstall(t *testing.T) {
	s := openSite(t)
	s.enterpriseBundle(t)
	v := s.vSphere(t)
	registry := s.serve(t, "registry", "serve", "--data", "dark")
	t.Setenv("SEALIFT_VCENTER_USERNAME", vcenter.Installer().Name)
	t.Setenv("SEALIFT_VCENTER_PASSWORD", vcenter.Installer().Password)
	t.Setenv("SEALIFT_REGISTRY_USERNAME", "nobody")
	t.Setenv("SEALIFT_REGISTRY_PASSWORD", "nothing")
	s.siteFile(t, registry, "local", 1, 1)
	start := time.Now()
	out := s.run(t, "sealift", "install", "-f", "site.yaml", "--bundle", "enterprise.tar", "--key", "cosign.pub", "--dir", "state")
	t.Logf("installed in %s\n%s", time.Since(start), out)
	_ = v
	_ = netip.Addr{}
}

// enterpriseBundle makes enterprise.tar.
func (s *darkSite) enterpriseBundle(t *testing.T) {
	dir := filepath.Join(s.dir, "enterprise")
	s.run(t, "sealift", "bundle", "init", dir)
	ova, err := s.lab.OVA()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(ova, filepath.Join(dir, "node.ova")))
	cni, err := node.CNI("100.64.0.0/16")
	require.NoError(t, err)
	s.write(t, "enterprise/addons/cni.yaml", cni)
	s.run(t, "sealift", "key", "generate")
	s.runWith(t, []string{"HTTPS_PROXY=" + s.proxy}, "sealift", "bundle", "create", "-f", "enterprise/bundle.yaml", "-o", "enterprise.tar", "--key", "cosign.key", "--registry-ca", s.authority.File, "--quiet")
}
