//go:build e2e

package clusterapi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/test/lab/engine"
	"github.com/sealift/sealift/test/lab/site"
)

// vipNetwork and what it holds exist while the test runs.
const (
	vipNetwork = "sealift-lab-vip"
	gateway    = "192.0.2.129"
	virtualIP  = "192.0.2.200"
)

// The container of the static pod that ships announces an address by ARP, in
// an image without any other program and with no more capabilities than the
// manifest gives.
func TestKubeVIPAnnouncesAnAddress(t *testing.T) {
	lab, err := site.Open(t.Context(), ".", site.Options{Log: t.Logf})
	require.NoError(t, err)
	require.NoError(t, lab.Ready(t.Context()), "make lab-build")
	e, err := lab.Engine(t.Context())
	require.NoError(t, err)
	versions, err := lab.Versions()
	require.NoError(t, err)
	image := "ghcr.io/kube-vip/kube-vip:" + versions.KubeVIP
	load(t, e, lab.ClusterAPIImages(), image)
	run := func(args ...string) string {
		out, err := e.Run(t.Context(), args...)
		require.NoError(t, err)
		return out
	}
	clean := func() {
		_, _ = e.Run(context.Background(), "rm", "--force", vipNetwork)
		_, _ = e.Run(context.Background(), "network", "rm", vipNetwork)
	}
	clean() // what a killed run left
	t.Cleanup(clean)
	run("network", "create", "--internal", "--subnet", "192.0.2.128/25", "--gateway", gateway, vipNetwork)

	l := startLocal(t)
	server, err := url.Parse(l.server)
	require.NoError(t, err)
	forward(t, net.JoinHostPort(gateway, server.Port()), server.Host)
	// As on a node, the file names the cluster's address, and kube-vip asks
	// "kubernetes" in its place.
	l.server = "https://" + net.JoinHostPort(virtualIP, server.Port())
	kubeconfig := l.writeKubeconfig("super-admin.conf", "secret")
	args := []string{"run", "--detach", "--name", vipNetwork, "--network", vipNetwork, "--add-host", "kubernetes:" + gateway,
		"--volume", kubeconfig + ":/etc/kubernetes/admin.conf:ro"}
	// Nothing listens at the address: where a machine has it, it says so.
	dial := func() error {
		_, err := net.DialTimeout("tcp", net.JoinHostPort(virtualIP, server.Port()), time.Second)
		return err
	}
	require.NotErrorIs(t, dial(), syscall.ECONNREFUSED)
	run(append(args, containerArgs(t, image, server.Port())...)...)
	l.eventually(time.Minute, func() error {
		err := dial()
		if errors.Is(err, syscall.ECONNREFUSED) {
			return nil
		}
		logs, _ := e.Run(t.Context(), "logs", "--tail", "20", vipNetwork)
		return fmt.Errorf("nobody answers at %s: %w\n%s", virtualIP, err, logs)
	})
	require.Contains(t, l.kubectl("get", "lease", "--namespace=kube-system", "plndr-cp-lock", "-o", "jsonpath={.spec.holderIdentity}"), "node-1")
}

// containerArgs are the arguments of an engine's run command for the container
// of the static pod.
func containerArgs(t *testing.T, image, port string) []string {
	t.Helper()
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	parsed, err := template.ParseFS(manifests.Enterprise(), "cluster/kube-vip.yaml")
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, parsed.Execute(&out, fields{"Image": image, "Address": virtualIP, "Port": number, "Interface": "eth0"}))
	var pod struct {
		Spec struct {
			Containers []struct {
				Image           string
				Args            []string
				Env             []struct{ Name, Value string }
				SecurityContext struct {
					Capabilities struct{ Add, Drop []string }
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(out.Bytes(), &pod))
	container := pod.Spec.Containers[0]
	var args []string
	for _, c := range container.SecurityContext.Capabilities.Add {
		args = append(args, "--cap-add", c)
	}
	for _, c := range container.SecurityContext.Capabilities.Drop {
		args = append(args, "--cap-drop", c)
	}
	for _, e := range container.Env {
		if e.Name == "vip_nodename" { // from the pod's node
			e.Value = "node-1"
		}
		args = append(args, "--env", e.Name+"="+e.Value)
	}
	return append(append(args, container.Image), container.Args...)
}

// load loads an image of a layout into the engine.
func load(t *testing.T, e *engine.Engine, dir, image string) {
	t.Helper()
	index, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	manifest, err := index.IndexManifest()
	require.NoError(t, err)
	for _, d := range manifest.Manifests {
		if d.Annotations["org.opencontainers.image.ref.name"] != image {
			continue
		}
		platforms, err := index.ImageIndex(d.Digest)
		require.NoError(t, err)
		list, err := platforms.IndexManifest()
		require.NoError(t, err)
		img, err := platforms.Image(list.Manifests[0].Digest)
		require.NoError(t, err)
		tag, err := name.NewTag(image)
		require.NoError(t, err)
		archive := filepath.Join(t.TempDir(), "image.tar")
		require.NoError(t, tarball.WriteToFile(archive, tag, img))
		require.NoError(t, e.Load(t.Context(), archive))
		t.Cleanup(func() { _, _ = e.Run(context.Background(), "image", "rm", image) })
		return
	}
	require.Fail(t, "the layout has no "+image)
}

// forward lets what connects to an address reach another one.
func forward(t *testing.T, from, to string) {
	t.Helper()
	listener, err := net.Listen("tcp", from)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
}
