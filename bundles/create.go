package bundles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/bundles/resolve"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// Signer signs the statement; sign.Signer is one.
type Signer interface {
	Sign(ctx context.Context, payload []byte) (signature []byte, err error)
}

// CreateOptions is how a bundle is made. The zero value is a good default.
type CreateOptions struct {
	Platforms  []string         // instead of those of the definition's spec
	Lock       *definition.Lock // nil: none yet
	UpdateLock bool             // resolve again what the lock holds
	DryRun     bool             // stop after planning: nothing is fetched or written
	Overwrite  bool             // replace a finished file of other content
	Jobs       int              // blobs fetched at once; 0 means 6
	// Target is how the file is written: cut into volumes, encrypted, to S3.
	Target   location.CreateOptions
	Bases    []*Base           // what the site has: it is left out
	Progress progress.Reporter // nil means none
	// SBOM makes a bill of materials of the bundle and carries it too. The disk
	// holds the content twice meanwhile.
	SBOM bool
	// SaveLock is called with the complete lock before anything is fetched.
	SaveLock func(*definition.Lock) error
}

const defaultJobs = 6

// Created is the result of making a bundle.
type Created struct {
	File      string          `json:"file"`
	Name      string          `json:"name"`
	Version   string          `json:"version"`
	Statement string          `json:"statement"` // digest of the statement
	DryRun    bool            `json:"dryRun"`
	Unchanged bool            `json:"unchanged"` // the finished file was there already
	Size      int64           `json:"size"`      // bytes of the file
	Contents  []Count         `json:"contents"`
	Plan      []InspectedRoot `json:"plan,omitempty"` // with DryRun: all that the bundle would hold
	Blobs     int             `json:"blobs"`
	Fetched   int64           `json:"fetched"` // bytes
	Resumed   int64           `json:"resumed"` // bytes that an interrupted run had left
	Moved     []resolve.Moved `json:"moved,omitempty"`
	// Warnings name tags that moved away from their digest, and what the bill of materials lacks.
	Warnings []string `json:"warnings,omitempty"`
	// FromBase are the bytes that a delta leaves to its bases.
	FromBase int64 `json:"fromBase,omitempty"`
}

// Create makes the bundle of a definition at path: every name is resolved and
// every size known before a layer moves; blobs are streamed to their places
// while the statement is signed. A run that was cut off goes on where it was.
// The file has its name only when it is complete. With an error, what is known
// by then is returned as well.
func Create(ctx context.Context, def *definition.Bundle, up resolve.Upstream, signer Signer, path string, opts CreateOptions) (out *Created, err error) {
	if info, err := os.Stat(filepath.Dir(path)); !location.IsRemote(path) && (err != nil || !info.IsDir()) {
		return nil, problem.New(problem.Usage, "choose an output in a folder that exists", "creating bundle %s: no folder %s", path, filepath.Dir(path))
	}
	found, err := resolve.Resolve(ctx, def, up, resolve.Options{Lock: opts.Lock, UpdateLock: opts.UpdateLock, Platforms: opts.Platforms,
		Jobs: opts.Jobs, Progress: opts.Progress})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, found.Close()) }()
	var warnings []string
	if opts.SBOM && !opts.DryRun {
		var done func() error
		if warnings, done, err = describe(ctx, def, found, path, opts); err != nil {
			return nil, err
		}
		defer func() {
			if err == nil {
				err = done()
			}
		}()
	}
	planned := contents(def, found)
	deltaOf(&planned, opts.Bases)
	layout, err := archive.Plan(planned)
	if err != nil {
		return nil, err
	}
	s := layout.Statement
	out = &Created{File: path, Name: s.Name, Version: s.Version, Statement: digest.FromBytes(layout.StatementBytes()).String(),
		DryRun: opts.DryRun, Size: layout.Size(), Contents: count(s.Roots), Blobs: len(s.Blobs), Moved: found.Moved, Warnings: append(found.Warnings, warnings...)}
	out.FromBase = sizeOf(s.FromBase)
	if opts.DryRun {
		out.Plan = inspectRoots(s.Roots)
	}
	if out.Unchanged, err = finished(ctx, path, out.Statement, opts); err != nil || opts.DryRun {
		return out, err
	}
	if err := checkLocal(ctx, found, s, out.Unchanged, opts.Progress); err != nil {
		return out, fmt.Errorf("creating bundle %s: %w", path, err)
	}
	if opts.SaveLock != nil { // before anything is fetched: a run that goes on needs the same
		err = opts.SaveLock(found.Lock)
	}
	if err != nil || out.Unchanged {
		return out, err
	}
	return out, fill(ctx, layout, found, signer, out, opts)
}

