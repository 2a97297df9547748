package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealift/sealift/systemconsole/store"
)

// pattern is that of the names of backups in a folder; the time in the name
// makes their order by name that by age.
const (
	pattern   = "console-*.backup"
	timestamp = "20060102T150405.000Z"
)

// File is one backup in a folder.
type File struct {
	Name string
	When time.Time
	Size int64
}

// ToFolder writes a backup into a folder under a new name, checks it by reading
// it again, and removes the oldest but keep.
func ToFolder(ctx context.Context, s store.Reader, kinds []store.Kind, dir string, keep int) (File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return File{}, fmt.Errorf("making the folder of backups: %w", err)
	}
	part, err := os.CreateTemp(dir, ".console-*")
	if err != nil {
		return File{}, fmt.Errorf("writing a backup: %w", err)
	}
	defer os.Remove(part.Name()) //nolint:errcheck // it is there only when something failed
	_, err = Write(ctx, s, kinds, part)
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return File{}, fmt.Errorf("writing a backup into %s: %w", dir, err)
	}
	if err := checkFile(part.Name()); err != nil {
		return File{}, err
	}
	name := "console-" + time.Now().UTC().Format(timestamp) + ".backup"
	if err := os.Rename(part.Name(), filepath.Join(dir, name)); err != nil {
		return File{}, fmt.Errorf("naming the backup: %w", err)
	}
	files, err := Files(dir)
	if err != nil {
		return File{}, err
	}
	for _, old := range files[min(keep, len(files)):] {
		if err := os.Remove(filepath.Join(dir, old.Name)); err != nil {
			return File{}, fmt.Errorf("removing an old backup: %w", err)
		}
	}
	return files[0], nil
}

func checkFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading the backup again: %w", err)
	}
	_, err = Check(f)
	return errors.Join(err, f.Close())
}

// Files returns the backups of a folder, the newest first.
func Files(dir string) ([]File, error) {
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		return nil, fmt.Errorf("listing backups: %w", err)
	}
	var out []File
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("looking at a backup: %w", err)
		}
		out = append(out, File{Name: filepath.Base(name), When: info.ModTime(), Size: info.Size()})
	}
	slices.Reverse(out)
	return out, nil
}
