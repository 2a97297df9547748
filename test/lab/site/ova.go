package site

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
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
	root := mutate.Extract(image)
	machine := "node-" + version
	return errors.Join(ova.Write(ctx, filepath.Join(dir, machine+".ova"), root, ova.Options{Name: machine, Version: version}), root.Close())
}
