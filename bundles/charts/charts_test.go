package charts_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/provenance"

	"github.com/sealift/sealift/bundles/charts"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

// folder writes files below a new folder.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(data), 0o600))
	}
	return dir
}

// tgz makes an archive of entries, each a name and what it holds.
func tgz(t *testing.T, entries ...*tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	tw := tar.NewWriter(gz)
	for _, h := range entries {
		data := h.PAXRecords["comment"]
		h.PAXRecords = nil
		if h.Size == 0 {
			h.Size = int64(len(data))
		}
		h.Mode = 0o644
		require.NoError(t, tw.WriteHeader(h))
		if data != "" {
			_, err := tw.Write([]byte(data))
			require.NoError(t, err)
		} else {
			zeros := make([]byte, 1<<20)
			for left := h.Size; left > 0; left -= int64(len(zeros)) {
				_, err := tw.Write(zeros[:min(left, int64(len(zeros)))])
				require.NoError(t, err)
			}
		}
	}
	require.NoError(t, tw.Close())
	require.NoError(t, gz.Close())
	return buf.Bytes()
}

func entry(name, data string) *tar.Header {
	return &tar.Header{Name: name, PAXRecords: map[string]string{"comment": data}}
}

const meta = "apiVersion: v2\nname: web\nversion: 1.2.3+build\ndescription: A test\n"

func sample(more map[string]string) map[string]string {
	files := map[string]string{
		"Chart.yaml":                  meta,
		"values.yaml":                 "image: docker.io/library/web:1\ntests: true\n",
		"templates/_helpers.tpl":      `{{ define "image" }}{{ .Values.image }}{{ end }}`,
		"templates/pod.yaml":          "kind: Pod\nspec: {containers: [{image: {{ include \"image\" . }} }]}\n",
		"templates/NOTES.txt":         "image: notes/are:left-out\n",
		"templates/tests/test.yaml":   "{{ if .Values.tests }}kind: Pod\nspec: {containers: [{image: busybox}]}{{ end }}\n",
		"crds/crd.yaml":               "kind: CustomResourceDefinition\n",
		"charts/sub/Chart.yaml":       "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
		"charts/sub/templates/s.yaml": "kind: Sub\nns: {{ .Release.Namespace }}\nkube: {{ .Capabilities.KubeVersion.Version }}\n",
		".helmignore":                 "*.secret\n",
		"a.secret":                    "not in the archive",
	}
	for k, v := range more {
		files[k] = v
	}
	return files
}

func TestFolderIsPackedTheSameEachTime(t *testing.T) {
	a, err := charts.Load(folder(t, sample(nil)))
	require.NoError(t, err)
	b, err := charts.Load(folder(t, sample(nil)))
	require.NoError(t, err)
	require.Equal(t, a.Archive, b.Archive)
	require.Equal(t, "web", a.Name())
	require.Equal(t, "1.2.3_build", a.Tag())
	require.True(t, a.FromFolder())

	path := filepath.Join(t.TempDir(), "web.tgz")
	require.NoError(t, os.WriteFile(path, a.Archive, 0o600))
	require.NoError(t, os.WriteFile(path+".prov", []byte("prov"), 0o600))
	c, err := charts.Load(path)
	require.NoError(t, err)
	require.Equal(t, a.Archive, c.Archive, "an archive stays as it is")
	require.Equal(t, "prov", string(c.Provenance))
	require.NotContains(t, string(a.Archive), "a.secret")
}

func sources(files []charts.Rendered) []string {
	var out []string
	for _, f := range files {
		out = append(out, f.Source)
	}
	return out
}

func TestRender(t *testing.T) {
	c, err := charts.Load(folder(t, sample(nil)))
	require.NoError(t, err)
	got, err := c.Render(t.Context(), nil, charts.RenderOptions{Namespace: "web", KubeVersion: "1.33.1"})
	require.NoError(t, err)
	require.Equal(t, []string{"web/charts/sub/templates/s.yaml", "web/crds/crd.yaml", "web/templates/pod.yaml", "web/templates/tests/test.yaml"}, sources(got))
	require.Equal(t, "kind: Sub\nns: web\nkube: v1.33.1\n", string(got[0].Data))
	require.Contains(t, string(got[2].Data), "docker.io/library/web:1")

	values, err := charts.MergeValues([]byte("image: a\ntests: false\n"), []byte("image: b/c:2\n"))
	require.NoError(t, err)
	got, err = c.Render(t.Context(), values, charts.RenderOptions{})
	require.NoError(t, err)
	require.Len(t, got, 3, "the test is off")
	require.Contains(t, string(got[2].Data), "b/c:2")
}

