package resolve_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/resolve"
)

// BenchmarkCharts resolves 200 charts of ten templates each, all with the usual
// helpers, at two sets of values.
func BenchmarkCharts(b *testing.B) {
	const charts = 200
	dir := b.TempDir()
	files := map[string]string{"ha.yaml": "replicas: 3\n"}
	spec := definitionHead + "spec:\n  allowMissing: ['**']\n  charts:\n"
	for i := range charts {
		name := fmt.Sprintf("chart%d", i)
		spec += fmt.Sprintf("  - {path: %s, variants: [{name: ha, values: [ha.yaml]}]}\n", name)
		files[name+"/Chart.yaml"] = "apiVersion: v2\nname: " + name + "\nversion: 1.0.0\n"
		files[name+"/values.yaml"] = "replicas: 1\nimage: {registry: quay.io, repository: team/" + name + ", tag: '1'}\n"
		files[name+"/templates/_helpers.tpl"] = `{{- define "labels" -}}
app.kubernetes.io/name: {{ .Chart.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.Version | quote }}
{{- end -}}`
		for j := range 10 {
			files[fmt.Sprintf("%s/templates/deploy%d.yaml", name, j)] = fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}-%d
  labels: {{- include "labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicas }}
  template:
    metadata:
      labels: {{- include "labels" . | nindent 8 }}
    spec:
      containers:
        - name: c
          image: {{ printf "%%s/%%s:%%s" .Values.image.registry .Values.image.repository .Values.image.tag }}
`, j)
		}
	}
	files["bundle.yaml"] = spec
	writeAll(b, dir, files)
	def, err := definition.Load(dir + "/bundle.yaml")
	require.NoError(b, err)
	for b.Loop() {
		got, err := resolve.Resolve(b.Context(), def, newShelf(), resolve.Options{})
		require.NoError(b, err)
		require.Len(b, got.Roots, 2*charts)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/charts, "ms/chart")
}
