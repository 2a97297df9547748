package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func parse(t *testing.T, text string) object {
	t.Helper()
	var o object
	require.NoError(t, yaml.Unmarshal([]byte(text), &o))
	return o
}

func TestVariablesAreResolved(t *testing.T) {
	o := parse(t, `
args: ["--address=${ADDRESS:=:8443}", "--gates=A=${A:=true},B=${B:=}"]
user: "'${USER}'"
shell: "$(id) ${}"
`)
	_, err := resolve(o, map[string]string{"USER": "", "A": "false"})
	require.NoError(t, err)
	require.Equal(t, object{"args": []any{"--address=:8443", "--gates=A=false,B="}, "user": "''", "shell": "$(id) ${}"}, o)

	_, err = resolve(object{"a": []any{"${PASSWORD}"}}, nil)
	require.EqualError(t, err, "variable PASSWORD has neither a default nor a value: give it one in test/providers")
}

func TestOnlyDescriptionsOfSchemasGo(t *testing.T) {
	crd := parse(t, `
spec:
  versions:
  - schema:
      openAPIV3Schema:
        description: of the kind
        properties:
          description: {type: string, description: of the field, enum: [description]}
          list: {items: {description: of an item}, default: [{description: kept}]}
          map: {additionalProperties: {description: of a value}}
          any: {anyOf: [{description: one}, {not: {description: two}}], additionalProperties: true}
        required: [description]
`)
	require.NoError(t, dropDescriptions(crd))
	require.Equal(t, parse(t, `
spec:
  versions:
  - schema:
      openAPIV3Schema:
        properties:
          description: {type: string, enum: [description]}
          list: {items: {}, default: [{description: kept}]}
          map: {additionalProperties: {}}
          any: {anyOf: [{}, {not: {}}], additionalProperties: true}
        required: [description]
`), crd)
	require.ErrorContains(t, dropDescriptions(parse(t, `{spec: {versions: [{name: v1}]}}`)), "a version has no schema")
}

func TestEdit(t *testing.T) {
	p := provider{image: "registry.k8s.io/manager"}
	webhook := parse(t, `{kind: MutatingWebhookConfiguration, metadata: {name: m, annotations: {cert-manager.io/inject-ca-from: a/b}}}`)
	require.NoError(t, p.edit(webhook, "v1"))
	require.Equal(t, object{"name": "m", "labels": object{"clusterctl.cluster.x-k8s.io": ""}}, webhook["metadata"])

	deployment := parse(t, `{kind: Deployment, metadata: {labels: {a: b}}, spec: {template: {spec: {containers: [{image: x}]}}}}`)
	require.NoError(t, p.edit(deployment, "v1.2.3"))
	spec := dig(deployment, "spec", "template", "spec").(object)
	require.Equal(t, []any{object{"image": "registry.k8s.io/manager:v1.2.3", "imagePullPolicy": "IfNotPresent", "env": []any{
		object{"name": "HTTP2_READ_IDLE_TIMEOUT_SECONDS", "value": "5"}, object{"name": "HTTP2_PING_TIMEOUT_SECONDS", "value": "5"}}}}, spec["containers"])
	tolerations, _ := spec["tolerations"].([]any)
	require.Len(t, tolerations, 2, "it leaves a node that is not ready, or says nothing")
	for _, one := range tolerations {
		require.Equal(t, unreachableSeconds, one.(object)["tolerationSeconds"])
	}
	require.ErrorContains(t, p.edit(parse(t, `{kind: Deployment, metadata: {}, spec: {}}`), "v1"), "one container was expected, and there are 0")
}
