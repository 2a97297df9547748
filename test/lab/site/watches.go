package site

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/sealift/sealift/internal/problem"
)

// watches is the file of the kernel's limit of watchers of files for a user.
const watches = "/proc/sys/fs/inotify/max_user_instances"

// neededWatches is for ten nodes side by side: systemd, containerd and kubelet
// of each have several dozen, and all of them are root's. Where none is left,
// containerd comes up without its part for Kubernetes, and no node is ready.
const neededWatches = 1024

// RaiseWatches lets several clusters run side by side. What it returns puts the
// kernel's limit back.
func RaiseWatches() (restore func() error, err error) { return raiseWatches(watches) }

func raiseWatches(file string) (restore func() error, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the limit of file watchers: %w", err)
	}
	before := strings.TrimSpace(string(data))
	if count, err := strconv.Atoi(before); err != nil || count >= neededWatches {
		return func() error { return nil }, err
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(neededWatches)), 0o644); err != nil {
		return nil, problem.New(problem.Preflight, fmt.Sprintf("sysctl -w fs.inotify.max_user_instances=%d", neededWatches),
			"%s file watchers are too few for several clusters: %w", before, err)
	}
	return func() error { return os.WriteFile(file, []byte(before), 0o644) }, nil
}
