package release

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
)

// Errors about a bundle, to be matched with errors.Is.
var (
	// ErrNoRelease: the bundle is none that can be installed.
	ErrNoRelease = errors.New("the bundle has no release.yaml")
	// ErrMissing: the release names what the bundle does not carry.
	ErrMissing = errors.New("it is not in the bundle")
)

// maxManifests is the largest file of manifests, in bytes, that is read.
const maxManifests = 16 << 20

// Content is a release and the bundle that carries it.
type Content struct {
	Release
	bundle *archive.Reader
}

// Open finds the release among the files of a bundle and reads it. That the
// bundle has everything else is not checked: see Missing.
func Open(ctx context.Context, bundle *archive.Reader) (*Content, error) {
	c := &Content{bundle: bundle}
	data, err := c.read(ctx, archive.RootFile, FileName)
	if errors.Is(err, ErrMissing) {
		return nil, problem.New(problem.Usage, "give an enterprise bundle: sealift bundle init writes what one is made of", "%w", ErrNoRelease)
	}
	if err != nil {
		return nil, err
	}
	r, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s of the bundle: %w", FileName, err)
	}
	c.Release = *r
	return c, nil
}

// Fetcher returns where the content of the bundle is read.
func (c *Content) Fetcher() content.Fetcher { return c.bundle }

// File is one file that the bundle carries.
type File struct {
	Name       string             // of the file itself
	Descriptor content.Descriptor // of its bytes
}

// Template returns the OVA.
func (c *Content) Template(ctx context.Context) (File, error) {
	files, err := c.files(ctx, archive.RootFile, c.Spec.Template.File)
	if err != nil {
		return File{}, err
	}
	return files[0], nil
}

// Components returns the manifests of a provider, in YAML.
func (c *Content) Components(ctx context.Context, p Provider) ([]byte, error) {
	return c.read(ctx, archive.RootManifests, p.Manifests)
}

// AddonManifests returns the manifests of an addon that is no pack, in YAML.
func (c *Content) AddonManifests(ctx context.Context, a Addon) ([]byte, error) {
	return c.read(ctx, archive.RootManifests, a.Manifests)
}

// AddonPack returns what an addon that is a pack deploys.
func (c *Content) AddonPack(ctx context.Context, a Addon) (*closure.Deployment, error) {
	root, err := c.root(archive.RootPack, a.Pack)
	if err != nil {
		return nil, err
	}
	return closure.Deploy(ctx, c.bundle, root, c.Spec.KubernetesVersion)
}

// AddonsInOrder returns the addons in the order in which they are installed.
func (c *Content) AddonsInOrder() []Addon {
	order := []AddonType{CNI, CPI, CSI, Other}
	out := slices.Clone(c.Spec.Addons)
	slices.SortStableFunc(out, func(a, b Addon) int { return cmp.Compare(slices.Index(order, a.Type), slices.Index(order, b.Type)) })
	return out
}

// Chart returns the archive of the console's chart.
func (c *Content) Chart(ctx context.Context) ([]byte, error) {
	files, err := c.files(ctx, archive.RootChart, c.Spec.Console.Chart)
	if err != nil {
		return nil, err
	}
	data, err := content.ReadAll(ctx, c.bundle, files[0].Descriptor, maxManifests) // a chart's first layer is its archive
	if err != nil {
		return nil, fmt.Errorf("reading chart %s of the bundle: %w", c.Spec.Console.Chart, err)
	}
	return data, nil
}

// Image returns the descriptor of an image by its full reference. It fails
// with ErrMissing.
func (c *Content) Image(ref string) (content.Descriptor, error) {
	for _, root := range c.bundle.Statement().Roots {
		if root.Kind == archive.RootImage && root.Reference == full(ref) {
			return content.Bare(root.Descriptor), nil
		}
	}
	return content.Descriptor{}, fmt.Errorf("image %s: %w", ref, ErrMissing)
}

