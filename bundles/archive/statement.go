package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/content"
)

// What a statement says it is.
const (
	APIVersion = "sealift.dev/v1"
	Kind       = "BundleStatement"
	// MediaTypeDefinition is the media type of a bundle's definition.
	MediaTypeDefinition = "application/vnd.sealift.bundle.definition.v1+yaml"
)

// The kinds of roots; see FORMAT.md, section 4.
const (
	RootImage     = "image"     // a container image, or any artifact that images: names
	RootChart     = "chart"     // a Helm chart
	RootPack      = "pack"      // a pack
	RootManifests = "manifests" // plain Kubernetes manifests
	RootFile      = "file"      // any file
	RootValues    = "values"    // the values that a chart or pack was looked through at
	RootReferrer  = "referrer"  // a signature, an attestation, an SBOM or another artifact that refers to a root
	RootSBOM      = "sbom"      // the bill of materials of the bundle itself
)

// rootKinds are all of them.
func rootKinds() []string {
	return []string{RootImage, RootChart, RootPack, RootManifests, RootFile, RootValues, RootReferrer, RootSBOM}
}

// Limits of the format; see FORMAT.md, sections 2, 3 and 11.
const (
	MaxBlobs = 1_000_000
	maxSize  = 1 << 50
)

// Statement lists everything that a bundle holds. It is what is signed.
type Statement struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Name       string             `json:"name"`
	Version    string             `json:"version"`
	Definition content.Descriptor `json:"definition"`
	Head       []HeadEntry        `json:"head"`
	Payload    int64              `json:"payload"` // bytes
	Roots      []Root             `json:"roots"`
	// AllowMissing are images and charts that roots may need and the bundle need not have.
	AllowMissing []Allowance          `json:"allowMissing,omitempty"`
	Blobs        []Blob               `json:"blobs"`
	Bases        []Base               `json:"bases,omitempty"`
	FromBase     []content.Descriptor `json:"fromBase,omitempty"`
}

// HeadEntry is an entry before the statement.
type HeadEntry struct {
	Name   string        `json:"name"`
	Digest digest.Digest `json:"digest"`
	Size   int64         `json:"size"` // bytes
}

// Allowance is what may be missing. Its match is a pattern of full names
// without tag, as in a definition.
type Allowance struct {
	Match  string `json:"match"`
	Reason string `json:"reason,omitempty"`
}

// Need is an image or chart that a root names.
type Need struct {
	Kind      string `json:"kind"`      // RootImage or RootChart
	Reference string `json:"reference"` // in full
	Certainty string `json:"certainty"` // certain or likely
	Where     string `json:"where"`     // the first place that names it
}

// Root is one thing that the definition asked for, or that one needs.
type Root struct {
	Kind      string `json:"kind"`
	Requested string `json:"requested"` // as the definition has it
	Reference string `json:"reference"` // in full: docker.io/library/nginx:1.27
	Resolved  string `json:"resolved"`  // docker.io/library/nginx@sha256:...
	// Descriptor is that of the manifest or index.
	Descriptor content.Descriptor `json:"descriptor"`
	Platforms  []string           `json:"platforms"`
	Size       int64              `json:"size"` // bytes of all its blobs, each once
	// Absent are the children of an index that were left out, with their platforms.
	Absent []content.Descriptor `json:"absent,omitempty"`
	// Subject is the manifest that a referrer or a root of values belongs to.
	Subject digest.Digest `json:"subject,omitempty"`
	// Needs are the images and charts that a chart, pack or manifest names.
	Needs []Need `json:"needs,omitempty"`
}

// Blob is a blob of the payload.
type Blob struct {
	MediaType string        `json:"mediaType"`
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size"`   // bytes
	Offset    int64         `json:"offset"` // of its first byte, from the payload start
}

// Descriptor returns the OCI descriptor of b.
func (b Blob) Descriptor() content.Descriptor {
	return content.Descriptor{MediaType: b.MediaType, Digest: b.Digest, Size: b.Size}
}

// Base is a bundle that a delta builds on.
type Base struct {
	Name      string        `json:"name"`
	Version   string        `json:"version"`
	Statement digest.Digest `json:"statement"`
}

// Errors about a bundle's bytes, to be matched with errors.Is.
var (
	// ErrFormat: the file is not a bundle, or not one of this version.
	ErrFormat = errors.New("not a valid bundle")
	// ErrTruncated: the file ends before it should.
	ErrTruncated = errors.New("truncated")
)

// Encode returns the bytes of s as they stand in a bundle.
func (s *Statement) Encode() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf) // ends with a line feed
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		return nil, fmt.Errorf("encoding the statement: %w", err)
	}
	return buf.Bytes(), nil
}

