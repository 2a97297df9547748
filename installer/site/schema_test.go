package site_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/installer/site"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestSchemaGolden(t *testing.T) {
	golden := filepath.Join("testdata", "site.schema.json")
	got, err := site.Schema()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(golden, got, 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestSchemaAcceptsWhatParseDoes(t *testing.T) {
	text, err := site.Schema()
	require.NoError(t, err)
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource(site.SchemaID, document))
	schema, err := compiler.Compile(site.SchemaID)
	require.NoError(t, err)
	validate := func(data string) error {
		converted, err := yaml.YAMLToJSON([]byte(data))
		require.NoError(t, err)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(converted))
		require.NoError(t, err)
		return schema.Validate(value)
	}
	for _, good := range append(withoutWorkers(t), edit(t), edit(t, "{fromEnv: SEALIFT_VCENTER}", "prompt", "# bootstrap: local", "bootstrap: kind"), edit(t, "# bootstrap: local", "bootstrap: ")) {
		require.NoError(t, validate(good))
		_, err := site.Parse([]byte(good), ".")
		require.NoError(t, err)
	}
	for _, bad := range []string{"{}", edit(t, "# bootstrap: local", "bootstrap: docker"), edit(t, "prefix: 24", "prefix: '24'"), edit(t, "range:", "rang:")} {
		require.Error(t, validate(bad), bad)
		_, err := site.Parse([]byte(bad), ".")
		require.Error(t, err)
	}
}
