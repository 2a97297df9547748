// Command preload fills the data folder of a containerd that is not running
// with images: their blobs go into the content store and their names into the
// metadata of the namespace that the kubelet uses, by containerd's own
// libraries. It does what "ctr images import --no-unpack" does, without a daemon.
//
//	preload OCI-LAYOUT FOLDER [IMAGE...]
//
// Without names, all images of the layout are taken.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/containerd/containerd/content"
	"github.com/containerd/containerd/content/local"
	"github.com/containerd/containerd/images"
	"github.com/containerd/containerd/metadata"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/errdefs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	bolt "go.etcd.io/bbolt"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: preload OCI-LAYOUT FOLDER [IMAGE...]")
		os.Exit(2)
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "preload:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, layout, root string, names []string) error {
	index, err := readIndex(layout)
	if err != nil {
		return err
	}
	db, closeDB, err := open(root)
	if err != nil {
		return err
	}
	ctx = namespaces.WithNamespace(ctx, "k8s.io")
	for _, d := range index.Manifests {
		name := d.Annotations[ocispec.AnnotationRefName]
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		if err := add(ctx, db, layout, name, d); err != nil {
			return errors.Join(fmt.Errorf("%s: %w", name, err), closeDB())
		}
	}
	return closeDB()
}

func readIndex(layout string) (*ocispec.Index, error) {
	data, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		return nil, err
	}
	var index ocispec.Index
	return &index, json.Unmarshal(data, &index)
}

// open opens the folders that containerd's plugins have below its root.
func open(root string) (*metadata.DB, func() error, error) {
	store, err := local.NewStore(filepath.Join(root, "io.containerd.content.v1.content"))
	if err != nil {
		return nil, nil, err
	}
	dir := filepath.Join(root, "io.containerd.metadata.v1.bolt")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, nil, err
	}
	file, err := bolt.Open(filepath.Join(dir, "meta.db"), 0o644, nil)
	if err != nil {
		return nil, nil, err
	}
	db := metadata.NewDB(file, store, nil)
	return db, file.Close, db.Init(context.Background())
}

// add copies an image with all that it refers to, and gives it its name.
func add(ctx context.Context, db *metadata.DB, layout, name string, d ocispec.Descriptor) error {
	store := db.ContentStore()
	copyBlob := func(ctx context.Context, d ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		if err := ingest(ctx, store, layout, d); err != nil {
			return nil, err
		}
		return images.Children(ctx, store, d)
	}
	// The labels keep the collector of garbage from an image's blobs.
	if err := images.Walk(ctx, images.SetChildrenLabels(store, images.HandlerFunc(copyBlob)), d); err != nil {
		return err
	}
	d.Annotations = nil
	_, err := metadata.NewImageStore(db).Create(ctx, images.Image{Name: name, Target: d,
		Labels: map[string]string{"io.cri-containerd.image": "managed", "io.cri-containerd.pinned": "pinned"}})
	return err
}

// ingest copies one blob of the layout; one that is there already is fine.
func ingest(ctx context.Context, store content.Store, layout string, d ocispec.Descriptor) error {
	f, err := os.Open(filepath.Join(layout, "blobs", d.Digest.Algorithm().String(), d.Digest.Encoded()))
	if err != nil {
		return err
	}
	err = content.WriteBlob(ctx, store, d.Digest.String(), io.Reader(f), d)
	if errdefs.IsAlreadyExists(err) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
