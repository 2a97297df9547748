package preflight

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/sys/unix"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
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
		{name: "host-disk", follows: []string{"host-engine"}, run: e.hostDisk},
		{name: "host-memory", run: e.hostMemory},
		{name: "host-engine", run: e.hostEngine},
		{name: "host-proxy", run: e.hostProxy},
	}
}

func (e *examination) kind() bool { return e.site.Spec.Bootstrap == site.BootstrapKind }

// hostDisk looks at the file system that takes the temporary control plane: that
// of the installation's folder, and with kind the engine's.
func (e *examination) hostDisk(context.Context) finding {
	need, dir := localDisk, existing(e.options.Dir)
	if e.kind() {
		need, dir = kindDisk, e.engineRoot
	}
	if dir == "" {
		return skipped("it is not known where the temporary control plane would be")
	}
	if err := unix.Access(dir, unix.W_OK); err != nil && !e.kind() { // the engine writes for itself
		return failed("give this user the right to write there, or name another folder with --dir", "writing to %s: %v", dir, err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return warning("look whether "+size(need)+" are free there", "looking at %s: %v", dir, err)
	}
	free := int64(fs.Bavail) * fs.Bsize
	if free < need {
		return failed("make room, or name a folder of a larger file system with --dir", "%s free in %s, %s needed", size(free), dir, size(need))
	}
	return ok("%s free in %s, %s needed", size(free), dir, size(need))
}

// existing returns the folder, or the nearest above it that is there; "" of "".
func existing(dir string) string {
	for dir != "" && dir != filepath.Dir(dir) {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
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
	for _, engine := range [][2]string{{"docker", "{{.DockerRootDir}}"}, {"podman", "{{.Store.GraphRoot}}"}} {
		out, err := exec.CommandContext(ctx, engine[0], "info", "--format", engine[1]).CombinedOutput()
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if err == nil {
			e.engineRoot = first
			return ok("%s runs, in %s", engine[0], first)
		}
		tried = append(tried, strings.TrimSpace(fmt.Sprintf("%s: %v %s", engine[0], err, first)))
	}
	return failed("install and start Docker or Podman, or leave out spec.bootstrap: local needs neither", "no container engine runs: %s", strings.Join(tried, "; "))
}

// hostProxy looks whether the environment's proxy stands between this host and
// the site.
func (e *examination) hostProxy(context.Context) finding {
	return e.proxied(httpproxy.FromEnvironment())
}

// proxied fails when the API server is reached through a proxy, which is found
// out late: the other checks connect to what is there already, and directly.
func (e *examination) proxied(config *httpproxy.Config) finding {
	s := e.site.Spec
	registry := "https"
	if s.Registry.PlainHTTP {
		registry = "http"
	}
	choose, api, through := config.ProxyFunc(), false, []string(nil)
	for i, to := range []struct{ what, scheme, address string }{
		{"the API server", "https", s.Network.APIServer()}, {"the vCenter", "https", vsphere.Address(s.VCenter.Server)}, {"the registry", registry, s.Registry.Endpoint},
	} {
		proxy, err := choose(&url.URL{Scheme: to.scheme, Host: to.address})
		if err != nil {
			return failedWith(err)
		}
		if proxy != nil {
			api, through = api || i == 0, append(through, fmt.Sprintf("%s at %s through %s", to.what, to.address, proxy.Host))
		}
	}
	f := failed("add the site's addresses and names to the variable NO_PROXY", "the environment lets this host reach %s", strings.Join(through, ", "))
	switch {
	case len(through) == 0:
		return ok("no proxy stands between this host and the site")
	case !api:
		return f.orWarning()
	}
	return f
}
