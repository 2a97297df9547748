package cluster

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// freezer is where cgroup v1 has the containers' freezer groups.
const freezer = "/sys/fs/cgroup/freezer/docker"

// thawUntil thaws what is frozen below these containers until ctx is done.
//
// On cgroup v1 runc freezes a pod for a moment when it changes the pod's
// limits. A node that is killed in that moment leaves the pod frozen, and a
// frozen process ignores even SIGKILL: the node's container would never end.
func thawUntil(ctx context.Context, root string, containers []string) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		for _, id := range containers {
			thaw(filepath.Join(root, id))
		}
	}
}

// thaw thaws each group at and below dir that was frozen itself. A group that
// vanishes meanwhile needs nothing any more, so errors do not matter.
func thaw(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "freezer.self_freezing" {
			return nil //nolint:nilerr // see above
		}
		state, err := os.ReadFile(path)
		if err == nil && strings.TrimSpace(string(state)) == "1" {
			_ = os.WriteFile(filepath.Join(filepath.Dir(path), "freezer.state"), []byte("THAWED"), 0o644)
		}
		return nil
	})
}
