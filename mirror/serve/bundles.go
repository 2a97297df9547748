// Package serve offers content as a registry: straight from bundle files,
// read-only, or from a folder, writable. Both speak the OCI distribution
// protocol through libraries; what is ours is where the bytes come from.
package serve

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"cuelabs.dev/go/oci/ociregistry"
	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/opencontainers/go-digest"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/mirror"
)

// Bundles returns a read-only registry of everything in the bundles. Manifests
// are read and verified now; blobs go from the file to the client by offset,
// and clients verify them, as they do with any registry. Where two bundles
// disagree on a tag, it fails, unless one is a delta over the other. What a
// delta leaves out must be in another of the bundles: else it fails with
// mirror.ErrBaseMissing.
func Bundles(ctx context.Context, bundles []*archive.Reader, m *mirror.Mapping) (http.Handler, error) {
	union := mirror.Join(bundles)
	b := &backend{Funcs: &ociregistry.Funcs{}, union: union, repositories: map[string]*repository{}}
	placements, err := union.Place(m)
	if err != nil {
		return nil, err
	}
	for _, p := range placements {
		if err := b.add(ctx, p); err != nil {
			return nil, fmt.Errorf("serving %s: %w", p.Root.Reference, err)
		}
	}
	if err := b.lacking.Err("name the file of the base beside the delta: sealift mirror serve DELTA BASE"); err != nil {
		return nil, err
	}
	return &handler{backend: b, protocol: ociserver.New(b, nil)}, nil
}

// handler answers requests for blobs itself, with all that HTTP knows of
// ranges, and leaves the rest of the protocol to the library.
type handler struct {
	backend  *backend
	protocol http.Handler
}

var blobPath = regexp.MustCompile(`^/v2/(.+)/blobs/(sha256:[0-9a-f]{64})$`)

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "this registry is a bundle and read-only: push to another one (sealift registry serve)")
		return
	}
	match := blobPath.FindStringSubmatch(req.URL.Path)
	if match == nil {
		h.protocol.ServeHTTP(w, req)
		return
	}
	h.blob(w, req, match[1], digest.Digest(match[2]))
}

func (h *handler) blob(w http.ResponseWriter, req *http.Request, repo string, d digest.Digest) {
	r, err := h.backend.repository(repo)
	if err != nil {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", err.Error())
		return
	}
	b, ok := r.blobs[d]
	if !ok {
		refuse(w, http.StatusNotFound, "BLOB_UNKNOWN", "no such blob in "+repo+": "+d.String())
		return
	}
	section, err := b.bundle.Section(d)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "UNKNOWN", err.Error())
		return
	}
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Docker-Content-Digest", d.String())
	header.Set("Etag", `"`+d.String()+`"`)
	http.ServeContent(w, req, "", time.Time{}, section)
}

// refuse writes an error as the protocol has it.
func refuse(w http.ResponseWriter, status int, code, message string) {
	data, _ := ociregistry.MarshalError(ociregistry.NewError(message, code, nil))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // a client that is gone needs no answer
}

// backend holds what the bundles have, by repository. It does not change once
// it is made.
type backend struct {
	*ociregistry.Funcs // refuses everything that writes
	union              *mirror.Union
	repositories       map[string]*repository
	lacking            mirror.Lacking
}

type repository struct {
	tags      map[string]content.Descriptor
	manifests map[digest.Digest]manifest
	blobs     map[digest.Digest]blob
	absent    map[digest.Digest]bool // left out of the bundle on purpose
	referrers map[digest.Digest][]content.Descriptor
}

type manifest struct {
	desc content.Descriptor
	data []byte
}

type blob struct {
	desc   content.Descriptor
	bundle *archive.Reader
}

func (b *backend) add(ctx context.Context, p mirror.Placement) error {
	r := b.repositories[p.Repository]
	if r == nil {
		r = &repository{tags: map[string]content.Descriptor{}, manifests: map[digest.Digest]manifest{}, blobs: map[digest.Digest]blob{},
			absent: map[digest.Digest]bool{}, referrers: map[digest.Digest][]content.Descriptor{}}
		b.repositories[p.Repository] = r
	}
	if p.Tag != "" {
		r.tags[p.Tag] = p.Root.Descriptor
	}
	for _, d := range p.Root.Absent {
		r.absent[d.Digest] = true
	}
	read := func(d content.Descriptor) ([]byte, error) {
		_, data, err := p.Bundle.Document(ctx, d.Digest)
		return data, err
	}
	return archive.Walk(p.Root, read, func(d content.Descriptor, m *content.Manifest, data []byte) error {
		desc := content.Bare(d)
		holder := b.union.Holder(d.Digest)
		if holder == nil && !p.Bundle.FromBase(d) {
			return fmt.Errorf("%s (%s): %w", d.Digest, d.MediaType, archive.ErrNotClosed)
		}
		if holder == nil {
			b.lacking.Add(desc, p.Root.Reference)
		}
		r.blobs[d.Digest] = blob{desc: desc, bundle: holder}
		if m == nil {
			return nil
		}
		if _, twice := r.manifests[d.Digest]; !twice && m.Subject != nil {
			r.referrers[m.Subject.Digest] = append(r.referrers[m.Subject.Digest], referrer(desc, m))
		}
		r.manifests[d.Digest] = manifest{desc: desc, data: data}
		return nil
	})
}

