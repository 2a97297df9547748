package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror/registry"
)

// errOther means: a tag beside those of heads, such as that of a signature.
var errOther = errors.New("it is no head of a bundle")

func parseHeadManifest(tag string, d content.Descriptor, data []byte) (*headManifest, error) {
	var m ocispec.Manifest
	err := json.Unmarshal(data, &m)
	switch {
	case err != nil:
	case m.ArtifactType != typeHead:
		err = fmt.Errorf("%s: %w", d.Digest, errOther)
	case len(m.Layers) != 2:
		err = fmt.Errorf("%s has %d layers, not 2", d.Digest, len(m.Layers))
	}
	h := &headManifest{}
	if err == nil {
		h.size, err = strconv.ParseInt(m.Annotations[annotationSize], 10, 64)
	}
	if err != nil {
		return nil, problem.New(problem.Verification, "push the bundle again", "the head of bundle %s: %w", tag, err)
	}
	h.bundle = PushedBundle{Tag: tag, Name: m.Annotations[annotationName], Version: m.Annotations[annotationVersion], Statement: digest.Digest(m.Annotations[annotationStatement])}
	h.head, h.manifests = content.Bare(m.Layers[0]), content.Bare(m.Layers[1])
	return h, nil
}

// OpenPushed opens a bundle that lies in a registry. Its signature is checked
// before anything of it is believed; its blobs come from where the push put
// them, and whoever reads them verifies them as those of a file. ctx ends the
// reading, for as long as the bundle is open. It fails with ErrNoHead.
func OpenPushed(ctx context.Context, client *registry.Client, host string, m *Mapping, tag string, v archive.Verifier) (*archive.Reader, error) {
	repo, err := heads(client, host, m)
	if err != nil {
		return nil, err
	}
	h, err := readHeadManifest(ctx, repo, tag)
	if err != nil {
		return nil, err
	}
	p := &pushedBundle{ctx: ctx, client: client, host: host, streams: map[int64]*stream{}}
	if p.head, err = content.ReadAll(ctx, repo, h.head, maxHead); err != nil {
		return nil, fmt.Errorf("reading the head of bundle %s: %w", tag, err)
	}
	if p.manifests, err = content.ReadAll(ctx, repo, h.manifests, maxHead); err != nil {
		return nil, fmt.Errorf("reading the manifests of bundle %s: %w", tag, err)
	}
	head, err := archive.ReadHead(p, h.size)
	if err != nil {
		return nil, problem.As(problem.Verification, fmt.Errorf("opening bundle %s: %w", tag, err))
	}
	r, err := head.Authenticate(v)
	if err != nil {
		return nil, fmt.Errorf("opening bundle %s: %w", tag, err)
	}
	if err := p.locate(ctx, r, m); err != nil {
		return nil, fmt.Errorf("opening bundle %s: %w", tag, err)
	}
	return r, nil
}

// pushedBundle is the bytes of a bundle whose blobs lie in a registry.
type pushedBundle struct {
	ctx             context.Context //nolint:containedctx // that of OpenPushed: an io.ReaderAt has none
	client          *registry.Client
	host            string
	head, manifests []byte
	blobs           []archive.Blob // by offset
	inManifests     map[digest.Digest]int64
	repositories    map[digest.Digest]string // that have a blob

	mu      sync.Mutex
	streams map[int64]*stream // by the offset in the payload that they read next
}

// locate finds where everything is, once the statement is believed.
func (p *pushedBundle) locate(ctx context.Context, r *archive.Reader, m *Mapping) error {
	s := r.Statement()
	p.blobs, p.inManifests, p.repositories = slices.Clone(s.Blobs), map[digest.Digest]int64{}, map[digest.Digest]string{}
	slices.SortFunc(p.blobs, func(a, b archive.Blob) int { return int(a.Offset - b.Offset) })
	at := int64(0)
	for _, b := range documents(s) {
		p.inManifests[b.Digest] = at
		at += b.Size
	}
	if at != int64(len(p.manifests)) {
		return problem.New(problem.Verification, "push the bundle again", "its manifests have %d bytes, not %d: %w", len(p.manifests), at, content.ErrMismatch)
	}
	placements, err := m.Place(s.Roots)
	if err != nil {
		return err
	}
	read := func(d content.Descriptor) ([]byte, error) {
		_, data, err := r.Document(ctx, d.Digest)
		return data, err
	}
	for _, place := range placements {
		err := archive.Walk(place.Root, read, func(d content.Descriptor, _ *content.Manifest, _ []byte) error {
			p.repositories[d.Digest] = place.Repository
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadAt implements io.ReaderAt. What is read on from where a read before
// ended comes from the same request.
func (p *pushedBundle) ReadAt(b []byte, at int64) (int, error) {
	if at < int64(len(p.head)) {
		n := copy(b, p.head[at:])
		if n < len(b) {
			return n, io.EOF // the head is read alone
		}
		return n, nil
	}
	at -= int64(len(p.head))
	i := sort.Search(len(p.blobs), func(i int) bool { return p.blobs[i].Offset+p.blobs[i].Size > at })
	if i == len(p.blobs) || p.blobs[i].Offset > at {
		return 0, fmt.Errorf("byte %d of the payload belongs to no blob", at)
	}
	blob := p.blobs[i]
	within := at - blob.Offset
	if from, ok := p.inManifests[blob.Digest]; ok {
		n := copy(b, p.manifests[from+within:from+blob.Size])
		if n < len(b) {
			return n, io.EOF
		}
		return n, nil
	}
	return p.readBlob(b, blob, at, within)
}

// stream is a request under way.
type stream struct {
	io.ReadCloser
	left int64
}

// maxStreams is how many requests are kept open for those who read on.
const maxStreams = 8

func (p *pushedBundle) readBlob(b []byte, blob archive.Blob, at, within int64) (int, error) {
	s, err := p.streamAt(blob, at, within)
	if err != nil {
		return 0, fmt.Errorf("blob %s: %w", blob.Digest, err)
	}
	n, err := io.ReadFull(s, b[:min(int64(len(b)), s.left)])
	s.left -= int64(n)
	if err != nil || s.left == 0 {
		err = errors.Join(err, s.Close())
	} else {
		p.keep(at+int64(n), s)
	}
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

// streamAt returns a stream that reads a blob from an offset on.
func (p *pushedBundle) streamAt(blob archive.Blob, at, within int64) (*stream, error) {
	p.mu.Lock()
	s, ok := p.streams[at]
	delete(p.streams, at)
	p.mu.Unlock()
	if ok {
		return s, nil
	}
	name, ok := p.repositories[blob.Digest]
	if !ok {
		return nil, fmt.Errorf("no repository has it: %w", content.ErrNotFound)
	}
	repo, err := p.client.Repository(p.host + "/" + name)
	if err != nil {
		return nil, err
	}
	rc, err := repo.FetchRange(p.ctx, blob.Descriptor(), within, blob.Size-within)
	if errors.Is(err, content.ErrNotFound) {
		err = problem.WithRemedy(err, "push the bundle again: the registry has lost it")
	}
	if err != nil {
		return nil, err
	}
	return &stream{rc, blob.Size - within}, nil
}

// keep holds a stream for who reads on, and gives up another one when there
// are too many.
func (p *pushedBundle) keep(at int64, s *stream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.streams) >= maxStreams {
		for other, old := range p.streams {
			_ = old.Close() // it was read as far as anybody wanted
			delete(p.streams, other)
			break
		}
	}
	if old, ok := p.streams[at]; ok {
		_ = old.Close() // as above
	}
	p.streams[at] = s
}
