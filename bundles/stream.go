package bundles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/bundles/resolve"
	"github.com/sealift/sealift/internal/progress"
)

// streamed tells whether a bundle is written from beginning to end instead of
// in any order: what is encrypted or goes to a store cannot be written
// otherwise. Nothing of it is on this disk in the clear, not even for a time;
// the price is that an interrupted run begins again.
func streamed(path string, opts location.CreateOptions) bool {
	return location.IsRemote(path) || len(opts.Recipients) > 0
}

// fillStream signs the statement, then writes the bundle from beginning to end.
func fillStream(ctx context.Context, layout *archive.Layout, found *resolve.Result, signer Signer, out *Created, opts CreateOptions) error {
	signature, err := signer.Sign(ctx, layout.StatementBytes())
	if err != nil {
		return err
	}
	target := opts.Target
	// What a killed run has given some of its names to is no bundle.
	target.Overwrite = opts.Overwrite || (!location.IsRemote(out.File) && location.Finishing(out.File))
	if !location.IsRemote(out.File) { // an interrupted run of the same name, in the clear
		if err := archive.Discard(out.File); err != nil {
			return err
		}
	}
	w, err := location.Create(ctx, out.File, layout.Size(), target)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, b := range layout.Pending() {
		total += b.Size
	}
	phase := progress.OrNone(opts.Progress).Start("fetching", total)
	s := newStreamer(layout, newFetcher(found, phase))
	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error { return s.fetchAhead(inner) })
	g.Go(func() error { return layout.Stream(inner, w, signature, s.blob) })
	err = g.Wait()
	phase.Done()
	if err == nil {
		err = w.Commit()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("creating bundle %s: %w", out.File, err), w.Close())
	}
	out.Fetched = total
	return nil
}

const (
	// fetchBuffer is how many bytes of a large blob are taken from the socket,
	// hashed and passed on at once.
	fetchBuffer = 512 << 10
	// smallBlob is the size of the largest blob, in bytes, that is fetched
	// before its turn, into memory.
	smallBlob = 2 << 20
	// aheadJobs is how many of them are fetched or wait at once.
	aheadJobs = 8
)

// streamer fetches blobs in the order of the file. Large ones go straight from
// the socket into the stream when it is their turn; small ones, for which the
// way to the registry takes longer than the bytes, are fetched ahead.
type streamer struct {
	*fetcher
	order []archive.Blob
	small map[digest.Digest]chan []byte
	room  chan struct{} // of what waits in memory
}

func newStreamer(layout *archive.Layout, f *fetcher) *streamer {
	s := &streamer{fetcher: f, small: map[digest.Digest]chan []byte{}, room: make(chan struct{}, aheadJobs)}
	for _, b := range layout.Pending() {
		if b.Size <= smallBlob {
			s.order = append(s.order, b)
			s.small[b.Digest] = make(chan []byte, 1)
		}
	}
	return s
}

// fetchAhead fetches the small blobs, in the order of the file.
func (s *streamer) fetchAhead(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, b := range s.order {
		select {
		case s.room <- struct{}{}:
		case <-ctx.Done():
			return errors.Join(g.Wait(), ctx.Err())
		}
		g.Go(func() error {
			data, err := s.whole(ctx, b)
			if err != nil {
				return err
			}
			s.small[b.Digest] <- data
			return nil
		})
	}
	return g.Wait()
}

// whole fetches a blob into memory. A source whose bytes are wrong is asked
// once more.
func (s *streamer) whole(ctx context.Context, b archive.Blob) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		var buf bytes.Buffer
		buf.Grow(int(b.Size))
		if err := s.copy(ctx, b, &buf); err != nil {
			return nil, err
		}
		if digest.FromBytes(buf.Bytes()) == b.Digest || attempt == mismatchAttempts {
			return buf.Bytes(), nil // what is still wrong is refused by the stream
		}
	}
}

// blob writes one blob to the stream.
func (s *streamer) blob(ctx context.Context, b archive.Blob, w io.Writer) error {
	ahead, ok := s.small[b.Digest]
	if !ok {
		return s.copy(ctx, b, w)
	}
	select {
	case data := <-ahead:
		<-s.room
		_, err := w.Write(data)
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// copy fetches one blob, from the first origin that gives it; from the
// next, it takes what is still missing.
func (s *streamer) copy(ctx context.Context, b archive.Blob, w io.Writer) error {
	task := s.phase.Task(b.Digest.String(), b.Size)
	defer task.Done()
	out := &countingWriter{w: w}
	buf := make([]byte, min(fetchBuffer, b.Size+1))
	var failures []error
	for _, o := range s.origins[b.Digest] {
		var err error
		for again := true; again && err == nil; {
			again, err = copyRest(ctx, o.From, b, out, task, buf)
		}
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("fetching %s from %s: %w", b.Digest, o.Name, err))
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), failures[0])
		}
	}
	return errors.Join(failures...)
}

// copyRest writes what is missing of a blob. again is set when the source
// ended early but gave something.
func copyRest(ctx context.Context, src resolve.Fetcher, b archive.Blob, out *countingWriter, task progress.Task, buf []byte) (again bool, err error) {
	at := out.n
	rc, err := fetchFrom(ctx, src, b, at)
	if err != nil {
		return false, err
	}
	defer rc.Close() //nolint:errcheck // opened for reading
	// The hidden methods keep io.CopyBuffer from going around the buffer.
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{progress.Reader(rc, task)}, buf)
	if err != nil && out.err == nil && out.n > at && ctx.Err() == nil {
		return true, nil
	}
	return false, err
}

// fetchFrom opens a blob at an offset, also where a source knows no ranges.
func fetchFrom(ctx context.Context, src resolve.Fetcher, b archive.Blob, at int64) (io.ReadCloser, error) {
	if at == 0 {
		return src.Fetch(ctx, b.Descriptor())
	}
	rc, err := src.FetchRange(ctx, b.Descriptor(), at, b.Size-at)
	if !errors.Is(err, content.ErrNoRange) {
		return rc, err
	}
	if rc, err = src.Fetch(ctx, b.Descriptor()); err != nil {
		return nil, err
	}
	if _, err := io.CopyN(io.Discard, rc, at); err != nil {
		return nil, errors.Join(err, rc.Close())
	}
	return rc, nil
}

// countingWriter counts what is written, and remembers what went wrong with it.
type countingWriter struct {
	w   io.Writer
	n   int64
	err error
}

// Write implements io.Writer.
func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.err = err
	return n, err
}
