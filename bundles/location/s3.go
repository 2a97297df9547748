package location

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
)

const s3Scheme = "s3://"

// s3 reads and writes objects of a store that speaks the protocol of S3.
// Endpoint, region and credentials come from the environment that the tools of
// AWS use.
type s3 struct {
	ctx    context.Context //nolint:containedctx // of the source; io.ReaderAt has none
	client *minio.Core
	retry  attempts
}

// newS3 returns what opens objects of S3.
func newS3(ctx context.Context, opts Options) (openFunc, error) {
	r := newAttempts(opts)
	client, err := s3Client(opts, r, 1) // tried again here, from where the connection was cut
	if err != nil {
		return nil, err
	}
	return (&s3{ctx: ctx, client: client, retry: r}).open, nil
}

// s3Client makes a client that tries each request so often.
func s3Client(opts Options, r attempts, attempts int) (*minio.Core, error) {
	host, secure, err := s3Endpoint(cmp.Or(os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")))
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(opts, r.stall)
	if err != nil {
		return nil, err
	}
	region := cmp.Or(os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"), "us-east-1")
	return minio.NewCore(host, &minio.Options{Creds: s3Credentials(), Secure: secure, Transport: transport, Region: region, MaxRetries: attempts})
}

// s3Credentials takes them from the environment, the files of AWS, or, where
// the environment says so, from the service that a pod gets them from.
func s3Credentials() *credentials.Credentials {
	chain := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}
	for _, name := range []string{"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		if os.Getenv(name) != "" {
			return credentials.NewChainCredentials(append(chain, &credentials.IAM{}))
		}
	}
	return credentials.NewChainCredentials(chain)
}

// s3Endpoint divides the URL of an endpoint; "" is that of AWS.
func s3Endpoint(endpoint string) (host string, secure bool, err error) {
	if endpoint == "" {
		return "s3.amazonaws.com", true, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" {
		return "", false, problem.New(problem.Usage, "set it to https://HOST[:PORT]", "AWS_ENDPOINT_URL is no address of an S3 endpoint")
	}
	return u.Host, u.Scheme == "https", nil
}

// parseS3 divides s3://BUCKET/KEY.
func parseS3(name string) (bucket, key string, err error) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(name, s3Scheme), "/")
	if bucket == "" || key == "" || strings.HasSuffix(key, "/") {
		return "", "", problem.New(problem.Usage, "write it as s3://BUCKET/KEY", "%q names no object", name)
	}
	return bucket, key, nil
}

func (s *s3) open(ctx context.Context, name string) (object, error) {
	bucket, key, err := parseS3(name)
	if err != nil {
		return nil, err
	}
	o := &ranged{ctx: s.ctx, retry: s.retry}
	o.get = func(ctx context.Context, p []byte, off int64) (int, error) { return s.get(ctx, o, bucket, key, p, off) }
	return o, o.learn(ctx)
}

// get reads p from offset of an object in one request.
func (s *s3) get(ctx context.Context, o *ranged, bucket, key string, p []byte, off int64) (int, error) {
	watch := retry.Watch(ctx, s.retry.stall, s.retry.stall)
	defer watch.Stop()
	var opts minio.GetObjectOptions
	if err := opts.SetRange(off, off+int64(len(p))-1); err != nil {
		return 0, err
	}
	if o.etag != "" {
		if err := opts.SetMatchETag(strings.Trim(o.etag, `"`)); err != nil {
			return 0, err
		}
	}
	body, _, header, err := s.client.GetObject(watch.Context, bucket, key, opts)
	if err != nil {
		return 0, o.s3Error(watch.Cause(err))
	}
	defer body.Close() //nolint:errcheck // read to its end, or not worth it
	if header.Get("Content-Range") == "" {
		return 0, noRanges()
	}
	if err := o.checkRange(header, p, off); err != nil {
		return 0, err
	}
	n, err := fill(watch, body, p)
	return n, asTransient(err)
}

