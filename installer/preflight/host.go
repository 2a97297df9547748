package preflight

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/sealift/sealift/installer/site"
)

// What a temporary control plane takes of this host: etcd's data, the programs
// out of the images, logs; and the memory of an API server, etcd and four
// managers.
const (
	localDisk, localMemory = 4 * gib, 2 * gib
	kindDisk, kindMemory   = 10 * gib, 4 * gib
)

func (e *examination) hostChecks() []check {
	return []check{
		{name: "host-disk", run: e.hostDisk},
		{name: "host-memory", run: e.hostMemory},
		{name: "host-engine", run: e.hostEngine},
	}
}

func (e *examination) kind() bool { return e.site.Spec.Bootstrap == site.BootstrapKind }

func (e *examination) hostDisk(context.Context) finding {
	need, dir := localDisk, os.TempDir()
	if e.kind() {
		need = kindDisk
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return failed("set TMPDIR to a folder that exists", "looking at %s: %v", dir, err)
	}
	free := int64(fs.Bavail) * fs.Bsize
	if free < need {
		return failed("make room, or set TMPDIR to a larger file system", "%s free in %s, %s needed", size(free), dir, size(need))
	}
	return ok("%s free in %s, %s needed", size(free), dir, size(need))
}

func (e *examination) hostMemory(context.Context) finding {
	need := localMemory
	if e.kind() {
		need = kindMemory
	}
	free, err := availableMemory()
	if err != nil {
		return warning("", "the memory of this host is not known: %v", err)
	}
	if free < need {
		return failed("end other programs, or use a host with more memory", "%s available, %s needed for the bootstrap (%s)", size(free), size(need), e.site.Spec.Bootstrap)
	}
	return ok("%s available, %s needed for the bootstrap (%s)", size(free), size(need), e.site.Spec.Bootstrap)
}

// availableMemory returns what programs can still have, in bytes.
func availableMemory() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var kib int64
		if _, err := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("/proc/meminfo has no MemAvailable")
}

// hostEngine asks a container engine, which only kind needs.
func (e *examination) hostEngine(ctx context.Context) finding {
	if !e.kind() {
		return skipped("bootstrap: local needs no container engine")
	}
	var tried []string
	for _, engine := range []string{"docker", "podman"} {
		out, err := exec.CommandContext(ctx, engine, "info", "--format", "{{.Name}}").CombinedOutput()
		if err == nil {
			return ok("%s runs", engine)
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		tried = append(tried, strings.TrimSpace(fmt.Sprintf("%s: %v %s", engine, err, first)))
	}
	return failed("install and start Docker or Podman, or leave out spec.bootstrap: local needs neither", "no container engine runs: %s", strings.Join(tried, "; "))
}
