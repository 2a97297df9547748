package archive

import (
	"cmp"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
)

// Errors of Create, to be matched with errors.Is.
var (
	// ErrBusy: another process is making the same file.
	ErrBusy = errors.New("another process is making this bundle")
	// ErrNoSpace: the disk is too small.
	ErrNoSpace = location.ErrNoSpace
)

// CreateOptions is how a file is made. The zero value is a good default.
type CreateOptions struct {
	// CheckpointEvery is how often progress is made durable; 0 means 3 s. A
	// killed run has to fetch again what came after the last checkpoint.
	CheckpointEvery time.Duration
	// VolumeSize cuts the file into numbered volumes of so many bytes; 0 means
	// one file.
	VolumeSize int64
}

// Writer makes a bundle file. Its methods may be called from many goroutines.
type Writer struct {
	path    string
	layout  *Layout
	volume  int64            // size of a volume, or 0
	out     *location.Output // FILE.partial
	journal *journal

	mu      sync.Mutex
	done    map[digest.Digest]bool
	under   map[digest.Digest]*BlobWriter
	saved   map[digest.Digest]record // from the journal of an interrupted run
	fresh   []digest.Digest          // done, but not yet in the journal
	failed  error                    // of a checkpoint
	resumed int64
	emptied bool // what there was is given up, and is nobody else's

	checkpointing sync.Mutex // one checkpoint at a time
	stop          chan struct{}
	stopOnce      sync.Once
	stopped       sync.WaitGroup
}

func journalPath(path string) string { return location.JournalName(path) }

// Create makes the file of a layout at path, or goes on with an
// interrupted run of the same layout. The file has its name only after Finish.
// It fails with ErrBusy when another process is at it, and with ErrNoSpace,
// before anything is written, when the disk is too small.
func Create(path string, l *Layout, opts CreateOptions) (*Writer, error) {
	j, err := openJournal(path)
	if err != nil {
		return nil, err
	}
	w := &Writer{path: path, layout: l, journal: j, volume: opts.VolumeSize, under: map[digest.Digest]*BlobWriter{}, stop: make(chan struct{})}
	if err := w.open(); err != nil {
		if w.emptied { // nothing to go on with is worth keeping
			err = errors.Join(err, location.RemovePartials(path), removeIfThere(journalPath(path)))
		}
		return nil, errors.Join(err, w.closeFiles())
	}
	if err := w.writeDocuments(); err != nil {
		return nil, errors.Join(err, w.closeFiles())
	}
	w.stopped.Add(1)
	go w.checkpoints(cmp.Or(opts.CheckpointEvery, 3*time.Second))
	return w, nil
}

