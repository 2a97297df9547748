package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sealift/sealift/internal/durable"
)

// Folder is the place of backups on the console's host. It is made when the
// first one is written.
type Folder string

var _ Place = Folder("")

// Put implements Place.
func (d Folder) Put(_ context.Context, name string, r io.Reader, size int64) error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("making the folder of backups: %w", err)
	}
	part, err := os.CreateTemp(string(d), ".console-*")
	if err != nil {
		return fmt.Errorf("writing a backup: %w", err)
	}
	defer os.Remove(part.Name()) //nolint:errcheck // it is there only when something failed
	n, err := io.Copy(part, r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, part.Sync(), part.Close()); err != nil {
		return fmt.Errorf("writing a backup into %s: %w", string(d), err)
	}
	if err := durable.Rename(part.Name(), filepath.Join(string(d), name)); err != nil {
		return fmt.Errorf("naming the backup: %w", err)
	}
	return nil
}

// Open implements Place.
func (d Folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(string(d), name))
	if err != nil {
		return nil, fmt.Errorf("opening a backup: %w", err)
	}
	return f, nil
}

// Remove implements Place.
func (d Folder) Remove(_ context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	return os.Remove(filepath.Join(string(d), name))
}

// Files implements Place.
func (d Folder) Files(context.Context) ([]File, error) {
	entries, err := os.ReadDir(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing backups: %w", err)
	}
	var out []File
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return nil, fmt.Errorf("looking at a backup: %w", err)
		}
		if f, ok := file(entry.Name(), info.Size()); ok && info.Mode().IsRegular() {
			out = append(out, f)
		}
	}
	return newestFirst(out), nil
}

// String implements Place.
func (d Folder) String() string { return string(d) }
