// Package definition is what a release engineer writes, bundle.yaml, and what
// resolving it pins, bundle.lock.yaml: their types, how they are read and
// checked, and how the lock is written.
package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"

	"github.com/distribution/reference"
)

// What the two files say they are.
const (
	APIVersion = "sealift.dev/v1"
	KindBundle = "Bundle"
	KindLock   = "BundleLock"
)

// maxSize is the largest definition or lock, in bytes, that is read.
const (
	maxSize     = 1 << 20
	maxLockSize = 32 << 20
)

// ErrInvalid means: the file is not what it should be.
var ErrInvalid = errors.New("not valid")

// Bundle is a definition.
type Bundle struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`

	source []byte
}

// Metadata names a bundle.
type Metadata struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Spec is what a bundle shall carry.
type Spec struct {
	// Platforms are carried of every image that does not say otherwise;
	// empty means all. One without a variant stands for all its variants.
	Platforms []string `json:"platforms,omitempty"`
	Images    []Image  `json:"images,omitempty"`

	// These are known to the format, but this version does not carry them yet:
	// a definition that has one is refused, for nothing may be missing silently.
	Charts    json.RawMessage `json:"charts,omitempty"`
	Packs     json.RawMessage `json:"packs,omitempty"`
	Manifests json.RawMessage `json:"manifests,omitempty"`
	Files     json.RawMessage `json:"files,omitempty"`
	Verify    json.RawMessage `json:"verify,omitempty"`
}

// Image is one image, written as its reference alone or as an object.
type Image struct {
	Ref       string   `json:"ref"`
	Platforms []string `json:"platforms,omitempty"`
}

// UnmarshalJSON accepts both forms.
func (i *Image) UnmarshalJSON(data []byte) error {
	if err := json.Unmarshal(data, &i.Ref); err == nil {
		return nil
	}
	type plain Image
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode((*plain)(i))
}

// Reference returns the reference in full: with registry, and with the tag
// latest when it has neither tag nor digest.
func (i Image) Reference() (reference.Named, error) {
	named, err := reference.ParseNormalizedNamed(i.Ref)
	if err != nil {
		return nil, err
	}
	return reference.TagNameOnly(named), nil
}

// Source returns the bytes that the definition was read from.
func (b *Bundle) Source() []byte { return b.source }

// Load reads and checks the definition at path.
func Load(path string) (*Bundle, error) {
	data, err := read(path, maxSize)
	if err != nil {
		return nil, fmt.Errorf("reading the definition: %w", err)
	}
	b, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("definition %s: %w", path, err)
	}
	return b, nil
}

func read(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s has more than %d bytes: %w", path, limit, ErrInvalid)
	}
	return data, err
}

// Parse reads and checks a definition. Its error is ErrInvalid and names every
// problem, each with the path of its field.
func Parse(data []byte) (*Bundle, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("it has more than %d bytes: %w", maxSize, ErrInvalid)
	}
	b := &Bundle{source: bytes.Clone(data)}
	if err := decode(data, b, b.validate); err != nil {
		return nil, err
	}
	return b, nil
}

// Names and platforms have these forms.
var (
	namePattern     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$`)
	versionPattern  = regexp.MustCompile(`^[A-Za-z0-9][-A-Za-z0-9._+]{0,127}$`)
	platformPattern = regexp.MustCompile(`^[a-z0-9]+/[a-z0-9_]+(/[a-zA-Z0-9._]+)?$`)
	digestPattern   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
)

func (b *Bundle) validate() []string {
	var out []string
	add := func(path, format string, args ...any) { out = append(out, path+": "+fmt.Sprintf(format, args...)) }
	if b.APIVersion != APIVersion {
		add("apiVersion", "is %q, not %q", b.APIVersion, APIVersion)
	}
	if b.Kind != KindBundle {
		add("kind", "is %q, not %q", b.Kind, KindBundle)
	}
	if !namePattern.MatchString(b.Metadata.Name) {
		add("metadata.name", "%q is not a name of lower-case letters, digits, '-' and '.' of at most 63", b.Metadata.Name)
	}
	if !versionPattern.MatchString(b.Metadata.Version) {
		add("metadata.version", "%q is not a version such as 1.4.0", b.Metadata.Version)
	}
	out = append(out, platformProblems("spec.platforms", b.Spec.Platforms)...)
	for name, value := range map[string]json.RawMessage{"charts": b.Spec.Charts, "packs": b.Spec.Packs,
		"manifests": b.Spec.Manifests, "files": b.Spec.Files, "verify": b.Spec.Verify} {
		if len(value) > 0 && string(value) != "null" {
			add("spec."+name, "this version of sealift does not carry %s yet; take the field out, or the bundle would lack them", name)
		}
	}
	slices.Sort(out)
	if len(b.Spec.Images) == 0 {
		add("spec.images", "is empty: there is nothing to carry")
	}
	return append(out, b.imageProblems()...)
}

func (b *Bundle) imageProblems() []string {
	var out []string
	seen := map[string]int{}
	for i, img := range b.Spec.Images {
		path := fmt.Sprintf("spec.images[%d]", i)
		named, err := img.Reference()
		if err != nil {
			out = append(out, fmt.Sprintf("%s: %q is not an image reference: %v", path, img.Ref, err))
			continue
		}
		if first, ok := seen[named.String()]; ok {
			out = append(out, fmt.Sprintf("%s: %s is the same as spec.images[%d]", path, img.Ref, first))
		} else {
			seen[named.String()] = i
		}
		if d, ok := named.(reference.Digested); ok && !digestPattern.MatchString(d.Digest().String()) {
			out = append(out, fmt.Sprintf("%s: %s: only sha256 digests are carried", path, img.Ref))
		}
		out = append(out, platformProblems(path+".platforms", img.Platforms)...)
	}
	return out
}

func platformProblems(path string, platforms []string) []string {
	var out []string
	for i, p := range platforms {
		if !platformPattern.MatchString(p) {
			out = append(out, fmt.Sprintf("%s[%d]: %q is not OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64", path, i, p))
		}
		if slices.Index(platforms, p) < i {
			out = append(out, fmt.Sprintf("%s[%d]: %s stands twice", path, i, p))
		}
	}
	return out
}

// CheckPlatforms checks platforms that were given by hand.
func CheckPlatforms(platforms []string) error {
	return invalid(platformProblems("platforms", platforms))
}
