package registries

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"golang.org/x/exp/slog"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
	"github.com/sealift/sealift/mirror"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
)

// MaxUpload is the largest bundle that is taken, in bytes.
const MaxUpload = 64 << 30

// forgotten is how long an upload may rest before its room is given to another.
const forgotten = 24 * time.Hour

// UploadOptions complete the uploads of a folder. The zero value is usable.
type UploadOptions struct {
	Room int64 // bytes of all uploads together; 0 means that each may have MaxUpload
}

// Uploads receives bundles in chunks and brings them into registries. An
// upload that was cut off goes on where it stopped, for it lies in a folder.
type Uploads struct {
	store   *handler.StoreComposer
	ctx     context.Context //nolint:containedctx // of the server: it ends what uploads began
	folder  string
	opts    UploadOptions
	service *Service
	mu      sync.Mutex
	jobs    map[string]*Job
}

// Job is the way of one upload into a registry.
type Job struct {
	progress.None
	mu     sync.Mutex
	upload Upload
	state  JobState
}

// JobState is how far a job came.
type JobState struct {
	Registry string    `json:"registry"`
	Phase    string    `json:"phase"` // what is being done
	Done     int64     `json:"done"`  // bytes of the phase
	Total    int64     `json:"total"`
	Finished bool      `json:"finished"`
	Ended    time.Time `json:"ended,omitzero"`
	Failure  string    `json:"failure,omitempty"`
	Remedies []string  `json:"remedies,omitempty"`
	Refused  bool      `json:"refused,omitempty"` // the bundle is not what its key says, and was removed
	Faults   []string  `json:"faults,omitempty"`  // what is wrong with it, one by one
	Bundle   string    `json:"bundle,omitempty"`
	Version  string    `json:"version,omitempty"`
	Images   int       `json:"images"` // that the registry has now
	New      int       `json:"new"`    // of these, what it did not have before
	Sent     int64     `json:"sent"`   // bytes of blobs that it lacked
}

// Again tells whether the job may be begun anew: there is none, or it failed for
// another reason than the bundle itself.
func (s *JobState) Again() bool { return s == nil || s.Finished && s.Failure != "" && !s.Refused }

// Upload is one file that is arriving or has arrived.
type Upload struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Size     int64     `json:"size"`             // bytes
	Received int64     `json:"received"`         // bytes
	Touched  time.Time `json:"touched,omitzero"` // when the last byte arrived
	// Fingerprint is what the sender knows the file by, when it goes on later.
	Fingerprint string    `json:"fingerprint,omitempty"`
	Job         *JobState `json:"push,omitempty"` // nil before it was asked for
}

// NewUploads receives into a folder. Work that it begins ends with ctx.
func NewUploads(ctx context.Context, s *Service, folder string, opts UploadOptions) (*Uploads, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of uploads: %w", err)
	}
	composer := handler.NewStoreComposer()
	composer.UseCore(disk{filestore.New(folder)})
	composer.UseLocker(turns{memorylocker.New()})
	return &Uploads{store: composer, ctx: ctx, folder: folder, opts: opts, service: s, jobs: map[string]*Job{}}, nil
}

// Endpoint answers the tus protocol, version 1.0, at a path with a slash at its
// end. All endpoints have the same uploads and the same rules.
func (u *Uploads) Endpoint(path string) (http.Handler, error) {
	h, err := handler.NewUnroutedHandler(handler.Config{StoreComposer: u.store, BasePath: path, MaxSize: MaxUpload,
		DisableDownload: true, DisableConcatenation: true, Cors: &handler.CorsConfig{Disable: true},
		PreUploadCreateCallback: u.admit, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return nil, fmt.Errorf("receiving uploads: %w", err)
	}
	// The library takes the rest of the path as the upload's name.
	return http.StripPrefix(strings.TrimSuffix(path, "/"), noted(h.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPost:
			h.PostFile(w, r)
		case http.MethodHead:
			h.HeadFile(w, r)
		case http.MethodPatch:
			h.PatchFile(w, r)
		default:
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})))), nil
}

// Get returns an upload, or store.ErrNotFound.
func (u *Uploads) Get(ctx context.Context, id string) (Upload, error) {
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(id) {
		return Upload{}, fmt.Errorf("upload %.40q: %w", id, store.ErrNotFound)
	}
	if job := u.job(id); job != nil {
		return job.look(), nil // the file may be gone: what was pushed is removed
	}
	file, err := filestore.New(u.folder).GetUpload(ctx, id)
	if errors.Is(err, handler.ErrNotFound) {
		return Upload{}, fmt.Errorf("upload %s: %w", id, store.ErrNotFound)
	}
	if err != nil {
		return Upload{}, fmt.Errorf("looking at upload %s: %w", id, err)
	}
	info, err := file.GetInfo(ctx)
	if err != nil {
		return Upload{}, fmt.Errorf("looking at upload %s: %w", id, err)
	}
	out := Upload{ID: id, Name: info.MetaData["filename"], Size: info.Size, Received: info.Offset, Fingerprint: info.MetaData["fingerprint"]}
	if stat, err := os.Stat(filepath.Join(u.folder, id)); err == nil {
		out.Touched = stat.ModTime()
	}
	return out, nil
}