// Images returns the full references of all images that an installation pulls,
// each once, in order: those of the roles, and those that the manifests, packs
// and charts of the release name.
func (c *Content) Images() []string {
	var out []string
	for _, r := range c.Spec.Images.roles() {
		if r.reference != "" {
			out = append(out, full(r.reference))
		}
	}
	for _, part := range c.parts() {
		root, err := c.root(part.kind, part.name)
		if err != nil {
			continue // Missing tells
		}
		for _, need := range root.Needs {
			if need.Kind == archive.RootImage {
				out = append(out, full(need.Reference))
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Descriptors returns the descriptors of all images that the bundle carries of
// those that an installation needs, by their full references.
func (c *Content) Descriptors() map[string]content.Descriptor {
	out := map[string]content.Descriptor{}
	for _, ref := range c.Images() {
		if d, err := c.Image(ref); err == nil {
			out[ref] = d
		}
	}
	return out
}

// Missing returns every part of the release that the bundle does not carry,
// each an ErrMissing; nil when it is complete.
func (c *Content) Missing() []error {
	var out []error
	for _, part := range c.parts() {
		if _, err := c.root(part.kind, part.name); err != nil {
			out = append(out, err)
		}
	}
	for _, ref := range c.Images() {
		if _, err := c.Image(ref); err != nil {
			out = append(out, err)
		}
	}
	return out
}

// part is what the release names besides images.
type part struct{ kind, name string }

func (c *Content) parts() []part {
	out := []part{{archive.RootFile, c.Spec.Template.File}}
	for _, p := range c.Spec.Providers {
		out = append(out, part{archive.RootManifests, p.Manifests})
	}
	for _, a := range c.Spec.Addons {
		if a.Pack != "" {
			out = append(out, part{archive.RootPack, a.Pack})
		} else {
			out = append(out, part{archive.RootManifests, a.Manifests})
		}
	}
	if chart := c.Spec.Console.Chart; chart != "" {
		out = append(out, part{archive.RootChart, chart})
	}
	return out
}

// root finds what has a kind and a name. Two of the same name would be a
// guess, and are refused.
func (c *Content) root(kind, name string) (archive.Root, error) {
	var found []archive.Root
	for _, root := range c.bundle.Statement().Roots {
		last := path.Base(root.Reference)
		short := last[:strings.IndexAny(last+":", ":@")]
		if root.Kind == kind && short == name {
			found = append(found, root)
		}
	}
	switch len(found) {
	case 0:
		return archive.Root{}, problem.New(problem.Usage, "make the bundle again with it", "%s %s: %w", kind, name, ErrMissing)
	case 1:
		return found[0], nil
	default:
		return archive.Root{}, problem.New(problem.Usage, "give one of them another name in the bundle's definition", "%s %s: the bundle has %d of this name: %w", kind, name, len(found), ErrInvalid)
	}
}

// files returns the files that a root is made of; at least one.
func (c *Content) files(ctx context.Context, kind, name string) ([]File, error) {
	root, err := c.root(kind, name)
	if err != nil {
		return nil, err
	}
	d, data, err := c.bundle.Document(ctx, root.Descriptor.Digest)
	if err != nil {
		return nil, fmt.Errorf("reading %s of the bundle: %w", name, err)
	}
	m, err := content.ParseManifest(d, data)
	if err != nil {
		return nil, fmt.Errorf("reading %s of the bundle: %w", name, err)
	}
	var out []File
	for _, l := range m.Layers {
		out = append(out, File{Name: path.Base(l.Annotations[ocispec.AnnotationTitle]), Descriptor: content.Bare(l)})
	}
	if len(out) == 0 {
		return nil, problem.New(problem.Verification, "", "%s %s of the bundle is empty: %w", kind, name, ErrInvalid)
	}
	return out, nil
}

// read returns the files that a root is made of, as documents of one stream.
func (c *Content) read(ctx context.Context, kind, name string) ([]byte, error) {
	files, err := c.files(ctx, kind, name)
	if err != nil {
		return nil, err
	}
	var all [][]byte
	for _, f := range files {
		data, err := content.ReadAll(ctx, c.bundle, f.Descriptor, maxManifests)
		if err != nil {
			return nil, fmt.Errorf("reading %s of the bundle: %w", f.Name, err)
		}
		all = append(all, data)
	}
	return bytes.Join(all, []byte("\n---\n")), nil
}

// full returns a reference as it stands in a bundle.
func full(ref string) string {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return reference.TagNameOnly(named).String()
}
