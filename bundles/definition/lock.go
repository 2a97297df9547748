package definition

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/document"
	"github.com/sealift/sealift/internal/durable"
)

// Lock pins what the references of a definition resolved to.
type Lock struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Images     []LockedImage `json:"images"`
	Charts     []LockedChart `json:"charts,omitempty"`
	Files      []LockedFile  `json:"files,omitempty"`
}

// LockedImage is one image of a lock.
type LockedImage struct {
	Ref       string   `json:"ref"` // in full, as the definition asks for it
	Digest    string   `json:"digest"`
	MediaType string   `json:"mediaType"`
	Size      int64    `json:"size"`                // bytes of the manifest or index
	Platforms []string `json:"platforms,omitempty"` // asked for, sorted; empty means all
	// Referrers are the signatures, attestations and other artifacts that travel with it.
	Referrers []LockedReferrer `json:"referrers,omitempty"`
}

// LockedReferrer is what refers to an image, or to another referrer.
type LockedReferrer struct {
	Subject   string `json:"subject"`       // digest
	Tag       string `json:"tag,omitempty"` // such as cosign's sha256-....sig
	Digest    string `json:"digest"`
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
}

// LockedChart is one chart of a classic repository.
type LockedChart struct {
	Repo    string `json:"repo"`
	Name    string `json:"name"`
	Asked   string `json:"asked"` // the version or range of the definition
	Version string `json:"version"`
	SHA256  string `json:"sha256"` // of the archive
}

// LockedFile is one file of this host.
type LockedFile struct {
	Path   string `json:"path"` // as the definition has it
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// LockName returns where the lock of a definition is unless somebody says
// otherwise: bundle.lock.yaml beside bundle.yaml.
func LockName(definition string) string {
	return strings.TrimSuffix(definition, filepath.Ext(definition)) + ".lock.yaml"
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

// FindChart returns the entry of a chart of a classic repository.
func (l *Lock) FindChart(repo, name, asked string) (LockedChart, bool) {
	if l == nil {
		return LockedChart{}, false
	}
	i := slices.IndexFunc(l.Charts, func(c LockedChart) bool { return c.Repo == repo && c.Name == name && c.Asked == asked })
	if i < 0 {
		return LockedChart{}, false
	}
	return l.Charts[i], true
}

// FindFile returns the entry of a file by its path as the definition has it.
func (l *Lock) FindFile(path string) (LockedFile, bool) {
	if l == nil {
		return LockedFile{}, false
	}
	i := slices.IndexFunc(l.Files, func(f LockedFile) bool { return f.Path == path })
	if i < 0 {
		return LockedFile{}, false
	}
	return l.Files[i], true
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

// ParseLock reads and checks a lock. Its error is ErrInvalid and names every
// problem, each with the path of its field.
func ParseLock(data []byte) (*Lock, error) {
	if len(data) > maxLockSize {
		return nil, fmt.Errorf("it has more than %d bytes: %w", maxLockSize, ErrInvalid)
	}
	l := new(Lock)
	if err := document.Decode(data, l, l.validate, document.Options{}); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Lock) validate() []string {
	var out []string
	if l.APIVersion != APIVersion {
		out = append(out, fmt.Sprintf("apiVersion: is %q, not %q", l.APIVersion, APIVersion))
	}
	if l.Kind != KindLock {
		out = append(out, fmt.Sprintf("kind: is %q, not %q", l.Kind, KindLock))
	}
	seen := map[string]bool{}
	for i, img := range l.Images {
		path := fmt.Sprintf("images[%d]", i)
		out = append(out, img.validate(path)...)
		if seen[img.Ref] {
			out = append(out, fmt.Sprintf("%s.ref: %s stands twice", path, img.Ref))
		}
		seen[img.Ref] = true
	}
	for i, c := range l.Charts {
		if c.Repo == "" || c.Name == "" || c.Version == "" || !sha256Pattern.MatchString(c.SHA256) {
			out = append(out, fmt.Sprintf("charts[%d]: needs repo, name, version and a sha256", i))
		}
	}
	for i, f := range l.Files {
		if f.Path == "" || f.Size < 0 || !sha256Pattern.MatchString(f.SHA256) {
			out = append(out, fmt.Sprintf("files[%d]: needs path, size and a sha256", i))
		}
	}
	return out
}

func (img LockedImage) validate(path string) []string {
	var out []string
	named, err := Image{Ref: img.Ref}.Reference()
	switch {
	case err != nil:
		out = append(out, fmt.Sprintf("%s.ref: %q is not an image reference: %v", path, img.Ref, err))
	case named.String() != img.Ref:
		// An entry under another spelling would never be found again.
		out = append(out, fmt.Sprintf("%s.ref: %s is not in full: %s", path, img.Ref, named))
	}
	if !digestPattern.MatchString(img.Digest) {
		out = append(out, fmt.Sprintf("%s.digest: %q is not a sha256 digest", path, img.Digest))
	}
	if d, ok := named.(reference.Digested); ok && d.Digest().String() != img.Digest {
		out = append(out, fmt.Sprintf("%s.digest: %s is not the digest of the reference", path, img.Digest))
	}
	if !content.IsManifest(img.MediaType) {
		out = append(out, fmt.Sprintf("%s.mediaType: %q is not that of a manifest or index", path, img.MediaType))
	}
	if img.Size <= 0 || img.Size > content.MaxManifestSize {
		out = append(out, fmt.Sprintf("%s.size: is %d", path, img.Size))
	}
	for i, r := range img.Referrers {
		if !digestPattern.MatchString(r.Subject) || !digestPattern.MatchString(r.Digest) || !content.IsManifest(r.MediaType) ||
			r.Size <= 0 || r.Size > content.MaxManifestSize || (r.Tag != "" && !tagPattern.MatchString(r.Tag)) {
			out = append(out, fmt.Sprintf("%s.referrers[%d]: is not the digest, media type, size and subject of a manifest", path, i))
		}
	}
	return append(out, platformProblems(path+".platforms", img.Platforms)...)
}

var tagPattern = regexp.MustCompile(`^[A-Za-z0-9_][-A-Za-z0-9_.]{0,127}$`)

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
