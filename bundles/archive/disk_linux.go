package archive

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock takes the lock of f, which ends with the process. It returns false when
// another process has it.
func lock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
