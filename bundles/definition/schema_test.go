package definition_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/definition"
)

func TestSchemaGolden(t *testing.T) {
	golden := filepath.Join("testdata", "bundle.schema.json")
	got, err := definition.Schema()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(golden, got, 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestSchemaAcceptsWhatParseDoes(t *testing.T) {
	text, err := definition.Schema()
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource(definition.SchemaID, document))
	schema, err := compiler.Compile(definition.SchemaID)
	require.NoError(t, err)
	validate := func(data string) error {
		converted, err := yaml.YAMLToJSON([]byte(data))
		require.NoError(t, err)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(converted))
		require.NoError(t, err)
		return schema.Validate(value)
	}
	for _, good := range []string{example, head + "spec: {images: [nginx], charts: null, packs: [a, {path: b, presets: [x]}]}\n"} {
		require.NoError(t, validate(good))
	}
	for _, bad := range []string{head, head + "spec: {image: [nginx]}\n", head + "spec: {images: [{reference: nginx}]}\n", head + "spec: {images: [5]}\n"} {
		require.Error(t, validate(bad), bad)
		_, err := definition.Parse([]byte(bad))
		require.Error(t, err)
	}
}