// openJournal opens the journal of path and takes its lock, which guards the
// partial file as well.
func openJournal(path string) (*journal, error) {
	name := journalPath(path)
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, problem.WithRemedy(fmt.Errorf("creating bundle %s: %w", path, err), "choose an output in a folder that exists and that you may write to")
		}
		ok, err := lock(f)
		if err == nil && !ok {
			err = problem.WithRemedy(fmt.Errorf("%s: %w", path, ErrBusy), "wait until it has ended, or choose another output")
		}
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		// The process that had the lock may have removed the file meanwhile.
		if sameFile(f, name) {
			return &journal{f: f}, nil
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

func sameFile(f *os.File, name string) bool {
	a, errA := f.Stat()
	b, errB := os.Stat(name)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// open opens the partial file, at its full size, and decides whether an
// interrupted run can be gone on with.
func (w *Writer) open() error {
	out, err := location.NewOutput(w.path, w.layout.Size(), w.volume)
	if err != nil {
		return err
	}
	if err := out.Lock(); err != nil { // what is there belongs to another process
		return errors.Join(err, out.Close())
	}
	w.out = out
	header := journalHeader{Statement: digest.FromBytes(w.layout.StatementBytes()), Start: w.layout.start(), Volume: w.volume}
	s, ok, err := w.journal.load(header)
	if err != nil {
		return fmt.Errorf("reading %s: %w", journalPath(w.path), err)
	}
	complete, err := out.Complete()
	if err != nil {
		return err
	}
	if ok = ok && complete; !ok {
		s = newState()
		if err := errors.Join(w.journal.clear(), out.Reset()); err != nil {
			return err
		}
		w.emptied = true
	}
	w.done, w.saved = s.done, s.under
	w.resumed = w.countResumed()
	if err := out.Allocate(); err != nil {
		return err
	}
	out.Direct()
	if !ok {
		return w.journal.reset(header)
	}
	return nil
}

func (w *Writer) countResumed() int64 {
	var n int64
	for _, b := range w.layout.Statement.Blobs {
		if w.done[b.Digest] {
			n += b.Size
		} else {
			n += w.saved[b.Digest].Offset
		}
	}
	return n
}

// Resumed returns how many bytes of blobs an interrupted run has left.
func (w *Writer) Resumed() int64 { return w.resumed }

// Pending returns the blobs that are not complete, the largest first, so that
// no large one is left to the end.
func (w *Writer) Pending() []Blob {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Blob
	for _, b := range w.layout.Statement.Blobs {
		if !w.done[b.Digest] {
			out = append(out, b)
		}
	}
	slices.SortStableFunc(out, func(a, b Blob) int { return cmp.Compare(b.Size, a.Size) })
	return out
}

// writeDocuments writes the blobs that the layout holds.
func (w *Writer) writeDocuments() error {
	for _, b := range w.Pending() {
		data, ok := w.layout.documents[b.Digest]
		if !ok {
			continue
		}
		bw, err := w.Blob(b)
		if err != nil {
			return err
		}
		if err := bw.Rewind(); err != nil {
			return err
		}
		if _, err := bw.Write(data); err != nil {
			return err
		}
		if err := bw.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// Blob begins or goes on with a blob. Only one writer a blob may be in use.
func (w *Writer) Blob(b Blob) (*BlobWriter, error) {
	bw := &BlobWriter{w: w, blob: b, hash: sha256.New(), at: w.layout.start() + b.Offset}
	w.mu.Lock()
	defer w.mu.Unlock()
	if r, ok := w.saved[b.Digest]; ok && r.Offset <= b.Size {
		if err := bw.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(r.State); err == nil {
			bw.written, bw.noted, bw.flushed = r.Offset, r.Offset, r.Offset
		} else {
			bw.hash.Reset()
		}
	}
	w.under[b.Digest] = bw
	return bw, nil
}

// Finish writes the head with the statement's signature, makes the file durable
// and gives it its name. Every blob must be complete.
func (w *Writer) Finish(signature []byte) error {
	if pending := w.Pending(); len(pending) > 0 {
		return fmt.Errorf("finishing bundle %s: %d blobs are not complete", w.path, len(pending))
	}
	head, err := w.layout.Head(signature)
	if err != nil {
		return err
	}
	w.stopCheckpoints()
	if _, err := w.out.WriteAt(head, 0); err != nil {
		return fmt.Errorf("writing the head of %s: %w", w.path, err)
	}
	if err := w.out.Commit(); err != nil {
		return err
	}
	return errors.Join(os.Remove(journalPath(w.path)), w.closeFiles())
}

// Close ends an unfinished run; what it has done so far is kept, durably, for
// the next one.
func (w *Writer) Close() error {
	w.stopCheckpoints()
	return errors.Join(w.checkpoint(), w.closeFiles())
}

// Discard removes what an unfinished run at path has left. It fails with
// ErrBusy while the run is going on.
func Discard(path string) error {
	j, err := openJournal(path)
	if err != nil {
		return err
	}
	return errors.Join(location.RemovePartials(path), os.Remove(journalPath(path)), j.f.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (w *Writer) closeFiles() error {
	var err error
	if w.out != nil {
		err = w.out.Close()
	}
	return errors.Join(err, w.journal.f.Close())
}

func (w *Writer) stopCheckpoints() {
	w.stopOnce.Do(func() { close(w.stop) })
	w.stopped.Wait()
}

func (w *Writer) checkpoints(every time.Duration) {
	defer w.stopped.Done()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
			if err := w.checkpoint(); err != nil {
				w.mu.Lock()
				w.failed = err
				w.mu.Unlock()
				return
			}
		}
	}
}

// checkpoint makes what was written so far durable, then notes it. The order
// matters: the notes are taken before the bytes are synced, and written after.
func (w *Writer) checkpoint() error {
	w.checkpointing.Lock()
	defer w.checkpointing.Unlock()
	w.mu.Lock()
	var records []record
	for _, d := range w.fresh {
		records = append(records, record{Done: d})
	}
	w.fresh = nil
	active := make([]*BlobWriter, 0, len(w.under))
	for _, bw := range w.under {
		active = append(active, bw)
	}
	w.mu.Unlock()
	for _, bw := range active {
		if r, ok, err := bw.record(); err != nil {
			return err
		} else if ok {
			records = append(records, r)
		}
	}
	if len(records) == 0 {
		return nil
	}
	if err := w.out.SyncData(); err != nil {
		return err
	}
	return w.journal.append(records)
}
