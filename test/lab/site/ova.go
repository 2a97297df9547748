package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/sealift/sealift/test/lab/node"
	"github.com/sealift/sealift/test/lab/ova"
)

// OVA returns the path of the node's OVA, such as node-v1.34.4.ova.
func (l *Lab) OVA() (string, error) {
	version, err := l.Kubernetes()
	return filepath.Join(l.cache.Path(l.steps.ova), "node-"+version+".ova"), err
}

// Disks returns what the vCenter's runtime of containers has to know: the node
// image that boots where the OVA was imported.
func (l *Lab) Disks() (map[string]string, error) {
	path, err := l.OVA()
	if err != nil {
		return nil, err
	}
	disk, err := ova.DiskDigest(path)
	if err != nil {
		return nil, err
	}
	names, err := l.NodeImages()
	if err != nil {
		return nil, err
	}
	return map[string]string{disk: names.Bare}, nil
}

// makeOVA packs the files of the bare node image.
func (l *Lab) makeOVA(ctx context.Context, dir string) error {
	version, err := l.Kubernetes()
	if err != nil {
		return err
	}
	names, err := l.NodeImages()
	if err != nil {
		return err
	}
	tag, err := name.NewTag(names.Bare)
	if err != nil {
		return err
	}
	image, err := tarball.ImageFromPath(filepath.Join(l.cache.Path(l.steps.node), node.ArchiveFile), &tag)
	if err != nil {
		return fmt.Errorf("reading the node image: %w", err)
	}
	machine := "node-" + version
	opts := ova.Options{Name: machine, Version: version, Boots: l.opts.Bootable}
	roots, closeAll, err := l.roots(image)
	if err != nil {
		return err
	}
	if opts.Boots {
		opts.Without = node.ContainerOnly()
	}
	return errors.Join(ova.Write(ctx, filepath.Join(dir, machine+".ova"), roots, opts), closeAll())
}

// roots returns the archives that make up a machine's files: those of the node
// image, where the first, which is Debian, gives way to one with a kernel.
func (l *Lab) roots(image v1.Image) (roots []io.Reader, closeAll func() error, err error) {
	var open []io.Closer
	closeAll = func() error {
		var errs []error
		for _, c := range open {
			errs = append(errs, c.Close())
		}
		return errors.Join(errs...)
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, nil, err
	}
	for i, layer := range layers {
		read := layer.Uncompressed
		if i == 0 && l.steps.bootable != nil {
			read = func() (io.ReadCloser, error) {
				return os.Open(filepath.Join(l.cache.Path(l.steps.bootable), node.RootfsFile))
			}
		}
		r, err := read()
		if err != nil {
			return nil, nil, errors.Join(err, closeAll())
		}
		roots, open = append(roots, r), append(open, r)
	}
	return roots, closeAll, nil
}