func sizeOf(descriptors []content.Descriptor) (total int64) {
	for _, d := range descriptors {
		total += d.Size
	}
	return total
}

// contents turns what was resolved into what the archive lays out.
func contents(def *definition.Bundle, found *resolve.Result) archive.Contents {
	c := archive.Contents{Name: def.Metadata.Name, Version: def.Metadata.Version, Definition: def.Source(), Roots: found.Roots,
		AllowMissing: found.AllowMissing, Documents: map[digest.Digest][]byte{}}
	for _, b := range found.Blobs {
		c.Blobs = append(c.Blobs, content.Bare(b.Descriptor))
		if b.Data != nil {
			c.Documents[b.Descriptor.Digest] = b.Data
		}
	}
	return c
}

// ErrExists means: there is a finished file of other content.
var ErrExists = errors.New("the file exists and holds something else")

// finished tells whether path already is the bundle with this statement.
func finished(ctx context.Context, path, statement string, opts CreateOptions) (bool, error) {
	if there, err := location.Exists(ctx, path, opts.Target.Options); err != nil || !there {
		return false, err
	}
	r, err := Open(ctx, path, OpenOptions{Unsigned: true, Location: opts.Target.Options})
	if err == nil {
		same := r.StatementDigest().String() == statement
		if err := r.Close(); err != nil {
			return false, err
		}
		if same {
			err = sameForm(ctx, path, opts.Target)
		}
		switch {
		case same && err == nil && (opts.DryRun || location.IsRemote(path)):
			return true, nil
		case same && err == nil:
			return true, archive.Discard(path)
		case same && !opts.Overwrite:
			return false, err
		}
	}
	if opts.Overwrite {
		return false, nil
	}
	if errors.Is(err, location.ErrEncrypted) {
		return false, problem.New(problem.Failed, "give --identity to compare it with what would be made, choose another output, or give --overwrite to replace it",
			"creating bundle %s: the file exists and is encrypted", path)
	}
	return false, problem.New(problem.Failed, "choose another output, or give --overwrite to replace it",
		"creating bundle %s: %w", path, ErrExists)
}

// sameForm fails when a finished file is not in the form that is asked for.
func sameForm(ctx context.Context, path string, target location.CreateOptions) error {
	differs, err := location.Differs(ctx, path, target)
	if err == nil && differs != "" {
		err = problem.New(problem.Failed, "choose another output, or give --overwrite to make it anew", "creating bundle %s: the file exists with the same content, but %s", path, differs)
	}
	return err
}

// fill fetches what the file lacks, signs meanwhile, and finishes it. A key
// that does not open ends the run at once.
func fill(ctx context.Context, layout *archive.Layout, found *resolve.Result, signer Signer, out *Created, opts CreateOptions) (err error) {
	if streamed(out.File, opts.Target) {
		return fillStream(ctx, layout, found, signer, out, opts)
	}
	w, err := archive.Create(out.File, layout, archive.CreateOptions{VolumeSize: opts.Target.VolumeSize})
	if err != nil {
		return err
	}
	var signErr error
	defer func() {
		if err == nil {
			return
		}
		err = errors.Join(err, w.Close())
		early := signErr != nil && !errors.Is(signErr, context.Canceled) && w.Resumed() == 0 // it ended before it was worth keeping
		if early || errors.Is(err, ErrChanged) {
			err = errors.Join(err, archive.Discard(out.File))
		}
	}()
	total := int64(0)
	for _, b := range w.Pending() {
		total += b.Size
	}
	phase := progress.OrNone(opts.Progress).Start("fetching", total)
	f := newFetcher(found, phase)
	f.w = w
	var signature []byte
	g, inner := errgroup.WithContext(ctx)
	g.Go(func() error {
		signature, signErr = signer.Sign(inner, layout.StatementBytes())
		return signErr
	})
	g.Go(func() error {
		defer phase.Done()
		return resumable(ctx, out.File, f.run(inner, cmp.Or(opts.Jobs, defaultJobs)))
	})
	if err := g.Wait(); err != nil {
		return err
	}
	out.Resumed = w.Resumed()
	out.Fetched = layout.Statement.Payload - out.Resumed
	return w.Finish(signature)
}

// resumable says that what was fetched is kept.
func resumable(ctx context.Context, path string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("creating bundle %s: %w", path, err)
	if ctx.Err() != nil || errors.Is(err, ErrChanged) {
		return err
	}
	return &problem.Error{Err: err, Kind: problem.Partial, Remedy: "then run the same command again: what was fetched is kept in " + path + ".partial"}
}
