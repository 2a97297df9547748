package site

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"github.com/sealift/sealift/internal/problem"
)

// needs is what work takes of the machine.
type needs struct {
	what   string
	disk   uint64 // bytes free where the cache is
	memory uint64 // bytes available
}

const gib = 1 << 30

// building is for the compiler's own cache too, which stands elsewhere.
func building() needs { return needs{"building the lab", 6 * gib, 4 * gib} }

func running() needs { return needs{"bringing the lab up", 4 * gib, 2 * gib} }

// checkMachine says what the machine has too little of. The cache's folder
// need not exist yet.
func checkMachine(dir string, n needs) error {
	var fs unix.Statfs_t
	at := dir
	for unix.Statfs(at, &fs) != nil && at != filepath.Dir(at) {
		at = filepath.Dir(at)
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < n.disk {
		return problem.New(problem.Preflight, "make room there, or let .cache/lab be a link to a folder with room",
			"%s needs %s of disk, and %s has %s", n.what, humanize.IBytes(n.disk), at, humanize.IBytes(free))
	}
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return fmt.Errorf("looking at the machine's memory: %w", err)
	}
	return checkMemory(string(info), n)
}

func checkMemory(meminfo string, n needs) error {
	for line := range strings.Lines(meminfo) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "MemAvailable:" {
			continue
		}
		if kib, err := strconv.ParseUint(f[1], 10, 64); err == nil && kib<<10 < n.memory {
			return problem.New(problem.Preflight, "end other programs, or give the machine more memory",
				"%s needs %s of memory, and %s are available", n.what, humanize.IBytes(n.memory), humanize.IBytes(kib<<10))
		}
	}
	return nil
}

// cgroups is where the kernel shows them.
const cgroups = "/sys/fs/cgroup"

// checkCgroups says what nodes will miss. Version 2 has what they need.
// Version 1 works up to Kubernetes 1.34, when its controllers are mounted.
func checkCgroups(root, kubernetes string) error {
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return nil
	}
	const boot = "boot with systemd.unified_cgroup_hierarchy=1"
	if minor(kubernetes) > 34 {
		return problem.New(problem.Preflight, boot, "Kubernetes %s refuses cgroup version 1, which this machine has", kubernetes)
	}
	for _, c := range []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids"} {
		if _, err := os.Stat(filepath.Join(root, c)); err != nil {
			return problem.New(problem.Preflight, boot+", or mount -t cgroup -o "+c+" "+c+" "+filepath.Join(root, c),
				"nodes need the cgroup controller %s, and it is not mounted below %s", c, root)
		}
	}
	return nil
}

// minor returns 34 of v1.34.4.
func minor(version string) int {
	parts := strings.Split(version, ".")
	if len(parts) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(parts[1]) // 0 for what is no version
	return n
}
