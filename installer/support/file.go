package support

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// file is the archive while it is written: a temporary one beside its name.
type file struct {
	path   string
	temp   *os.File
	gz     *gzip.Writer
	tw     *tar.Writer
	count  *counter
	max    int64
	left   []string // entries for which there was no room
	redact *Redactor
}

// counter counts what reaches the disk.
type counter struct {
	w io.Writer
	n int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func create(path string, maxSize int64, redact *Redactor) (*file, error) {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, problem.WithRemedy(fmt.Errorf("writing %s: %w", path, err), "name a file in a folder that is there and that this user may write to")
	}
	f := &file{path: path, temp: temp, max: maxSize, redact: redact, count: &counter{w: temp}}
	f.gz = gzip.NewWriter(f.count)
	f.tw = tar.NewWriter(f.gz)
	return f, nil
}

// maxEntry is the most, in bytes, of one entry.
const maxEntry = 4 << 20

// add writes one entry, redacted. Beyond the limit of the file it is left out,
// unless it has to be there.
func (f *file) add(name string, data []byte, always bool) error {
	data = f.redact.Bytes(data)
	if len(data) > maxEntry {
		data = append([]byte("[the beginning is left out]\n"), data[len(data)-maxEntry:]...)
	}
	// What waits in the compressor is less than an entry.
	if !always && f.count.n+int64(len(data)) > f.max {
		f.left = append(f.left, name)
		return nil
	}
	err := f.tw.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(data)), ModTime: time.Now(), Format: tar.FormatPAX})
	if err == nil {
		_, err = f.tw.Write(data)
	}
	if err == nil {
		err = errors.Join(f.tw.Flush(), f.gz.Flush())
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	return nil
}

// close gives the archive its name.
func (f *file) close() error {
	err := errors.Join(f.tw.Close(), f.gz.Close(), f.temp.Chmod(0o600), f.temp.Sync(), f.temp.Close())
	if err == nil {
		err = durable.Rename(f.temp.Name(), f.path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", f.path, errors.Join(err, os.Remove(f.temp.Name())))
	}
	return nil
}

// abandon removes what was written.
func (f *file) abandon() {
	_ = f.temp.Close() // it is removed
	_ = os.Remove(f.temp.Name())
}
