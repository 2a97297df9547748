package definition_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/internal/problem"
)

const head = `apiVersion: sealift.dev/v1
kind: Bundle
metadata: {name: management-plane, version: 1.4.0}
`

const example = head + `spec:
  platforms: [linux/amd64]
  images:
    - docker.io/library/nginx:1.27
    - ref: quay.io/jetstack/cert-manager-controller:v1.17.1
      platforms: [linux/amd64, linux/arm/v7]
    - redis
`

func TestParse(t *testing.T) {
	b, err := definition.Parse([]byte(example))
	require.NoError(t, err)
	want := &definition.Bundle{APIVersion: definition.APIVersion, Kind: definition.KindBundle,
		Metadata: definition.Metadata{Name: "management-plane", Version: "1.4.0"},
		Spec: definition.Spec{Platforms: []string{"linux/amd64"}, Images: []definition.Image{
			{Ref: "docker.io/library/nginx:1.27"},
			{Ref: "quay.io/jetstack/cert-manager-controller:v1.17.1", Platforms: []string{"linux/amd64", "linux/arm/v7"}},
			{Ref: "redis"}}}}
	require.Empty(t, cmp.Diff(want, b, cmpopts.IgnoreUnexported(definition.Bundle{})))
	require.Equal(t, example, string(b.Source()))
}

func TestReference(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("a", 64)
	for ref, want := range map[string]string{
		"redis":                         "docker.io/library/redis:latest",
		"grafana/grafana:11":            "docker.io/grafana/grafana:11",
		"localhost:5000/a/b":            "localhost:5000/a/b:latest",
		"quay.io/a/b" + digest:          "quay.io/a/b" + digest,
		"quay.io/a/b:1" + digest:        "quay.io/a/b:1" + digest,
		"index.docker.io/library/redis": "docker.io/library/redis:latest",
	} {
		named, err := definition.Image{Ref: ref}.Reference()
		require.NoError(t, err)
		require.Equal(t, want, named.String())
	}
}

// problems parses data, which must fail, and returns what the error lists.
func problems(t *testing.T, data string) []string {
	t.Helper()
	_, err := definition.Parse([]byte(data))
	require.ErrorIs(t, err, definition.ErrInvalid)
	require.Equal(t, problem.Usage, problem.KindOf(err))
	lines := strings.Split(err.Error(), "\n  ")
	require.Equal(t, "not valid:", lines[0])
	return lines[1:]
}

func TestParseTellsEveryProblem(t *testing.T) {
	got := problems(t, `apiVersion: sealift.dev/v2
kind: Bundel
metadata: {name: Management Plane, version: 1.10, labels: {}}
specs: {}
spec:
  platforms: [linux-amd64, linux/amd64, linux/amd64]
  image: [nginx]
  images:
    - UPPER
    - nginx
    - ref: docker.io/library/nginx:latest
      platform: [linux/amd64]
    - 5
    - ref: [a]
    - ref: redis
      platforms: linux/amd64
    - ref: postgres
      platforms: [a/b/c/d, true]
    - {}
    - quay.io/a/b@sha512:`+strings.Repeat("a", 128)+`
    - null
`)
	want := []string{
		`metadata: has no field "labels"; its fields are name, version`,
		`metadata.version: is a number, not a string: write it in quotes`,
		`spec: has no field "image"; did you mean images?`,
		`spec.images[2]: has no field "platform"; did you mean platforms?`,
		`spec.images[3]: is a number, not a string or a mapping with ref`,
		`spec.images[4].ref: is a list, not a string`,
		`spec.images[5].platforms: is a string, not a list`,
		`spec.images[6].platforms[1]: is true or false, not a string: write it in quotes`,
		`spec.images[9]: is empty, not a string or a mapping with ref`,
		`the file: has no field "specs"; did you mean spec?`,
		`apiVersion: is "sealift.dev/v2", not "sealift.dev/v1"`,
		`kind: is "Bundel", not "Bundle"`,
		`metadata.name: "Management Plane" is not a name of lower-case letters, digits, '-' and '.' of at most 63`,
		`spec.platforms[0]: "linux-amd64" is not OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64`,
		`spec.platforms[2]: linux/amd64 stands twice`,
		`spec.images[0]: "UPPER" is not an image reference: invalid reference format: repository name (library/UPPER) must be lowercase`,
		`spec.images[2]: docker.io/library/nginx:latest is the same as spec.images[1]`,
		`spec.images[6].platforms[0]: "a/b/c/d" is not OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64`,
		`spec.images[7]: "" is not an image reference: invalid reference format`,
		`spec.images[8]: quay.io/a/b@sha512:` + strings.Repeat("a", 128) + `: only sha256 digests are carried`,
	}
	require.Empty(t, cmp.Diff(want, got))
}

