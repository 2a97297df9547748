package definition_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/test/golden"
	"github.com/sealift/sealift/test/schemas"
)

func TestSchemaGolden(t *testing.T) {
	got, err := definition.Schema()
	require.NoError(t, err)
	golden.Equal(t, filepath.Join("testdata", "bundle.schema.json"), got)
}

func TestSchemaAcceptsWhatParseDoes(t *testing.T) {
	text, err := definition.Schema()
	require.NoError(t, err)
	validate := schemas.Validator(t, definition.SchemaID, text)
	for _, good := range []string{example, head + "spec: {images: [nginx], charts: null, packs: [a, {path: b, presets: [x]}]}\n"} {
		require.NoError(t, validate(good))
	}
	for _, bad := range []string{head, head + "spec: {image: [nginx]}\n", head + "spec: {images: [{reference: nginx}]}\n", head + "spec: {images: [5]}\n"} {
		require.Error(t, validate(bad), bad)
		_, err := definition.Parse([]byte(bad))
		require.Error(t, err)
	}
}
