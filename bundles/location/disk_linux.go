package location

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocate gives f its full size and, where the file system can, all of its
// space, without writing zeros.
func allocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return f.Truncate(size)
	}
	return err
}

// allocated returns how many bytes of the disk f occupies.
func allocated(f *os.File) (int64, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	return st.Blocks * 512, nil
}

// freeSpace returns how many bytes can still be written to the file system
// that holds dir.
func freeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil //nolint:gosec // counts of blocks are far below 2^63
}

// syncData makes the bytes of f durable, without its times.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// startWriteback asks the disk to begin with length bytes from offset, and
// does not wait. It is advice: what fails here shows when the file is synced.
func startWriteback(f *os.File, offset, length int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, length, unix.SYNC_FILE_RANGE_WRITE)
}

// tryLock takes the lock of f, which ends with the process. It returns false
// when another process has it.
func tryLock(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}
