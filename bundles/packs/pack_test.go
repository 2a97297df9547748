package packs_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/problem"
)

// open opens a pack and closes it at the end of the test.
func open(t *testing.T, path string) *packs.Pack {
	t.Helper()
	p, err := packs.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// write makes a folder of files, by their paths.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

// small is the pack.json of a pack without faults, and with more fields.
func small(more string) string {
	return `{"name": "small", "version": "1.0.0", "displayName": "Small", "layer": "csi", "cloudTypes": ["all"]` + more + `}`
}

// pack makes and opens a pack of files; those of a faultless pack are added.
func pack(t *testing.T, files map[string]string) *packs.Pack {
	t.Helper()
	all := map[string]string{"pack.json": small(""), "values.yaml": "", "logo.png": "x"}
	for name, text := range files {
		all[name] = text
	}
	return open(t, write(t, all))
}

// contents returns the bytes of all files.
func contents(t *testing.T, p *packs.Pack) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range p.Files() {
		r, err := f.Open()
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, r.Close())
		require.Len(t, data, int(f.Size))
		out[f.Path] = string(data)
	}
	return out
}

// ownTemp gives the test a folder for temporary files of its own and returns it.
func ownTemp(t *testing.T) string {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	return temp
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestOpenFolder(t *testing.T) {
	p := open(t, "testdata/lantern")
	require.Equal(t, "lantern 2.4.0", p.Name())
	require.Equal(t, "addon", p.Meta.Layer)
	require.Equal(t, []string{"all"}, p.Meta.CloudTypes)
	require.Equal(t, "examples", p.Meta.Annotations["contributor"])
	require.Equal(t, packs.Dependency{PackName: "keel", Layer: "k8s", MinVersion: "1.29", Type: packs.DependencyRequired}, p.Meta.Constraints.Dependencies[0])
	require.InDelta(t, 256, p.Meta.Constraints.Resources[1].MinLimit, 0)
	require.Equal(t, "all", p.Meta.Constraints.Resources[1].Components[0].ScheduleType)
	want, err := os.ReadFile("testdata/lantern/values.yaml")
	require.NoError(t, err)
	require.Equal(t, want, p.Values)
	require.Equal(t, []string{"charts/lantern-2.4.0.tgz"}, p.Charts())
	require.Equal(t, packs.Content{
		Images: []string{"registry.example.com/lantern/server:2.4.0", "registry.example.com/lantern/agent:2.4.0"},
		Charts: []packs.ContentChart{{Repo: "https://charts.example.com", Name: "lantern", Version: "2.4.0"}},
	}, p.Content())
	require.Equal(t, []string{"manifests/tide.yaml", "manifests/crds/volumes.yaml"}, open(t, "testdata/tide").Manifests())
}

// Fields that nobody here knows are kept, warned of, and still in the file.
func TestUnknownFieldsAreKept(t *testing.T) {
	p := open(t, "testdata/lantern")
	require.JSONEq(t, `"Light the lantern"`, string(p.Meta.Unknown["commit_msg"]))
	require.JSONEq(t, `[]`, string(p.Meta.Unknown["ansibleRoles"]))
	require.JSONEq(t, `"1.x has other values"`, string(p.Meta.Unknown["constraints.dependencies[2].note"]))
	require.Len(t, p.Meta.Unknown, 3)
	for field := range p.Meta.Unknown {
		require.Contains(t, p.Problems(), packs.Problem{Severity: packs.SeverityWarning, Where: "pack.json: " + field, Text: "is not a field of the format; it is kept as it is"})
	}
	original, err := os.ReadFile("testdata/lantern/pack.json")
	require.NoError(t, err)
	require.Equal(t, string(original), contents(t, p)["pack.json"])
}

func TestFilesAreSortedByPath(t *testing.T) {
	var got []string
	for _, f := range pack(t, map[string]string{"a/b": "", "a.txt": "", "a-b": ""}).Files() {
		got = append(got, f.Path)
	}
	require.Equal(t, []string{"a-b", "a.txt", "a/b", "logo.png", "pack.json", "values.yaml"}, got)
}

func TestChartsThatPackJSONDoesNotName(t *testing.T) {
	p := pack(t, map[string]string{
		"charts/one-1.0.0.tgz": "", "charts/one/Chart.yaml": "", // the same chart
		"charts/one-extra/Chart.yaml": "", "charts/two.tgz": "", "charts/two/Chart.yaml": "",
		"charts/three-v3.tgz": "", "charts/three/Chart.yaml": "", "charts/none/README.md": "",
		"manifests/b.yml": "", "manifests/deep/a.yaml": "", "manifests/README.md": "",
	})
	require.Equal(t, []string{"charts/one-1.0.0.tgz", "charts/three-v3.tgz", "charts/two.tgz", "charts/one-extra"}, p.Charts())
	require.Equal(t, []string{"manifests/b.yml", "manifests/deep/a.yaml"}, p.Manifests())
}

func TestOpenWhatIsNoPack(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no pack.json":    {map[string]string{"values.yaml": ""}, "there is no pack.json"},
		"pack.json below": {map[string]string{"inner/pack.json": small("")}, "there is no pack.json"},
		"broken JSON":     {map[string]string{"pack.json": "{\n\"name\": \"x\",\n}"}, "pack.json, near line 3"},
		"a list":          {map[string]string{"pack.json": "[]"}, "pack.json"},
		"null":            {map[string]string{"pack.json": "null"}, "it is null"},
		"empty":           {map[string]string{"pack.json": ""}, "pack.json"},
		"two objects":     {map[string]string{"pack.json": "{} {}"}, "after its end"},
		"an odd name":     {map[string]string{"pack.json": small(""), "a\\b": ""}, `a\\b`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := packs.Open(t.Context(), write(t, c.files))
			require.ErrorContains(t, err, c.want)
			require.NotEmpty(t, problem.Remedies(err))
		})
	}
	_, err := packs.Open(t.Context(), "testdata/nothere")
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = packs.Open(t.Context(), os.DevNull)
	require.ErrorIs(t, err, packs.ErrInvalid)
}

