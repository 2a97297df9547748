package archive

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/content"
)

// Contents is what goes into a bundle.
type Contents struct {
	Name, Version string
	Definition    []byte
	// Roots in the order of the definition. Their Size is filled in by Plan.
	Roots []Root
	// Blobs are all blobs that the roots need, each digest once, in any order.
	Blobs []content.Descriptor
	// Documents are the bytes of every manifest and index among Blobs.
	Documents map[digest.Digest][]byte
	// AllowMissing is signed into the statement.
	AllowMissing []Allowance
	// Bases are the bundles that a delta builds on; Has tells which blobs they
	// supply. Documents and the definition travel all the same.
	Bases []Base
	Has   func(content.Descriptor) bool
}

// Layout is a bundle whose every position is known.
type Layout struct {
	Statement *Statement
	documents map[digest.Digest][]byte // manifests, indexes and the definition
	head      []entry                  // of the file, up to the statement, then the signature
}

type entry struct {
	name string
	data []byte
}

// Plan lays out a bundle. The same contents give the same layout, whatever the
// order of Blobs.
func Plan(c Contents) (*Layout, error) {
	docs := make(map[digest.Digest][]byte, len(c.Documents)+1)
	for d, data := range c.Documents {
		docs[d] = data
	}
	def := content.Descriptor{MediaType: MediaTypeDefinition, Digest: digest.FromBytes(c.Definition), Size: int64(len(c.Definition))}
	docs[def.Digest] = c.Definition

	s := &Statement{APIVersion: APIVersion, Kind: Kind, Name: c.Name, Version: c.Version, Definition: def, Roots: slices.Clone(c.Roots),
		AllowMissing: c.AllowMissing, Bases: c.Bases}
	carried := []content.Descriptor{def}
	for _, d := range c.Blobs {
		if _, document := docs[d.Digest]; !document && c.Has != nil && c.Has(d) {
			s.FromBase = append(s.FromBase, content.Bare(d))
		} else {
			carried = append(carried, d)
		}
	}
	slices.SortFunc(s.FromBase, func(a, b content.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	s.Blobs = place(carried, docs)
	s.Payload = payloadSize(s.Blobs)
	for i := range s.Roots {
		size, err := treeSize(s.Roots[i], docs)
		if err != nil {
			return nil, fmt.Errorf("planning %s: %w", s.Roots[i].Reference, err)
		}
		s.Roots[i].Size = size
	}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("planning the bundle: %w", err)
	}
	return layOut(s, docs)
}

// place orders blobs and gives them their offsets: documents first, then data,
// each by digest.
func place(descs []content.Descriptor, docs map[digest.Digest][]byte) []Blob {
	rank := func(d content.Descriptor) int {
		if _, ok := docs[d.Digest]; ok {
			return 0
		}
		return 1
	}
	slices.SortFunc(descs, func(a, b content.Descriptor) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Digest, b.Digest))
	})
	descs = slices.CompactFunc(descs, func(a, b content.Descriptor) bool { return a.Digest == b.Digest })
	blobs := make([]Blob, len(descs))
	next := int64(blockSize)
	for i, d := range descs {
		blobs[i] = Blob{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size, Offset: next}
		next += roundUp(d.Size) + blockSize
	}
	return blobs
}

func payloadSize(blobs []Blob) int64 {
	last := blobs[len(blobs)-1] // the definition is always there
	return last.Offset + roundUp(last.Size) + endSize
}

// treeSize returns the size of all blobs below and including a root that are
// not declared absent.
func treeSize(r Root, docs map[digest.Digest][]byte) (int64, error) {
	var total int64
	err := Walk(r, readFrom(docs), func(d content.Descriptor, _ *content.Manifest, _ []byte) error {
		total += d.Size
		return nil
	})
	return total, err
}

func readFrom(docs map[digest.Digest][]byte) func(content.Descriptor) ([]byte, error) {
	return func(d content.Descriptor) ([]byte, error) {
		data, ok := docs[d.Digest]
		if !ok {
			return nil, fmt.Errorf("document %s: %w", d.Digest, content.ErrNotFound)
		}
		return data, nil
	}
}

