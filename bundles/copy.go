package bundles

import (
	"context"
	"fmt"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/encrypt"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// CopyOptions is how a bundle is written in another form.
type CopyOptions struct {
	location.CreateOptions
	// Raw leaves what is encrypted as it is.
	Raw      bool
	Progress progress.Reporter // nil means none
}

// Copied is a bundle in another form.
type Copied struct {
	Files []string // or the one address
	// Unseen means: it is encrypted and was copied so; nobody looked whether it
	// is a bundle, and whole.
	Unseen bool
}

// Copy writes the bundle of one name to another: divided, joined, encrypted,
// decrypted. What is no bundle, or only a part of one, is refused; signature
// and payload are not looked at.
func Copy(ctx context.Context, from, to string, opts CopyOptions) (*Copied, error) {
	open := location.Open
	if opts.Raw {
		open = location.OpenRaw
	}
	src, err := open(ctx, from, opts.Options)
	if err != nil {
		return nil, err
	}
	defer src.Close() //nolint:errcheck // opened for reading
	out := &Copied{Files: []string{to}}
	if out.Unseen, err = encrypt.Is(src, src.Size()); err == nil && !out.Unseen {
		err = whole(src)
	}
	if err != nil {
		return nil, problem.WithRemedy(fmt.Errorf("reading %s: %w", location.Redact(from), err), notABundle(err))
	}
	if err := location.Copy(ctx, src, to, opts.Progress, opts.CreateOptions); err != nil {
		return nil, fmt.Errorf("copying %s: %w", location.Redact(from), err)
	}
	if opts.VolumeSize != 0 {
		out.Files, err = location.Volumes(to)
	}
	return out, err
}

// whole fails when a source is no bundle, or has another size than its head says.
func whole(src location.Source) error {
	head, err := archive.OpenSource(src)
	if err == nil {
		_, err = head.Unverified()
	}
	return err
}
