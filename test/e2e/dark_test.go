//go:build e2e

// Package e2e_test goes the whole way with a real Kubernetes: nodes without
// images pull everything through what sealift filled and configured, on a
// network that lets nothing out.
package e2e_test

import (
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/test/lab/images"
	"github.com/sealift/sealift/test/lab/upstream"
	"github.com/sealift/sealift/test/stores"
)

// TestDarkSite makes a bundle of all images of a Kubernetes and of the suite's
// own chart, fills a registry from it, and brings up a cluster whose nodes know
// that registry alone; then the chart, and with it the Indexed Job.
func TestDarkSite(t *testing.T) {
	s := openSite(t)
	s.bundle(t)
	dark := s.serve(t, "registry", "serve", "--data", "dark")
	s.run(t, "sealift", "mirror", "push", "plane.tar", dark+"/site", "--key", "cosign.pub", "--registry-ca", s.authority.File, "--quiet")
	kubectl := s.live(t, dark+"/site")
	s.indexedJob(t, kubectl)
	s.nothingLeft(t)
}

// TestServedSite does the same without a registry: the file itself is served.
func TestServedSite(t *testing.T) {
	s := openSite(t)
	s.bundle(t)
	served := s.serve(t, "mirror", "serve", "plane.tar", "--key", "cosign.pub")
	s.live(t, served)
	s.nothingLeft(t)
}

// bundle makes plane.tar on the connected side.
func (s *darkSite) bundle(t *testing.T) {
	names, err := images.Names(s.lab.Images())
	require.NoError(t, err)
	chart, err := filepath.Abs("../../manifests/charts/sealift-registry")
	require.NoError(t, err)
	s.write(t, "bundle.yaml", "apiVersion: sealift.dev/v1\nkind: Bundle\nmetadata: {name: plane, version: 1.0.0}\nspec:\n  charts: [{path: "+chart+"}]\n  images:\n    - "+
		strings.Join(names, "\n    - ")+"\n")
	s.run(t, "sealift", "key", "generate")
	s.runWith(t, []string{"HTTPS_PROXY=" + s.proxy}, "sealift", "bundle", "create", "-f", "bundle.yaml", "-o", "plane.tar", "--key", "cosign.key", "--registry-ca", s.authority.File, "--quiet")
	s.run(t, "sealift", "bundle", "verify", "plane.tar", "--key", "cosign.pub", "--quiet")
	require.Contains(t, s.run(t, "sealift", "bundle", "inspect", "plane.tar"), upstream.SealiftImage, "the chart's image was found")
}

// live brings a cluster up that pulls from mirror, and a workload with a Service
// and a volume: the suite's own registry, by its chart.
func (s *darkSite) live(t *testing.T, mirror string) (kubectl func(args ...string) string) {
	s.run(t, "sealift", "mirror", "config", "containerd", mirror, "--bundle", "plane.tar", "--key", "cosign.pub", "--registry-ca", s.authority.File, "-o", "node", "--quiet")
	kubectl = s.cluster(t, "sealift-e2e", filepath.Join(s.dir, "node", "etc", "containerd", "certs.d"))
	kubectl("wait", "--for=condition=Ready", "--all", "--all-namespaces", "--timeout=180s", "pods")
	s.run(t, built(t, ".tools/bin/helm"), "install", "registry", "oci://"+mirror+"/charts/sealift-registry", "--version", "0.1.0", "--ca-file", s.authority.File,
		"--set", "storage.size=2Gi,collectGarbage=true", "--wait", "--timeout", "180s")
	require.Contains(t, kubectl("get", "pvc"), "Bound")
	return kubectl
}

// indexedJob fills the registry in the cluster from object storage, four pods
// at once, one of which is killed.
func (s *darkSite) indexedJob(t *testing.T, kubectl func(...string) string) {
	s.fillStorage(t)
	const service = "registry.default.svc.cluster.local:5000"
	job := s.run(t, "sealift", "mirror", "job", "s3://bundles/big.tar", service+"/mirror", "--key", "cosign.pub", "--image", upstream.SealiftImage, "--shards", "4",
		"--storage-secret", "s3", "--storage-endpoint", os.Getenv("AWS_ENDPOINT_URL"), "--plain-http", service)
	s.write(t, "job.yaml", job)
	kubectl("create", "secret", "generic", "s3", "--from-literal=AWS_ACCESS_KEY_ID="+os.Getenv("AWS_ACCESS_KEY_ID"), "--from-literal=AWS_SECRET_ACCESS_KEY="+os.Getenv("AWS_SECRET_ACCESS_KEY"))
	kubectl("apply", "-f", "job.yaml")
	s.killOne(t, kubectl)
	kubectl("wait", "--for=condition=complete", "--timeout=300s", "job/sealift-mirror")
	t.Log(kubectl("get", "pods", "-o", "wide"))

	forward := exec.CommandContext(t.Context(), s.programs["kubectl"], "port-forward", "service/registry", ":5000")
	out, err := forward.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, forward.Start())
	defer func() { _ = forward.Process.Kill() }()
	line := make([]byte, 200)
	n, err := out.Read(line)
	require.NoError(t, err)
	host := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(string(line[:n]))
	var result struct {
		Blobs struct{ Sent, There int }
	}
	require.NoError(t, json.Unmarshal([]byte(s.run(t, "sealift", "mirror", "push", "big.tar", host+"/mirror", "--key", "cosign.pub", "--plain-http", host, "--quiet", "-o", "json")), &result))
	require.Zero(t, result.Blobs.Sent, "the Job left nothing out")
	require.Positive(t, result.Blobs.There)
}

// fillStorage puts a bundle of some hundred megabytes into an S3 that the pods reach.
func (s *darkSite) fillStorage(t *testing.T) {
	h, err := stores.S3Handler("bundles")
	require.NoError(t, err)
	listener, err := net.Listen("tcp", net.JoinHostPort(s.address, "0"))
	require.NoError(t, err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}}
	server.Start()
	t.Cleanup(server.Close)
	for name, value := range stores.S3Environment(server.URL) {
		t.Setenv(name, value)
	}
	definition := "apiVersion: sealift.dev/v1\nkind: Bundle\nmetadata: {name: big, version: 1.0.0}\nspec:\n  files:\n"
	for i := range 10 {
		name := "part" + string(rune('0'+i))
		data := make([]byte, 60<<20)
		_, err := rand.Read(data)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), data, 0o600))
		definition += "    - " + name + "\n"
	}
	s.write(t, "big.yaml", definition)
	s.run(t, "sealift", "bundle", "create", "-f", "big.yaml", "-o", "big.tar", "--key", "cosign.key", "--lock", "big.lock", "--quiet")
	s.run(t, "sealift", "bundle", "split", "big.tar", "--volume-size", "0", "-o", "s3://bundles/big.tar", "--quiet")
}

// killOne kills the first pod of the Job that is seen to run.
func (s *darkSite) killOne(t *testing.T, kubectl func(...string) string) {
	const states = "jsonpath={range .items[*]}{.metadata.name} {.status.phase}{'\\n'}{end}"
	require.Eventually(t, func() bool {
		for line := range strings.Lines(kubectl("get", "pods", "-l", "job-name=sealift-mirror", "-o", states)) {
			if pod, ok := strings.CutSuffix(strings.TrimSpace(line), " Running"); ok {
				kubectl("delete", "pod", pod, "--grace-period=0", "--force")
				return true
			}
		}
		return false
	}, 2*time.Minute, 50*time.Millisecond)
}
