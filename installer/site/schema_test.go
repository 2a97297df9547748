package site_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/test/golden"
	"github.com/sealift/sealift/test/schemas"
)

func TestSchemaGolden(t *testing.T) {
	got, err := site.Schema()
	require.NoError(t, err)
	golden.Equal(t, filepath.Join("testdata", "site.schema.json"), got)
}

func TestSchemaAcceptsWhatParseDoes(t *testing.T) {
	text, err := site.Schema()
	require.NoError(t, err)
	validate := schemas.Validator(t, site.SchemaID, text)
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