// s3Error gives an error of the client its meaning.
func (o *ranged) s3Error(err error) error {
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) || answer.StatusCode == 0 {
		return withoutURL(err)
	}
	text := fmt.Errorf("%s (%s)", answer.Message, answer.Code)
	switch code := answer.StatusCode; {
	case code == http.StatusPreconditionFailed:
		return changed("its version is no longer %s", o.etag)
	case code == http.StatusRequestedRangeNotSatisfiable && !o.known:
		return problem.New(problem.Verification, "", "it is empty")
	case code == http.StatusRequestedRangeNotSatisfiable:
		return changed("it is shorter than its %d bytes", o.size)
	case code == http.StatusNotFound && o.known:
		return changed("it is gone")
	case code == http.StatusNotFound && answer.Code == minio.NoSuchBucket:
		return problem.New(problem.Failed, "create the bucket, or correct its name", "%w", text)
	case code == http.StatusNotFound:
		return ErrNotFound
	case code == http.StatusForbidden, code == http.StatusUnauthorized:
		return problem.New(problem.Failed, "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL, and what that key may do in the bucket",
			"%w: %w", ErrUnreadable, text)
	case retry.Status(code):
		return &transient{err: text}
	default:
		return fmt.Errorf("%w: %w", ErrUnreadable, text)
	}
}

// s3Upload is an object on its way into a store. What is written to it goes
// there in parts, several at once; the object shows when all have arrived.
type s3Upload struct {
	pipe   *io.PipeWriter
	left   int64 // bytes that have to be written yet
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once it is done
	ended  bool
}

const (
	// uploadPart is the least size of a part of an upload. A store takes
	// 10,000 parts at most: those of objects of more than 156 GiB are larger.
	uploadPart = 16 << 20
	// uploadThreads is how many parts of that size are sent at once; larger
	// ones are sent one by one. Memory is what is being sent.
	uploadThreads = 2
	maxParts      = 10_000
)

// newS3Upload begins the upload of an object of exactly size bytes.
func newS3Upload(ctx context.Context, name string, size int64, opts Options) (*s3Upload, error) {
	bucket, key, err := parseS3(name)
	if err != nil {
		return nil, err
	}
	r := newAttempts(opts)
	client, err := s3Client(opts, r, r.Attempts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	in, out := io.Pipe()
	u := &s3Upload{pipe: out, left: size, cancel: cancel, done: make(chan struct{})}
	go func() {
		err := s3Put(ctx, client, bucket, key, in, size)
		if err != nil {
			err = fmt.Errorf("writing %s: %w", name, (&ranged{}).s3Error(err))
		}
		_ = in.CloseWithError(orEnded(err)) // never fails
		u.err = err
		close(u.done)
	}()
	return u, nil
}

// s3Put sends size bytes of r. A part, or an object that is no longer than
// one, is held in memory so that it can be sent again.
func s3Put(ctx context.Context, client *minio.Core, bucket, key string, r io.Reader, size int64) error {
	part := (max(uploadPart, (size+maxParts-1)/maxParts) + 1<<20 - 1) >> 20 << 20
	if size <= part {
		data := make([]byte, size)
		if _, err := io.ReadFull(r, data); err != nil {
			return err
		}
		r = bytes.NewReader(data)
	}
	// Each part goes with its MD5: of all checks, that is the one that every
	// store of this protocol makes.
	opts := minio.PutObjectOptions{ContentType: "application/octet-stream", PartSize: uint64(part), NumThreads: 1,
		SendContentMd5: true, DisableContentSha256: true}
	if part == uploadPart {
		opts.NumThreads, opts.ConcurrentStreamParts = uploadThreads, true
	}
	_, err := client.Client.PutObject(ctx, bucket, key, r, size, opts)
	return err
}

// errUploaded answers what is written after the announced size.
var errUploaded = errors.New("the upload has ended")

func orEnded(err error) error {
	if err == nil {
		return errUploaded
	}
	return err
}

// Write implements io.Writer.
func (u *s3Upload) Write(p []byte) (int, error) {
	n, err := u.pipe.Write(p)
	u.left -= int64(n)
	return n, err
}

// Commit ends the upload; then the object is there.
func (u *s3Upload) Commit() error {
	if u.left != 0 {
		return fmt.Errorf("ending an upload %d bytes too early", u.left)
	}
	u.ended = true
	defer u.cancel()
	_ = u.pipe.Close() // never fails
	<-u.done
	return u.err
}

// Close gives up an upload that was not committed: no part of it is left.
func (u *s3Upload) Close() error {
	if u.ended {
		return nil
	}
	u.ended = true
	_ = u.pipe.CloseWithError(context.Canceled) // never fails
	select {                                    // the parts are removed meanwhile
	case <-u.done:
	case <-time.After(time.Minute):
	}
	u.cancel()
	return nil
}
