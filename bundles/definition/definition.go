// Package definition is what a release engineer writes, bundle.yaml, and what
// resolving it pins, bundle.lock.yaml: their types, how they are read and
// checked, and how the lock is written.
package definition

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/bundles/document"
	"github.com/sealift/sealift/internal/problem"
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
var ErrInvalid = document.ErrInvalid

// Bundle is a definition.
type Bundle struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`

	source []byte
	dir    string // that relative paths start at
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
	// Kubernetes is the cluster that charts are rendered for.
	Kubernetes Kubernetes  `json:"kubernetes,omitzero"`
	Images     []Image     `json:"images,omitempty"`
	Charts     []Chart     `json:"charts,omitempty"`
	Packs      []Pack      `json:"packs,omitempty"`
	Manifests  []Manifests `json:"manifests,omitempty"`
	Files      []File      `json:"files,omitempty"`
	// Verify are rules for signatures; the first that matches an image decides.
	Verify []VerifyRule `json:"verify,omitempty"`
	// AllowMissing are images and charts that may be named by what is carried
	// and yet stay behind.
	AllowMissing []Allowance `json:"allowMissing,omitempty"`
}

// Kubernetes is what charts ask of the cluster that they are rendered for.
type Kubernetes struct {
	Version     string   `json:"version,omitempty"`     // such as 1.34.0, which "" means
	APIVersions []string `json:"apiVersions,omitempty"` // besides those of Kubernetes itself
}

// Source returns the bytes that the definition was read from.
func (b *Bundle) Source() []byte { return b.source }

// Path returns where a path of the definition is: relative ones start at the
// folder that the definition lies in.
func (b *Bundle) Path(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(b.dir, path)
}

// Load reads and checks the definition at path.
func Load(path string) (*Bundle, error) {
	data, err := read(path, maxSize)
	if err != nil {
		return nil, problem.New(problem.Usage, "", "reading the definition: %w", err)
	}
	b, err := Parse(data)
	if err != nil {
		return nil, problem.WithRemedy(fmt.Errorf("definition %s: %w", path, err), "mend it; sealift bundle init shows what one looks like, and sealift bundle schema is for your editor")
	}
	b.dir = filepath.Dir(path)
	return b, nil
}

func read(path string, limit int64) ([]byte, error) {
	data, err := content.ReadFile(path, limit)
	if errors.Is(err, content.ErrTooLarge) {
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
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
	if err := document.Decode(data, b, b.validate, document.Options{}); err != nil {
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
	return append(out, b.Spec.validate()...)
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
	return document.Invalid(platformProblems("platforms", platforms))
}
