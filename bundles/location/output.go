package location

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// Errors of outputs, to be matched with errors.Is.
var (
	// ErrNoSpace: the disk is too small.
	ErrNoSpace = errors.New("not enough space on the disk")
	// ErrExists: the name is taken.
	ErrExists = errors.New("the file exists")
	// ErrBusy: another process writes it.
	ErrBusy = errors.New("another process is making this file")
)

const partialSuffix = ".partial"

// JournalName returns the name of the file that says what the partial files of
// a name hold, for those who write at any place and can go on after a break.
func JournalName(name string) string { return name + ".journal" }

// Output is a local file of a known size under way, or the volumes of one.
// Each volume is NAME.partial until Commit. Bytes are written to any place, by
// many goroutines at once.
type Output struct {
	name   string
	size   int64
	volume int64 // size of each file but the last
	files  []*os.File
	sinks  []sink   // where the bytes of files go
	names  []string // that they get, in order
	*buffers
}

// NewOutput opens the partial files of name, without changing what is in
// them. volume is the size of a volume in bytes; 0 makes one file.
func NewOutput(name string, size, volume int64) (*Output, error) {
	if size <= 0 || volume < 0 {
		return nil, fmt.Errorf("writing %s: %d bytes in volumes of %d", name, size, volume)
	}
	o := &Output{name: name, size: size, volume: volume, buffers: newBuffers()}
	if volume == 0 {
		o.volume, o.names = size, []string{name}
	} else {
		count := (size-1)/volume + 1
		if count > MaxVolumes {
			return nil, problem.New(problem.Usage, fmt.Sprintf("choose volumes of %s or more", humanize.IBytes(uint64((size+MaxVolumes-1)/MaxVolumes))),
				"writing %s: it would have %d volumes, the limit is %d", name, count, MaxVolumes)
		}
		for i := range count {
			o.names = append(o.names, VolumeName(name, int(i)+1))
		}
	}
	if err := o.open(); err != nil {
		return nil, err
	}
	return o, nil
}

// open opens the files, the last one first. Commit renames in the same order,
// so that what a killed run has left tells which of the two it was at: as long
// as the first partial file is there and a later one is not, the later one has
// its name already.
func (o *Output) open() error {
	_, err := os.Stat(o.names[0] + partialSuffix)
	committing := err == nil
	o.files, o.sinks = make([]*os.File, len(o.names)), make([]sink, len(o.names))
	for i := len(o.names) - 1; i >= 0; i-- {
		name := o.names[i]
		if _, err := os.Stat(name + partialSuffix); err == nil || !committing {
			name += partialSuffix
		} else if info, err := os.Stat(name); err != nil || info.Size() != o.length(i) {
			name += partialSuffix
		}
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return errors.Join(fmt.Errorf("writing %s: %w", name, err), o.Close())
		}
		o.files[i], o.sinks[i] = f, cachedFile{f}
	}
	return nil
}

// Direct makes the writes go past the system's cache, where the file system
// can: for the writing of much that is not read again soon. The files must
// have their full size.
func (o *Output) Direct() {
	for i, f := range o.files {
		if d := newDirectFile(f, o.length(i), o.buffers); d != nil {
			o.sinks[i] = d
		}
	}
}

// Buffer returns memory for Piece; Release takes it back.
func (o *Output) Buffer() []byte { return o.get() }

// Release takes back what Buffer gave.
func (o *Output) Release(buf []byte) { o.put(buf) }

// Piece returns the part of a Buffer that is written without a copy at off.
func (o *Output) Piece(buf []byte, off int64) []byte { return buf[off%o.volume%o.block:] }

// Lock keeps other processes from writing the same files, as long as they are
// open. It fails with ErrBusy.
func (o *Output) Lock() error {
	ok, err := tryLock(o.files[0])
	if err != nil {
		return err
	}
	// The process that had the lock may have given the file its name meanwhile.
	here, errHere := o.files[0].Stat()
	there, errThere := os.Stat(o.files[0].Name())
	if !ok || errHere != nil || errThere != nil || !os.SameFile(here, there) {
		return o.busy()
	}
	return nil
}

func (o *Output) busy() error {
	return problem.WithRemedy(fmt.Errorf("%s: %w", o.name, ErrBusy), "wait until it has ended, or choose another output")
}

// Finishing tells whether a run was ended while it gave the volumes of a name
// their names: it is not whole, and can be finished.
func Finishing(name string) bool {
	first := VolumeName(name, 1)
	_, err := os.Stat(first)
	_, partialErr := os.Stat(first + partialSuffix)
	return errors.Is(err, os.ErrNotExist) && partialErr == nil
}

// length returns the size of a file.
func (o *Output) length(i int) int64 { return min(o.volume, o.size-int64(i)*o.volume) }

// Complete tells whether all files have their full size, as an earlier run
// with the same layout has left them.
func (o *Output) Complete() (bool, error) {
	for i, f := range o.files {
		info, err := f.Stat()
		if err != nil || info.Size() != o.length(i) {
			return false, err
		}
	}
	return true, nil
}

// Reset empties the files, and removes those that a run of another cut has
// left. It fails with ErrBusy when that run is going on.
func (o *Output) Reset() error {
	left, err := partials(o.name)
	if err != nil {
		return err
	}
	left = slices.DeleteFunc(left, func(name string) bool {
		return slices.ContainsFunc(o.names, func(n string) bool { return n+partialSuffix == name })
	})
	if err := o.checkUnused(left); err != nil {
		return err
	}
	for _, name := range left {
		err = errors.Join(err, os.Remove(name))
	}
	for _, f := range o.files {
		err = errors.Join(err, f.Truncate(0))
	}
	return err
}

