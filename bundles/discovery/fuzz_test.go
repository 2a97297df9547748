package discovery_test

import (
	"testing"

	"github.com/distribution/reference"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/discovery"
)

// FuzzDocuments feeds foreign bytes to everything that reads them: whatever
// they are, it answers with an error or with references that are in full.
func FuzzDocuments(f *testing.F) {
	for _, seed := range []string{
		"kind: Pod\nspec: {containers: [{image: a/b:1, env: [{name: X_IMAGE, value: c}], args: [--image, d]}]}",
		"kind: ConfigMap\ndata:\n  a: |\n    {{ if x }}\n    image: {{ .y }}\n    {{ end }}\n  b: '{\"hub\":\"r.io\",\"tag\":1,\"proxy\":{\"image\":\"p\"}}'\n",
		"kind: CustomResourceDefinition\nspec: {versions: [{schema: {openAPIV3Schema: {properties: {image: {default: a:1}, l: {items: {default: b}}}}}}]}",
		"a: &a [*a]", "---#\n%x\n---\n--- |\n a/b:1\n...\n", "<<: [{repository: a, tag: 1}, *b]", "{{.x}}: {{.y}}", "kind: Kustomization\nimages: [{name: a, newTag: b}]",
		"pack: {content: {images: [{image: a}], charts: [{name: b, repo: c}]}}", "- {op: add, path: /a/-, value: {image: x}}",
		"kind: Secret\ndata: {a: aW1hZ2U6IGE6MQpi}", "kind: XList\nitems: [{kind: XList, items: [a, null]}]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		report, err := discovery.Documents([]discovery.Document{{Source: "a.yaml", Data: data}, {Source: "b.yaml", Data: data}})
		if err != nil {
			require.ErrorIs(t, err, discovery.ErrUnreadable)
		}
		values, err := discovery.PackValues("values.yaml", data)
		if err != nil {
			require.ErrorIs(t, err, discovery.ErrUnreadable)
		}
		annotations, err := discovery.ChartAnnotations("Chart.yaml", map[string]string{"artifacthub.io/images": string(data)})
		if err != nil {
			require.ErrorIs(t, err, discovery.ErrUnreadable)
		}
		all := report.Merge(values, annotations)
		require.Equal(t, all, annotations.Merge(all, report), "the order does not matter")
		for _, found := range all.Found {
			named, err := reference.ParseNamed(found.Reference)
			require.NoError(t, err, "a reference in full")
			require.False(t, reference.IsNameOnly(named))
			require.NotEmpty(t, found.Rule)
		}
	})
}