func TestLinksInAFolder(t *testing.T) {
	outside := write(t, map[string]string{"secret": "secret"})
	for name, c := range map[string]struct {
		target string
		want   error
	}{
		"to a file of the pack": {"values.yaml", nil},
		"out, relative":         {"../../../../../../../etc/hostname", packs.ErrUnsafe},
		"out, absolute":         {filepath.Join(outside, "secret"), packs.ErrUnsafe},
		"to itself":             {"link", packs.ErrUnsafe},
		"in a circle":           {"back", packs.ErrUnsafe},
		"to nothing":            {"nothere", packs.ErrUnsafe},
		"to the pack":           {".", packs.ErrInvalid},
		"to a folder":           {"charts", packs.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"pack.json": small(""), "values.yaml": "a: 1\n", "charts/README": ""})
			if c.target == "back" {
				require.NoError(t, os.Symlink("link", filepath.Join(dir, "back")))
			}
			require.NoError(t, os.Symlink(c.target, filepath.Join(dir, "link")))
			p, err := packs.Open(t.Context(), dir)
			require.ErrorIs(t, err, c.want)
			if err == nil {
				require.Equal(t, "a: 1\n", contents(t, p)["link"])
				require.NoError(t, p.Close())
			}
		})
	}
}

// A pipe would block whoever opens it.
func TestPipeInAFolder(t *testing.T) {
	dir := write(t, map[string]string{"pack.json": small("")})
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))
	_, err := packs.Open(t.Context(), dir)
	require.ErrorIs(t, err, packs.ErrInvalid)
	require.ErrorContains(t, err, "pipe")
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		files    map[string]string
		severity packs.Severity
		where    string
		text     string
	}{
		"name":               {map[string]string{"pack.json": `{"name": "Big Name"}`}, packs.SeverityError, "pack.json: name", `"Big Name" cannot be a name`},
		"version":            {map[string]string{"pack.json": `{"name": "x"}`}, packs.SeverityError, "pack.json: version", "cannot be a version"},
		"odd version":        {map[string]string{"pack.json": `{"version": "latest"}`}, packs.SeverityWarning, "pack.json: version", "no semantic version"},
		"layer":              {map[string]string{"pack.json": `{"layer": "roof"}`}, packs.SeverityError, "pack.json: layer", `"roof" is none of kernel, os, k8s, cni, csi, addon`},
		"display name":       {map[string]string{"pack.json": `{}`}, packs.SeverityWarning, "pack.json: displayName", "missing"},
		"type of a field":    {map[string]string{"pack.json": small(`, "eol": 2027`)}, packs.SeverityError, "pack.json: eol", "is a number, not a string"},
		"type, deep":         {map[string]string{"pack.json": small(`, "constraints": {"resources": [{"minLimit": "100"}]}`)}, packs.SeverityError, "pack.json: constraints.resources[0].minLimit", "is a string, not a number"},
		"list":               {map[string]string{"pack.json": small(`, "charts": "x.tgz"`)}, packs.SeverityError, "pack.json: charts", "is a string, not a list"},
		"annotation":         {map[string]string{"pack.json": small(`, "annotations": {"a": true}`)}, packs.SeverityWarning, "pack.json: annotations.a", "is true or false, not a string"},
		"case of a field":    {map[string]string{"pack.json": small(`, "KubeManifests": []`)}, packs.SeverityWarning, "pack.json: KubeManifests", "is written kubeManifests"},
		"chart":              {map[string]string{"pack.json": small(`, "charts": ["charts/a.tgz"]`)}, packs.SeverityError, "pack.json: charts[0]", "charts/a.tgz is not in the pack"},
		"chart outside":      {map[string]string{"pack.json": small(`, "charts": ["../a.tgz"]`)}, packs.SeverityError, "pack.json: charts[0]", "not a path within the pack"},
		"chart, not named":   {map[string]string{"pack.json": small(`, "charts": ["charts/a.tgz"]`), "charts/a.tgz": "", "charts/b.tgz": ""}, packs.SeverityWarning, "charts/b.tgz", "not deployed"},
		"manifest":           {map[string]string{"pack.json": small(`, "kubeManifests": ["m.yaml"]`)}, packs.SeverityError, "pack.json: kubeManifests[0]", "not in the pack"},
		"dependency":         {map[string]string{"pack.json": small(`, "constraints": {"dependencies": [{"type": "needs"}]}`)}, packs.SeverityError, "pack.json: constraints.dependencies[0].type", `"needs" is none of required, optional, notSupported, upgrade`},
		"dependency's name":  {map[string]string{"pack.json": small(`, "constraints": {"dependencies": [{"type": "required"}]}`)}, packs.SeverityError, "pack.json: constraints.dependencies[0].packName", "missing"},
		"range, not a one":   {map[string]string{"pack.json": small(`, "constraints": {"dependencies": [{"packName": "a", "type": "required", "minVersion": "new"}]}`)}, packs.SeverityError, "pack.json: constraints.dependencies[0]", `minVersion "new" is no version`},
		"range, empty":       {map[string]string{"pack.json": small(`, "constraints": {"dependencies": [{"packName": "a", "type": "required", "minVersion": "2.0.0", "maxVersion": "1.9"}]}`)}, packs.SeverityError, "pack.json: constraints.dependencies[0]", "no version is 2.0.0 to 1.9.x"},
		"requires itself":    {map[string]string{"pack.json": small(`, "constraints": {"dependencies": [{"packName": "small", "type": "required"}]}`)}, packs.SeverityError, "pack.json: constraints.dependencies[0].packName", "requires itself"},
		"resource":           {map[string]string{"pack.json": small(`, "constraints": {"resources": [{"type": "gpu"}]}`)}, packs.SeverityWarning, "pack.json: constraints.resources[0].type", "gpu"},
		"values, broken":     {map[string]string{"values.yaml": "a: [1\n"}, packs.SeverityError, "values.yaml", "line 1"},
		"values, a list":     {map[string]string{"values.yaml": "- a\n"}, packs.SeverityError, "values.yaml", "is a list, not a mapping"},
		"values, twice":      {map[string]string{"values.yaml": "a: 1\n---\nb: 1\n"}, packs.SeverityError, "values.yaml", "more than one YAML document"},
		"values, key twice":  {map[string]string{"values.yaml": "a: 1\na: 2\n"}, packs.SeverityWarning, "values.yaml", `"a" already defined`},
		"images":             {map[string]string{"manifests/a.yaml": ""}, packs.SeverityWarning, "values.yaml: pack.content.images", "missing"},
		"presets, broken":    {map[string]string{"presets.yaml": "presets: [\n"}, packs.SeverityError, "presets.yaml", "line"},
		"presets, no list":   {map[string]string{"presets.yaml": "presets: {a: 1}\n"}, packs.SeverityError, "presets.yaml: presets", "is a mapping, not a list"},
		"preset, no name":    {map[string]string{"presets.yaml": "presets: [{add: 'a: 1'}]\n"}, packs.SeverityError, "presets.yaml: presets[0].name", "missing"},
		"preset, twice":      {map[string]string{"presets.yaml": "presets: [{name: a}, {name: a}]\n"}, packs.SeverityError, "presets.yaml: presets[1].name", "a stands twice"},
		"preset, bad add":    {map[string]string{"presets.yaml": "presets: [{name: a, add: 'a: [1'}]\n"}, packs.SeverityError, "presets.yaml: presets[0].add", "line"},
		"preset, bad remove": {map[string]string{"presets.yaml": "presets: [{name: a, remove: a.b}]\n"}, packs.SeverityError, "presets.yaml: presets[0].remove", "not a list of paths"},
		"preset, new field":  {map[string]string{"presets.yaml": "presets: [{name: a, icon: b}]\n"}, packs.SeverityWarning, "presets.yaml: presets[0].icon", "kept as it is"},
		"schema, broken":     {map[string]string{"schema.yaml": "a: [\n"}, packs.SeverityError, "schema.yaml", "line"},
		"schema, a list":     {map[string]string{"schema.yaml": "[a]\n"}, packs.SeverityError, "schema.yaml", "is a list, not a mapping"},
		"rule, not text":     {map[string]string{"schema.yaml": "a: {}\n"}, packs.SeverityError, "schema.yaml: a", "has no text"},
		"rule, no braces":    {map[string]string{"schema.yaml": "a: {schema: required}\n"}, packs.SeverityError, "schema.yaml: a", "does not stand in {{ }}"},
		"rule, odd word":     {map[string]string{"schema.yaml": "a: {schema: '{{ needed }}'}\n"}, packs.SeverityError, "schema.yaml: a", `"needed" is none of required`},
		"rule, open quote":   {map[string]string{"schema.yaml": "a: {schema: '{{ format \"${string} }}'}\n"}, packs.SeverityError, "schema.yaml: a", "a quote is not closed"},
		"rule, empty":        {map[string]string{"schema.yaml": "a: {schema: '{{ required | }}'}\n"}, packs.SeverityError, "schema.yaml: a", "empty"},
		"rule, bad regexp":   {map[string]string{"schema.yaml": "a: {schema: '{{ format \"${string:/(/}\" }}'}\n"}, packs.SeverityError, "schema.yaml: a", "regular expression"},
		"rule, bad range":    {map[string]string{"schema.yaml": "a: {schema: '{{ format \"${number:[1,2]}\" }}'}\n"}, packs.SeverityError, "schema.yaml: a", "no range of numbers"},
		"rule, bad format":   {map[string]string{"schema.yaml": "a: {schema: '{{ format \"${\" }}'}\n"}, packs.SeverityError, "schema.yaml: a", "is no format"},
		"rule, new format":   {map[string]string{"schema.yaml": "a: {schema: '{{ format \"${cron:[x]}\" }}'}\n", "values.yaml": "a: '* *'"}, packs.SeverityWarning, "schema.yaml: a", `"cron" is not known`},
		"logo":               {nil, packs.SeverityWarning, "logo.png", "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			files := c.files
			if files == nil {
				files = map[string]string{"pack.json": small(""), "values.yaml": ""}
			}
			var p *packs.Pack
			if name == "logo" {
				p = open(t, write(t, files))
			} else {
				p = pack(t, files)
			}
			for _, found := range p.Problems() {
				if found.Where == c.where {
					require.Equal(t, c.severity, found.Severity)
					require.Contains(t, found.Text, c.text)
					return
				}
			}
			t.Fatalf("not found in %v", p.Problems())
		})
	}
	require.Empty(t, pack(t, nil).Problems())
	require.Contains(t, open(t, write(t, map[string]string{"pack.json": small("")})).Problems(),
		packs.Problem{Severity: packs.SeverityError, Where: "values.yaml", Text: "is missing; an empty one will do"})
}

func TestProblemsAreSorted(t *testing.T) {
	p := pack(t, map[string]string{"pack.json": `{"zzz": 1, "aaa": 2}`})
	problems := p.Problems()
	require.Equal(t, problems, p.Problems())
	require.True(t, packs.HasErrors(problems))
	require.Equal(t, packs.SeverityError, problems[0].Severity)
	require.Equal(t, packs.SeverityWarning, problems[len(problems)-1].Severity)
}
