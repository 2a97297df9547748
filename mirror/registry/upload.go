package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/internal/retry"
)

// commitTimeout is how long a registry may take to store what it was sent.
const commitTimeout = 15 * time.Minute

// Mount makes a blob of another repository of the same registry one of this
// repository's, without sending it. It returns false when the registry does
// not do that.
func (r *Repository) Mount(ctx context.Context, d content.Descriptor, from string) (bool, error) {
	source := r.oras.Reference
	source.Repository = from
	ctx = auth.AppendRepositoryScope(ctx, source, auth.ActionPull)
	q := url.Values{"mount": {d.Digest.String()}, "from": {from}}
	req, err := r.request(ctx, http.MethodPost, r.base+"/blobs/uploads/?"+q.Encode(), nil)
	if err != nil {
		return false, err
	}
	resp, err := r.client.http.Do(req)
	if err != nil {
		return false, r.explain("mounting "+d.Digest.String()+" in", err)
	}
	defer resp.Body.Close() //nolint:errcheck // opened for reading
	switch resp.StatusCode {
	case http.StatusCreated:
		return true, nil
	case http.StatusAccepted, http.StatusForbidden, http.StatusMethodNotAllowed:
		// An upload was begun instead, or mounting is not allowed. The session is
		// left to the registry's own clean-up.
		return false, nil
	default:
		return false, r.explain("mounting "+d.Digest.String()+" in", responseError(resp))
	}
}

// PushBlob sends a blob straight from src: one request to begin and one with
// the bytes, or chunks for a large one. The registry verifies the digest. A
// failed attempt is tried again; of a large blob only what the registry lacks
// is sent again, and as long as each attempt gets further there is another one.
// task counts the bytes.
func (r *Repository) PushBlob(ctx context.Context, d content.Descriptor, src io.ReaderAt, task progress.Task) error {
	u := &upload{r: r, d: d, src: src, task: task}
	furthest := int64(0)
	for attempt := 1; ; attempt++ {
		err := u.try(ctx)
		if err == nil {
			return nil
		}
		again, answer := retryableUpload(err)
		if u.sent > furthest {
			furthest, attempt = u.sent, 1
		}
		if !again || attempt >= r.client.retry.Limit(err, true) || ctx.Err() != nil {
			return r.explain("pushing "+d.Digest.String()+" to", err)
		}
		if err := retry.Sleep(ctx, r.client.retry.Wait(attempt, answer)); err != nil {
			return r.explain("pushing "+d.Digest.String()+" to", err)
		}
	}
}

// refusal is an answer that is no success, with its header for Retry-After.
type refusal struct {
	error
	method string
	status int
	header http.Header
}

func (r *refusal) Unwrap() error { return r.error }

func retryableUpload(err error) (bool, http.Header) {
	var r *refusal
	if errors.As(err, &r) {
		// The session may be lost, or not be where we thought it was.
		lost := r.status == http.StatusNotFound && r.method != http.MethodPost || r.status == http.StatusRequestedRangeNotSatisfiable
		return retry.Status(r.status) || lost, r.header
	}
	return retry.Connection(err), nil
}

// upload is one blob on its way, over one or more attempts.
type upload struct {
	r        *Repository
	d        content.Descriptor
	src      io.ReaderAt
	task     progress.Task
	location string // of the session; "" before it was begun
	sent     int64  // bytes that the registry has
}

func (u *upload) try(ctx context.Context) error {
	if err := u.begin(ctx); err != nil {
		return err
	}
	if u.d.Size > u.r.client.opts.ChunkSize {
		if err := u.chunks(ctx); err != nil {
			return err
		}
	}
	return u.finish(ctx)
}

// begin opens a session, or finds out where an interrupted one stands.
func (u *upload) begin(ctx context.Context) error {
	if u.location != "" && u.sent > 0 {
		if err := u.status(ctx); err == nil {
			return nil
		}
	}
	u.setSent(0)
	answer, err := u.do(ctx, http.MethodPost, u.r.base+"/blobs/uploads/", 0, 0, http.StatusAccepted)
	if err != nil {
		return err
	}
	return u.moveTo(answer)
}

// status asks how much of the blob the registry has.
func (u *upload) status(ctx context.Context) error {
	answer, err := u.do(ctx, http.MethodGet, u.location, 0, 0, http.StatusNoContent)
	if err != nil {
		return err
	}
	_, last, ok := strings.Cut(answer.header.Get("Range"), "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if !ok || err != nil || n+1 > u.d.Size {
		return fmt.Errorf("the answer has the range %q", answer.header.Get("Range"))
	}
	if n == 0 { // "0-0" is both one byte and none
		return errors.New("nothing to go on with")
	}
	u.setSent(n + 1)
	return u.moveTo(answer)
}

func (u *upload) setSent(n int64) {
	u.task.Add(n - u.sent)
	u.sent = n
}

