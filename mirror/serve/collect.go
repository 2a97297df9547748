package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/internal/problem"
)

// Collected is what a registry's garbage collection removed, or would remove.
type Collected struct {
	DryRun       bool     `json:"dryRun"`
	Unused       bool     `json:"unused"`       // nothing was ever pushed into this folder
	Blobs        int      `json:"blobs"`        // that no manifest names
	Uploads      int      `json:"uploads"`      // that were cut off
	Repositories []string `json:"repositories"` // that have nothing any more
	Bytes        int64    `json:"bytes"`
}

// Collect frees the space of what nothing in a registry's folder needs: blobs
// that no manifest names, uploads that were cut off, repositories without a
// manifest. Manifests stay, with a tag and without. Nobody may serve the folder
// meanwhile: else it fails with ErrBusy. A run that was cut off is simply repeated.
func Collect(ctx context.Context, dir string, dryRun bool) (*Collected, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, problem.New(problem.Usage, "name the --data of sealift registry serve", "no registry: %w", err)
	}
	c := &collector{dryRun: dryRun, out: &Collected{DryRun: dryRun, Repositories: []string{}}}
	if _, err := os.Stat(filepath.Join(dir, "docker", "registry", "v2")); errors.Is(err, os.ErrNotExist) {
		c.out.Unused = true
		return c.out, nil
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	if err = c.run(ctx, dir); err != nil && ctx.Err() != nil {
		err = ctx.Err() // the library wraps it in words only
	}
	if err = errors.Join(err, lock.Close()); err != nil {
		return nil, fmt.Errorf("freeing space in %s: %w", dir, err)
	}
	return c.out, nil
}

// collector is the registry's storage, which counts what is removed.
type collector struct {
	driver.StorageDriver
	dryRun bool
	out    *Collected
}

func (c *collector) run(ctx context.Context, dir string) (err error) {
	quiet()
	root, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if c.StorageDriver, err = filesystem.FromParameters(map[string]any{"rootdirectory": root}); err != nil {
		return err
	}
	registry, err := storage.NewRegistry(ctx, c)
	if err != nil {
		return err
	}
	empty, err := emptyRepositories(ctx, registry)
	if err != nil {
		return err
	}
	if err := storage.MarkAndSweep(ctx, c, registry, storage.GCOpts{Quiet: true}); err != nil {
		return err
	}
	uploads, faults := storage.PurgeUploads(ctx, c, time.Now(), true)
	c.out.Uploads = len(uploads)
	if err := errors.Join(faults...); err != nil {
		return err
	}
	for _, name := range empty {
		if err := storage.NewVacuum(ctx, c).RemoveRepository(name); err != nil {
			return err
		}
	}
	c.out.Repositories = append(c.out.Repositories, empty...)
	return nil
}

// GetContent implements driver.StorageDriver. The library asks no context
// whether it has ended.
func (c *collector) GetContent(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.StorageDriver.GetContent(ctx, name)
}

// Delete implements driver.StorageDriver.
func (c *collector) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if info, err := c.Stat(ctx, path.Join(name, "data")); err == nil {
		c.out.Bytes += info.Size()
	}
	if _, err := digest.Parse("sha256:" + path.Base(name)); err == nil && path.Base(path.Dir(path.Dir(name))) == "sha256" {
		c.out.Blobs++
	}
	if c.dryRun {
		return nil
	}
	return c.StorageDriver.Delete(ctx, name)
}

// emptyRepositories lists the repositories without a manifest.
func emptyRepositories(ctx context.Context, registry distribution.Namespace) ([]string, error) {
	all, ok := registry.(distribution.RepositoryEnumerator)
	if !ok {
		return nil, errors.New("the registry does not list its repositories")
	}
	var empty []string
	err := all.Enumerate(ctx, func(name string) error {
		full, err := has(ctx, registry, name)
		if err == nil && !full {
			empty = append(empty, name)
		}
		return err
	})
	slices.Sort(empty)
	return empty, notFoundIsNil(err)
}

// has tells whether a repository has a manifest.
func has(ctx context.Context, registry distribution.Namespace, name string) (bool, error) {
	named, err := reference.WithName(name)
	if err != nil {
		return false, err
	}
	repository, err := registry.Repository(ctx, named)
	if err != nil {
		return false, err
	}
	manifests, err := repository.Manifests(ctx)
	if err != nil {
		return false, err
	}
	found := false
	if all, ok := manifests.(distribution.ManifestEnumerator); ok {
		err = all.Enumerate(ctx, func(digest.Digest) error {
			found = true
			return nil
		})
	}
	return found, notFoundIsNil(err)
}

// notFoundIsNil leaves out that a folder is not there, which is no failure: nothing was ever put into it.
func notFoundIsNil(err error) error {
	if missing := (driver.PathNotFoundError{}); errors.As(err, &missing) {
		return nil
	}
	return err
}
