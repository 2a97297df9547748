package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/internal/retry"
	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/registries"
)

// UploadOptions complete an upload. The zero value is usable.
type UploadOptions struct {
	Progress progress.Reporter // nil means nobody is told
	Chunk    int64             // bytes of one request; 0 means 8 MiB
	Pause    time.Duration     // before what failed is tried again the first time; 0 means 1 s
}

func (o UploadOptions) backoff() retry.Backoff {
	if o.Pause == 0 {
		o.Pause = time.Second
	}
	return retry.Backoff{Attempts: 8, Min: o.Pause, Max: time.Minute}
}

// beginning is how much of a file tells it from others: a bundle begins with
// the digests of all that it holds.
const beginning = 4 << 20

// CheckRegistry fails when no bundle can be brought into a registry: that should
// show before the first byte is sent.
func (c *Client) CheckRegistry(ctx context.Context, name string) error {
	var list systemconsole.RegistryList
	if err := c.Call(ctx, http.MethodGet, "registries", nil, &list); err != nil {
		return err
	}
	i := slices.IndexFunc(list.Registries, func(r systemconsole.Registry) bool { return r.Name == name })
	switch {
	case i < 0:
		return problem.New(problem.Usage, "take one of sealift admin registry list, or add it", "the console knows no registry %q", name)
	case list.Registries[i].Type == registries.Helm:
		return problem.New(problem.Usage, "take a registry of type oci or packs", "registry %s holds charts alone", name)
	case !list.Registries[i].HasKey:
		return problem.New(problem.Usage, "add the registry with --key", "registry %s has no key, without which no bundle is believed", name)
	}
	return nil
}

// Upload sends a file to the console and returns the name of the upload. One
// that was cut off goes on where it stopped, in the same run and in a later one.
func (c *Client) Upload(ctx context.Context, file string, opts UploadOptions) (id string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("reading the bundle: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	u, err := c.begun(ctx, f)
	if err != nil {
		return "", err
	}
	if opts.Chunk == 0 {
		opts.Chunk = 8 << 20
	}
	phase := progress.OrNone(opts.Progress).Start("sending", u.Size)
	defer phase.Done()
	phase.Skip(u.Received)
	task := phase.Task(u.Name, u.Size-u.Received)
	defer task.Done()
	backoff, attempt := opts.backoff(), 0
	for u.Received < u.Size {
		before := u.Received
		err := c.chunk(ctx, &u, f, opts.Chunk)
		task.Add(u.Received - before)
		if u.Received > before {
			attempt = 0
		}
		if err == nil {
			continue
		}
		if attempt++; !again(err) || attempt >= backoff.Attempts {
			return "", fmt.Errorf("sending the bundle: %w", err)
		}
		if err := retry.Sleep(ctx, backoff.Wait(attempt, nil)); err != nil {
			return "", err
		}
	}
	return u.ID, nil
}

// begun returns the upload of a file that was begun before, or begins one.
func (c *Client) begun(ctx context.Context, f *os.File) (registries.Upload, error) {
	var u registries.Upload
	stat, err := f.Stat()
	if err != nil {
		return u, fmt.Errorf("reading the bundle: %w", err)
	}
	if !stat.Mode().IsRegular() {
		return u, problem.New(problem.Usage, "name a bundle that is one file", "%s is no file", f.Name())
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, beginning)); err != nil {
		return u, fmt.Errorf("reading the bundle: %w", err)
	}
	u = registries.Upload{Name: filepath.Base(f.Name()), Size: stat.Size(), Fingerprint: hex.EncodeToString(sum.Sum(nil))}
	var list systemconsole.UploadList
	if err := c.Call(ctx, http.MethodGet, "uploads", nil, &list); err != nil {
		return u, err
	}
	for _, one := range list.Uploads {
		if one.Fingerprint == u.Fingerprint && one.Size == u.Size && one.Job.Again() {
			return one, nil
		}
	}
	u.ID, err = c.begin(ctx, u)
	return u, err
}

// begin asks for an upload and returns its name.
func (c *Client) begin(ctx context.Context, u registries.Upload) (id string, err error) {
	req, err := c.with(ctx, http.MethodPost, "uploads", nil)
	if err != nil {
		return "", err
	}
	encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	req.Header.Set("Upload-Length", strconv.FormatInt(u.Size, 10))
	req.Header.Set("Upload-Metadata", "filename "+encoded(u.Name)+",fingerprint "+encoded(u.Fingerprint))
	answer, err := c.tus(req)
	if err != nil {
		return "", err
	}
	id = path.Base(answer.Get("Location"))
	if id == "." || id == "/" {
		return "", errors.New("the console began an upload and does not say which")
	}
	return id, nil
}

