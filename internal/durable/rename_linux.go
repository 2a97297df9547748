package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// rename gives a file a name that nothing has. Sticks (FAT, exFAT) have no
// links, and NFS cannot rename so.
func rename(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return link(from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}
