//go:build e2e

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"github.com/sealift/sealift/test/chromium"
	"github.com/sealift/sealift/test/lab/darknet"
	"github.com/sealift/sealift/test/lab/node"
	"github.com/sealift/sealift/test/lab/vcenter"
	"github.com/sealift/sealift/test/sites"
)

// vSphere is the vCenter of the dark site, whose machines are containers on
// the site's network.
type vSphere struct {
	*vcenter.VCenter
	machines *vcenter.Containers
}

// bootable are containers whose images the engine gets when the first of them
// starts: until then an installation has other things to do.
type bootable struct {
	*vcenter.Containers
	load func() error
}

// Start implements vcenter.Runtime.
func (b *bootable) Start(ctx context.Context, spec vcenter.Spec) error {
	if err := b.load(); err != nil {
		return err
	}
	return b.Containers.Start(ctx, spec)
}

// vSphere starts the vCenter on the site's network. Options are Docker's, for
// the machines.
func (s *darkSite) vSphere(t *testing.T, options ...string) *vSphere {
	disks, err := s.lab.Disks()
	require.NoError(t, err)
	machines := &vcenter.Containers{Engine: s.engine, Name: s.network.Name, Disks: disks, Network: s.network.Name,
		Args: append(append(node.MachineArgs(), "--dns", s.network.NameServer.String()), options...)}
	require.NoError(t, machines.Clean(t.Context()))
	t.Cleanup(func() { require.NoError(t, machines.Clean(context.Background())) })
	load := sync.OnceValue(func() error {
		_, err := s.lab.LoadNodes(context.Background(), s.engine)
		return err
	})
	log, err := os.Create(filepath.Join(s.dir, "vcenter.log"))
	require.NoError(t, err)
	inventory := vcenter.Site()
	inventory.HostMemory = 16 << 30 // for three control planes, a worker, and one more
	v, err := vcenter.Start(context.Background(), vcenter.Options{Inventory: &inventory, Addr: s.address + ":443", Hosts: []string{vcenterName}, Runtime: &bootable{machines, load}, Log: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	t.Cleanup(v.Close)
	s.write(t, "vcenter-ca.crt", string(v.Authority()))
	return &vSphere{v, machines}
}

// enterprise is a dark site with a vCenter, a registry that wants a login, and
// the jump host, from which its cluster is installed.
type enterprise struct {
	*darkSite
	vcenter *vSphere
	jump    *darknet.Host

	registryAt   string // IP:PORT
	registryName string // NAME:PORT
	stopRegistry func()
	browser      *chromium.Browser // at the console
	variables    []string          // of the jump host's environment beside this machine's
}

// newEnterprise readies a site, with the bundle and the files of the jump host.
func newEnterprise(t *testing.T, bootstrap string, controlPlanes int) *enterprise {
	e := &enterprise{darkSite: openSite(t)}
	t.Cleanup(func() { e.keepLogs(t) })
	took(t, "the bundle", func() { e.enterpriseBundle(t, bootstrap) })
	var options []string
	if bootstrap == "kind" && controlPlanes > 1 {
		options = []string{"--cpu-shares", "4096"} // four times the usual: of all tests it takes the longest
	}
	e.vcenter = e.vSphere(t, options...)
	e.timeServer(t)
	pool := e.network.Pool(22) // the VIP, twenty for nodes, the jump host
	var err error
	e.jump, err = e.network.Host(t.Context(), pool[21])
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, e.jump.Close(context.Background())) })
	text := sites.Site{
		Bootstrap: bootstrap, ControlPlanes: controlPlanes, Workers: 1,
		Registry: sites.Server{Address: e.registry(t), CAFile: "ca.crt", Login: "SEALIFT_REGISTRY"},
		VCenter:  sites.Server{Address: vcenterName, CAFile: "vcenter-ca.crt", Login: "SEALIFT_VCENTER"},
		Network: sites.Network{Endpoint: pool[0].String(), Nameservers: []string{e.network.NameServer.String()}, NTP: []string{timeName},
			Addresses: fmt.Sprintf("{range: %s-%s, prefix: %d, gateway: %s}", pool[1], pool[20], e.network.Prefix.Bits(), e.address)},
	}.Text(t)
	e.write(t, "site.yaml", text)
	ca, err := os.ReadFile(e.authority.File)
	require.NoError(t, err)
	e.write(t, "ca.crt", string(ca))
	t.Setenv("SEALIFT_VCENTER_USERNAME", vcenter.Installer().Name)
	t.Setenv("SEALIFT_VCENTER_PASSWORD", vcenter.Installer().Password)
	return e
}

// keepLogs keeps what the programs of a local control plane wrote, beside the
// test's own log, when it failed.
func (e *enterprise) keepLogs(t *testing.T) {
	logs := filepath.Join(e.dir, "state", "bootstrap", "logs")
	if _, err := os.Stat(logs); err != nil || !t.Failed() {
		return
	}
	kept := filepath.Join(e.lab.Logs(), "e2e-"+t.Name()+"-bootstrap")
	if err := errors.Join(os.RemoveAll(kept), os.CopyFS(kept, os.DirFS(logs))); err != nil {
		t.Log(err)
	}
	t.Logf("the bootstrap's logs are in %s", kept)
}

