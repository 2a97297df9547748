//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/lab/cluster"
	"github.com/sealift/sealift/test/lab/darknet"
	"github.com/sealift/sealift/test/lab/engine"
	"github.com/sealift/sealift/test/lab/site"
	"github.com/sealift/sealift/test/lab/upstream"
	"github.com/sealift/sealift/test/registries"
)

// Names of the site's hosts, all of which are this machine.
const (
	vcenterName  = "vcenter.north.example"
	registryName = "registry.north.example"
	timeName     = "time.north.example"
)

// darkSite is the lab, and what of the connected side the tests need.
type darkSite struct {
	lab       *site.Lab
	engine    *engine.Engine
	network   *darknet.Network
	address   string // of this machine on the network
	dir       string
	authority *registries.Authority
	proxy     string // by which the connected side reaches "the internet"
	published string // HOST:PORT of the registry of what the lab itself publishes there
	programs  map[string]string
}

// openSite readies the lab: an engine, and an upstream that answers under the
// names that images really have.
func openSite(t *testing.T) *darkSite {
	lab, err := site.Open(t.Context(), ".", site.Environment(t.Logf))
	require.NoError(t, err)
	require.NoError(t, lab.Ready(t.Context()), "make lab-build")
	s := &darkSite{lab: lab, dir: t.TempDir(), authority: registries.NewAuthority(t)}
	s.engine, err = lab.Engine(t.Context())
	require.NoError(t, err)
	here := netip.Addr{} // as darknet spells this machine's own
	s.network, err = darknet.Create(t.Context(), s.engine, "sealift-e2e-"+strings.ToLower(t.Name()), darknet.Options{Log: t.Logf,
		Names: map[string]netip.Addr{vcenterName: here, registryName: here, timeName: here,
			"esx-1.north.example": here, "esx-2.north.example": here, "esx-3.north.example": here}, // as vcenter.Site has them
		Clusters: []netip.Prefix{netip.MustParsePrefix("10.96.0.0/12"), netip.MustParsePrefix("10.244.0.0/16"), // of kind
			netip.MustParsePrefix("100.64.0.0/16"), netip.MustParsePrefix("100.96.0.0/16")}}) // of site.yaml
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.network.Close(context.Background())) })
	s.address = s.network.Address.String()
	s.programs, err = lab.Programs()
	require.NoError(t, err)
	s.programs["sealift"] = built(t, "bin/sealift")
	s.proxy = s.upstream(t)
	t.Setenv("COSIGN_PASSWORD", "x")
	t.Setenv("DOCKER_CONFIG", s.dir)
	t.Setenv("HOME", s.dir)
	return s
}

func built(t *testing.T, path string) string {
	path, err := filepath.Abs(filepath.Join("..", "..", path))
	require.NoError(t, err)
	require.FileExists(t, path, "make e2e builds it")
	return path
}

// upstream serves the lab's images, and the suite's own, as registry.k8s.io,
// docker.io and so on, and returns the proxy by which these are reached.
func (s *darkSite) upstream(t *testing.T) string {
	data := t.TempDir()
	require.NoError(t, s.lab.LinkUpstream(data))
	cert, err := tls.LoadX509KeyPair(s.authority.Issue("upstream", time.Now().Add(time.Hour), upstream.Hosts()...))
	require.NoError(t, err)
	up, err := upstream.Start(t.Context(), cert, data, t.TempDir())
	require.NoError(t, err)
	t.Cleanup(up.Close)
	s.published = up.Own
	require.NoError(t, up.AddProgram(upstream.SealiftImage, s.programs["sealift"]))
	require.NoError(t, up.AddProgram(upstream.ConsoleImage, built(t, "bin/systemconsole")))
	return up.Proxy
}

// run runs a program in the site's folder and returns what it prints to standard output.
func (s *darkSite) run(t *testing.T, program string, args ...string) string {
	t.Helper()
	return s.runWith(t, nil, program, args...)
}

func (s *darkSite) runWith(t *testing.T, env []string, program string, args ...string) string {
	t.Helper()
	t.Logf("$ %s %s", program, strings.Join(args, " "))
	path := s.programs[program]
	if path == "" {
		path = program
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), env...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	require.NoError(t, cmd.Run(), "%s\n%s", out.String(), problems.String())
	return out.String()
}

// serve starts sealift as a server on the nodes' network and returns its HOST:PORT.
func (s *darkSite) serve(t *testing.T, args ...string) string {
	t.Helper()
	endpoint, _ := s.serveAt(t, net.JoinHostPort(s.address, "0"), args...)
	return endpoint
}

// serveAt is serve with an address to listen on, and with what ends the server.
func (s *darkSite) serveAt(t *testing.T, address string, args ...string) (endpoint string, stop func()) {
	t.Helper()
	certFile, keyFile := s.authority.Issue("dark", time.Now().Add(90*24*time.Hour), s.address, registryName)
	cmd := exec.CommandContext(t.Context(), s.programs["sealift"], append(args, "--addr", address, "--tls-cert", certFile, "--tls-key", keyFile)...)
	cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimPrefix(strings.TrimSpace(line), "https://"), stop
}

// write writes a file of the site's folder.
func (s *darkSite) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
}

// cluster makes a cluster whose nodes have no images and pull as the folder of
// hosts.toml files says.
func (s *darkSite) cluster(t *testing.T, name, certs string) (kubectl func(args ...string) string) {
	t.Helper()
	kubeconfig := filepath.Join(s.dir, name+".kubeconfig")
	t.Cleanup(func() { require.NoError(t, cluster.Delete(context.Background(), s.engine, name, kubeconfig)) })
	s.write(t, "resolv.conf", "nameserver "+s.network.NameServer.String()+"\n")
	nodes, err := s.lab.LoadNodes(t.Context(), s.engine)
	require.NoError(t, err)
	_, err = cluster.Create(t.Context(), s.engine, name, cluster.Options{Image: nodes.Bare, Network: s.network.Name, Kubeconfig: kubeconfig,
		Mounts: []cluster.Mount{{Host: certs, Node: "/etc/containerd/certs.d"}, {Host: filepath.Join(s.dir, "resolv.conf"), Node: "/etc/resolv.conf", Writable: true}}})
	require.NoError(t, err)
	t.Setenv("KUBECONFIG", kubeconfig)
	return func(args ...string) string { return s.run(t, "kubectl", args...) }
}