func TestParseItems(t *testing.T) {
	b, err := definition.Parse([]byte(head + `spec:
  kubernetes: {version: 1.34.0, apiVersions: [monitoring.coreos.com/v1]}
  charts:
    - {repo: https://charts.example.org, name: prometheus, version: ^25.8, keyring: keys.gpg, values: [a.yaml], variants: [{name: ha, values: [ha.yaml]}]}
    - ref: oci://registry.example.org/charts/harbor:1.16.0
    - {path: ./charts/console, namespace: console}
  packs: [./packs/cni, {ref: oci://registry.example.org/packs/csi:1.0.0, presets: [small]}]
  manifests: ["./manifests/*.yaml"]
  files: [./node.ova, {path: a.iso, sha256: ` + strings.Repeat("a", 64) + `, name: installer, version: "2"}]
  verify: [{match: quay.io/jetstack/*, key: jetstack.pub}, {match: "**", key: none}]
  allowMissing: [docker.io/library/busybox, {match: quay.io/a/*, reason: never enabled here}]
`))
	require.NoError(t, err)
	require.Len(t, b.Spec.Charts, 3)
	require.Equal(t, []definition.Pack{{Path: "./packs/cni"}, {Ref: "oci://registry.example.org/packs/csi:1.0.0", Presets: []string{"small"}}}, b.Spec.Packs)
	require.Equal(t, []definition.Manifests{{Path: "./manifests/*.yaml"}}, b.Spec.Manifests)
	require.Equal(t, "installer", b.Spec.Files[1].Name)
	require.Equal(t, []definition.Allowance{{Match: "docker.io/library/busybox"}, {Match: "quay.io/a/*", Reason: "never enabled here"}}, b.Spec.AllowMissing)
}

