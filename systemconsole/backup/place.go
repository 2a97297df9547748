package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// The name of a backup has the time in it, so that their order by name is that
// by age.
const (
	namePrefix = "console-"
	nameSuffix = ".backup"
	timestamp  = "20060102T150405.000Z"
)

// ErrName means: it is no name of a backup.
var ErrName = errors.New("it is no name of a backup")

// CheckName fails for what is no name of a backup, such as a path.
func CheckName(name string) error {
	if !regexp.MustCompile(`^console-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z\.backup$`).MatchString(name) {
		return fmt.Errorf("%.60q: %w", name, ErrName)
	}
	return nil
}

// File is one backup in a place.
type File struct {
	Name string    `json:"name"`
	When time.Time `json:"when"`
	Size int64     `json:"size"` // bytes
}

// Place is where backups are kept. When Put returns nil the backup is durable
// there, whole, under its name.
type Place interface {
	Put(ctx context.Context, name string, r io.Reader, size int64) error
	// Open returns a backup, or an error that is fs.ErrNotExist.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
	Remove(ctx context.Context, name string) error
	// Files returns the backups, the newest first.
	Files(ctx context.Context) ([]File, error)
	// String names the place for people.
	String() string
}

// Source is what a backup is made of.
type Source struct {
	Store  store.Reader
	Kinds  []store.Kind
	Keeper seal.Keeper
}

// To writes a backup under a new name to each place, checks it by reading it
// there again, and removes the oldest but keep. A place that fails does not
// keep the others from theirs.
func To(ctx context.Context, from Source, places []Place, keep int) (File, error) {
	spool, err := os.CreateTemp("", "sealift-backup-*")
	if err != nil {
		return File{}, fmt.Errorf("writing a backup: %w", err)
	}
	defer func() { _ = errors.Join(spool.Close(), os.Remove(spool.Name())) }() // what is left is encrypted
	if _, err := Write(ctx, from.Store, from.Kinds, from.Keeper, spool); err != nil {
		return File{}, err
	}
	info, err := spool.Stat()
	if err != nil {
		return File{}, fmt.Errorf("writing a backup: %w", err)
	}
	now := time.Now().UTC()
	file := File{Name: namePrefix + now.Format(timestamp) + nameSuffix, When: now, Size: info.Size()}
	var failures []error
	for _, place := range places {
		in := io.NewSectionReader(spool, 0, file.Size)
		if err := put(ctx, from.Keeper, place, file, in, keep); err != nil {
			failures = append(failures, fmt.Errorf("backup to %s: %w", place, err))
		}
	}
	return file, errors.Join(failures...)
}

func put(ctx context.Context, keeper seal.Keeper, place Place, file File, in io.Reader, keep int) error {
	if err := place.Put(ctx, file.Name, in, file.Size); err != nil {
		return err
	}
	if err := check(ctx, keeper, place, file.Name); err != nil {
		return errors.Join(err, place.Remove(ctx, file.Name))
	}
	files, err := place.Files(ctx)
	if err != nil {
		return err
	}
	for _, old := range files[min(keep, len(files)):] {
		if err := place.Remove(ctx, old.Name); err != nil {
			return fmt.Errorf("removing an old backup: %w", err)
		}
	}
	return nil
}

// check reads a backup again from where it is kept.
func check(ctx context.Context, keeper seal.Keeper, place Place, name string) error {
	f, err := place.Open(ctx, name)
	if err != nil {
		return fmt.Errorf("reading the backup again: %w", err)
	}
	_, err = Check(ctx, keeper, f)
	return errors.Join(err, f.Close())
}

// file is the backup of a name, or nothing for another name.
func file(name string, size int64) (File, bool) {
	if CheckName(name) != nil {
		return File{}, false
	}
	when, err := time.Parse(timestamp, strings.TrimSuffix(strings.TrimPrefix(name, namePrefix), nameSuffix))
	return File{Name: name, When: when, Size: size}, err == nil
}

// newestFirst orders backups.
func newestFirst(files []File) []File {
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(b.Name, a.Name) })
	return files
}
