package bundles

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/definition"
	"github.com/sealift/sealift/bundles/location"
	"github.com/sealift/sealift/bundles/resolve"
	"github.com/sealift/sealift/bundles/sbom"
	"github.com/sealift/sealift/internal/problem"
)

// describe makes a bill of materials of what was found and adds it to that.
// The packages of an image are known only when its layers are here, and the
// places in a bundle only when the bill is; so the content is first made into a
// bundle of its own beside the output, from which the one with the bill is then
// filled. done removes it; after a run that was cut off it is used again.
func describe(ctx context.Context, def *definition.Bundle, found *resolve.Result, path string, opts CreateOptions) (warnings []string, done func() error, err error) {
	if streamed(path, opts.Target) {
		return nil, nil, problem.New(problem.Usage, "make the bundle into a file, then encrypt or send that: sealift bundle encrypt, sealift bundle split --volume-size 0 -o s3://...",
			"a bill of materials cannot be made of a bundle that is encrypted or sent while it is made")
	}
	interim := path + ".content"
	opts.Bases, opts.Target, opts.Overwrite = nil, location.CreateOptions{}, true
	layout, err := archive.Plan(contents(def, found))
	if err != nil {
		return nil, nil, err
	}
	there, err := finished(ctx, interim, digest.FromBytes(layout.StatementBytes()).String(), opts)
	if err == nil && !there {
		err = fill(ctx, layout, found, unsigned{}, &Created{File: interim}, opts)
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := Open(ctx, interim, OpenOptions{Unsigned: true})
	if err != nil {
		return nil, nil, err
	}
	done = func() error { return errors.Join(r.Close(), os.Remove(interim)) }
	if warnings, err = addSBOM(ctx, def, found, r, opts); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("creating bundle %s: %w", path, err), r.Close())
	}
	return warnings, done, nil
}

// unsigned signs nothing: what it is for is read by the run that made it alone.
type unsigned struct{}

// Sign implements Signer.
func (unsigned) Sign(context.Context, []byte) ([]byte, error) { return []byte("unsigned"), nil }

// addSBOM makes the bill of a bundle and has everything fetched from that bundle.
func addSBOM(ctx context.Context, def *definition.Bundle, found *resolve.Result, r *archive.Reader, opts CreateOptions) ([]string, error) {
	bill, err := sbom.Make(ctx, r, sbom.Options{Progress: opts.Progress})
	if err != nil {
		return nil, err
	}
	a, err := sbom.Artifact(bill)
	if err != nil {
		return nil, err
	}
	found.FetchFrom(resolve.Origin{Name: "the content that was fetched before", From: r})
	return bill.Warnings, found.Add(archive.RootSBOM, "sbom/"+def.Metadata.Name, def.Metadata.Version, a)
}
