package packs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/bundles/artifact"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// AnnotationLayer is the annotation of a pack's manifest that names its layer.
const AnnotationLayer = "sealift.dev/pack.layer"

// Repository returns where a pack lies below the base of a registry.
func (p *Pack) Repository() string { return "spectro-packs/archive/" + p.Meta.Name }

// Tag returns the tag of the pack: its version, with "_" for "+", which tags
// cannot have.
func (p *Pack) Tag() string { return strings.ReplaceAll(p.Meta.Version, "+", "_") }

// Artifact is a pack as an OCI artifact. It fetches from the pack, which must
// stay open as long.
type Artifact struct {
	*artifact.Artifact
	// Layers are the layers of the manifest, one a file, in its order.
	Layers []Layer
}

// Layer is a layer and the file that it is.
type Layer struct {
	Descriptor content.Descriptor
	File       File
}

var (
	_ content.Fetcher      = (*Artifact)(nil)
	_ content.RangeFetcher = (*Artifact)(nil)
)

// Artifact returns the pack as an OCI artifact of the type artifact.TypePack,
// with one layer a file. The same files give the same bytes.
func (p *Pack) Artifact(ctx context.Context) (*Artifact, error) {
	out := &Artifact{}
	var layers []artifact.Layer
	for _, f := range p.files {
		d, err := fileDigest(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("reading %s of pack %s: %w", f.Path, p.Name(), err)
		}
		l := artifact.Elsewhere(mediaType(f.Path), f.Path, d, f.Size)
		layers = append(layers, l)
		out.Layers = append(out.Layers, Layer{Descriptor: l.Descriptor, File: f})
	}
	var err error
	out.Artifact, err = artifact.New(artifact.TypePack, layers, artifact.Options{Annotations: map[string]string{
		ocispec.AnnotationTitle: p.Meta.Name, ocispec.AnnotationVersion: p.Meta.Version, AnnotationLayer: p.Meta.Layer}})
	if err != nil {
		return nil, fmt.Errorf("pack %s: %w", p.Name(), err)
	}
	return out, nil
}

func fileDigest(ctx context.Context, f File) (digest.Digest, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	r, err := f.Open()
	if err != nil {
		return "", err
	}
	defer r.Close() //nolint:errcheck // opened for reading
	digester := digest.Canonical.Digester()
	n, err := io.Copy(digester.Hash(), r)
	if err == nil && n != f.Size {
		err = fmt.Errorf("it changed from %d to %d bytes while it was read", f.Size, n)
	}
	return digester.Digest(), err
}

// mediaType returns the media type of a file by its name. The types of the
// machine's own tables would differ from one machine to the next.
func mediaType(name string) string {
	if ok, _ := path.Match("charts/*.tgz", name); ok {
		return "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".json":
		return "application/json"
	case ".yaml", ".yml":
		return "application/yaml"
	case ".md":
		return "text/markdown"
	case ".txt":
		return "text/plain"
	case ".png":
		return "image/png"
	default:
		return "application/octet-stream"
	}
}

// Fetch opens the manifest, the configuration or a file.
func (a *Artifact) Fetch(ctx context.Context, d content.Descriptor) (io.ReadCloser, error) {
	return a.FetchRange(ctx, d, 0, d.Size)
}

// FetchRange opens length bytes of it from offset on.
func (a *Artifact) FetchRange(ctx context.Context, d content.Descriptor, offset, length int64) (io.ReadCloser, error) {
	for _, l := range a.Layers {
		if l.Descriptor.Digest != d.Digest {
			continue
		}
		if offset < 0 || length < 0 || offset > l.File.Size-length {
			return nil, fmt.Errorf("bytes %d to %d of %s, which has %d", offset, offset+length, l.File.Path, l.File.Size)
		}
		f, err := l.File.Open()
		if err != nil {
			return nil, err
		}
		return section{io.NewSectionReader(f, offset, length), f}, nil
	}
	return a.Artifact.FetchRange(ctx, d, offset, length)
}

// section is a part of an open file.
type section struct {
	*io.SectionReader
	io.Closer
}

// Target is a repository that a pack is pushed to.
type Target interface {
	Exists(ctx context.Context, d content.Descriptor) (bool, error)
	PushBlob(ctx context.Context, d content.Descriptor, src io.ReaderAt, task progress.Task) error
	PushManifest(ctx context.Context, d content.Descriptor, data []byte, tags ...string) error
}

// PushOptions tells how a pack is pushed. The zero value is a good default.
type PushOptions struct {
	Jobs     int // files to send at once; 0 means 8
	Progress progress.Reporter
}

const defaultJobs = 8