// referrer describes a manifest as the referrers API lists it.
func referrer(d content.Descriptor, m *content.Manifest) content.Descriptor {
	d.ArtifactType, d.Annotations = m.ArtifactType, m.Annotations
	if d.ArtifactType == "" && m.Config != nil {
		d.ArtifactType = m.Config.MediaType
	}
	return d
}

func (b *backend) repository(name string) (*repository, error) {
	if r, ok := b.repositories[name]; ok {
		return r, nil
	}
	return nil, fmt.Errorf("%w: no repository %q in the bundle", ociregistry.ErrNameUnknown, name)
}

func (b *backend) manifest(repo string, d digest.Digest) (manifest, error) {
	r, err := b.repository(repo)
	if err != nil {
		return manifest{}, err
	}
	m, ok := r.manifests[d]
	switch {
	case ok:
		return m, nil
	case r.absent[d]:
		return manifest{}, fmt.Errorf("%w: %s is for a platform that was left out of the bundle on purpose", ociregistry.ErrManifestUnknown, d)
	default:
		return manifest{}, fmt.Errorf("%w: no manifest %s in %s", ociregistry.ErrManifestUnknown, d, repo)
	}
}

func (b *backend) tag(repo, tag string) (manifest, error) {
	r, err := b.repository(repo)
	if err != nil {
		return manifest{}, err
	}
	d, ok := r.tags[tag]
	if !ok {
		return manifest{}, fmt.Errorf("%w: no tag %q in %s", ociregistry.ErrManifestUnknown, tag, repo)
	}
	return b.manifest(repo, d.Digest)
}

// GetManifest implements ociregistry.Reader.
func (b *backend) GetManifest(_ context.Context, repo string, d ociregistry.Digest) (ociregistry.BlobReader, error) {
	return reader(b.manifest(repo, d))
}

// GetTag implements ociregistry.Reader.
func (b *backend) GetTag(_ context.Context, repo, tag string) (ociregistry.BlobReader, error) {
	return reader(b.tag(repo, tag))
}

func reader(m manifest, err error) (ociregistry.BlobReader, error) {
	if err != nil {
		return nil, err
	}
	return ocimem.NewBytesReader(m.data, m.desc), nil
}

// ResolveManifest implements ociregistry.Reader.
func (b *backend) ResolveManifest(_ context.Context, repo string, d ociregistry.Digest) (ociregistry.Descriptor, error) {
	m, err := b.manifest(repo, d)
	return m.desc, err
}

// ResolveTag implements ociregistry.Reader.
func (b *backend) ResolveTag(_ context.Context, repo, tag string) (ociregistry.Descriptor, error) {
	m, err := b.tag(repo, tag)
	return m.desc, err
}

// Repositories implements ociregistry.Lister.
func (b *backend) Repositories(_ context.Context, startAfter string) iter.Seq2[string, error] {
	return sorted(b.repositories, startAfter)
}

// Tags implements ociregistry.Lister.
func (b *backend) Tags(_ context.Context, repo, startAfter string) iter.Seq2[string, error] {
	r, err := b.repository(repo)
	if err != nil {
		return ociregistry.ErrorSeq[string](err)
	}
	return sorted(r.tags, startAfter)
}

// sorted yields the keys after one of them, in order.
func sorted[V any](all map[string]V, startAfter string) iter.Seq2[string, error] {
	keys := make([]string, 0, len(all))
	for k := range all {
		if strings.Compare(k, startAfter) > 0 {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return ociregistry.SliceSeq(keys)
}

// Referrers implements ociregistry.Lister.
func (b *backend) Referrers(_ context.Context, repo string, d ociregistry.Digest, artifactType string) iter.Seq2[ociregistry.Descriptor, error] {
	r, err := b.repository(repo)
	if err != nil {
		return ociregistry.ErrorSeq[ociregistry.Descriptor](err)
	}
	var out []ociregistry.Descriptor
	for _, have := range r.referrers[d] {
		if artifactType == "" || have.ArtifactType == artifactType {
			out = append(out, have)
		}
	}
	return ociregistry.SliceSeq(out)
}