func TestRenderSaysWhere(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"a value that is required": {map[string]string{"templates/a.yaml": "a: 1\nb: {{ required \"give b\" .Values.b }}\n"}, []string{"web/templates/a.yaml:2", "give b"}},
		"no template":              {map[string]string{"templates/a.yaml": "a: 1\n\n{{ end }}\n"}, []string{"web/templates/a.yaml:3"}},
		"a function that is not":   {map[string]string{"templates/a.yaml": "{{ nothere }}\n"}, []string{"web/templates/a.yaml:1", "nothere"}},
		"values against a schema":  {map[string]string{"values.schema.json": `{"properties": {"image": {"type": "integer"}}}`}, []string{"image"}},
		"another Kubernetes":       {map[string]string{"Chart.yaml": meta + "kubeVersion: <1.20.0\n"}, []string{"it is for Kubernetes <1.20.0"}},
		"a missing dependency": {map[string]string{"Chart.yaml": meta + "dependencies: [{name: db, version: ^1.0.0, repository: https://charts.example.org}]\n"},
			[]string{"web 1.2.3+build needs db ^1.0.0 of https://charts.example.org", "missing dependency"}},
		"endless recursion": {map[string]string{"templates/a.yaml": `{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}`}, []string{"nested reference name: x"}},
	} {
		t.Run(name, func(t *testing.T) {
			ch, err := charts.Load(folder(t, sample(c.files)))
			require.NoError(t, err)
			_, err = ch.Render(t.Context(), nil, charts.RenderOptions{Schema: true})
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestRenderEndsWithItsContext(t *testing.T) {
	ch, err := charts.Load(folder(t, sample(map[string]string{"templates/a.yaml": `{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}`})))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = ch.Render(ctx, nil, charts.RenderOptions{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestDependenciesArePutIn(t *testing.T) {
	c, err := charts.Load(folder(t, sample(map[string]string{"Chart.yaml": meta + "dependencies: [{name: db, version: ^1.0.0, repository: https://charts.example.org}]\n"})))
	require.NoError(t, err)
	require.Equal(t, []charts.Dependency{{Name: "db", Version: "^1.0.0", Repository: "https://charts.example.org"}}, c.Missing())
	require.ErrorIs(t, c.CheckDependencies(), charts.ErrDependency)
	db, err := charts.Load(folder(t, map[string]string{"Chart.yaml": "apiVersion: v2\nname: db\nversion: 1.4.0\n", "templates/a.yaml": "kind: Database\n"}))
	require.NoError(t, err)
	whole, err := c.With([]*charts.Chart{db})
	require.NoError(t, err)
	require.NoError(t, whole.CheckDependencies())
	got, err := whole.Render(t.Context(), nil, charts.RenderOptions{})
	require.NoError(t, err)
	require.Contains(t, sources(got), "web/charts/db/templates/a.yaml")
}

func TestLoadRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("a: secret"), 0o600))
	link := func(target, name string) string {
		dir := folder(t, sample(nil))
		require.NoError(t, os.Symlink(target, filepath.Join(dir, name)))
		return dir
	}
	for name, c := range map[string]struct{ path, want string }{
		"no Chart.yaml":         {folder(t, map[string]string{"values.yaml": ""}), "Chart.yaml file is missing"},
		"a link out of it":      {link(outside, "templates/x.yaml"), "escapes"},
		"a link to the top":     {link("..", "templates/x"), "files, not links to folders"},
		"a link that circles":   {link("x", "templates/x"), "too many"},
		"a name that is a path": {folder(t, map[string]string{"Chart.yaml": "apiVersion: v2\nname: ../web\nversion: 1.0.0\n"}), "is invalid"},
		"a version of none":     {folder(t, map[string]string{"Chart.yaml": "apiVersion: v2\nname: web\nversion: latest\n"}), "version"},
		"a large file":          {folder(t, sample(map[string]string{"files/big": strings.Repeat("x", 5<<20+1)})), "at most 5242880 bytes"},
		"nothing":               {filepath.Join(t.TempDir(), "nothere"), "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := charts.Load(c.path)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"no archive":        {[]byte("hello, this is no archive"), "gzip: invalid header"},
		"nothing in it":     {tgz(t), "no files"},
		"a path upwards":    {tgz(t, entry("web/Chart.yaml", meta), entry("web/../../etc/passwd", "x")), "references parent directory"},
		"an absolute path":  {tgz(t, entry("web/Chart.yaml", meta), entry("web//etc/passwd", "x")), "absolute"},
		"a bomb of one":     {tgz(t, entry("web/Chart.yaml", meta), &tar.Header{Name: "web/files/bomb", Size: 64 << 20}), "larger than the maximum"},
		"a bomb of many":    {bomb(t), "larger than the maximum"},
		"more than archive": {make([]byte, charts.MaxArchive+1), "the limit is"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := charts.Parse(c.data)
			require.ErrorIs(t, err, charts.ErrChart)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// bomb is 200 MiB of zeros in files of 4 MiB.
func bomb(t *testing.T) []byte {
	entries := []*tar.Header{entry("web/Chart.yaml", meta)}
	for i := range 50 {
		entries = append(entries, &tar.Header{Name: fmt.Sprintf("web/files/%d", i), Size: 4 << 20})
	}
	return tgz(t, entries...)
}

func TestArtifactComesBack(t *testing.T) {
	c, err := charts.Load(folder(t, sample(nil)))
	require.NoError(t, err)
	c.Provenance = []byte("prov")
	a, err := c.Artifact()
	require.NoError(t, err)
	m, err := content.ParseManifest(a.Descriptor, a.Manifest)
	require.NoError(t, err)
	require.True(t, charts.IsChart(m))
	back, err := charts.Fetch(t.Context(), a, m)
	require.NoError(t, err)
	require.Equal(t, c.Archive, back.Archive)
	require.Equal(t, c.Provenance, back.Provenance)
}

// web is a map of URLs that serves as a web server.
type web map[string][]byte

func (w web) Download(_ context.Context, url string, limit int64) ([]byte, error) {
	data, ok := w[url]
	if !ok {
		return nil, fmt.Errorf("%s: %w", url, content.ErrNotFound)
	}
	if int64(len(data)) > limit {
		return nil, content.ErrTooLarge
	}
	return data, nil
}

func TestRepositories(t *testing.T) {
	archive := func(version string) []byte {
		c, err := charts.Load(folder(t, map[string]string{"Chart.yaml": "apiVersion: v2\nname: db\nversion: " + version + "\n"}))
		require.NoError(t, err)
		return c.Archive
	}
	const base = "https://charts.example.org/stable"
	index := func(digest string) []byte {
		return []byte(`apiVersion: v1
entries:
  db:
  - {name: db, version: 1.0.0, urls: [db-1.0.0.tgz]}
  - {name: db, version: 1.10.0, urls: ["https://files.example.org/db-1.10.0.tgz"], digest: "` + digest + `"}
  - {name: db, version: 2.0.0, urls: [db-1.0.0.tgz]}
  - null
`)
	}
	w := web{base + "/index.yaml": index(charts.SHA256(archive("1.10.0"))), base + "/db-1.0.0.tgz": archive("1.0.0"),
		base + "/db-1.0.0.tgz.prov": []byte("signed"), "https://files.example.org/db-1.10.0.tgz": archive("1.10.0")}
	get := func(version string) (*charts.Chart, error) {
		return charts.NewRepositories(w).Chart(t.Context(), base+"/", "db", version)
	}
	c, err := get("1.0.0")
	require.NoError(t, err)
	require.Equal(t, "signed", string(c.Provenance))
	c, err = get("^1.0")
	require.NoError(t, err)
	require.Equal(t, "1.10.0", c.Version())
	require.Nil(t, c.Provenance)

	_, err = get("3.0.0")
	require.ErrorIs(t, err, content.ErrNotFound)
	require.ErrorContains(t, err, "the newest are 2.0.0, 1.10.0, 1.0.0")
	_, err = get("2.0.0")
	require.ErrorContains(t, err, "holds db 1.0.0, the index calls it db 2.0.0")
	_, err = charts.NewRepositories(w).Chart(t.Context(), base, "nothere", "1")
	require.ErrorIs(t, err, content.ErrNotFound)
	_, err = charts.NewRepositories(web{}).Chart(t.Context(), base, "db", "1")
	require.ErrorIs(t, err, content.ErrNotFound)
	w[base+"/index.yaml"] = index(strings.Repeat("0", 64))
	_, err = get("1.10.0")
	require.ErrorIs(t, err, content.ErrMismatch)
}

func TestProvenance(t *testing.T) {
	entity, err := openpgp.NewEntity("Chart Makers", "", "makers@example.org", nil)
	require.NoError(t, err)
	dir := t.TempDir()
	keyring := filepath.Join(dir, "keys.gpg")
	var keys bytes.Buffer
	require.NoError(t, entity.Serialize(&keys))
	require.NoError(t, os.WriteFile(keyring, keys.Bytes(), 0o600))
	c, err := charts.Load(folder(t, sample(nil)))
	require.NoError(t, err)
	require.ErrorContains(t, c.VerifyProvenance(keyring), "no provenance file")

	path := filepath.Join(dir, "web-1.2.3+build.tgz")
	require.NoError(t, os.WriteFile(path, c.Archive, 0o600))
	prov, err := (&provenance.Signatory{Entity: entity, KeyRing: openpgp.EntityList{entity}}).ClearSign(path)
	require.NoError(t, err)
	c.Provenance = []byte(prov)
	require.NoError(t, c.VerifyProvenance(keyring))

	other, err := charts.Load(folder(t, sample(map[string]string{"values.yaml": "image: evil\n"})))
	require.NoError(t, err)
	other.Provenance = c.Provenance
	err = other.VerifyProvenance(keyring)
	require.ErrorIs(t, err, charts.ErrProvenance)
	require.ErrorContains(t, err, "sha256 sum does not match")
	require.Equal(t, problem.Verification, problem.KindOf(err))
	require.ErrorIs(t, c.VerifyProvenance(filepath.Join(dir, "nothere")), charts.ErrProvenance)
}