// chunks sends all of a large blob.
func (u *upload) chunks(ctx context.Context) error {
	for u.sent < u.d.Size {
		n := min(u.r.client.opts.ChunkSize, u.d.Size-u.sent)
		answer, err := u.do(ctx, http.MethodPatch, u.location, u.sent, n, http.StatusAccepted)
		if err != nil {
			return err
		}
		u.setSent(u.sent + n)
		if err := u.moveTo(answer); err != nil {
			return err
		}
	}
	return nil
}

// finish sends what is left and closes the session under the digest.
func (u *upload) finish(ctx context.Context) error {
	at, err := url.Parse(u.location)
	if err != nil {
		return err
	}
	q := at.Query()
	q.Set("digest", u.d.Digest.String())
	at.RawQuery = q.Encode()
	answer, err := u.do(ctx, http.MethodPut, at.String(), u.sent, u.d.Size-u.sent, http.StatusCreated)
	if err != nil {
		if u.d.Size <= u.r.client.opts.ChunkSize {
			u.location = "" // what it has of the only request is unknown: begin again
		}
		return err
	}
	u.setSent(u.d.Size)
	if got := answer.header.Get("Docker-Content-Digest"); got != "" && got != u.d.Digest.String() {
		return fmt.Errorf("the registry stored %q: %w", got, content.ErrMismatch)
	}
	return nil
}

// answer is what is left of a response once its body was read.
type answer struct {
	header http.Header
	from   *url.URL // of the request
}

// do sends one request with length bytes from offset, under watch.
func (u *upload) do(ctx context.Context, method, target string, offset, length int64, want int) (*answer, error) {
	w := retry.Watch(asUpload(ctx), commitTimeout, u.r.client.opts.StallTimeout)
	defer w.Stop()
	var reader io.Reader
	body := func() io.ReadCloser {
		return &watched{r: io.NewSectionReader(u.src, offset, length), left: length, w: w}
	}
	if length > 0 {
		reader = body()
	}
	req, err := u.r.request(w.Context, method, target, reader)
	if err != nil {
		return nil, err
	}
	req.ContentLength = length
	if length > 0 {
		req.GetBody = func() (io.ReadCloser, error) { return body(), nil } // after a new token
	}
	if method == http.MethodPatch || method == http.MethodPut {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	if method == http.MethodPatch {
		req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", offset, offset+length-1))
	}
	resp, err := u.r.client.http.Do(req)
	if err != nil {
		return nil, w.Cause(err)
	}
	defer resp.Body.Close() //nolint:errcheck // opened for reading
	if resp.StatusCode != want {
		return nil, &refusal{responseError(resp), method, resp.StatusCode, resp.Header}
	}
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	return &answer{header: resp.Header, from: resp.Request.URL}, nil
}

// moveTo takes the address of the session from an answer. It has to be on the
// registry itself: credentials go nowhere else.
func (u *upload) moveTo(a *answer) error {
	from, location := a.from, a.header.Get("Location")
	at, err := from.Parse(location)
	if err != nil || location == "" {
		return fmt.Errorf("the registry began an upload without saying where: Location is %q", location)
	}
	if at.Hostname() != from.Hostname() || port(at) != port(from) || (from.Scheme == "https" && at.Scheme != "https") {
		return problem.New(problem.Failed, "set the registry's external URL to "+from.Scheme+"://"+from.Host,
			"the registry sends the upload to %s://%s, which is not where it was asked", at.Scheme, at.Host)
	}
	u.location = at.String()
	return nil
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// watched tells the watchdog of every read of a request's body. Once all is
// read, the registry gets time to store it.
type watched struct {
	r    *io.SectionReader
	left int64
	w    *retry.Watchdog
}

// Read implements io.Reader.
func (b *watched) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.read(int64(n))
	return n, err
}

// Close implements io.Closer. What the body is of is not its own.
func (b *watched) Close() error { return nil }

func (b *watched) read(n int64) {
	b.left -= n
	if b.left <= 0 {
		b.w.Alive(commitTimeout)
	} else {
		b.w.Alive(b.w.Limit)
	}
}

// pushStream sends a blob from a reader that cannot be read twice.
func (r *Repository) pushStream(ctx context.Context, d content.Descriptor, v *content.Verifier) error {
	err := r.oras.Blobs().Push(ctx, d, v)
	if closeErr := v.Close(); closeErr != nil {
		return errors.Join(closeErr, err)
	}
	return err
}

// sparse recognizes a registry's refusal of an index whose manifests are not all there.
func sparse(d content.Descriptor, err error) error {
	var e *errcode.ErrorResponse
	if !content.IsIndex(d.MediaType) || !errors.As(err, &e) || (e.StatusCode != http.StatusBadRequest && e.StatusCode != http.StatusNotFound) {
		return err
	}
	for _, detail := range e.Errors {
		if detail.Code == errcode.ErrorCodeManifestBlobUnknown || detail.Code == errcode.ErrorCodeManifestUnknown || detail.Code == errcode.ErrorCodeManifestInvalid {
			return problem.New(problem.Failed,
				"make the bundle with all platforms of this image (leave out platforms:), or let the registry accept such indexes (distribution 3: validation.manifests.indexes.platforms: none)",
				"%w: %w", ErrSparseIndex, err)
		}
	}
	return err
}