// layOut makes the entries before the payload.
func layOut(s *Statement, docs map[digest.Digest][]byte) (*Layout, error) {
	index, err := indexJSON(s.Roots)
	if err != nil {
		return nil, err
	}
	manifest, err := manifestJSON(s.Roots, docs)
	if err != nil {
		return nil, err
	}
	l := &Layout{Statement: s, documents: docs, head: []entry{
		{NameLayout, []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {NameIndex, index}, {NameManifest, manifest}}}
	s.Head = nil
	for _, e := range l.head {
		s.Head = append(s.Head, HeadEntry{Name: e.name, Digest: digest.FromBytes(e.data), Size: int64(len(e.data))})
	}
	data, err := s.Encode()
	if err != nil {
		return nil, err
	}
	l.head = append(l.head, entry{NameStatement, data}, entry{NameSignature, make([]byte, signatureSize)})
	for i, limit := range headLimits() {
		if size := int64(len(l.head[i].data)); size > limit.size {
			return nil, fmt.Errorf("%s would have %d bytes, the limit is %d: divide the bundle", limit.name, size, limit.size)
		}
	}
	return l, nil
}

// StatementBytes returns what has to be signed.
func (l *Layout) StatementBytes() []byte { return l.head[len(l.head)-2].data }

// setSignature adds the signature, filled up with line feeds.
func (l *Layout) setSignature(signature []byte) error {
	entry := l.head[len(l.head)-1].data
	if len(signature) == 0 || len(signature) > len(entry) {
		return fmt.Errorf("a signature of %d bytes does not fit into a bundle, which has room for %d", len(signature), len(entry))
	}
	n := copy(entry, signature)
	for i := n; i < len(entry); i++ {
		entry[i] = '\n'
	}
	return nil
}

// Place returns the position of a blob's first byte in the file.
func (l *Layout) Place(b Blob) int64 { return l.start() + b.Offset }

// start returns the payload start.
func (l *Layout) start() int64 {
	var n int64
	for _, e := range l.head {
		n += blockSize + roundUp(int64(len(e.data)))
	}
	return n
}

// Size returns the size of the file in bytes.
func (l *Layout) Size() int64 { return l.start() + l.Statement.Payload }

// Head returns the bytes before the payload, with the signature of
// StatementBytes: what makes a file of the laid out size a bundle.
func (l *Layout) Head(signature []byte) ([]byte, error) {
	if err := l.setSignature(signature); err != nil {
		return nil, err
	}
	out := make([]byte, 0, l.start())
	for _, e := range l.head {
		h, err := header(e.name, int64(len(e.data)))
		if err != nil {
			return nil, err
		}
		out = append(append(out, h...), e.data...)
		out = append(out, make([]byte, roundUp(int64(len(out)))-int64(len(out)))...)
	}
	return out, nil
}

// indexJSON returns index.json; see FORMAT.md, section 5.
func indexJSON(roots []Root) ([]byte, error) {
	tags := map[string]int{}
	for _, r := range roots {
		tags[tagOf(r.Reference)]++
	}
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []content.Descriptor{}}
	add := func(r Root, name string) {
		d := content.Bare(r.Descriptor)
		d.Annotations = map[string]string{ocispec.AnnotationRefName: name, "io.containerd.image.name": r.Reference}
		index.Manifests = append(index.Manifests, d)
	}
	for _, r := range roots {
		add(r, r.Reference)
	}
	for _, r := range roots {
		if tag := tagOf(r.Reference); tag != "" && tags[tag] == 1 {
			add(r, tag)
		}
	}
	return json.Marshal(index)
}

// tagOf returns the tag of a full reference, or "".
func tagOf(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ""
	}
	if t, ok := named.(reference.Tagged); ok {
		return t.Tag()
	}
	return ""
}

// dockerEntry is one image of manifest.json as `docker save` writes it.
type dockerEntry struct {
	Config   string   `json:"Config"`
	RepoTags []string `json:"RepoTags"`
	Layers   []string `json:"Layers"`
}

// manifestJSON returns manifest.json; see FORMAT.md, section 5.
func manifestJSON(roots []Root, docs map[digest.Digest][]byte) ([]byte, error) {
	out := []dockerEntry{}
	for _, r := range roots {
		m, err := defaultImage(r, docs)
		if err != nil {
			return nil, err
		}
		if m == nil {
			continue
		}
		e := dockerEntry{Config: BlobName(m.Config.Digest), Layers: []string{}}
		if tagOf(r.Reference) != "" {
			e.RepoTags = []string{r.Reference}
		}
		for _, l := range m.Layers {
			e.Layers = append(e.Layers, BlobName(l.Digest))
		}
		out = append(out, e)
	}
	return json.Marshal(out)
}

// defaultImage returns the image that a tool for one platform should see of a
// root: the linux/amd64 one, else the first that travels, else nil.
func defaultImage(r Root, docs map[digest.Digest][]byte) (*content.Manifest, error) {
	var best *content.Manifest
	exact := false // linux/amd64
	err := Walk(r, readFrom(docs), func(d content.Descriptor, m *content.Manifest, _ []byte) error {
		if m == nil || !m.IsImage() || isAttestation(m) {
			return nil
		}
		if p := d.Platform; p != nil && p.OS == "linux" && p.Architecture == "amd64" && !exact {
			best, exact = m, true
		}
		if best == nil {
			best = m
		}
		return nil
	})
	return best, err
}

// isAttestation tells whether an image manifest is BuildKit's disguise for
// attestations: image configuration, but layers of in-toto statements.
func isAttestation(m *content.Manifest) bool {
	return len(m.Layers) > 0 && m.Layers[0].MediaType == "application/vnd.in-toto+json"
}
