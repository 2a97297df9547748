package bootstrap

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/sealift/sealift/internal/durable"
)

// Left tells whether a folder has anything of a bootstrap control plane, of
// whichever there is.
func Left(dir string) (bool, error) {
	return left(dir, slices.Concat(localNames(), kindNames()))
}

// left tells whether there is something to remove in a folder: what has one of
// the names, or the folder alone, which was made and not used. What somebody
// else put there is never removed, and so is nothing that is left.
func left(dir string, names []string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return len(entries) == 0 || slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return owned(e.Name(), names) }), nil
}

// owned tells whether something in the folder is one of the names, or what a
// write of it left when the process was killed.
func owned(entry string, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return entry == name || durable.Temporary(entry, name) })
}

// empty removes what has one of the names, and the folder if that was all.
func empty(dir string, names []string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if owned(e.Name(), names) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	if err == nil {
		_ = os.Remove(dir) // what somebody else put there stays, and the folder with it
	}
	return err
}
