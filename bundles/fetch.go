package bundles

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/resolve"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// mismatchAttempts is how often a blob is fetched whole before a source that
// gives other bytes than it announced is given up.
const mismatchAttempts = 2

// fetcher fills a bundle.
type fetcher struct {
	w       *archive.Writer
	origins map[digest.Digest][]resolve.Origin
	phase   progress.Phase
}

func newFetcher(found *resolve.Result, phase progress.Phase) *fetcher {
	origins := make(map[digest.Digest][]resolve.Origin, len(found.Blobs))
	for _, b := range found.Blobs {
		origins[b.Descriptor.Digest] = b.Origins
	}
	return &fetcher{origins: origins, phase: phase}
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
			for b := range queue {
				if err := f.blob(ctx, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// blob fetches one blob from the first origin that gives it whole.
func (f *fetcher) blob(ctx context.Context, b archive.Blob) error {
	task := f.phase.Task(b.Digest.String(), b.Size)
	defer task.Done()
	bw, err := f.w.Blob(b)
	if err != nil {
		return err
	}
	task.Add(bw.Offset())
	var failures []error
	for _, o := range f.origins[b.Digest] {
		err := f.from(ctx, o.From, b, bw, task)
		if err == nil {
			return nil
		}
		if o.Local && errors.Is(err, content.ErrMismatch) {
			return changed(o.Name, err)
		}
		failures = append(failures, fmt.Errorf("fetching %s from %s: %w", b.Digest, o.Name, err))
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), failures[0])
		}
	}
	return errors.Join(failures...)
}

// ErrChanged means: a file of this host is not what the definition or the lock says.
var ErrChanged = errors.New("the file is another one")

func changed(name string, err error) error {
	return problem.New(problem.Failed, "get the right file; or mend sha256: in the definition; or, if only the lock has it, accept the new one with --update-lock",
		"%s: %w: %w", name, ErrChanged, err)
}

// from fetches a blob from one origin. A source whose bytes are wrong is
// asked once more, from the beginning.
func (f *fetcher) from(ctx context.Context, src resolve.Fetcher, b archive.Blob, bw *archive.BlobWriter, task progress.Task) error {
	for attempt := 1; ; attempt++ {
		err := copyBlob(ctx, src, b, bw, task)
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
func copyBlob(ctx context.Context, src resolve.Fetcher, b archive.Blob, bw *archive.BlobWriter, task progress.Task) error {
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
	_, err = bw.ReadFrom(progress.Reader(rc, task))
	return err
}
