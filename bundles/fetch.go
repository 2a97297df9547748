package bundles

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/resolve"
	"github.com/sealift/sealift/internal/progress"
)

// fetchBuffer is how many bytes of a blob are taken from the socket, hashed
// and written at once. Memory is this times the number of jobs.
const fetchBuffer = 512 << 10

// mismatchAttempts is how often a blob is fetched whole before a source that
// gives other bytes than it announced is given up.
const mismatchAttempts = 2

// fetcher fills a bundle from registries.
type fetcher struct {
	w          *archive.Writer
	registries resolve.Registries
	holders    map[string][]string // digest to repositories
	phase      progress.Phase
}

func newFetcher(found *resolve.Result, regs resolve.Registries, phase progress.Phase) *fetcher {
	holders := make(map[string][]string, len(found.Blobs))
	for _, b := range found.Blobs {
		holders[b.Descriptor.Digest.String()] = b.Repositories
	}
	return &fetcher{registries: regs, holders: holders, phase: phase}
}

// run fetches every pending blob, jobs at once.
func (f *fetcher) run(ctx context.Context, jobs int) error {
	queue := make(chan archive.Blob)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(queue)
		for _, b := range f.w.Pending() {
			select {
			case queue <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range jobs {
		g.Go(func() error {
			buf := make([]byte, fetchBuffer)
			for b := range queue {
				if err := f.blob(ctx, b, buf); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// blob fetches one blob from the first repository that gives it whole.
func (f *fetcher) blob(ctx context.Context, b archive.Blob, buf []byte) error {
	task := f.phase.Task(b.Digest.String(), b.Size)
	defer task.Done()
	bw, err := f.w.Blob(b)
	if err != nil {
		return err
	}
	task.Add(bw.Offset())
	var failures []error
	for _, name := range f.holders[b.Digest.String()] {
		src, err := f.registries.Repository(ctx, name)
		if err == nil {
			err = f.from(ctx, src, b, bw, task, buf)
		}
		if err == nil {
			return nil
		}
		failures = append(failures, fmt.Errorf("fetching %s from %s: %w", b.Digest, name, err))
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), failures[0])
		}
	}
	return errors.Join(failures...)
}

// from fetches a blob from one repository. A source whose bytes are wrong is
// asked once more, from the beginning.
func (f *fetcher) from(ctx context.Context, src content.Source, b archive.Blob, bw *archive.BlobWriter, task progress.Task, buf []byte) error {
	for attempt := 1; ; attempt++ {
		err := copyBlob(ctx, src, b, bw, task, buf)
		if err == nil {
			err = bw.Commit()
		}
		again := errors.Is(err, content.ErrMismatch) || errors.Is(err, content.ErrNoRange)
		if !again || ctx.Err() != nil {
			return err
		}
		task.Add(-bw.Offset())
		if err := bw.Rewind(); err != nil {
			return err
		}
		if attempt == mismatchAttempts {
			return err
		}
	}
}

// copyBlob writes what is missing of a blob.
func copyBlob(ctx context.Context, src content.Source, b archive.Blob, bw *archive.BlobWriter, task progress.Task, buf []byte) error {
	var rc io.ReadCloser
	var err error
	if at := bw.Offset(); at > 0 {
		rc, err = src.FetchRange(ctx, b.Descriptor(), at, b.Size-at)
	} else {
		rc, err = src.Fetch(ctx, b.Descriptor())
	}
	if err != nil {
		return err
	}
	defer rc.Close() //nolint:errcheck // opened for reading
	// The hidden methods keep io.CopyBuffer from going around the buffer.
	_, err = io.CopyBuffer(struct{ io.Writer }{bw}, struct{ io.Reader }{progress.Reader(rc, task)}, buf)
	return err
}