// The login of the site's registry.
const registryUser, registryPassword = "robot", "Dark-Site-2!"

// registry starts the site's registry, which lets nobody in without a login.
func (e *enterprise) registry(t *testing.T) (endpoint string) {
	hash, err := bcrypt.GenerateFromPassword([]byte(registryPassword), bcrypt.MinCost)
	require.NoError(t, err)
	e.write(t, "htpasswd", registryUser+":"+string(hash)+"\n")
	t.Setenv("SEALIFT_REGISTRY_USERNAME", registryUser)
	t.Setenv("SEALIFT_REGISTRY_PASSWORD", registryPassword)
	e.startRegistry(t, net.JoinHostPort(e.address, "0"))
	_, port, err := net.SplitHostPort(e.registryAt)
	require.NoError(t, err)
	e.registryName = net.JoinHostPort(registryName, port)
	return e.registryName
}

func (e *enterprise) startRegistry(t *testing.T, at string) {
	e.registryAt, e.stopRegistry = e.serveAt(t, at, "registry", "serve", "--data", "dark", "--htpasswd", "htpasswd")
}

// registryGone lets the registry be away for some time.
func (e *enterprise) registryGone(t *testing.T, away time.Duration) {
	t.Logf("the registry is gone for %s", away)
	e.stopRegistry()
	time.Sleep(away)
	e.startRegistry(t, e.registryAt)
}

// TestInstall builds the enterprise cluster on the lab's vCenter from a local
// control plane on the jump host, by runs that are killed once in each step,
// lives with it, upgrades it, and removes it. It has one control plane, or three
// with -long: beside TestInstallKind's three they take their time.
func TestInstall(t *testing.T) {
	controlPlanes := 1
	if *long {
		controlPlanes = affordable(t)
	}
	e := newEnterprise(t, "local", controlPlanes)
	before := e.vcenter.names(t)
	took(t, "preflight", func() { e.preflight(t) })
	var done installation
	took(t, "install, killed in each step", func() {
		done = e.installWithKills(t, func(killed string) {
			if killed == bootStep { // its machine is about to pull what kubeadm starts
				e.registryGone(t, time.Minute)
			}
		})
	})
	e.awaitNodes(t, controlPlanes+1, time.Minute)
	e.managesItself(t, controlPlanes+1)
	took(t, "install again", func() { e.secondInstall(t) })
	e.consoleAnswers(t, done.Console)
	e.administrate(t, done.Console)
	e.operate(t, controlPlanes, before)
	e.nothingLeft(t)
}

// took logs how long a part of a test took, as test/e2e/run reads it.
func took(t *testing.T, part string, do func()) {
	t.Helper()
	start := time.Now()
	do()
	t.Logf("took %.1fs: %s", time.Since(start).Seconds(), part)
}

// affordable is how many control planes this machine has the memory for.
func affordable(t *testing.T) int {
	const each, others = 3 << 29, 5 << 30 // bytes of a control plane with its page cache; of the worker, the bootstrap, the registry and the vCenter
	data, err := os.ReadFile("/proc/meminfo")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(data), "MemAvailable:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	count := 1
	if kib<<10 > others+3*each {
		count = 3
	}
	t.Logf("took 0.0s: %d control planes and 1 worker, with %d MiB of memory available", count, kib>>10)
	return count
}

// preflight is to find nothing, and to be quick.
func (e *enterprise) preflight(t *testing.T) {
	start := time.Now()
	t.Logf("%s", e.sealift(t, "preflight", "-f", "site.yaml", "--bundle", "enterprise.tar", "--key", "cosign.pub"))
	require.Less(t, time.Since(start), 10*time.Second)
}

// nothingLeft fails when anything tried to leave the dark network.
func (s *darkSite) nothingLeft(t *testing.T) {
	t.Helper()
	attempts, err := s.network.Attempts(t.Context())
	require.NoError(t, err)
	require.True(t, attempts.Empty(), "somebody tried to leave the dark network: %+v", attempts)
}

// enterpriseBundle makes enterprise.tar.
func (s *darkSite) enterpriseBundle(t *testing.T, bootstrap string) {
	dir := filepath.Join(s.dir, "enterprise")
	s.run(t, "sealift", "bundle", "init", dir)
	ova, err := s.lab.OVA()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(ova, filepath.Join(dir, "node.ova")))
	cni, err := node.CNI("100.64.0.0/16")
	require.NoError(t, err)
	s.write(t, "enterprise/addons/cni.yaml", cni)
	if bootstrap == "kind" {
		s.kindNode(t, dir)
	}
	s.run(t, "sealift", "key", "generate")
	s.createBundle(t, "enterprise.tar")
}

// createBundle makes a bundle of the folder enterprise.
func (s *darkSite) createBundle(t *testing.T, file string) {
	s.runWith(t, []string{"HTTPS_PROXY=" + s.proxy}, "sealift", "bundle", "create", "-f", "enterprise/bundle.yaml", "-o", file, "--key", "cosign.key", "--registry-ca", s.authority.File, "--quiet")
}
