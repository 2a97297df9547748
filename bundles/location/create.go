package location

import (
	"context"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"

	"github.com/sealift/sealift/bundles/encrypt"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// CreateOptions is how something is written from beginning to end. The zero
// value writes one plain file.
type CreateOptions struct {
	Options
	// VolumeSize cuts a local file into volumes of so many bytes; 0 does not.
	VolumeSize int64
	// Recipients are who can decrypt what is written; none means plain.
	Recipients []age.Recipient
	// Overwrite replaces what has the name.
	Overwrite bool
}

// Writer takes bytes from beginning to end.
type Writer interface {
	io.Writer
	// Commit ends the writing: what was written is durable and has its name.
	Commit() error
	// Close leaves nothing behind of what was not committed.
	Close() error
}

// Create begins to write size bytes, before encryption, to a local file or to
// s3://BUCKET/KEY. With recipients only encrypted bytes leave this process. It
// fails with ErrExists when the name is taken.
func Create(ctx context.Context, name string, size int64, opts CreateOptions) (Writer, error) {
	if err := checkTarget(ctx, name, opts); err != nil {
		return nil, err
	}
	if len(opts.Recipients) == 0 {
		return createRaw(ctx, name, size, opts)
	}
	sealed, err := encrypt.SealedSize(size, opts.Recipients)
	if err != nil {
		return nil, err
	}
	raw, err := createRaw(ctx, name, sealed, opts)
	if err != nil {
		return nil, err
	}
	w, err := encrypt.NewWriter(raw, opts.Recipients)
	if err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	return &sealedWriter{Writer: w, raw: raw}, nil
}

// checkTarget refuses names that cannot be written.
func checkTarget(ctx context.Context, name string, opts CreateOptions) error {
	switch {
	case IsRemote(name) && !IsS3(name):
		return problem.New(problem.Usage, "write to a file or to s3://BUCKET/KEY", "writing %s: a web server is only read from", Redact(name))
	case IsS3(name) && opts.VolumeSize != 0:
		return problem.New(problem.Usage, "leave out --volume-size: an object in S3 may have 5 TiB", "writing %s: volumes are local files", name)
	case opts.Overwrite:
		return nil
	}
	there, err := Exists(ctx, name, opts.Options)
	if err == nil && there {
		err = problem.New(problem.Failed, "choose another output", "writing %s: %w", name, ErrExists)
	}
	return err
}

func createRaw(ctx context.Context, name string, size int64, opts CreateOptions) (Writer, error) {
	if IsS3(name) {
		return newS3Upload(ctx, name, size, opts.Options)
	}
	o, err := NewOutput(name, size, opts.VolumeSize)
	if err != nil {
		return nil, err
	}
	if err := o.Lock(); err != nil { // what is there belongs to another process
		return nil, errors.Join(err, o.Close())
	}
	if err := o.Reset(); err != nil {
		return nil, errors.Join(err, o.Remove(), o.Close())
	}
	if err := o.forget(); err != nil {
		return nil, errors.Join(err, o.Remove(), o.Close())
	}
	if err := o.Allocate(); err != nil {
		return nil, errors.Join(err, o.Remove(), o.Close())
	}
	return &fileWriter{ctx: ctx, out: o}, nil
}

// flushSize is how many bytes are handed to the disk at once.
const flushSize = 8 << 20

// fileWriter writes an Output from beginning to end.
type fileWriter struct {
	ctx       context.Context //nolint:containedctx // io.Writer has none: ends a copy that nothing else would end
	out       *Output
	at        int64
	flushed   int64
	committed bool
}

// Write implements io.Writer.
func (w *fileWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := w.out.WriteAt(p, w.at)
	w.at += int64(n)
	if w.at-w.flushed >= flushSize {
		w.out.StartWriteback(w.flushed, w.at-w.flushed)
		w.flushed = w.at
	}
	return n, err
}

// Commit implements Writer.
func (w *fileWriter) Commit() error {
	if w.at != w.out.size {
		return fmt.Errorf("writing %s: %d bytes of %d", w.out.name, w.at, w.out.size)
	}
	if err := w.out.Commit(); err != nil {
		return err
	}
	w.committed = true
	return w.out.Close()
}

// Close implements Writer.
func (w *fileWriter) Close() error {
	if w.committed {
		return nil
	}
	w.committed = true
	return errors.Join(w.out.Remove(), w.out.Close())
}

// sealedWriter encrypts on the way to another writer.
type sealedWriter struct {
	*encrypt.Writer
	raw Writer
}

// Commit implements Writer.
func (w *sealedWriter) Commit() error {
	if err := w.Writer.Close(); err != nil {
		return err
	}
	return w.raw.Commit()
}

// Close implements Writer.
func (w *sealedWriter) Close() error { return w.raw.Close() }

// copyBuffer is how many bytes a copy takes at once.
const copyBuffer = 1 << 20

// Copy writes the whole of a source to a new name. The source is not changed.
func Copy(ctx context.Context, from Source, to string, report progress.Reporter, opts CreateOptions) error {
	w, err := Create(ctx, to, from.Size(), opts)
	if err != nil {
		return err
	}
	phase := progress.OrNone(report).Start("copying", from.Size())
	defer phase.Done()
	task := phase.Task(to, from.Size())
	defer task.Done()
	in := progress.Reader(io.NewSectionReader(from, 0, from.Size()), task)
	// The hidden methods keep io.CopyBuffer from going around the buffer.
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{in}, make([]byte, copyBuffer))
	if err == nil && n != from.Size() {
		err = fmt.Errorf("%w: it ended after %d bytes of %d", ErrChanged, n, from.Size())
	}
	if err == nil {
		err = w.Commit()
	}
	return errors.Join(err, w.Close())
}

// Differs says how what is there under a name differs from what opts would make
// of the same content: "" when it does not. For whom it is encrypted cannot be
// seen.
func Differs(ctx context.Context, name string, opts CreateOptions) (string, error) {
	s, err := OpenRaw(ctx, name, opts.Options)
	if err != nil {
		return "", err
	}
	defer s.Close() //nolint:errcheck // opened for reading
	is, err := encrypt.Is(s, s.Size())
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", Redact(name), err)
	}
	v, local := s.(*volumes)
	switch {
	case is && len(opts.Recipients) == 0:
		return "it is encrypted", nil
	case !is && len(opts.Recipients) > 0:
		return "it is not encrypted", nil
	case !local || IsRemote(name): // volumes are made here alone
		return "", nil
	case opts.VolumeSize == 0 && v.Count() > 0:
		return "it is in volumes", nil
	case opts.VolumeSize > 0 && v.Count() == 0:
		return "it is not in volumes", nil
	case opts.VolumeSize > 0 && v.part != opts.VolumeSize && (v.Count() > 1 || v.part > opts.VolumeSize): // a single one may be shorter
		return fmt.Sprintf("its volumes have %d bytes", v.part), nil
	}
	return "", nil
}
