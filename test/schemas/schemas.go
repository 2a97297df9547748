// Package schemas checks documents against the JSON schemas that sealift prints.
package schemas

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// Validator returns what checks a YAML text against a JSON schema.
func Validator(t *testing.T, id string, schema []byte) func(text string) error {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource(id, document))
	compiled, err := compiler.Compile(id)
	require.NoError(t, err)
	return func(text string) error {
		converted, err := yaml.YAMLToJSON([]byte(text))
		require.NoError(t, err)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(converted))
		require.NoError(t, err)
		return compiled.Validate(value)
	}
}
