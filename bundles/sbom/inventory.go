package sbom

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/anchore/packageurl-go"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

// inventory is what a bundle holds, before it is written in one format or another.
type inventory struct {
	name, version string
	identity      digest.Digest // of name, version and roots, without an SBOM
	roots         []*component
	declared      declarations
}

// component is a root, or a platform's manifest below a root.
type component struct {
	kind      string // of the root
	reference string // of the root
	desc      content.Descriptor
	platform  string // OS/ARCH[/VARIANT], or nothing
	image     bool   // has a file system in its layers
	layers    []content.Descriptor
	index     digest.Digest // that the manifest was found in, if any
	children  []*component

	source   string // of packages: declared, scanned or why there are none
	packages []pack // sorted, each once
}

// pack is a package of an image.
type pack struct {
	kind     string // deb, rpm, golang, ...
	name     string
	version  string
	purl     string
	licenses []license // sorted
}

// license is an SPDX expression, or else a name with perhaps a text.
type license struct {
	expression, name, text string
}

// The sources of a component's packages.
const (
	sourceScanned = "scanned from its package databases and programs"
	sourceBase    = "unknown: its layers are in the base bundle"
)

// inBase is the warning about what a delta leaves to its base.
const inBase = "not looked into, for it lies in the base of this delta: name that bundle with --base"

func sourceDeclared(docs []digest.Digest) string {
	var names []string
	for _, d := range docs {
		names = append(names, d.String())
	}
	return "declared by the SBOM that the image carries: " + strings.Join(names, ", ")
}

// survey reads the documents of a bundle.
func survey(ctx context.Context, b Bundle) (*inventory, error) {
	s := b.Statement()
	inv := &inventory{name: s.Name, version: s.Version}
	kept := slices.DeleteFunc(slices.Clone(s.Roots), func(r archive.Root) bool { return r.Kind == archive.RootSBOM })
	var err error
	if inv.identity, err = identity(s.Name, s.Version, kept); err != nil {
		return nil, err
	}
	if inv.declared, err = findDeclarations(ctx, b); err != nil {
		return nil, err
	}
	for _, r := range kept {
		c, err := surveyRoot(ctx, b, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Reference, err)
		}
		if c != nil {
			inv.roots = append(inv.roots, c)
		}
	}
	return inv, nil
}

// identity names what the documents speak of.
func identity(name, version string, roots []archive.Root) (digest.Digest, error) {
	data, err := json.Marshal(struct {
		Name, Version string
		Roots         []archive.Root
	}{name, version, roots})
	return digest.FromBytes(data), err
}

// surveyRoot returns the component of a root with its platforms below it, or
// nil for what is only said about another root.
func surveyRoot(ctx context.Context, b Bundle, r archive.Root) (*component, error) {
	c := &component{kind: r.Kind, reference: r.Reference, desc: content.Bare(r.Descriptor)}
	if !content.IsManifest(r.Descriptor.MediaType) {
		return c, nil
	}
	absent := map[digest.Digest]bool{}
	for _, d := range r.Absent {
		absent[d.Digest] = true
	}
	m, err := readManifest(ctx, b, r.Descriptor.Digest)
	switch {
	case errors.Is(err, content.ErrNotFound): // it is in the base of a delta
		c.source = sourceBase
		return c, nil
	case err != nil:
		return nil, err
	case isStatementAboutAnother(r, m):
		return nil, nil
	}
	return c, c.look(ctx, b, m, absent, 0)
}

// maxDepth is how deep indexes may be nested.
const maxDepth = 8

// look fills in what the manifest of a component says.
func (c *component) look(ctx context.Context, b Bundle, m *content.Manifest, absent map[digest.Digest]bool, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("indexes are nested more than %d deep: %w", maxDepth, content.ErrManifest)
	}
	if !content.IsIndex(m.MediaType) {
		c.image, c.layers = m.IsImage(), m.Layers
		if c.image && c.platform == "" {
			var err error
			if c.platform, err = platformOf(ctx, b, *m.Config); err != nil {
				return fmt.Errorf("configuration %s: %w", m.Config.Digest, err)
			}
		}
		return nil
	}
	for _, d := range m.Manifests {
		if absent[d.Digest] || d.Annotations[attestedDigest] != "" {
			continue
		}
		child := &component{kind: c.kind, reference: c.reference, desc: content.Bare(d), platform: platformName(d.Platform), index: c.desc.Digest}
		below, err := readManifest(ctx, b, d.Digest)
		if errors.Is(err, content.ErrNotFound) {
			child.source = sourceBase
		} else if err == nil {
			err = child.look(ctx, b, below, absent, depth+1)
		}
		if err != nil && child.source == "" {
			return err
		}
		c.children = append(c.children, child)
	}
	return nil
}

