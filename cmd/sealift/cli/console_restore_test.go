package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/test/stores"
)

// A console that is gone comes back from S3.
func TestRestoreConsoleFromS3(t *testing.T) {
	stores.S3(t, []string{"backups"})
	data := t.TempDir()
	keeper, err := seal.File(filepath.Join(data, "master.key"))
	require.NoError(t, err)
	before, err := bolt.Open(filepath.Join(t.TempDir(), "console.db"))
	require.NoError(t, err)
	_, err = before.Create(t.Context(), store.Object{Kind: "Tenant", Name: "acme", Data: json.RawMessage(`{}`)})
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = backup.Write(t.Context(), before, systemconsole.Kinds(), keeper, &b)
	require.NoError(t, err)
	require.NoError(t, before.Close())
	opts := location.Options{PlainHTTP: []string{os.Getenv("AWS_ENDPOINT_URL")}}
	w, err := location.Create(t.Context(), "s3://backups/console/one.backup", int64(b.Len()), location.CreateOptions{Options: opts})
	require.NoError(t, err)
	_, err = w.Write(b.Bytes())
	require.NoError(t, err)
	require.NoError(t, w.Commit())

	n, err := restoreConsole(t.Context(), "s3://backups/console/one.backup", data, opts)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	after, err := bolt.Open(filepath.Join(data, "console.db"))
	require.NoError(t, err)
	_, err = after.Get(t.Context(), "Tenant", "acme")
	require.NoError(t, err)
	require.NoError(t, after.Close())
	_, err = restoreConsole(t.Context(), "s3://backups/console/one.backup", data, opts)
	require.ErrorContains(t, err, "is there already")
}
