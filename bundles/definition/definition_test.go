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
		`spec.images[3]: is a number, not a reference or a mapping with ref and platforms`,
		`spec.images[4].ref: is a list, not a string`,
		`spec.images[5].platforms: is a string, not a list`,
		`spec.images[6].platforms[1]: is true or false, not a string: write it in quotes`,
		`spec.images[9]: is empty, not a reference or a mapping with ref and platforms`,
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

func TestParseRefusesWhatIsNotCarriedYet(t *testing.T) {
	got := problems(t, head+`spec:
  images: [nginx]
  charts: [{path: ./chart}]
  packs: []
  manifests: [{path: "*.yaml"}]
  files: [{path: a.iso}]
  verify: [{match: "*", key: k.pub}]
`)
	require.Len(t, got, 5)
	for i, field := range []string{"charts", "files", "manifests", "packs", "verify"} {
		require.Contains(t, got[i], "spec."+field+": this version of sealift does not carry "+field+" yet")
	}
	_, err := definition.Parse([]byte(head + "spec: {images: [nginx], charts: null, packs: }\n"))
	require.NoError(t, err, "an empty field is the same as none")
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ data, fault string }{
		"nothing":               {"", "the file is empty, not a mapping"},
		"a list":                {"[]", "the file is a list, not a mapping"},
		"text":                  {"hello", "the file is a string, not a mapping"},
		"no spec":               {head, "spec.images: is empty: there is nothing to carry"},
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
		require.NotEmpty(t, b.Spec.Images)
		for _, img := range b.Spec.Images {
			_, err := img.Reference()
			require.NoError(t, err)
		}
		require.Equal(t, string(data), string(b.Source()))
	})
}
