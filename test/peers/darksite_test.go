package peers_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/mirror/serve"
	"github.com/sealift/sealift/test/images"
	"github.com/sealift/sealift/test/registries"
)

// write writes files below dir; UPSTREAM in them stands for the registry.
func write(t *testing.T, dir, upstream string, files map[string]string) {
	for name, data := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(strings.ReplaceAll(data, "UPSTREAM", upstream)), 0o600))
	}
}

// everything is a definition with one of each kind, and what it needs.
func everything() map[string]string {
	return map[string]string{
		"bundle.yaml": `apiVersion: sealift.dev/v1
kind: Bundle
metadata: {name: everything, version: 1.0.0}
spec:
  charts: [{path: ./web, values: [prod.yaml], variants: [{name: debug, values: [debug.yaml]}]}]
  packs: [{path: ./cache, presets: [large]}]
  manifests: [./manifests/*.yaml]
  files: [./node.ova]
  verify: [{match: UPSTREAM/team/*, key: makers.pub}]
`,
		"web/Chart.yaml":            "apiVersion: v2\nname: web\nversion: 1.2.3\nappVersion: '1'\n",
		"web/values.yaml":           "image: UPSTREAM/team/nothere:1\n",
		"web/templates/deploy.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, image: '{{ .Values.image }}'}]}}}\n",
		"prod.yaml":                 "image: UPSTREAM/team/app:1\n",
		"debug.yaml":                "image: UPSTREAM/team/multi:2\n",
		"cache/pack.json": `{"name": "cache", "displayName": "Cache", "version": "2.0.0", "layer": "addon", "cloudTypes": ["all"],
  "kubeManifests": ["manifests/cache.yaml"], "annotations": {"source": "community"}}`,
		"cache/values.yaml":          "pack:\n  content:\n    images:\n      - image: UPSTREAM/team/app:1\nmanifests:\n  cache: {tag: '1'}\n",
		"cache/presets.yaml":         "presets:\n  - name: large\n    displayName: Large\n    group: Size\n    remove: []\n    add: |\n      manifests:\n        cache: {replicas: 3}\n",
		"cache/manifests/cache.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: cache}\nspec: {containers: [{name: c, image: 'UPSTREAM/team/app:{{ .Values.tag }}'}]}\n",
		"manifests/job.yaml":         "apiVersion: batch/v1\nkind: Job\nmetadata: {name: job}\nspec: {template: {spec: {containers: [{name: j, image: UPSTREAM/team/multi:2}]}}}\n",
		"node.ova":                   strings.Repeat("a machine's disk\n", 100_000),
	}
}

// TestDarkSite takes everything across the gap and looks at it there with the
// tools that people have.
func TestDarkSite(t *testing.T) {
	dir, _, upstream := bundle(t)
	write(t, dir, upstream, everything())
	t.Setenv("COSIGN_YES", "true")
	run(t, dir, "cosign", "generate-key-pair", "--output-key-prefix", "makers")
	write(t, dir, upstream, map[string]string{"sbom.json": `{"SPDXID": "SPDXRef-DOCUMENT"}`})
	insecure := []string{"--allow-http-registry", "--allow-insecure-registry"}
	for _, ref := range []string{"/team/app:1", "/team/multi:2"} {
		at := upstream + ref[:strings.LastIndex(ref, ":")] + "@" + digestOf(t, upstream+ref)
		run(t, dir, "cosign", append([]string{"sign", "--key", "makers.key", "--tlog-upload=false", "--recursive", at}, insecure...)...)
		run(t, dir, "cosign", append([]string{"attest", "--key", "makers.key", "--tlog-upload=false", "--predicate", "sbom.json", "--type", "spdx", at}, insecure...)...)
		run(t, dir, "oras", "attach", "--plain-http", "--artifact-type", "application/spdx+json", at, "sbom.json:application/spdx+json")
	}
	path := filepath.Join(dir, "everything.tar")
	sealift(t, "bundle", "create", "-f", filepath.Join(dir, "bundle.yaml"), "-o", path, "--key", filepath.Join(dir, "cosign.key"), "--plain-http", upstream, "--quiet", "--update-lock")
	sealift(t, "bundle", "verify", path, "--key", filepath.Join(dir, "cosign.pub"), "--quiet")

	filled := registries.All()
	filled["straight from the file"] = func(t testing.TB) string { return served(t, path, filepath.Join(dir, "cosign.pub")) }
	for name, start := range filled {
		t.Run(name, func(t *testing.T) {
			dark := start(t)
			if name != "straight from the file" {
				sealift(t, "mirror", "push", path, dark+"/site", "--key", filepath.Join(dir, "cosign.pub"), "--plain-http", dark, "--quiet")
			}
			out := t.TempDir()
			run(t, out, "helm", "pull", "oci://"+dark+"/site/charts/web", "--version", "1.2.3", "--plain-http")
			run(t, out, "helm", "template", "web-1.2.3.tgz")

			run(t, out, "oras", "pull", "--plain-http", "-o", "pack", dark+"/site/spectro-packs/archive/cache:2.0.0")
			same(t, filepath.Join(dir, "cache"), filepath.Join(out, "pack"), "pack.json", "values.yaml", "presets.yaml", "manifests/cache.yaml")
			run(t, out, "oras", "pull", "--plain-http", "-o", "file", dark+"/site/files/node.ova:1.0.0")
			same(t, dir, filepath.Join(out, "file"), "node.ova")
			run(t, out, "oras", "pull", "--plain-http", "-o", "manifests", dark+"/site/manifests/job:1.0.0")
			same(t, filepath.Join(dir, "manifests"), filepath.Join(out, "manifests"), "job.yaml")

			for _, ref := range []string{"/team/app", "/team/multi"} {
				at := dark + "/site" + ref + "@" + digestOf(t, upstream+ref+map[string]string{"/team/app": ":1", "/team/multi": ":2"}[ref])
				key := filepath.Join(dir, "makers.pub")
				got := run(t, out, "cosign", append([]string{"verify", "--key", key, "--insecure-ignore-tlog", at}, insecure...)...)
				require.Contains(t, got, "The signatures were verified against the specified public key")
				run(t, out, "cosign", append([]string{"verify-attestation", "--key", key, "--insecure-ignore-tlog", "--type", "spdx", at}, insecure...)...)
				require.Contains(t, run(t, out, "oras", "discover", "--plain-http", at), "application/spdx+json", "the referrer is found")
			}
			run(t, out, "crane", "pull", "--insecure", dark+"/site/team/app:1", "app.tar")
			_, err := images.Pull(dark + "/site/team/multi:2")
			require.NoError(t, err)
			values := run(t, out, "oras", "discover", "--plain-http", dark+"/site/charts/web:1.2.3")
			require.Contains(t, values, "application/vnd.sealift.values.v1", "the values travel with their chart")
		})
	}
}

