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
	"github.com/sealift/sealift/test/transit"
)

// A console that is gone comes back from S3, with its master key in a file or in
// a key management service.
func TestRestoreConsoleFromS3(t *testing.T) {
	stores.S3(t, []string{"backups"})
	opts := location.Options{PlainHTTP: []string{os.Getenv("AWS_ENDPOINT_URL")}}
	dir := t.TempDir()
	for _, f := range []restoreFlags{{data: filepath.Join(dir, "file")}, {data: filepath.Join(dir, "service"), kms: transit.Start(t)}} {
		require.NoError(t, os.MkdirAll(f.data, 0o700))
		keeper, err := masterKey(t.Context(), f.data, f.kms)
		require.NoError(t, err)
		from := "s3://backups/console/" + filepath.Base(f.data) + ".backup"
		writeBackup(t, keeper, from, opts)

		n, err := f.restore(t.Context(), from, opts)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		after, err := bolt.Open(filepath.Join(f.data, databaseFile))
		require.NoError(t, err)
		_, err = after.Get(t.Context(), "Tenant", "acme")
		require.NoError(t, err)
		require.NoError(t, after.Close())
		_, err = f.restore(t.Context(), from, opts)
		require.ErrorContains(t, err, "is there already")
	}
	other := restoreFlags{data: filepath.Join(dir, "other"), kms: transit.Start(t)}
	_, err := other.restore(t.Context(), "s3://backups/console/service.backup", opts)
	require.ErrorContains(t, err, "restoring s3://backups/console/service.backup")
	require.NoDirExists(t, other.data)
	none := restoreFlags{data: filepath.Join(dir, "none")}
	_, err = none.restore(t.Context(), "s3://backups/console/file.backup", opts)
	require.ErrorContains(t, err, masterKeyFile)
	require.NoDirExists(t, none.data)
}

// writeBackup writes the backup of a console that has one tenant.
func writeBackup(t *testing.T, keeper seal.Keeper, to string, opts location.Options) {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), databaseFile))
	require.NoError(t, err)
	_, err = s.Create(t.Context(), store.Object{Kind: "Tenant", Name: "acme", Data: json.RawMessage(`{}`)})
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = backup.Write(t.Context(), s, systemconsole.Kinds(), keeper, &b)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	w, err := location.Create(t.Context(), to, int64(b.Len()), location.CreateOptions{Options: opts})
	require.NoError(t, err)
	_, err = w.Write(b.Bytes())
	require.NoError(t, err)
	require.NoError(t, w.Commit())
}