func TestParseTellsEveryProblemOfItems(t *testing.T) {
	got := problems(t, head+`spec:
  charts:
    - {repo: https://charts.example.org, path: ./a}
    - {repo: "https://user:secret@charts.example.org", name: "../a"}
    - {repo: ftp://charts.example.org, name: a, version: "1"}
    - {path: ./a, version: "1", variants: [{name: A B}, {name: b}, {name: b, presets: [x]}]}
    - ref: registry.example.org/a:1
    - {path: ./a, version: "1"}
  packs: [{}, {ref: oci://registry.example.org/a}]
  manifests: ["[", {path: a, name: A}]
  files: [{path: a, sha256: AB, name: "..", version: " "}, "", 5]
  verify: [{match: "[", key: ""}]
  allowMissing: [""]
`)
	want := []string{
		`spec.files[2]: is a number, not a string or a mapping with path`,
		`spec.charts[0]: needs exactly one of repo (with name and version), ref and path`,
		`spec.charts[1].repo: holds credentials; take them out: a definition travels with its bundle`,
		`spec.charts[1].name: "../a" is not the name of a chart`,
		`spec.charts[1].version: is empty; give a version or a range, such as ^25.8`,
		`spec.charts[2].repo: "ftp://charts.example.org" is not a URL such as https://charts.example.org`,
		`spec.charts[3]: name and version go with repo only: ref has its tag, path its Chart.yaml`,
		`spec.charts[3].variants[0].name: "A B" is not a name of lower-case letters, digits, '-' and '.' of at most 63`,
		`spec.charts[3].variants[2].name: b stands twice`,
		`spec.charts[3].variants[2].presets: only packs have presets`,
		`spec.charts[4].ref: "registry.example.org/a:1" is not oci://HOST/PATH/NAME:VERSION`,
		`spec.charts[5]: name and version go with repo only: ref has its tag, path its Chart.yaml`,
		`spec.charts[5]: is the same as spec.charts[3]`,
		`spec.packs[0]: needs exactly one of path and ref`,
		`spec.packs[1].ref: "oci://registry.example.org/a" is not oci://HOST/PATH/NAME:VERSION`,
		`spec.manifests[0].path: "[" is not a pattern`,
		`spec.manifests[1].name: "A" is not a name of lower-case letters, digits, '-' and '.' of at most 63`,
		`spec.files[0].sha256: "AB" is not 64 hexadecimal digits in lower case`,
		`spec.files[0].name: ".." is not a name of lower-case letters, digits, '-' and '.' of at most 63`,
		`spec.files[0].version: " " is not a version such as 1.4.0`,
		`spec.files[1].path: is empty`,
		`spec.verify[0].match: "[" is not a pattern such as quay.io/jetstack/*`,
		`spec.verify[0].key: is empty; give a public key, or "none" to ask for no signature`,
		`spec.allowMissing[0].match: "" is not a pattern such as quay.io/jetstack/*`,
	}
	require.Empty(t, cmp.Diff(want, got))
	_, err := definition.Parse([]byte(head + "spec: {images: [nginx], charts: null, packs: }\n"))
	require.NoError(t, err, "an empty field is the same as none")
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"quay.io/a/b", "quay.io/a/b", true}, {"quay.io/a/*", "quay.io/a/b", true}, {"quay.io/a/*", "quay.io/a/b/c", false},
		{"quay.io/**", "quay.io/a/b/c", true}, {"quay.io/**", "quay.iox/a", false}, {"**", "docker.io/library/a", true},
		{"quay.io/a/b", "quay.io/a/bc", false}, {"*/a", "docker.io/a", true},
	} {
		require.Equal(t, c.want, definition.Matches(c.pattern, c.name), c.pattern+" "+c.name)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ data, fault string }{
		"nothing":               {"", "the file is empty, not a mapping"},
		"a list":                {"[]", "the file is a list, not a mapping"},
		"text":                  {"hello", "the file is a string, not a mapping"},
		"no spec":               {head, "spec: there is nothing to carry"},
		"a field twice":         {head + "spec: {images: [a]}\nspec: {images: [b]}\n", `line 5: key "spec" already set in map`},
		"tabs":                  {"a:\n\t- b", "line 2: found character that cannot start any token"},
		"two documents":         {example + "---\n" + example, "it holds 2 YAML documents, not one"},
		"a document after end":  {example + "...\n" + example, "it holds 2 YAML documents, not one"},
		"another line break":    {example + "\u2028--- \u2028" + example, "it holds 2 YAML documents, not one"},
		"UTF-16":                {"\xff\xfea\x00:\x00b\x00", "it is not UTF-8 text"},
		"too large":             {example + strings.Repeat("#", 1<<20), "more than 1048576 bytes"},
		"deep":                  {strings.Repeat("[", 100_000), "exceeded max depth"},
		"a long unknown field":  {head + "spec: {images: [a]}\n" + strings.Repeat("x", 200) + ": 1\n", strings.Repeat("x", 64) + `..."`},
		"a version of spaces":   {strings.Replace(example, "1.4.0", `" "`, 1), `metadata.version: " " is not a version`},
		"a version with a path": {strings.Replace(example, "1.4.0", "../../etc", 1), `metadata.version: "../../etc" is not a version`},
		"a name with a path":    {strings.Replace(example, "management-plane", "../a", 1), `metadata.name: "../a" is not a name`},
		"a name that is long":   {strings.Replace(example, "management-plane", strings.Repeat("a", 64), 1), "of at most 63"},
		"a reference to a URL":  {strings.Replace(example, "redis", "https://docker.io/redis", 1), "is not an image reference"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := definition.Parse([]byte(c.data))
			require.ErrorIs(t, err, definition.ErrInvalid)
			require.ErrorContains(t, err, c.fault)
			require.Less(t, len(err.Error()), 1000)
		})
	}
}

