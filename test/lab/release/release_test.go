package release_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/cmd/sealift/cli"
	content "github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/test/lab/release"
	"github.com/sealift/sealift/test/lab/site"
	"github.com/sealift/sealift/test/registries"
	"github.com/sealift/sealift/test/sites"
)

// openBuilt returns the lab, and skips the test where it is not built.
func openBuilt(t *testing.T) *site.Lab {
	t.Helper()
	lab, err := site.Open(t.Context(), ".", site.Options{Log: t.Logf})
	require.NoError(t, err)
	ova, err := lab.OVA()
	require.NoError(t, err)
	for _, made := range []string{lab.Upstream(), ova} {
		if _, err := os.Stat(made); errors.Is(err, fs.ErrNotExist) {
			t.Skip("the lab is not built: make lab-build")
		}
	}
	return lab
}

// sealift runs a command and returns its exit code and what it printed.
func sealift(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = cli.Run(t.Context(), args, cli.Streams{Out: &stdout, Err: &stderr})
	t.Logf("sealift %v: %d\n%s", args, code, stderr.String())
	return code, stdout.String()
}

func TestTheBundleIsComplete(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes a bundle of half a gigabyte")
	}
	b, err := release.Create(t.Context(), openBuilt(t), release.Options{})
	require.NoError(t, err)
	start := time.Now()
	code, out := sealift(t, "bundle", "verify", b.File, "--key", b.Key)
	require.Zero(t, code, out)
	t.Logf("verified in %s", time.Since(start))

	key, err := sign.NewVerifier(t.Context(), b.Key)
	require.NoError(t, err)
	reader, err := bundles.Open(t.Context(), b.File, bundles.OpenOptions{Verifier: key})
	require.NoError(t, err)
	defer reader.Close()
	r, err := content.Open(t.Context(), reader)
	require.NoError(t, err)
	require.Empty(t, r.Missing())
	require.Equal(t, "netd", r.AddonsInOrder()[0].Name)
	require.Contains(t, r.Images(), "registry.k8s.io/capi-ipam-ic/cluster-api-ipam-in-cluster-controller:v1.1.0")

	again, err := release.Create(t.Context(), openBuilt(t), release.Options{})
	require.NoError(t, err)
	require.Equal(t, b, again, "it is kept")
}

// The checks of preflight that need only the bundle and a registry pass where
// there is no more than these.
func TestPreflightKnowsTheBundleAsComplete(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes a bundle of half a gigabyte")
	}
	b, err := release.Create(t.Context(), openBuilt(t), release.Options{})
	require.NoError(t, err)
	dir, authority := t.TempDir(), registries.NewAuthority(t)
	server := registries.Distribution(t, registries.Options{TLS: authority.Server(time.Now().Add(time.Hour), false)})
	ca, err := os.ReadFile(authority.File)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o600))
	file := filepath.Join(dir, "site.yaml")
	text := sites.Site{Registry: sites.Server{Address: registries.Host(server), CAFile: "ca.crt", Login: "R"}, VCenter: sites.Server{Address: "127.0.0.1:1", Login: "V"}}.Text(t)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	for _, v := range []string{"R_USERNAME", "R_PASSWORD", "V_USERNAME", "V_PASSWORD"} {
		t.Setenv(v, "x")
	}
	t.Setenv("DOCKER_CONFIG", dir)

	code, out := sealift(t, "preflight", "-f", file, "--bundle", b.File, "--key", b.Key, "-o", "json", "--timeout", "60s")
	require.Equal(t, 4, code, "there is no vCenter")
	var report struct {
		Checks []struct{ Name, State, Evidence string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	states := map[string]string{}
	for _, c := range report.Checks {
		states[c.Name] = c.State
		t.Logf("%s: %s: %s", c.Name, c.State, c.Evidence)
	}
	require.Equal(t, "ok", states["content-complete"])
	require.Equal(t, "ok", states["content-reachable"])
}
