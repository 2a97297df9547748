// Package peers_test reads bundles with the tools that know nothing of sealift:
// tar, cosign, skopeo, crane, oras and containerd, each as it is installed.
package peers_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/cmd/sealift/cli"
	"github.com/sealift/sealift/test/images"
	"github.com/sealift/sealift/test/registries"
	"github.com/sealift/sealift/test/runtimes"
)

// tool finds a program in .tools/bin of the module, else on PATH.
func tool(t *testing.T, name string) string {
	path, err := filepath.Abs(filepath.Join("..", "..", ".tools", "bin", name))
	require.NoError(t, err)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	path, err = exec.LookPath(name)
	require.NoError(t, err, "%s is not here: run make test, which installs it", name)
	return path
}

// run runs a tool in a folder and returns what it prints.
func run(t *testing.T, dir, name string, args ...string) string {
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=x", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %s\n%s", name, strings.Join(args, " "), out)
	return string(out)
}

// asSealift makes this test binary be the command line.
const asSealift = "SEALIFT_PEERS_RUN_CLI"

func TestMain(m *testing.M) {
	if os.Getenv(asSealift) == "" {
		os.Exit(m.Run())
	}
	os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}

// sealift runs the command line.
func sealift(t *testing.T, args ...string) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asSealift+"=1")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// bundle makes a bundle of one plain image, app:1, and one of two platforms,
// multi:2, and returns its folder, its path and the registry it came from.
func bundle(t *testing.T) (dir, path, upstream string) {
	dir = t.TempDir()
	t.Setenv("COSIGN_PASSWORD", "x")
	t.Setenv("DOCKER_CONFIG", dir)
	upstream = registries.Host(registries.Distribution(t, registries.Options{}))
	require.NoError(t, images.Push(upstream+"/team/app:1", "app", 5000, "linux/amd64"))
	require.NoError(t, images.Push(upstream+"/team/multi:2", "multi", 5000, "linux/amd64", "linux/arm64"))
	definition := "apiVersion: sealift.dev/v1\nkind: Bundle\nmetadata: {name: peers, version: 1.0.0}\nspec:\n  images: [" +
		upstream + "/team/app:1, " + upstream + "/team/multi:2]\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bundle.yaml"), []byte(definition), 0o600))
	path = filepath.Join(dir, "b.tar")
	sealift(t, "key", "generate", "--out", filepath.Join(dir, "cosign"))
	sealift(t, "bundle", "create", "-f", filepath.Join(dir, "bundle.yaml"), "-o", path, "--key", filepath.Join(dir, "cosign.key"), "--plain-http", upstream, "--quiet")
	return dir, path, upstream
}

func digestOf(t *testing.T, ref string) string {
	d, err := images.Pull(ref)
	require.NoError(t, err)
	return d
}

func TestTarAndCosign(t *testing.T) {
	dir, path, _ := bundle(t)
	run(t, dir, "tar", "xf", path)
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "sha256", "*"))
	require.NoError(t, err)
	require.Greater(t, len(blobs), 8)
	for _, b := range blobs {
		f, err := os.Open(b)
		require.NoError(t, err)
		h := sha256.New()
		_, err = io.Copy(h, f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.Equal(t, filepath.Base(b), hex.EncodeToString(h.Sum(nil)))
	}
	out := run(t, dir, "cosign", "verify-blob", "--key", "cosign.pub", "--insecure-ignore-tlog", "--signature", "sealift/statement.json.sig", "sealift/statement.json")
	require.Contains(t, out, "Verified OK")
}

// TestCosignKeys signs with a pair that stock cosign made.
func TestCosignKeys(t *testing.T) {
	dir, _, upstream := bundle(t)
	run(t, dir, "cosign", "generate-key-pair", "--output-key-prefix", "stock")
	other := filepath.Join(dir, "other.tar")
	sealift(t, "bundle", "create", "-f", filepath.Join(dir, "bundle.yaml"), "-o", other, "--key", filepath.Join(dir, "stock.key"), "--plain-http", upstream, "--quiet")
	sealift(t, "bundle", "verify", other, "--key", filepath.Join(dir, "stock.pub"), "--quiet")
}

func TestSkopeo(t *testing.T) {
	dir, path, upstream := bundle(t)
	run(t, dir, "skopeo", "copy", "--insecure-policy", "--preserve-digests", "oci-archive:"+path+":"+upstream+"/team/app:1", "dir:app")
	manifest, err := os.ReadFile(filepath.Join(dir, "app", "manifest.json"))
	require.NoError(t, err)
	sum := sha256.Sum256(manifest)
	require.Equal(t, digestOf(t, upstream+"/team/app:1"), "sha256:"+hex.EncodeToString(sum[:]))
	target := registries.Host(registries.Distribution(t, registries.Options{}))
	run(t, dir, "skopeo", "copy", "--insecure-policy", "--all", "--dest-tls-verify=false", "oci-archive:"+path+":2", "docker://"+target+"/multi:2")
	digestOf(t, target+"/multi:2") // both platforms are there; Debian's skopeo writes the index anew
	run(t, dir, "skopeo", "copy", "--insecure-policy", "docker-archive:"+path+":"+upstream+"/team/app:1", "dir:docker")
}

func TestOras(t *testing.T) {
	dir, path, upstream := bundle(t)
	target := registries.Host(registries.Distribution(t, registries.Options{}))
	run(t, dir, "oras", "cp", "--from-oci-layout", "--to-plain-http", path+":1", target+"/app:1")
	require.Equal(t, digestOf(t, upstream+"/team/app:1"), digestOf(t, target+"/app:1"))
	multi := digestOf(t, upstream+"/team/multi:2")
	run(t, dir, "oras", "cp", "--from-oci-layout", "--to-plain-http", path+"@"+multi, target+"/multi:2")
	require.Equal(t, multi, digestOf(t, target+"/multi:2"))
}

func TestCrane(t *testing.T) {
	dir, path, upstream := bundle(t)
	run(t, dir, "mkdir", "layout")
	run(t, filepath.Join(dir, "layout"), "tar", "xf", path)
	target := registries.Host(registries.Distribution(t, registries.Options{}))
	run(t, dir, "crane", "push", "--insecure", "--index", "layout", target+"/all:1")
	require.Equal(t, digestOf(t, upstream+"/team/app:1"), digestOf(t, target+"/all@"+digestOf(t, upstream+"/team/app:1")))
}

// TestContainerd imports the file as if it came from docker save.
func TestContainerd(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("containerd runs as root only")
	}
	dir, path, upstream := bundle(t)
	socket := runtimes.Containerd(t)
	run(t, dir, "ctr", "-a", socket, "images", "import", "--all-platforms", "--no-unpack", path)
	list := run(t, dir, "ctr", "-a", socket, "images", "ls")
	for _, ref := range []string{upstream + "/team/app:1", upstream + "/team/multi:2"} {
		require.Regexp(t, regexp.QuoteMeta(ref)+` .*`+digestOf(t, ref), list)
	}
}
