package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/bolt"
)

func (a *app) consoleRestore() *cobra.Command {
	var data, ca string
	cmd := &cobra.Command{
		Use: "restore FILE|s3://BUCKET/KEY --data DIR", Short: "Bring a backup into the empty folder of a console that is gone",
		Long: `Reads a backup whole, checks it, and brings everything of it, also the audit record, into a folder that has no console yet but
for the file master.key: the one of the console that wrote the backup. Then start the console on that folder.

S3 is reached as the tools of AWS are: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY.`,
		Example: `  install -m 600 /media/key/master.key /var/lib/sealift-console/master.key
  sealift console restore s3://backups/console/console-20260102T030405.000Z.backup --data /var/lib/sealift-console`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := restoreConsole(cmd.Context(), args[0], data, location.Options{CAFile: ca})
			if err == nil {
				a.note("%d objects were restored; start the console with --data %s", n, data)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", "console", "`folder` for the data, with its master.key")
	cmd.Flags().StringVar(&ca, "store-ca", "", "PEM `file` of the authority of the S3 store")
	return cmd
}

// restoreConsole brings a backup into a folder and returns the number of its
// objects. When it fails the folder is as it was.
func restoreConsole(ctx context.Context, from, data string, opts location.Options) (objects int, err error) {
	key, db := filepath.Join(data, "master.key"), filepath.Join(data, "console.db")
	if _, err := os.Stat(key); err != nil {
		return 0, problem.New(problem.Usage, "put the master.key of the console that wrote the backup there", "opening a backup: %w", err)
	}
	if _, err := os.Stat(db); !errors.Is(err, fs.ErrNotExist) {
		return 0, problem.New(problem.Usage, "choose an empty folder, or restore on the page Administration, Backup of the console that runs", "%s is there already", db)
	}
	keeper, err := seal.File(key)
	if err != nil {
		return 0, err
	}
	source, err := location.OpenRaw(ctx, from, opts) // the age in it is for the master key alone
	if err != nil {
		return 0, err
	}
	defer source.Close() //nolint:errcheck // it was only read
	s, err := bolt.Open(db)
	if err != nil {
		return 0, err
	}
	objects, err = backup.Restore(ctx, io.NewSectionReader(source, 0, source.Size()), keeper, s)
	if err = errors.Join(err, s.Close()); err != nil {
		return 0, errors.Join(fmt.Errorf("restoring %s: %w", location.Redact(from), err), os.Remove(db))
	}
	return objects, nil
}