// served serves a bundle below /site and returns the address.
func served(t testing.TB, path, key string) string {
	v, err := sign.NewVerifier(t.Context(), key)
	require.NoError(t, err)
	r, err := bundles.Open(t.Context(), path, bundles.OpenOptions{Verifier: v})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	m, err := mirror.ParseMapping("site", nil)
	require.NoError(t, err)
	h, err := serve.Bundles(t.Context(), []*archive.Reader{r}, m)
	require.NoError(t, err)
	return registries.Host(registries.Start(t, h, registries.Options{}))
}

// TestThingsOfARegistry carries a chart that stock helm pushed and a pack that
// was pushed: they keep their place, their digest and their signature.
func TestThingsOfARegistry(t *testing.T) {
	dir, _, upstream := bundle(t)
	files := everything()
	files["bundle.yaml"] = `apiVersion: sealift.dev/v1
kind: Bundle
metadata: {name: registry, version: 1.0.0}
spec:
  charts: [{ref: oci://UPSTREAM/library/web:1.2.3, values: [prod.yaml]}]
  packs: [{ref: oci://UPSTREAM/packs/spectro-packs/archive/cache:2.0.0, presets: [large]}]
  verify: [{match: UPSTREAM/library/*, key: makers.pub}]
`
	write(t, dir, upstream, files)
	run(t, dir, "helm", "package", "web")
	run(t, dir, "helm", "push", "web-1.2.3.tgz", "oci://"+upstream+"/library", "--plain-http")
	sealift(t, "pack", "push", filepath.Join(dir, "cache"), upstream+"/packs", "--plain-http", upstream, "--quiet")
	run(t, dir, "cosign", "generate-key-pair", "--output-key-prefix", "makers")
	insecure := []string{"--allow-http-registry", "--allow-insecure-registry"}
	digest := strings.TrimSpace(run(t, dir, "crane", "digest", "--insecure", upstream+"/library/web:1.2.3"))
	run(t, dir, "cosign", append([]string{"sign", "--yes", "--key", "makers.key", "--tlog-upload=false", upstream + "/library/web@" + digest}, insecure...)...)

	path, dark := filepath.Join(dir, "registry.tar"), registries.Host(registries.Distribution(t, registries.Options{}))
	sealift(t, "bundle", "create", "-f", filepath.Join(dir, "bundle.yaml"), "-o", path, "--key", filepath.Join(dir, "cosign.key"), "--plain-http", upstream, "--quiet", "--update-lock")
	sealift(t, "bundle", "verify", path, "--key", filepath.Join(dir, "cosign.pub"), "--quiet")
	sealift(t, "mirror", "push", path, dark, "--key", filepath.Join(dir, "cosign.pub"), "--plain-http", dark, "--quiet")
	require.Equal(t, digest, strings.TrimSpace(run(t, dir, "crane", "digest", "--insecure", dark+"/library/web:1.2.3")))
	run(t, dir, "cosign", append([]string{"verify", "--key", "makers.pub", "--insecure-ignore-tlog", dark + "/library/web@" + digest}, insecure...)...)
	run(t, t.TempDir(), "helm", "pull", "oci://"+dark+"/library/web", "--version", "1.2.3", "--plain-http")
	run(t, dir, "oras", "pull", "--plain-http", "-o", "pulledpack", dark+"/packs/spectro-packs/archive/cache:2.0.0")
	same(t, filepath.Join(dir, "cache"), filepath.Join(dir, "pulledpack"), "pack.json", "manifests/cache.yaml")
	digestOf(t, dark+"/team/app:1")
}

// same compares files of two folders.
func same(t *testing.T, want, got string, names ...string) {
	for _, name := range names {
		a, err := os.ReadFile(filepath.Join(want, name))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(got, name))
		require.NoError(t, err)
		require.True(t, string(a) == string(b), "%s differs", name)
	}
}