// Push brings the artifact to a repository and tags it. What is there is not
// sent again. The manifest goes last, so that a tag never names what is not whole.
func (a *Artifact) Push(ctx context.Context, to Target, tag string, opts PushOptions) error {
	if opts.Jobs == 0 {
		opts.Jobs = defaultJobs
	}
	blobs := a.blobs()
	var total int64
	for _, b := range blobs {
		total += b.Size
	}
	phase := progress.OrNone(opts.Progress).Start("pushing", total)
	defer phase.Done()
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(opts.Jobs)
	for _, b := range blobs {
		g.Go(func() error { return a.pushBlob(inner, to, b, phase) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return to.PushManifest(ctx, a.Descriptor, a.Manifest, tag)
}

// blobs returns the descriptors of configuration and layers, each digest once.
func (a *Artifact) blobs() []content.Descriptor {
	var out []content.Descriptor
	seen := map[digest.Digest]bool{}
	for d, data := range a.Blobs {
		seen[d] = true
		out = append(out, content.Descriptor{MediaType: ocispec.MediaTypeEmptyJSON, Digest: d, Size: int64(len(data))})
	}
	for _, l := range a.Layers {
		if !seen[l.Descriptor.Digest] {
			seen[l.Descriptor.Digest] = true
			out = append(out, content.Bare(l.Descriptor))
		}
	}
	return out
}

func (a *Artifact) pushBlob(ctx context.Context, to Target, d content.Descriptor, phase progress.Phase) error {
	there, err := to.Exists(ctx, d)
	if err != nil {
		return err
	}
	if there {
		phase.Skip(d.Size)
		return nil
	}
	r, err := a.Fetch(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // opened for reading
	src, ok := r.(io.ReaderAt)
	if !ok { // small, and in memory
		data, err := content.ReadAll(ctx, a, d, content.MaxManifestSize)
		if err != nil {
			return err
		}
		src = strings.NewReader(string(data))
	}
	task := phase.Task(d.Digest.String(), d.Size)
	defer task.Done()
	return to.PushBlob(ctx, d, src, task)
}

// FromArtifact reads a pack back from the place that holds its artifact: a
// repository, a bundle. d is trusted; everything it leads to is verified. The
// files are kept in a temporary folder, which Close removes.
func FromArtifact(ctx context.Context, from content.Fetcher, d content.Descriptor) (*Pack, error) {
	data, err := content.ReadAll(ctx, from, d, content.MaxManifestSize)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of a pack: %w", err)
	}
	m, err := content.ParseManifest(d, data)
	if err != nil {
		return nil, fmt.Errorf("manifest of a pack: %w", err)
	}
	if err := checkLayers(m); err != nil {
		return nil, fmt.Errorf("artifact %s: %w", d.Digest, err)
	}
	p, err := fill(func(root *os.Root) error { return fetchAll(ctx, from, m.Layers, root) })
	if err != nil {
		return nil, fmt.Errorf("artifact %s: %w", d.Digest, err)
	}
	return p, nil
}

// checkLayers looks at all that an artifact asks for before anything is fetched.
func checkLayers(m *content.Manifest) error {
	if m.ArtifactType != artifact.TypePack {
		return problem.New(problem.Failed, "name a pack that sealift pack push made", "it has the type %q, not %s: %w", m.ArtifactType, artifact.TypePack, ErrInvalid)
	}
	if len(m.Layers) > maxEntries {
		return tooManyEntries()
	}
	total := int64(0)
	for _, l := range m.Layers {
		name := l.Annotations[ocispec.AnnotationTitle]
		clean, err := cleanName(name)
		if err != nil {
			return err
		}
		if clean == "." || clean != name {
			return fmt.Errorf("a layer has the title %q: %w", name, ErrInvalid)
		}
		if l.Size > maxSize-total {
			return tooLarge()
		}
		total += l.Size
	}
	return nil
}

func fetchAll(ctx context.Context, from content.Fetcher, layers []content.Descriptor, root *os.Root) error {
	w := &writer{root: root}
	var mu sync.Mutex // of the names in root: one is made at a time
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(defaultJobs)
	for _, l := range layers {
		g.Go(func() error {
			name := l.Annotations[ocispec.AnnotationTitle]
			mu.Lock()
			f, err := w.create(name)
			mu.Unlock()
			if err != nil {
				return err
			}
			return errors.Join(fetchFile(inner, from, l, f), f.Close())
		})
	}
	return g.Wait()
}

func fetchFile(ctx context.Context, from content.Fetcher, d content.Descriptor, f *os.File) error {
	r, err := from.Fetch(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // opened for reading
	v, err := content.Verify(r, d)
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, v); err != nil {
		return err
	}
	return v.Close()
}
