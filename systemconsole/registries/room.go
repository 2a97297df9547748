package registries

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/tus/tusd/v2/pkg/handler"
)

// admit takes an upload only when there is room for the whole of it: a volume
// that runs full in the middle would end the console.
func (u *Uploads) admit(event handler.HookEvent) (handler.HTTPResponse, handler.FileInfoChanges, error) {
	if u.opts.Room == 0 {
		return handler.HTTPResponse{}, handler.FileInfoChanges{}, nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	taken, err := u.taken(time.Now())
	if err == nil && (event.Upload.SizeIsDeferred || taken+event.Upload.Size > u.opts.Room) {
		err = handler.NewError("ERR_NO_ROOM", fmt.Sprintf("there is room for %s of uploads here, %s are taken: carry the bundle to the site and use sealift mirror push",
			humanize.IBytes(uint64(u.opts.Room)), humanize.IBytes(uint64(taken))), http.StatusInsufficientStorage)
	}
	return handler.HTTPResponse{}, handler.FileInfoChanges{}, err
}

// taken returns the bytes that uploads have, or will have once they are
// complete, and removes those that nobody went on with.
func (u *Uploads) taken(now time.Time) (int64, error) {
	notes, err := filepath.Glob(filepath.Join(u.folder, "*.info"))
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, note := range notes {
		file := strings.TrimSuffix(note, ".info")
		if info, err := os.Stat(file); err == nil && now.Sub(info.ModTime()) > forgotten && !u.busy(filepath.Base(file)) {
			if err := errors.Join(os.Remove(file), os.Remove(note)); err != nil {
				return 0, fmt.Errorf("removing a forgotten upload: %w", err)
			}
			continue
		}
		var info handler.FileInfo
		data, err := os.ReadFile(note)
		if err == nil {
			err = json.Unmarshal(data, &info)
		}
		if errors.Is(err, os.ErrNotExist) {
			continue // it was pushed and removed just now
		}
		if err != nil {
			return 0, fmt.Errorf("looking at the uploads: %w", err)
		}
		sum += info.Size
	}
	return sum, nil
}

// busy tells whether an upload is on its way into a registry. u.mu is held.
func (u *Uploads) busy(id string) bool {
	job, ok := u.jobs[id]
	return ok && !job.look().Job.Again()
}