func readManifest(ctx context.Context, b Bundle, d digest.Digest) (*content.Manifest, error) {
	desc, data, err := b.Document(ctx, d)
	if err != nil {
		return nil, err
	}
	return content.ParseManifest(desc, data)
}

// isStatementAboutAnother tells whether a root is no software but a signature,
// an attestation or an SBOM of something else.
func isStatementAboutAnother(r archive.Root, m *content.Manifest) bool {
	return r.Kind == archive.RootReferrer || m.Subject != nil || cosignSubject(r) != ""
}

// maxConfig is the largest configuration, in bytes, that is read.
const maxConfig = 4 << 20

// platformOf reads the platform of an image from its configuration; nothing
// when that does not tell, or lies in the base of a delta.
func platformOf(ctx context.Context, b Bundle, config content.Descriptor) (string, error) {
	data, err := content.ReadAll(ctx, b, config, maxConfig)
	if errors.Is(err, content.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", problem.As(problem.Verification, err)
	}
	var p ocispec.Platform
	if json.Unmarshal(data, &p) != nil { // the manifest says that it is an image, the rest is its own affair
		return "", nil
	}
	return platformName(&p), nil
}

func platformName(p *ocispec.Platform) string {
	if p == nil || p.OS == "" || p.OS == "unknown" {
		return ""
	}
	return strings.TrimSuffix(p.OS+"/"+p.Architecture+"/"+p.Variant, "/")
}

// all returns the components of the tree, parents first.
func (inv *inventory) all() []*component {
	var out []*component
	var add func([]*component)
	add = func(list []*component) {
		for _, c := range list {
			out = append(out, c)
			add(c.children)
		}
	}
	add(inv.roots)
	return out
}

// packages returns the packages of all components, each once, sorted.
func (inv *inventory) packages() []pack {
	seen := map[string]bool{}
	var out []pack
	for _, c := range inv.all() {
		for _, p := range c.packages {
			if id := p.id(); !seen[id] {
				seen[id] = true
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, comparePacks)
	return out
}

func comparePacks(a, b pack) int {
	return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.version, b.version), cmp.Compare(a.kind, b.kind),
		cmp.Compare(a.purl, b.purl), cmp.Compare(a.id(), b.id()))
}

// idLength is how many hexadecimal digits of a digest tell apart the elements of a document.
const idLength = 16

// id returns the name of a component within a document.
func (c *component) id() string {
	return "Component-" + digest.FromString(c.reference + "\n" + c.index.String() + "\n" + c.desc.Digest.String()).Encoded()[:idLength]
}

// id returns the name of a package within a document. Packages that differ in
// nothing have the same.
func (p pack) id() string {
	key := []string{p.kind, p.name, p.version, p.purl}
	for _, l := range p.licenses {
		key = append(key, l.expression, l.name)
	}
	return "Package-" + digest.FromString(strings.Join(key, "\n")).Encoded()[:idLength]
}

// purl returns the package URL of a component.
// Source: purl-spec, types/oci-definition.
func (c *component) purl() string {
	name, q := path.Base(c.reference), map[string]string{}
	if ref, err := reference.ParseNormalizedNamed(c.reference); err == nil {
		name, q["repository_url"] = path.Base(reference.Path(ref)), ref.Name()
		if t, ok := ref.(reference.Tagged); ok {
			q["tag"] = t.Tag()
		}
	}
	if _, arch, ok := strings.Cut(c.platform, "/"); ok {
		q["arch"] = arch
	}
	return packageurl.NewPackageURL(packageurl.TypeOCI, "", strings.ToLower(name), c.desc.Digest.String(), packageurl.QualifiersFromMap(q), "").ToString()
}
