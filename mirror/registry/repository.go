package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/retry"
)

// Repository is one repository of a registry.
type Repository struct {
	client *Client
	oras   *remote.Repository
	base   string // URL: SCHEME://HOST/v2/PATH
}

var (
	_ content.Store  = (*Repository)(nil)
	_ content.Source = (*Repository)(nil)
)

// Name returns HOST/PATH.
func (r *Repository) Name() string {
	return r.oras.Reference.Registry + "/" + r.oras.Reference.Repository
}

// Path returns the name of the repository within its registry.
func (r *Repository) Path() string { return r.oras.Reference.Repository }

// Tags returns at most limit tags of the repository, in the registry's order.
func (r *Repository) Tags(ctx context.Context, limit int) ([]string, error) {
	var tags []string
	err := r.oras.Tags(ctx, "", func(page []string) error {
		tags = append(tags, page...)
		if len(tags) >= limit {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, r.explain("listing the tags of", err)
	}
	return tags[:min(len(tags), limit)], nil
}

// Resolve returns the descriptor of the manifest that a tag or digest names.
func (r *Repository) Resolve(ctx context.Context, ref string) (content.Descriptor, error) {
	d, err := r.oras.Manifests().Resolve(ctx, ref)
	if err == nil && d.Digest.Algorithm() != digest.SHA256 {
		err = fmt.Errorf("%s: only sha256 is carried", d.Digest)
	}
	if err != nil && !errors.Is(err, errdef.ErrNotFound) && isOdd(err) {
		// The answer to HEAD lacked what it should have: read the manifest.
		d, err = r.resolveByGet(ctx, ref)
	}
	if err != nil {
		return content.Descriptor{}, r.explain("resolving "+ref+" in", err)
	}
	return content.Bare(d), nil
}

// isOdd tells whether a registry answered HEAD, but not as it should have.
func isOdd(err error) bool {
	text := err.Error()
	return strings.Contains(text, "unknown response Content-Length") || strings.Contains(text, "missing") || strings.Contains(text, "invalid response")
}

func (r *Repository) resolveByGet(ctx context.Context, ref string) (content.Descriptor, error) {
	req, err := r.request(ctx, http.MethodGet, r.base+"/manifests/"+ref, nil)
	if err != nil {
		return content.Descriptor{}, err
	}
	req.Header.Set("Accept", strings.Join([]string{content.MediaTypeDockerManifest, content.MediaTypeDockerIndex,
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json"}, ", "))
	resp, err := r.client.http.Do(req)
	if err != nil {
		return content.Descriptor{}, err
	}
	defer resp.Body.Close() //nolint:errcheck // opened for reading
	if resp.StatusCode != http.StatusOK {
		return content.Descriptor{}, responseError(resp)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, content.MaxManifestSize+1))
	if err == nil && len(data) > content.MaxManifestSize {
		err = content.ErrTooLarge
	}
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return content.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}, err
}

// Exists tells whether the repository has a blob or manifest.
func (r *Repository) Exists(ctx context.Context, d content.Descriptor) (bool, error) {
	var there bool
	var err error
	if content.IsManifest(d.MediaType) {
		there, err = r.oras.Manifests().Exists(ctx, d)
	} else {
		there, err = r.oras.Blobs().Exists(ctx, d)
	}
	return there, r.explain("looking for "+d.Digest.String()+" in", err)
}

// answerTimeout is how long an answer may take with all its retries.
const answerTimeout = time.Hour

// Fetch opens a blob or manifest. A reader of a blob that is cut off goes on
// where it was.
func (r *Repository) Fetch(ctx context.Context, d content.Descriptor) (io.ReadCloser, error) {
	if !content.IsManifest(d.MediaType) {
		return r.FetchRange(ctx, d, 0, d.Size)
	}
	w := retry.Watch(ctx, answerTimeout, r.client.opts.StallTimeout)
	rc, err := r.oras.Manifests().Fetch(w.Context, d)
	if err != nil {
		err = r.explain("fetching manifest "+d.Digest.String()+" from", mismatch(w.Cause(err)))
		w.Stop()
		return nil, err
	}
	return w.Body(rc), nil
}

// mismatch recognizes an answer that is about other content than was asked for.
func mismatch(err error) error {
	if strings.Contains(err.Error(), "mismatch") {
		return fmt.Errorf("%w: %w", content.ErrMismatch, err)
	}
	return err
}

// FetchRange opens length bytes of a blob from offset on. The reader goes on
// where it was cut off, and fails with content.ErrNoRange when it would have
// to and the server does not serve ranges.
func (r *Repository) FetchRange(ctx context.Context, d content.Descriptor, offset, length int64) (io.ReadCloser, error) {
	if offset < 0 || length < 0 || offset > d.Size-length {
		return nil, r.explain("fetching from", fmt.Errorf("bytes %d to %d of %s, which has %d", offset, offset+length, d.Digest, d.Size))
	}
	reader := &resumable{ctx: ctx, r: r, d: d, at: offset, end: offset + length}
	if err := reader.open(); err != nil {
		return nil, r.explain("fetching "+d.Digest.String()+" from", err)
	}
	return reader, nil
}

// Push stores a blob or manifest. Its bytes are verified before they are sent
// when they are a manifest; those of a blob are verified by the registry.
// r should be an io.ReaderAt where a failed upload is to be tried again.
func (r *Repository) Push(ctx context.Context, d content.Descriptor, src io.Reader) error {
	if content.IsManifest(d.MediaType) {
		data, err := io.ReadAll(io.LimitReader(src, content.MaxManifestSize+1))
		if err != nil {
			return r.explain("pushing to", err)
		}
		return r.PushManifest(ctx, d, data)
	}
	v, err := content.Verify(src, d)
	if err != nil {
		return r.explain("pushing to", err)
	}
	return r.explain("pushing "+d.Digest.String()+" to", r.pushStream(ctx, d, v))
}

// PushManifest stores a manifest or index, under its digest or under tags.
func (r *Repository) PushManifest(ctx context.Context, d content.Descriptor, data []byte, tags ...string) error {
	if int64(len(data)) != d.Size || digest.FromBytes(data) != d.Digest {
		return r.explain("pushing to", fmt.Errorf("the manifest is not %s of %d bytes: %w", d.Digest, d.Size, content.ErrMismatch))
	}
	if len(tags) == 0 {
		err := r.oras.Manifests().Push(ctx, d, bytes.NewReader(data))
		return r.explain("pushing manifest "+d.Digest.String()+" to", sparse(d, err))
	}
	for _, tag := range tags {
		err := r.oras.Manifests().PushReference(ctx, d, bytes.NewReader(data), tag)
		if err != nil {
			return r.explain("pushing tag "+tag+" to", sparse(d, err))
		}
	}
	return nil
}

// request makes a request with the scope that it needs.
func (r *Repository) request(ctx context.Context, method, url string, body io.Reader) (*http.Request, error) {
	actions := []string{auth.ActionPull}
	if method != http.MethodGet && method != http.MethodHead {
		actions = append(actions, auth.ActionPush)
	}
	return http.NewRequestWithContext(auth.AppendRepositoryScope(ctx, r.oras.Reference, actions...), method, url, body)
}

// resumable reads a part of a blob over as many connections as it takes.
type resumable struct {
	ctx      context.Context //nolint:containedctx // a reader has no other way to learn of cancellation
	r        *Repository
	d        content.Descriptor
	at, end  int64
	rc       io.ReadCloser
	attempts int // without a byte
}

// open requests what is left.
func (s *resumable) open() error {
	w := retry.Watch(s.ctx, answerTimeout, s.r.client.opts.StallTimeout)
	rc, err := s.request(w)
	if err != nil {
		err = w.Cause(err)
		w.Stop()
		return err
	}
	s.rc = w.Body(rc)
	return nil
}

func (s *resumable) request(w *retry.Watchdog) (io.ReadCloser, error) {
	if s.at == s.end {
		return io.NopCloser(strings.NewReader("")), nil
	}
	req, err := s.r.request(w.Context, http.MethodGet, s.r.base+"/blobs/"+s.d.Digest.String(), nil)
	if err != nil {
		return nil, err
	}
	whole := s.at == 0 && s.end == s.d.Size
	if !whole {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", s.at, s.end-1))
	}
	resp, err := s.r.client.http.Do(req)
	if err != nil {
		return nil, err
	}
	if err := s.check(resp, whole); err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// check compares an answer with what was asked for.
func (s *resumable) check(resp *http.Response, whole bool) error {
	switch {
	case resp.StatusCode == http.StatusOK && !whole:
		return content.ErrNoRange
	case resp.StatusCode == http.StatusPartialContent && !whole:
		want := fmt.Sprintf("bytes %d-%d/", s.at, s.end-1)
		if got := resp.Header.Get("Content-Range"); !strings.HasPrefix(got, want) {
			return fmt.Errorf("asked for %s, got %q: %w", want, got, content.ErrNoRange)
		}
	case resp.StatusCode == http.StatusOK:
	default:
		return responseError(resp)
	}
	if n := resp.ContentLength; n >= 0 && n != s.end-s.at {
		return fmt.Errorf("the answer announces %d bytes, not %d: %w", n, s.end-s.at, content.ErrMismatch)
	}
	return nil
}

// Read implements io.Reader.
func (s *resumable) Read(p []byte) (int, error) {
	for {
		if s.at == s.end {
			return 0, io.EOF
		}
		if s.rc == nil {
			if err := s.reopen(); err != nil {
				return 0, s.r.explain(fmt.Sprintf("fetching %s, from byte %d on, from", s.d.Digest, s.at), err)
			}
		}
		n, err := s.rc.Read(p[:min(int64(len(p)), s.end-s.at)])
		s.at += int64(n)
		if n > 0 {
			s.attempts = 0
		}
		if err == nil || s.at == s.end {
			return n, nil
		}
		_ = s.rc.Close()
		s.rc = nil
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if !retry.Connection(err) || s.ctx.Err() != nil || s.attempts >= s.r.client.retry.Attempts {
			return n, s.r.explain(fmt.Sprintf("fetching %s, at byte %d, from", s.d.Digest, s.at), err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (s *resumable) reopen() error {
	s.attempts++
	if err := retry.Sleep(s.ctx, s.r.client.retry.Wait(s.attempts, nil)); err != nil {
		return err
	}
	return s.open()
}

// Close implements io.Closer.
func (s *resumable) Close() error {
	if s.rc == nil {
		return nil
	}
	return s.rc.Close()
}