// job returns the job of an upload, or nil.
func (u *Uploads) job(id string) *Job {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.jobs[id]
}

// Start verifies an upload that is complete, then pushes it into a registry.
// It returns at once; Get tells how far it is.
func (u *Uploads) Start(ctx context.Context, id, name string) error {
	upload, err := u.Get(ctx, id)
	if err != nil {
		return err
	}
	item, err := u.service.Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return form.Fail("registry", "there is no registry of this name")
	}
	if err != nil {
		return err
	}
	switch {
	case upload.Received != upload.Size:
		return form.Fail("", "the upload is not complete: choose the same file again to go on")
	case item.Value.Type == Helm:
		return form.Fail("registry", "bundles go into OCI registries")
	case item.Value.Key == "":
		return form.Fail("registry", "the registry has no key: without the key that bundles are signed with nothing is believed")
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if job, ok := u.jobs[id]; ok && !job.look().Job.Again() {
		return form.Fail("", "this upload has been pushed, or is on its way")
	}
	job := &Job{upload: upload, state: JobState{Registry: name, Phase: "verifying"}}
	u.jobs[id] = job
	actor := audit.ActorOf(ctx)
	go job.run(audit.WithActor(u.ctx, actor), u, filepath.Join(u.folder, id), item)
	return nil
}

// look returns the upload with the job as it is now.
func (j *Job) look() Upload {
	j.mu.Lock()
	defer j.mu.Unlock()
	out, state := j.upload, j.state
	out.Job = &state
	return out
}

func (j *Job) change(f func(*JobState)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f(&j.state)
}

func (j *Job) run(ctx context.Context, u *Uploads, file string, item store.Item[Registry]) {
	err := j.bring(ctx, u.service, file, item)
	refused := problem.KindOf(err) == problem.Verification
	if err == nil || refused {
		_ = errors.Join(os.Remove(file), os.Remove(file+".info")) // a leftover only takes room
	}
	j.change(func(s *JobState) {
		s.Finished, s.Ended, s.Refused = true, time.Now(), refused
		if err != nil { // where the file lies here tells nobody anything
			s.Failure, s.Remedies = strings.ReplaceAll(err.Error(), file, j.upload.Name), problem.Remedies(err)
		}
	})
}

// bring verifies every byte and signature before anything is sent.
func (j *Job) bring(ctx context.Context, s *Service, file string, item store.Item[Registry]) error {
	verifier, err := sign.ParseVerifier("the key of registry "+item.Name, []byte(item.Value.Key))
	if err != nil {
		return err
	}
	open := bundles.OpenOptions{Verifier: verifier}
	verified, err := bundles.Verify(ctx, file, open, bundles.VerifyOptions{VerifyOptions: archive.VerifyOptions{Progress: j}})
	if verified != nil {
		j.change(func(s *JobState) { s.Bundle, s.Version, s.Faults = verified.Name, verified.Version, verified.Faults })
	}
	if err != nil {
		return fmt.Errorf("verifying the bundle: %w", err)
	}
	reader, err := bundles.Open(ctx, file, open)
	if err != nil {
		return err
	}
	defer reader.Close() //nolint:errcheck // it was only read
	return j.push(ctx, s, reader, item)
}

func (j *Job) push(ctx context.Context, s *Service, reader *archive.Reader, item store.Item[Registry]) error {
	client, err := s.client(ctx, item)
	if err != nil {
		return err
	}
	mapping, err := mirror.ParseMapping(item.Value.Prefix, nil)
	if err != nil {
		return err
	}
	var result *mirror.PushResult
	e := audit.Event{Action: "registry.push", Object: Kind + "/" + item.Name, After: map[string]string{"bundle": j.look().Job.Bundle, "version": j.look().Job.Version}}
	err = s.log.Do(ctx, e, func() error {
		result, err = mirror.Push(ctx, []*archive.Reader{reader}, client, host(item.Value), mapping, mirror.PushOptions{Progress: j})
		if err != nil || !mirror.CarriesRelease(reader) {
			return err
		}
		return mirror.KeepHead(ctx, reader, client, host(item.Value), mapping) // which an upgrade reads
	})
	if err != nil {
		return fmt.Errorf("pushing to registry %s: %w", item.Name, err)
	}
	j.change(func(s *JobState) { s.Images, s.New, s.Sent = len(result.Images), result.New(), result.Bytes })
	state := j.look().Job
	_, err = s.registries.Modify(ctx, item.Name, func(r *Registry) error {
		r.Push = &LastPush{Bundle: state.Bundle, Version: state.Version, When: time.Now().UTC(), Images: state.Images, Bytes: state.Sent}
		return nil
	})
	return err
}
