package cli

import (
	"bytes"
	"encoding/json"
	"io"
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

// watched is a backup that tells what is there while it is read.
type watched struct {
	io.ReadSeeker
	look func()
}

func (w *watched) Read(p []byte) (int, error) {
	w.look()
	return w.ReadSeeker.Read(p)
}

// A restore that is killed leaves no database that a console would start with,
// and nothing that the next restore would stumble over.
func TestARestoreThatIsKilled(t *testing.T) {
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	data := backupOf(t, keeper)
	db := filepath.Join(t.TempDir(), databaseFile)
	half, err := bolt.Open(db + partialSuffix)
	require.NoError(t, err)
	_, err = half.Create(t.Context(), store.Object{Kind: "Tenant", Name: "acme", Data: json.RawMessage(`{}`)})
	require.NoError(t, err)
	require.NoError(t, half.Close())
	require.ErrorContains(t, unlessRestoring(db), "was not finished")
	a := &app{Streams: Streams{Out: io.Discard, Err: io.Discard}}
	f := &consoleFlags{data: filepath.Dir(db)}
	f.Addr = "127.0.0.1:0"
	require.ErrorContains(t, a.runConsole(t.Context(), f), "was not finished")
	require.NoFileExists(t, db)

	n, err := restoreInto(t.Context(), db, keeper, &watched{bytes.NewReader(data), func() { require.NoFileExists(t, db) }})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoFileExists(t, db+partialSuffix)
	require.NoError(t, unlessRestoring(db))
	after, err := bolt.Open(db)
	require.NoError(t, err)
	_, err = after.Get(t.Context(), "Tenant", "acme")
	require.NoError(t, err)
	require.NoError(t, after.Close())
}

// backupOf is the backup of a console that has one tenant.
func backupOf(t *testing.T, keeper seal.Keeper) []byte {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), databaseFile))
	require.NoError(t, err)
	_, err = s.Create(t.Context(), store.Object{Kind: "Tenant", Name: "acme", Data: json.RawMessage(`{}`)})
	require.NoError(t, err)
	var b bytes.Buffer
	_, err = backup.Write(t.Context(), s, systemconsole.Kinds(), keeper, &b)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	return b.Bytes()
}

// writeBackup writes the backup of a console to a place.
func writeBackup(t *testing.T, keeper seal.Keeper, to string, opts location.Options) {
	t.Helper()
	data := backupOf(t, keeper)
	w, err := location.Create(t.Context(), to, int64(len(data)), location.CreateOptions{Options: opts})
	require.NoError(t, err)
	_, err = w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Commit())
}
