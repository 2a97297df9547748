package packs

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// BuildOptions tells how an archive is written. The zero value is a good default.
type BuildOptions struct {
	// Overwrite replaces a file of that name.
	Overwrite bool
}

// Build writes the pack as an archive .tar.gz to output. Files stand in the
// order of their paths, without times, owners or modes, so that the same files
// give the same bytes. A failed Build leaves nothing under that name.
func (p *Pack) Build(ctx context.Context, output string, opts BuildOptions) (err error) {
	if err := p.checkOutput(output, opts); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(output), "."+filepath.Base(output)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", output, err)
	}
	err = p.write(ctx, tmp)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err == nil {
		err = durable.Rename(tmp.Name(), output)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", output, err), os.Remove(tmp.Name()))
	}
	return nil
}

func (p *Pack) checkOutput(output string, opts BuildOptions) error {
	if !strings.HasSuffix(output, ".tar.gz") && !strings.HasSuffix(output, ".tgz") {
		return problem.New(problem.Usage, "name it "+p.Meta.Name+"-"+p.Meta.Version+".tar.gz", "%s: packs are written as .tar.gz", output)
	}
	if info, err := os.Stat(output); err == nil && (info.IsDir() || !opts.Overwrite) {
		return problem.New(problem.Usage, "give another name, or --overwrite", "%s: %w", output, fs.ErrExist)
	}
	// The next archive would hold this one.
	inside, err := p.holds(filepath.Dir(output))
	if err == nil && inside {
		err = problem.New(problem.Usage, "write it to another folder", "%s would lie within the pack", output)
	}
	return problem.As(problem.Usage, err)
}

// holds tells whether a folder is that of the pack or lies below it.
func (p *Pack) holds(folder string) (bool, error) {
	own, err := p.root.Stat(".")
	if err != nil {
		return false, err
	}
	folder, err = filepath.Abs(folder)
	if err == nil {
		folder, err = filepath.EvalSymlinks(folder)
	}
	if err != nil {
		return false, problem.New(problem.Usage, "make the folder first", "%w", err)
	}
	for {
		info, err := os.Stat(folder)
		if err != nil || os.SameFile(info, own) {
			return err == nil, err
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return false, nil
		}
		folder = parent
	}
}

func (p *Pack) write(ctx context.Context, w io.Writer) error {
	zipped := gzip.NewWriter(w)
	archive := tar.NewWriter(zipped)
	for _, f := range p.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := addFile(archive, f); err != nil {
			return fmt.Errorf("adding %s: %w", f.Path, err)
		}
	}
	return errors.Join(archive.Close(), zipped.Close())
}

func addFile(archive *tar.Writer, f File) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // opened for reading
	if err := archive.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Size: f.Size, Mode: 0o644}); err != nil {
		return err
	}
	n, err := io.Copy(archive, r)
	if err == nil && n != f.Size {
		err = fmt.Errorf("it changed from %d to %d bytes while it was read", f.Size, n)
	}
	return err
}