// DecodeStatement reads a statement and checks all that can be checked without
// the payload. The bytes should have been authenticated before.
func DecodeStatement(data []byte) (*Statement, error) {
	if hollow(data) {
		return nil, fmt.Errorf("%s: %w: it is made of things that say nothing", NameStatement, ErrFormat)
	}
	s := new(Statement)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("reading %s: %w: %w", NameStatement, ErrFormat, err)
	}
	if s.APIVersion != APIVersion || s.Kind != Kind {
		return nil, fmt.Errorf("%s is a %q of version %q, this program reads %q of %q: %w",
			NameStatement, s.Kind, s.APIVersion, Kind, APIVersion, ErrFormat)
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", NameStatement, ErrFormat, err)
	}
	return s, nil
}

// hollow tells whether a statement would take much more memory than it has
// bytes: whoever made it, it is decoded before anything in it can be counted.
// What a statement lists has digests, and so more than 100 bytes an entry.
func hollow(data []byte) bool {
	const many, entry, value = 1 << 16, 32, 8 // entries that nobody minds, and the fewest bytes of each and of a value
	entries, values := bytes.Count(data, []byte("{")), bytes.Count(data, []byte(","))
	return (entries > many && entries > len(data)/entry) || (values > many && values > len(data)/value)
}

func (s *Statement) check() error {
	if len(s.Blobs) > MaxBlobs || len(s.FromBase) > MaxBlobs {
		return fmt.Errorf("%d blobs, the limit is %d", max(len(s.Blobs), len(s.FromBase)), MaxBlobs)
	}
	known := make(map[digest.Digest]int64, len(s.Blobs)+len(s.FromBase))
	end, err := s.checkBlobs(known)
	if err != nil {
		return err
	}
	if s.Payload != end {
		return fmt.Errorf("payload is %d, the blobs make %d", s.Payload, end)
	}
	for i, d := range s.FromBase {
		if err := checkDescriptor(d); err != nil {
			return fmt.Errorf("fromBase[%d]: %w", i, err)
		}
		known[d.Digest] = d.Size
	}
	for i := range s.Roots {
		if err := s.Roots[i].check(known); err != nil {
			return fmt.Errorf("roots[%d] (%s): %w", i, s.Roots[i].Reference, err)
		}
	}
	if size, ok := known[s.Definition.Digest]; !ok || size != s.Definition.Size {
		return fmt.Errorf("definition %s is not among the blobs", s.Definition.Digest)
	}
	return nil
}

// checkBlobs checks digests, sizes and offsets and returns the length of the payload.
func (s *Statement) checkBlobs(known map[digest.Digest]int64) (int64, error) {
	next := int64(blockSize)
	for i, b := range s.Blobs {
		if err := checkDescriptor(b.Descriptor()); err != nil {
			return 0, fmt.Errorf("blobs[%d]: %w", i, err)
		}
		if _, twice := known[b.Digest]; twice {
			return 0, fmt.Errorf("blobs[%d]: %s stands twice", i, b.Digest)
		}
		if b.Offset != next {
			return 0, fmt.Errorf("blobs[%d]: %s has the offset %d, its place is %d", i, b.Digest, b.Offset, next)
		}
		known[b.Digest] = b.Size
		next += roundUp(b.Size) + blockSize
		if next > maxSize {
			return 0, fmt.Errorf("the blobs up to [%d] have more than %d bytes", i, int64(maxSize))
		}
	}
	return next - blockSize + endSize, nil
}

func (r *Root) check(known map[digest.Digest]int64) error {
	if !slices.Contains(rootKinds(), r.Kind) {
		return fmt.Errorf("kind %q is not known", r.Kind)
	}
	if r.Subject != "" {
		if _, ok := known[r.Subject]; !ok {
			return fmt.Errorf("its subject %s is not among the blobs", r.Subject)
		}
	} else if r.Kind == RootReferrer || r.Kind == RootValues {
		return errors.New("it has no subject")
	}
	if size, ok := known[r.Descriptor.Digest]; !ok || size != r.Descriptor.Size {
		return fmt.Errorf("its manifest %s is not among the blobs", r.Descriptor.Digest)
	}
	for i, d := range r.Absent {
		if err := checkDescriptor(d); err != nil {
			return fmt.Errorf("absent[%d]: %w", i, err)
		}
	}
	return nil
}

func checkDescriptor(d content.Descriptor) error {
	if err := d.Digest.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", d.Digest, err)
	}
	if d.Digest.Algorithm() != digest.SHA256 {
		return fmt.Errorf("digest %s: only sha256 is carried", d.Digest)
	}
	if d.Size < 0 || d.Size > maxSize {
		return fmt.Errorf("%s has the size %d", d.Digest, d.Size)
	}
	return nil
}
