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
	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/backup"
	"github.com/sealift/sealift/systemconsole/flags"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/bolt"
)

// restoreFlags say where a console comes back.
type restoreFlags struct {
	data string              // folder of the console
	ca   string              // file
	kms  seal.TransitOptions // has the master key; without an address the folder does
}

func (a *app) consoleRestore() *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use: "restore FILE|s3://BUCKET/KEY --data DIR", Short: "Bring a backup into the empty folder of a console that is gone",
		Long: `Reads a backup whole, checks it, and brings everything of it, also the audit record, into a folder that has no console yet but
for the file master.key: the one of the console that wrote the backup. With --kms-address a service has the key, and the folder may
be empty. Then start the console on that folder.

S3 is reached as the tools of AWS are: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY.`,
		Example: `  install -m 600 /media/key/master.key /var/lib/sealift-console/master.key
  sealift console restore s3://backups/console/console-20260102T030405.000Z.backup --data /var/lib/sealift-console`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := f.restore(cmd.Context(), args[0], location.Options{CAFile: f.ca})
			if err == nil {
				a.note("%d objects were restored; start the console with --data %s", n, f.data)
			}
			return err
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.data, "data", "console", "`folder` for the data, with its master.key")
	fl.StringVar(&f.ca, "store-ca", "", "PEM `file` of the authority of the S3 store")
	flags.AddKMS(fl, &f.kms, "the file master.key in the folder")
	return cmd
}

// restore brings a backup into the folder and returns the number of its objects.
// When it fails the folder is as it was.
func (f *restoreFlags) restore(ctx context.Context, from string, opts location.Options) (objects int, err error) {
	if _, err := os.Stat(filepath.Join(f.data, masterKeyFile)); err != nil && f.kms.Address == "" {
		return 0, problem.New(problem.Usage, "put the master.key of the console that wrote the backup there, or name the service that has it with --kms-address", "opening a backup: %w", err)
	}
	db := filepath.Join(f.data, databaseFile)
	if _, err := os.Stat(db); !errors.Is(err, fs.ErrNotExist) {
		return 0, problem.New(problem.Usage, "choose an empty folder, or restore on the page Administration, Backup of the console that runs", "%s is there already", db)
	}
	keeper, err := masterKey(ctx, f.data, f.kms)
	if err != nil {
		return 0, err
	}
	source, err := location.OpenRaw(ctx, from, opts) // the age in it is for the master key alone
	if err != nil {
		return 0, err
	}
	defer source.Close() //nolint:errcheck // it was only read
	err = os.Mkdir(f.data, 0o700)
	made := err == nil
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return 0, problem.WithRemedy(fmt.Errorf("making the console's folder: %w", err), "--data names a folder in one that is there and may be written")
	}
	objects, err = restoreInto(ctx, db, keeper, io.NewSectionReader(source, 0, source.Size()))
	if err != nil {
		err = fmt.Errorf("restoring %s: %w", location.Redact(from), err)
		if made {
			err = errors.Join(err, os.Remove(f.data))
		}
		return 0, err
	}
	return objects, nil
}

// partialSuffix is what the name of a database has while it is restored.
const partialSuffix = ".partial"

// unlessRestoring fails when a restore was cut off and not done again.
func unlessRestoring(db string) error {
	partial := db + partialSuffix
	if _, err := os.Stat(partial); err != nil {
		return nil //nolint:nilerr // there is none, or opening the database says what is wrong with the folder
	}
	if _, err := os.Stat(db); err == nil {
		return nil // it was brought back since, or is older
	}
	return problem.New(problem.Failed, "repeat sealift console restore; to begin with an empty console instead, remove "+partial, "a restore of this console was not finished")
}

// restoreInto makes a database of a backup. It has its name once all of the
// backup is in it: of half of one a console would make itself a first account
// with the password that everybody knows.
func restoreInto(ctx context.Context, db string, keeper seal.Keeper, from io.ReadSeeker) (objects int, err error) {
	partial := db + partialSuffix
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a restore that was killed
		return 0, err
	}
	s, err := bolt.Open(partial)
	if err != nil {
		return 0, err
	}
	objects, err = backup.Restore(ctx, from, keeper, s)
	if err = errors.Join(err, s.Close()); err == nil {
		err = durable.Rename(partial, db)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(partial))
	}
	return objects, nil
}
