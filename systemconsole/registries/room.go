package registries

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/tus/tusd/v2/pkg/filestore"
	"github.com/tus/tusd/v2/pkg/handler"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
)

// keepFree is how many bytes of the volume uploads leave to others.
const keepFree = 64 << 20

// admit takes an upload only when there is room for the whole of it: a volume
// that runs full in the middle would end the console.
func (u *Uploads) admit(event handler.HookEvent) (handler.HTTPResponse, handler.FileInfoChanges, error) {
	err := error(handler.NewError("ERR_NO_SIZE", "say how large the file is", http.StatusBadRequest))
	if !event.Upload.SizeIsDeferred {
		err = u.roomFor(event.Context, event.Upload.Size)
	}
	if err != nil && problem.KindOf(err) == problem.Usage {
		err = handler.NewError("ERR_NO_ROOM", strings.Join(append([]string{err.Error()}, problem.Remedies(err)...), "\n"), http.StatusInsufficientStorage)
	}
	return handler.HTTPResponse{}, handler.FileInfoChanges{}, err
}

// roomFor fails when size more bytes do not fit. What nobody went on with
// makes room.
func (u *Uploads) roomFor(ctx context.Context, size int64) error {
	const remedy = "remove uploads that nobody needs, or carry the bundle to the site and use sealift mirror push"
	u.Sweep(ctx, time.Now())
	all, err := u.List(ctx)
	if err != nil {
		return err
	}
	var taken, missing int64
	for _, one := range all {
		taken += one.Size
		missing += one.Size - one.Received // have their room already
	}
	if u.opts.Room > 0 && taken+size > u.opts.Room {
		return problem.New(problem.Usage, remedy, "there is room for %s of uploads here, %s are taken", humanize.IBytes(uint64(u.opts.Room)), humanize.IBytes(uint64(taken)))
	}
	var volume syscall.Statfs_t
	if err := syscall.Statfs(u.folder, &volume); err != nil {
		return fmt.Errorf("looking how much room there is for uploads: %w", err)
	}
	if free := int64(volume.Bavail)*volume.Bsize - missing - keepFree; size > free {
		return problem.New(problem.Usage, remedy, "the volume of uploads has %s left", humanize.IBytes(uint64(max(free, 0))))
	}
	return nil
}

// List returns the uploads that take room, the newest first.
func (u *Uploads) List(ctx context.Context) ([]Upload, error) {
	notes, err := filepath.Glob(filepath.Join(u.folder, "*.info"))
	if err != nil {
		return nil, err
	}
	var out []Upload
	for _, note := range notes {
		upload, err := u.Get(ctx, strings.TrimSuffix(filepath.Base(note), ".info"))
		if errors.Is(err, store.ErrNotFound) {
			continue // it was pushed and removed just now
		}
		if err != nil {
			return nil, err
		}
		out = append(out, upload)
	}
	slices.SortFunc(out, func(a, b Upload) int { return b.Touched.Compare(a.Touched) })
	return out, nil
}

// Remove removes an upload that is not on its way into a registry.
func (u *Uploads) Remove(ctx context.Context, id string) error {
	upload, err := u.Get(ctx, id)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if job, ok := u.jobs[id]; ok && !job.look().Job.Finished {
		return form.Fail("", "this upload is on its way into a registry")
	}
	e := audit.Event{Action: "upload.remove", Object: "Upload/" + id, Before: map[string]any{"name": upload.Name, "bytes": upload.Received}}
	return u.service.log.Do(ctx, e, func() error { return u.drop(id) })
}

// drop removes what is known of an upload. u.mu is held.
func (u *Uploads) drop(id string) error {
	delete(u.jobs, id)
	file := filepath.Join(u.folder, id)
	var failures []error
	for _, name := range []string{file, file + ".info"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			failures = append(failures, fmt.Errorf("removing an upload: %w", err))
		}
	}
	return errors.Join(failures...)
}

// Sweep removes uploads that nobody went on with for a day, and forgets what
// became of those that ended then. What fails is tried again by the next one.
func (u *Uploads) Sweep(ctx context.Context, now time.Time) {
	all, err := u.List(ctx)
	if err != nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, job := range u.jobs {
		if state := job.look().Job; state.Finished && now.Sub(state.Ended) > forgotten {
			delete(u.jobs, id)
		}
	}
	for _, upload := range all {
		_, busy := u.jobs[upload.ID]
		if !busy && !upload.Touched.IsZero() && now.Sub(upload.Touched) > forgotten {
			_ = u.drop(upload.ID)
		}
	}
}

// disk is the folder of uploads for the tus protocol, which is told when the
// volume is full: the client can go on once there is room.
type disk struct{ filestore.FileStore }

// NewUpload implements handler.DataStore.
func (d disk) NewUpload(ctx context.Context, info handler.FileInfo) (handler.Upload, error) {
	upload, err := d.FileStore.NewUpload(ctx, info)
	return arriving{upload}, noRoom(err)
}

// GetUpload implements handler.DataStore.
func (d disk) GetUpload(ctx context.Context, id string) (handler.Upload, error) {
	upload, err := d.FileStore.GetUpload(ctx, id)
	return arriving{upload}, err
}

type arriving struct{ handler.Upload }

// WriteChunk implements handler.Upload.
func (a arriving) WriteChunk(ctx context.Context, offset int64, src io.Reader) (int64, error) {
	writing(ctx)
	n, err := a.Upload.WriteChunk(ctx, offset, src)
	return n, noRoom(err)
}

func noRoom(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return handler.NewError("ERR_NO_ROOM", "the volume of uploads is full", http.StatusInsufficientStorage)
	}
	return err
}

// Receive takes a whole file from a plain form, size bytes at most, straight to
// the disk, and returns the name of the upload. One that breaks off leaves
// nothing: a form cannot go on where it stopped.
func (u *Uploads) Receive(ctx context.Context, name string, size int64, file io.Reader) (id string, err error) {
	if size < 0 || size > MaxUpload {
		return "", problem.New(problem.Usage, "carry the bundle to the site and use sealift mirror push", "a file of at most %s is taken, with its length", humanize.IBytes(MaxUpload))
	}
	if err := u.roomFor(ctx, size); err != nil {
		return "", err
	}
	upload, err := filestore.New(u.folder).NewUpload(ctx, handler.FileInfo{Size: size, MetaData: handler.MetaData{"filename": name}})
	if err != nil {
		return "", fmt.Errorf("receiving the file: %w", err)
	}
	info, err := upload.GetInfo(ctx)
	if err != nil {
		return "", fmt.Errorf("receiving the file: %w", err)
	}
	n, err := upload.WriteChunk(ctx, 0, file)
	if err == nil {
		err = upload.(interface { // every store of files can
			DeclareLength(ctx context.Context, length int64) error
		}).DeclareLength(ctx, n)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = problem.New(problem.Usage, "make room on the volume of uploads, and send the file again", "the volume of uploads is full")
	}
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		return "", errors.Join(fmt.Errorf("receiving the file: %w", err), u.drop(info.ID))
	}
	return info.ID, nil
}
