package bundles

import (
	"context"
	"errors"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/resolve"
	"github.com/sealift/sealift/internal/progress"
)

// checkLocal reads those files of this host that are not fetched: the finished
// bundle has them already, or a base. Their digest may be that of the lock, and
// nobody else would see that they are others now. Nothing else is read twice.
func checkLocal(ctx context.Context, found *resolve.Result, s *archive.Statement, unchanged bool, report progress.Reporter) error {
	left := map[digest.Digest]bool{}
	for _, d := range s.FromBase {
		left[d.Digest] = true
	}
	for _, b := range found.Blobs {
		for _, o := range b.Origins {
			if !o.Local || b.Data != nil || !unchanged && !left[b.Descriptor.Digest] {
				continue
			}
			if err := reread(ctx, o.From, b.Descriptor, o.Name, progress.OrNone(report)); errors.Is(err, content.ErrMismatch) {
				return changed(o.Name, err)
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

// reread fails with content.ErrMismatch when a file has other bytes than d says.
func reread(ctx context.Context, from resolve.Fetcher, d content.Descriptor, name string, report progress.Reporter) error {
	phase := report.Start("reading", d.Size)
	defer phase.Done()
	task := phase.Task(name, d.Size)
	defer task.Done()
	rc, err := from.Fetch(ctx, d)
	if err != nil {
		return err
	}
	defer rc.Close() //nolint:errcheck // opened for reading
	v, err := content.Verify(progress.Reader(rc, task), d)
	if err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{v}, make([]byte, 1<<20)); err != nil {
		return err
	}
	return v.Close()
}