func TestParseTakesOneDocumentWithMarkers(t *testing.T) {
	for _, data := range []string{
		"---\n" + example, "# a comment\n---\n" + example + "---\n", "%YAML 1.1\n---\n" + example + "...\n# end\n",
		"\ufeff" + example, strings.ReplaceAll(example, "\n", "\r\n"), "--- # start\n" + example,
	} {
		_, err := definition.Parse([]byte(data))
		require.NoError(t, err, data)
	}
}

func TestParseAliases(t *testing.T) {
	b, err := definition.Parse([]byte(head + "spec:\n  platforms: &p [linux/amd64]\n  images:\n  - {ref: a, platforms: *p}\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"linux/amd64"}, b.Spec.Images[0].Platforms)

	bomb := "a0: &a0 [" + strings.Repeat("x, ", 9) + "x]\n"
	for i := 1; i < 12; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	start := time.Now()
	_, err = definition.Parse([]byte(example + bomb))
	require.ErrorIs(t, err, definition.ErrInvalid)
	require.ErrorContains(t, err, "excessive aliasing")
	require.Less(t, time.Since(start), 20*time.Second)
}

func TestParseCapsWhatItTells(t *testing.T) {
	got := problems(t, head+"spec: {images: ["+strings.Repeat("UPPER, ", 1000)+"]}\n")
	require.Len(t, got, 101)
	require.Equal(t, "and 900 more", got[100])
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bundle.yaml")
	require.NoError(t, os.WriteFile(path, []byte(example), 0o600))
	b, err := definition.Load(path)
	require.NoError(t, err)
	require.Equal(t, "management-plane", b.Metadata.Name)

	_, err = definition.Load(filepath.Join(dir, "nothere.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "reading the definition: ")
	require.NoError(t, os.WriteFile(path, []byte("kind: Bundel"), 0o600))
	_, err = definition.Load(path)
	require.ErrorIs(t, err, definition.ErrInvalid)
	require.ErrorContains(t, err, "definition "+path+": not valid:")
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<20+1), 0o600))
	_, err = definition.Load(path)
	require.ErrorIs(t, err, definition.ErrInvalid)
	require.ErrorContains(t, err, "more than 1048576 bytes")
	_, err = definition.Load(dir)
	require.Error(t, err)
}

func TestCheckPlatforms(t *testing.T) {
	require.NoError(t, definition.CheckPlatforms(nil))
	require.NoError(t, definition.CheckPlatforms([]string{"linux/amd64", "linux/arm/v7", "windows/amd64"}))
	err := definition.CheckPlatforms([]string{"amd64", "linux/amd64", "linux/amd64"})
	require.ErrorIs(t, err, definition.ErrInvalid)
	require.ErrorContains(t, err, `platforms[0]: "amd64" is not OS/ARCH`)
	require.ErrorContains(t, err, "platforms[2]: linux/amd64 stands twice")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(head + "spec: {images: [{ref: 5}], charts: []}"))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("--- x\n---\ny"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := definition.Parse(data)
		if err != nil {
			require.ErrorIs(t, err, definition.ErrInvalid)
			return
		}
		for _, img := range b.Spec.Images {
			_, err := img.Reference()
			require.NoError(t, err)
		}
		require.Equal(t, string(data), string(b.Source()))
	})
}

// A pattern with a tag would never fit: the reference of a message, copied.
func TestPatternsHaveNoTags(t *testing.T) {
	for pattern, want := range map[string]string{
		"docker.io/bitnami/os-shell:12":                                   "write docker.io/bitnami/os-shell",
		"127.0.0.1:5000/a@sha256:" + strings.Repeat("0", 64):              "write 127.0.0.1:5000/a",
		"docker.io/bitnami/os-shell:12@sha256:" + strings.Repeat("0", 64): "write docker.io/bitnami/os-shell",
	} {
		got := problems(t, head+"spec: {images: [a], allowMissing: [{match: '"+pattern+"', reason: x}]}\n")
		require.Len(t, got, 1)
		require.Contains(t, got[0], want)
	}
	_, err := definition.Parse([]byte(head + "spec: {images: [a], allowMissing: [{match: '127.0.0.1:5000/a/**', reason: x}]}\n"))
	require.NoError(t, err)
}
