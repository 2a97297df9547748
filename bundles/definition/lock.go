package definition

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/internal/durable"
)

// Lock pins what the references of a definition resolved to.
type Lock struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Images     []LockedImage `json:"images"`
}

// LockedImage is one image of a lock.
type LockedImage struct {
	Ref       string   `json:"ref"` // in full, as the definition asks for it
	Digest    string   `json:"digest"`
	MediaType string   `json:"mediaType"`
	Size      int64    `json:"size"`                // bytes of the manifest or index
	Platforms []string `json:"platforms,omitempty"` // asked for, sorted; empty means all
}

// NewLock returns a lock of these images.
func NewLock(images []LockedImage) *Lock {
	return &Lock{APIVersion: APIVersion, Kind: KindLock, Images: images}
}

// Find returns the entry of a reference in full.
func (l *Lock) Find(ref string) (LockedImage, bool) {
	if l == nil {
		return LockedImage{}, false
	}
	i := slices.IndexFunc(l.Images, func(img LockedImage) bool { return img.Ref == ref })
	if i < 0 {
		return LockedImage{}, false
	}
	return l.Images[i], true
}

// LoadLock reads and checks the lock at path; nil when there is none.
func LoadLock(path string) (*Lock, error) {
	data, err := read(path, maxLockSize)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil //nolint:nilnil // no lock is no error
	}
	if err != nil {
		return nil, fmt.Errorf("reading the lock: %w", err)
	}
	l, err := ParseLock(data)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return l, nil
}

// ParseLock reads and checks a lock. Its error names every problem.
func ParseLock(data []byte) (*Lock, error) {
	l := new(Lock)
	if err := decode(data, l); err != nil {
		return nil, err
	}
	var problems []string
	if l.APIVersion != APIVersion || l.Kind != KindLock {
		problems = append(problems, fmt.Sprintf("apiVersion and kind: %q and %q, not %q and %q", l.APIVersion, l.Kind, APIVersion, KindLock))
	}
	seen := map[string]bool{}
	for i, img := range l.Images {
		path := fmt.Sprintf("images[%d]", i)
		if _, err := (Image{Ref: img.Ref}).Reference(); err != nil {
			problems = append(problems, fmt.Sprintf("%s.ref: %q is not an image reference: %v", path, img.Ref, err))
		}
		if seen[img.Ref] {
			problems = append(problems, fmt.Sprintf("%s.ref: %s stands twice", path, img.Ref))
		}
		seen[img.Ref] = true
		if !digestPattern.MatchString(img.Digest) {
			problems = append(problems, fmt.Sprintf("%s.digest: %q is not a sha256 digest", path, img.Digest))
		}
		if img.Size <= 0 {
			problems = append(problems, fmt.Sprintf("%s.size: is %d", path, img.Size))
		}
		problems = append(problems, platformProblems(path+".platforms", img.Platforms)...)
	}
	if len(problems) > 0 {
		return nil, invalid(problems)
	}
	return l, nil
}

const lockComment = "# Written by \"sealift bundle create\": what each reference resolved to. Keep it beside the definition, under version control.\n"

// Save writes the lock; the same lock gives the same bytes. A file that
// already holds them is left alone.
func (l *Lock) Save(path string) error {
	data, err := yaml.Marshal(l)
	if err != nil {
		return fmt.Errorf("encoding the lock: %w", err)
	}
	data = append([]byte(lockComment), data...)
	if have, err := os.ReadFile(path); err == nil && string(have) == string(data) {
		return nil
	}
	if err := durable.WriteFile(path, data, 0o644); err != nil {
		return fmt.Errorf("writing the lock %s: %w", path, err)
	}
	return nil
}
