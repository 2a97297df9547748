package cli

import (
	"fmt"
	"io"
	"net/url"
	"os"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/backup"
)

func (a *app) backupList(c *consoleClient) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: "List the backups of a console, and how the last one went",
		Example: `  sealift admin backup list`,
		Args:    cobra.NoArgs,
	}
	return show(a, cmd, func(cmd *cobra.Command, _ []string) (systemconsole.BackupList, error) {
		list, err := get[systemconsole.BackupList](cmd, c, "backups")
		if list.Last.Failure != "" {
			a.note("the last backup failed: %s", list.Last.Failure)
		}
		for _, f := range list.Failures {
			a.note("%s", f)
		}
		return list, err
	}, func(w io.Writer, list systemconsole.BackupList) { backupTable(w, list.Backups) })
}

func backupTable(w io.Writer, all []systemconsole.BackupFile) {
	rows := [][]string{{"NAME", "PLACE", "WHERE", "WRITTEN", "SIZE"}}
	for _, f := range all {
		rows = append(rows, []string{f.Name, f.Place, f.Where, f.When.Format("2006-01-02 15:04:05"), humanize.IBytes(uint64(max(f.Size, 0)))})
	}
	table(w, rows)
}

func (a *app) backupCreate(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "create", Short: "Write a backup to where the settings say, and print its name",
		Example: `  sealift admin backup create`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var f backup.File
			if err := call(cmd, c, "POST", "backups", nil, &f); err != nil {
				return err
			}
			_, err := fmt.Fprintln(a.Out, f.Name)
			return err
		},
	}
}

// backupPath is where the API has a backup.
func backupPath(place, name string) string {
	return "backups/" + url.PathEscape(place) + "/" + url.PathEscape(name)
}

func (a *app) backupDownload(c *consoleClient) *cobra.Command {
	return &cobra.Command{
		Use: "download folder|s3 NAME FILE", Short: "Bring a backup here, encrypted as it is",
		Example: `  sealift admin backup download folder console-20260102T030405.000Z.backup console.backup`,
		Args:    cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			console, err := c.open()
			if err != nil {
				return err
			}
			f, err := os.OpenFile(args[2], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return fmt.Errorf("writing the backup: %w", err)
			}
			if err := console.Copy(cmd.Context(), backupPath(args[0], args[1]), f); err != nil {
				_ = f.Close()
				_ = os.Remove(args[2]) // half of a backup is none
				return err
			}
			return f.Close()
		},
	}
}

func (a *app) backupRestore(c *consoleClient) *cobra.Command {
	var confirm string
	cmd := &cobra.Command{
		Use: "restore folder|s3 NAME --confirm NAME", Short: "Make everything what it was when a backup was written",
		Long: `Tenants, accounts, registries and settings become what they were. All sessions and unused links end; the audit record stays and
tells of it. Before that, one more backup is written in the same place.

A console that is gone is restored with sealift console restore.`,
		Example: `  sealift admin backup restore folder console-20260102T030405.000Z.backup --confirm console-20260102T030405.000Z.backup`,
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			var done systemconsole.Restored
			err := call(cmd, c, "POST", backupPath(args[0], args[1])+"/restore", systemconsole.Restore{Confirm: confirm}, &done)
			if err == nil {
				a.note("%d objects were restored", done.Objects)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&confirm, "confirm", "", "`NAME` once more: what came after the backup is lost")
	return cmd
}