// chunk sends the next bytes of a file. When it fails the upload says what
// arrived of them, if the console does.
func (c *Client) chunk(ctx context.Context, u *registries.Upload, f io.ReaderAt, size int64) error {
	size = min(size, u.Size-u.Received)
	offset := u.Received
	body := func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, offset, size)), nil }
	req, err := c.with(ctx, http.MethodPatch, "uploads/"+u.ID, io.NewSectionReader(f, offset, size))
	if err != nil {
		return err
	}
	// At an offset the console takes bytes once, however often they are sent.
	req.ContentLength, req.GetBody = size, body
	req.Header.Set("Idempotency-Key", u.ID+"-"+strconv.FormatInt(offset, 10))
	req.Header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	answer, err := c.tus(req)
	if err == nil {
		u.Received, err = strconv.ParseInt(answer.Get("Upload-Offset"), 10, 64)
		return err
	}
	if refused := (refusal{}); errors.As(err, &refused) && refused.status == http.StatusNotFound {
		return problem.WithRemedy(err, "run the command again: what was sent so far is gone, with the replica of the console that had it")
	}
	var there registries.Upload
	if again(err) && c.Call(ctx, http.MethodGet, "uploads/"+u.ID, nil, &there) == nil {
		u.Received = there.Received
	}
	return err
}

// tus makes a request of the tus protocol; its answer has no content.
func (c *Client) tus(req *http.Request) (http.Header, error) {
	ctx, cancel := context.WithTimeout(req.Context(), answerTime)
	defer cancel()
	req.Header.Set("Tus-Resumable", "1.0.0")
	resp, err := c.do(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	return resp.Header, resp.Body.Close()
}

// again tells whether a chunk that failed may go through later: the connection
// broke, the console was not there, or what came before is still being written.
func again(err error) bool {
	var refused refusal
	if !errors.As(err, &refused) {
		return retry.Connection(err)
	}
	switch refused.status {
	case http.StatusConflict, http.StatusLocked:
		return true
	case http.StatusInsufficientStorage:
		return false // somebody has to make room
	default:
		return retry.Status(refused.status)
	}
}

const (
	// lookEvery is how often a push is asked about.
	lookEvery = time.Second
	// mostSilent is how often in a row there may be no answer.
	mostSilent = 60
)

// Push brings an upload into a registry of the console's, and returns how it
// went when that has ended well.
func (c *Client) Push(ctx context.Context, id, registry string, reporter progress.Reporter) (registries.JobState, error) {
	var none registries.JobState
	if err := c.Call(ctx, http.MethodPost, "uploads/"+id+"/push", systemconsole.Push{Registry: registry}, nil); err != nil {
		return none, err
	}
	seen := &pushed{reporter: progress.OrNone(reporter)}
	defer seen.end()
	for failures := 0; ; {
		var u registries.Upload
		err := c.Call(ctx, http.MethodGet, "uploads/"+id, nil, &u)
		switch {
		case err != nil:
			if failures++; !again(err) || failures > mostSilent {
				return none, err
			}
		case u.Job == nil:
			return none, problem.New(problem.Partial, "run the command again: what was sent is there", "the console was started anew while it pushed the bundle")
		case u.Job.Finished:
			return *u.Job, ended(*u.Job)
		default:
			failures = 0
			seen.at(*u.Job)
		}
		if err := retry.Sleep(ctx, lookEvery); err != nil {
			return none, err
		}
	}
}

// ended is why a push that ended has failed, or nil.
func ended(j registries.JobState) error {
	if j.Failure == "" {
		return nil
	}
	kind := problem.Failed
	if j.Refused {
		kind = problem.Verification
	}
	return problem.New(kind, strings.Join(j.Remedies, "\n"), "the console says: %s", strings.Join(append([]string{j.Failure}, j.Faults...), "; "))
}

// pushed tells a reporter what was seen of a push.
type pushed struct {
	reporter progress.Reporter
	name     string
	done     int64
	phase    progress.Phase
	task     progress.Task
}

func (p *pushed) at(j registries.JobState) {
	if j.Phase != p.name && j.Total > 0 {
		p.end()
		p.name, p.done, p.phase = j.Phase, 0, p.reporter.Start(j.Phase, j.Total)
		p.task = p.phase.Task(j.Phase, j.Total)
	}
	if p.phase != nil && j.Phase == p.name {
		p.task.Add(j.Done - p.done)
		p.done = j.Done
	}
}

func (p *pushed) end() {
	if p.phase != nil {
		p.task.Done()
		p.phase.Done()
		p.phase = nil
	}
}
