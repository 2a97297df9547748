package receipt

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
)

// check returns the first rule that r breaks.
func (r *Receipt) check() error {
	if r.APIVersion != archive.APIVersion || r.Kind != Kind {
		return fmt.Errorf("it is a %q of version %q", r.Kind, r.APIVersion)
	}
	if err := r.checkWhere(); err != nil {
		return err
	}
	if len(r.Bundles) == 0 {
		return errors.New("bundles: none")
	}
	for i, b := range r.Bundles {
		if b.Name == "" || b.Version == "" {
			return fmt.Errorf("bundles[%d]: name and version are needed", i)
		}
		if err := checkDigest(b.Statement); err != nil {
			return fmt.Errorf("bundles[%d]: %w", i, err)
		}
	}
	if err := checkBlobs("blobs", r.Blobs); err != nil {
		return err
	}
	if err := checkBlobs("manifests", r.Manifests); err != nil {
		return err
	}
	return r.checkImages()
}

func (r *Receipt) checkWhere() error {
	name := strings.TrimSuffix(r.Registry+"/"+r.Prefix, "/")
	if r.Prefix == "" {
		name += "/any"
	}
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || reference.Domain(named) != r.Registry {
		return fmt.Errorf("registry %q with the prefix %q is no place for repositories", r.Registry, r.Prefix)
	}
	if r.Time.IsZero() || r.Time.Location() != time.UTC || r.Time.Nanosecond() != 0 {
		return fmt.Errorf("time %s is not in UTC and whole seconds", r.Time)
	}
	if year := r.Time.Year(); year < 2000 || year > 9999 {
		return fmt.Errorf("time %s is no date of a push", r.Time)
	}
	return nil
}

func checkBlobs(name string, blobs []Blob) error {
	if blobs == nil {
		return fmt.Errorf("%s: missing", name)
	}
	if len(blobs) > archive.MaxBlobs {
		return fmt.Errorf("%s: there are %d, the limit is %d", name, len(blobs), archive.MaxBlobs)
	}
	for i, b := range blobs {
		if err := checkDigest(b.Digest); err != nil {
			return fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		if b.Size < 0 || b.Size > maxSize {
			return fmt.Errorf("%s[%d]: %s has the size %d", name, i, b.Digest, b.Size)
		}
		if i > 0 && blobs[i-1].Digest >= b.Digest {
			return fmt.Errorf("%s[%d]: %s stands twice or out of order", name, i, b.Digest)
		}
	}
	return nil
}

func (r *Receipt) checkImages() error {
	if r.Images == nil {
		return errors.New("images: missing")
	}
	for i, image := range r.Images {
		if image.Kind == "" || image.Reference == "" || !strings.HasPrefix(image.Target, r.Registry+"/") {
			return fmt.Errorf("images[%d]: kind, reference and a target in %s are needed", i, r.Registry)
		}
		if err := checkDigest(image.Digest); err != nil {
			return fmt.Errorf("images[%d]: %w", i, err)
		}
		if _, found := find(r.Manifests, image.Digest); !found {
			return fmt.Errorf("images[%d]: its manifest %s is not among the manifests", i, image.Digest)
		}
		if i > 0 && compareImages(r.Images[i-1], image) >= 0 {
			return fmt.Errorf("images[%d]: %s stands twice or out of order", i, image.Target)
		}
	}
	return nil
}

func checkDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", d, err)
	}
	if d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("digest %s: only sha256 is carried", d)
	}
	return nil
}
