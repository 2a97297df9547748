package packs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/sealift/sealift/bundles/packs"
	"github.com/sealift/sealift/internal/problem"
)

func merged(t *testing.T, p *packs.Pack, presets ...string) string {
	t.Helper()
	out, err := p.Merged(presets)
	require.NoError(t, err)
	return string(out)
}

func TestMergedWithoutPresetsIsValuesYAML(t *testing.T) {
	p := open(t, "testdata/lantern")
	require.Equal(t, string(p.Values), merged(t, p))
}

func TestMerged(t *testing.T) {
	p := open(t, "testdata/lantern")
	require.Len(t, p.Presets, 3)
	require.Equal(t, "Storage", p.Presets[1].Group)
	out := merged(t, p, "on-disk", "with-ingress")
	// removed
	require.NotContains(t, out, "limit: 512Mi")
	require.NotContains(t, out, "cert-manager.io/issuer")
	// added, replaced
	require.Contains(t, out, "type: volume")
	require.Contains(t, out, "hosts: [lantern.example.com]")
	require.Contains(t, out, "enabled: true")
	// kept: order, comments, quotes, macros as they were written
	require.Less(t, strings.Index(out, "replicas: 2"), strings.Index(out, "clusterName:"))
	require.True(t, strings.HasPrefix(out, "# spectrocloud.com/enabled-presets: Storage:in-memory\n"))
	require.Contains(t, out, "# How many servers answer questions")
	require.Contains(t, out, `clusterName: "{{ .spectro.system.cluster.name }}"`)
	require.Contains(t, out, "site: {{.spectro.var.site}}\n")
	require.Contains(t, out, "size: {{.spectro.var.size}}\n")
	require.Contains(t, out, `text: "{{ $labels.name }} is dark"`)
}

// The macro with quotes of its own stays as it is written, too.
func TestMacrosWithQuotes(t *testing.T) {
	p := open(t, "testdata/lantern")
	require.Contains(t, merged(t, p, "in-memory"), `cert-manager.io/issuer: "{{ .spectro.pack.issuer.name | default \"internal\" }}"`)
}

func TestPresetsAreAppliedInOrder(t *testing.T) {
	p := open(t, "testdata/lantern")
	require.Contains(t, merged(t, p, "on-disk", "in-memory"), "type: memory")
	require.NotContains(t, merged(t, p, "on-disk", "in-memory"), "volume:")
	require.Contains(t, merged(t, p, "in-memory", "on-disk"), "type: volume")
}

func TestUnknownPreset(t *testing.T) {
	_, err := open(t, "testdata/lantern").Merged([]string{"on-disk", "on-tape"})
	require.ErrorContains(t, err, `lantern 2.4.0 has no preset "on-tape"; it has in-memory, on-disk, with-ingress`)
	require.Equal(t, problem.Usage, problem.KindOf(err))
	_, err = pack(t, nil).Merged([]string{"any"})
	require.ErrorContains(t, err, "it has none")
}

