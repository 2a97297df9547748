package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/sealift/sealift/internal/problem"
)

// ErrBusy means: another run has the cache.
var ErrBusy = errors.New("another run is at work on the lab")

// Lock keeps other runs out until release is called or the process ends, even
// by a kill. It fails with ErrBusy when another run is at work.
func (c *Cache) Lock() (release func() error, err error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(c.dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = problem.New(problem.Preflight, "wait until it has ended", "%w: %s", ErrBusy, c.dir)
		}
		return nil, errors.Join(err, f.Close())
	}
	return f.Close, nil
}

// syncAll makes what is written on the file system of a folder durable: a
// result is many files, and its name must not outlive a part of them.
func syncAll(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}
