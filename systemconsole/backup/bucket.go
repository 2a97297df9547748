package backup

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/sealift/sealift/internal/problem"
)

// BucketOptions say where a bucket is. Endpoint, Bucket, AccessKey and
// SecretKey are required.
type BucketOptions struct {
	Endpoint, Region, Bucket, Prefix string // Endpoint is https://HOST[:PORT]
	AccessKey, SecretKey             string
	TLS                              *tls.Config // nil trusts what the system trusts
	// Proxy is the way to the store; nil means directly.
	Proxy func(*http.Request) (*url.URL, error)
}

// Bucket is the place of backups in a store that speaks the protocol of S3.
type Bucket struct {
	client         *minio.Client
	bucket, prefix string
}

var _ Place = (*Bucket)(nil)

// bucketTime is how long a store may take before it answers.
const bucketTime = 30 * time.Second

// NewBucket returns a bucket. It connects to nothing yet.
func NewBucket(opts BucketOptions) (*Bucket, error) {
	u, err := url.Parse(opts.Endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, problem.New(problem.Usage, "write it as https://HOST[:PORT]", "the address of the store of backups is none")
	}
	transport := &http.Transport{Proxy: opts.Proxy, TLSClientConfig: opts.TLS, TLSHandshakeTimeout: bucketTime, ResponseHeaderTimeout: bucketTime,
		DialContext: (&net.Dialer{Timeout: bucketTime}).DialContext, IdleConnTimeout: time.Minute}
	client, err := minio.New(u.Host, &minio.Options{Creds: credentials.NewStaticV4(opts.AccessKey, opts.SecretKey, ""), Secure: true,
		Transport: transport, Region: cmp.Or(opts.Region, "us-east-1"), MaxRetries: 3})
	if err != nil {
		return nil, fmt.Errorf("preparing the store of backups: %w", err)
	}
	return &Bucket{client: client, bucket: opts.Bucket, prefix: opts.Prefix}, nil
}

// Put implements Place: an object shows when it is whole.
func (b *Bucket) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	opts := minio.PutObjectOptions{ContentType: "application/octet-stream", NumThreads: 1, SendContentMd5: true, DisableContentSha256: true}
	_, err := b.client.PutObject(ctx, b.bucket, b.prefix+name, r, size, opts)
	return b.failed("writing a backup", err)
}

// Open implements Place.
func (b *Bucket) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	o, err := b.client.GetObject(ctx, b.bucket, b.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return nil, b.failed("opening a backup", err)
	}
	if _, err := o.Stat(); err != nil {
		return nil, errors.Join(b.failed("opening a backup", err), o.Close())
	}
	return o, nil
}

// Remove implements Place.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	if err := CheckName(name); err != nil {
		return err
	}
	return b.failed("removing a backup", b.client.RemoveObject(ctx, b.bucket, b.prefix+name, minio.RemoveObjectOptions{}))
}

// Files implements Place.
func (b *Bucket) Files(ctx context.Context) ([]File, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the listing
	var out []File
	for o := range b.client.ListObjects(ctx, b.bucket, minio.ListObjectsOptions{Prefix: b.prefix + namePrefix, Recursive: true}) {
		if o.Err != nil {
			return nil, b.failed("listing backups", o.Err)
		}
		if f, ok := file(strings.TrimPrefix(o.Key, b.prefix), o.Size); ok {
			out = append(out, f)
		}
	}
	return newestFirst(out), nil
}

// String implements Place.
func (b *Bucket) String() string { return "s3://" + b.bucket + "/" + b.prefix }

// failed gives an error of the store its meaning.
func (b *Bucket) failed(what string, err error) error {
	if err == nil {
		return nil
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) || answer.StatusCode == 0 {
		return problem.WithRemedy(fmt.Errorf("%s: %w", what, err), "check the address of the store, its authority and the proxy")
	}
	switch {
	case answer.Code == minio.NoSuchBucket:
		return problem.New(problem.Failed, "create the bucket, or correct its name", "%s: there is no bucket %s", what, b.bucket)
	case answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: %w", what, fs.ErrNotExist)
	case answer.StatusCode == http.StatusForbidden, answer.StatusCode == http.StatusUnauthorized:
		return problem.New(problem.Failed, "check both keys, the region, and what the keys may do in the bucket", "%s: %s (%s)", what, answer.Message, answer.Code)
	default:
		return fmt.Errorf("%s: %.300s (%s)", what, answer.Message, answer.Code)
	}
}
