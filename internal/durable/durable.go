// Package durable writes files that survive a crash: what a returned nil says
// is written is on the disk under its name, and a reader sees the old content
// or the new, never a part.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrExists is returned by WriteNew when the name is taken.
var ErrExists = fs.ErrExist

// Replaceable fails when there is something of the name path that is no file: a
// folder, a device, a pipe.
func Replaceable(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().IsRegular() {
		return nil //nolint:nilerr // who writes it says what is wrong with the name
	}
	if info.IsDir() {
		return fmt.Errorf("%s is a folder", path)
	}
	return fmt.Errorf("%s is no file but a device, a pipe or a socket", path)
}

// WriteFile replaces the content of path: a temporary file beside it is
// written, synced and renamed, and the folder is synced. A link is replaced, not
// followed.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	if err := Replaceable(path); err != nil {
		return err
	}
	tmp, err := writeTemp(path, data, perm)
	if err != nil {
		return err
	}
	if err := Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// Rewrite is WriteFile for a file that another program may read: one that is
// there keeps its permissions and its owner, and only a new one gets perm.
func Rewrite(path string, data []byte, perm fs.FileMode) error {
	before, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return WriteFile(path, data, perm)
	}
	if err == nil {
		err = Replaceable(path)
	}
	if err != nil {
		return err
	}
	tmp, err := writeTemp(path, data, before.Mode().Perm())
	if err != nil {
		return err
	}
	if owner, ok := before.Sys().(*syscall.Stat_t); ok {
		err = os.Chown(tmp, int(owner.Uid), int(owner.Gid))
	}
	if err == nil {
		err = Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// WriteNew writes path as WriteFile does but fails with ErrExists when there
// is a file of that name already, even one made at the same moment.
func WriteNew(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(path, data, perm)
	if err != nil {
		return err
	}
	err = os.Link(tmp, path)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) { // sticks (FAT, exFAT) know no links
		return renameNew(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := errors.Join(os.Remove(tmp), SyncDir(filepath.Dir(path))); err != nil {
		return errors.Join(err, os.Remove(path)) // a failed write leaves nothing
	}
	return nil
}

// renameNew gives a temporary file a name that nobody has. The name is taken
// first: a machine that stops in between leaves an empty file there.
func renameNew(tmp, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	if err := errors.Join(f.Close(), Rename(tmp, path)); err != nil {
		return errors.Join(err, os.Remove(path), os.Remove(tmp))
	}
	return nil
}

// Rename renames a synced file and syncs the folder of its new name.
func Rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}

// Temporary tells whether name is what a write of the file base, in the same
// folder, leaves when its process is killed.
func Temporary(name, base string) bool {
	number, ok := strings.CutPrefix(name, "."+base+".")
	return ok && number != "" && strings.Trim(number, "0123456789") == ""
}

func writeTemp(path string, data []byte, perm fs.FileMode) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		var named *fs.PathError
		if errors.As(err, &named) {
			named.Path = path // nobody knows the temporary one
		}
		return "", err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(perm), f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(fmt.Errorf("writing %s: %w", path, err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}