// forget removes, durably, what a journal says of the files: it spoke of other
// bytes than those that come now.
func (o *Output) forget() error {
	if err := os.Remove(JournalName(o.name)); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return durable.SyncDir(filepath.Dir(o.name))
}

// checkUnused fails with ErrBusy when another process has the lock of a file.
func (o *Output) checkUnused(names []string) error {
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		ok, err := tryLock(f)
		if err == nil && !ok {
			err = o.busy()
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// partials lists the partial files of a name: of one file, and of volumes.
func partials(name string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		file, ok := strings.CutSuffix(e.Name(), partialSuffix)
		base, _, isVolume := volumeNumber(file)
		if ok && (file == filepath.Base(name) || isVolume && base == filepath.Base(name)) {
			out = append(out, filepath.Join(filepath.Dir(name), e.Name()))
		}
	}
	return out, nil
}

// RemovePartials removes what an unfinished run has left of a name.
func RemovePartials(name string) error {
	left, err := partials(name)
	for _, l := range left {
		err = errors.Join(err, os.Remove(l))
	}
	return err
}

// Allocate takes all of the space that the files need, once; it fails with
// ErrNoSpace, before anything is taken, when the disk is too small.
func (o *Output) Allocate() error {
	var have int64
	for _, f := range o.files {
		n, err := allocated(f)
		if err != nil {
			return err
		}
		have += n
	}
	if err := CheckSpace(o.name, o.size-have); err != nil {
		return err
	}
	for i, f := range o.files {
		if err := allocate(f, o.length(i)); err != nil {
			return fmt.Errorf("allocating %s: %w", f.Name(), err)
		}
	}
	return durable.SyncDir(filepath.Dir(o.name))
}

// CheckSpace fails with ErrNoSpace when the folder of name has not room for so
// many bytes more.
func CheckSpace(name string, need int64) error {
	dir := filepath.Dir(name)
	free, err := freeSpace(dir)
	if err != nil || need <= free {
		return err
	}
	return problem.WithRemedy(
		fmt.Errorf("writing %s: %w: %s needed, %s free in %s", name, ErrNoSpace,
			humanize.IBytes(uint64(need)), humanize.IBytes(uint64(max(free, 0))), dir),
		"free "+humanize.IBytes(uint64(need-free))+" there, or choose an output on another disk")
}

// WriteAt implements io.WriterAt. What does not fit into the size is refused.
func (o *Output) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > o.size-int64(len(p)) {
		return 0, fmt.Errorf("writing %s: %d bytes at %d of %d", o.name, len(p), off, o.size)
	}
	n := 0
	for n < len(p) {
		i := int((off + int64(n)) / o.volume)
		at := off + int64(n) - int64(i)*o.volume
		m, err := o.sinks[i].WriteAt(p[n:min(int64(len(p)), int64(n)+o.volume-at)], at)
		n += m
		if err != nil {
			return n, fmt.Errorf("writing %s: %w", o.files[i].Name(), err)
		}
	}
	return n, nil
}

// StartWriteback asks the disk to begin with n bytes from off, and does not wait.
func (o *Output) StartWriteback(off, n int64) {
	for n > 0 {
		i := int(off / o.volume)
		at := off - int64(i)*o.volume
		here := min(n, o.volume-at)
		o.sinks[i].startWriteback(at, here)
		off, n = off+here, n-here
	}
}

// SyncData makes what was written durable.
func (o *Output) SyncData() error {
	for i, f := range o.files {
		if err := errors.Join(o.sinks[i].flush(), syncData(f)); err != nil {
			return fmt.Errorf("writing %s: %w", f.Name(), err)
		}
	}
	return nil
}

// Commit makes the files durable and gives them their names, the first one
// last: as long as it is missing, nobody takes the others for a whole. What
// stands there under these names is replaced.
func (o *Output) Commit() error {
	for i, f := range o.files {
		if err := errors.Join(o.sinks[i].flush(), f.Sync()); err != nil {
			return fmt.Errorf("writing %s: %w", f.Name(), err)
		}
	}
	if err := o.removeOthers(); err != nil {
		return err
	}
	for i := len(o.files) - 1; i >= 0; i-- {
		if o.files[i].Name() == o.names[i] {
			continue // the run before this one came so far
		}
		if err := durable.Rename(o.names[i]+partialSuffix, o.names[i]); err != nil {
			return err
		}
	}
	return nil
}

// removeOthers removes what another cut of the same name has left: with it,
// nobody could tell what belongs together.
func (o *Output) removeOthers() error {
	numbers, err := localParts(o.name)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if name := VolumeName(o.name, n); !slices.Contains(o.names, name) {
			err = errors.Join(err, os.Remove(name))
		}
	}
	if !slices.Contains(o.names, o.name) {
		if rmErr := os.Remove(o.name); !errors.Is(rmErr, os.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}
	return err
}

// Remove removes the files that were not committed.
func (o *Output) Remove() error {
	var err error
	for _, n := range o.names {
		if rmErr := os.Remove(n + partialSuffix); !errors.Is(rmErr, os.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
	}
	return err
}

// Close closes the files; what was not committed stays as it is.
func (o *Output) Close() error {
	var err error
	for i, f := range o.files {
		if f != nil {
			err = errors.Join(err, o.sinks[i].Close(), f.Close())
		}
	}
	return err
}