func TestMergeOfPlainYAML(t *testing.T) {
	for name, c := range map[string]struct{ values, preset, want string }{
		"mappings merge":            {"a: {b: 1, c: {d: 2}}", "add: 'a: {c: {e: 3}}'", "a: {b: 1, c: {d: 2, e: 3}}"},
		"lists are replaced":        {"a: [1, 2]", "add: 'a: [3]'", "a: [3]"},
		"a mapping over a value":    {"a: 1", "add: 'a: {b: 1}'", "a: {b: 1}"},
		"a value over a mapping":    {"a: {b: 1}", "add: 'a: 1'", "a: 1"},
		"null":                      {"a: 1", "add: 'a: null'", "a: null"},
		"into nothing":              {"", "add: 'a: 1'", "a: 1"},
		"into an empty mapping":     {"a: {}", "add: \"a:\\n  # why\\n  b: 1 # so\\n\"", "a: {b: 1}"},
		"add as YAML in place":      {"a: 1", "add: {a: {b: '{{.x}}'}}", "a: {b: '{{.x}}'}"},
		"nothing to add":            {"a: 1", "add: ''", "a: 1"},
		"remove":                    {"a: {b: 1, c: 2}", "remove: [a.b]", "a: {c: 2}"},
		"remove what is not there":  {"a: 1", "remove: [b, a.b, a.b.c, '']", "a: 1"},
		"remove the last":           {"a: 1", "remove: [a]", "{}"},
		"remove before add":         {"a: {b: 1}", "{remove: [a], add: 'a: {c: 2}'}", "a: {c: 2}"},
		"remove a key with dots":    {"a: {b.c/d: 1, e: 2}", "remove: [a.b.c/d]", "a: {e: 2}"},
		"remove in each item":       {"a: [{b: 1, c: 1}, {b: 2}, 3]", "remove: ['a.$[].b']", "a: [{c: 1}, {}, 3]"},
		"remove each item":          {"a: [1, 2, 3]", "remove: ['a.$[]']", "a: []"},
		"remove where others refer": {"a: &x {b: 1}\nc: *x", "remove: [a]", "c: {b: 1}"},
		"change where others refer": {"a: &x {b: 1}\nc: *x", "add: 'c: {b: 2}'", "a: {b: 1}\nc: {b: 2}"},
		"key twice":                 {"a: 1\nb: 1\nb: 2", "add: 'b: 3'", ""},
	} {
		t.Run(name, func(t *testing.T) {
			preset := c.preset
			if !strings.HasPrefix(preset, "{") {
				preset = "{" + preset + "}"
			}
			p := pack(t, map[string]string{"values.yaml": c.values, "presets.yaml": "presets: [{name: it, " + strings.TrimPrefix(preset, "{") + "]\n"})
			out := merged(t, p, "it")
			if c.want == "" {
				require.Contains(t, out, "b: 3")
				return
			}
			var got, want any
			require.NoError(t, yaml.Unmarshal([]byte(out), &got), out)
			require.NoError(t, yaml.Unmarshal([]byte(c.want), &want))
			require.Equal(t, want, got, out)
		})
	}
}

// Each alias doubles what is there: a megabyte of text would be petabytes.
func TestAliasBomb(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x]\n")
	for i := range 60 {
		fmt.Fprintf(&bomb, "a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	for name, values := range map[string]string{"doubling": bomb.String(), "a circle": "a: &a [*a]\n"} {
		t.Run(name, func(t *testing.T) {
			p := pack(t, map[string]string{"values.yaml": values, "presets.yaml": "presets: [{name: it}]\n", "schema.yaml": values})
			_, err := p.Merged([]string{"it"})
			require.ErrorIs(t, err, packs.ErrInvalid)
			require.ErrorContains(t, err, "its aliases stand for too much")
			require.True(t, packs.HasErrors(p.Problems()))
			require.True(t, packs.HasErrors(p.CheckValues([]byte(values))))
		})
	}
}

func FuzzMerged(f *testing.F) {
	f.Add("a: {{.x}}\nb: \"{{ .y | default \\\"z\\\" }}\"\n", "a: {b: 1}", "a.b")
	f.Add("a: &x {b: 1}\nc: *x\n", "c: {{.x}}", "$[].a")
	f.Add("a: SEALIFTMACRO0.\nb: {{\n", "<<: {a: 1}", "..")
	f.Fuzz(func(t *testing.T, values, add, remove string) {
		preset, err := yaml.Marshal(map[string]any{"presets": []any{map[string]any{"name": "it", "remove": []string{remove}, "add": add}}})
		require.NoError(t, err)
		p := pack(t, map[string]string{"values.yaml": values, "presets.yaml": string(preset), "schema.yaml": add})
		p.Problems()
		out, err := p.Merged([]string{"it"})
		if err != nil {
			return
		}
		// What comes out can be worked on again.
		again := pack(t, map[string]string{"values.yaml": string(out), "presets.yaml": "presets: [{name: it}]"})
		_, err = again.Merged([]string{"it"})
		require.NoError(t, err, "%q", out)
	})
}
