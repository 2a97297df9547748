package site

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/manifests"
	"github.com/sealift/sealift/test/lab/cache"
	"github.com/sealift/sealift/test/lab/images"
)

// open returns the lab of this checkout with an empty cache.
func open(t *testing.T) *Lab {
	t.Helper()
	l, err := Open(t.Context(), ".", Options{OwnEngine: true})
	require.NoError(t, err)
	l.dir = t.TempDir()
	l.cache = cache.New(l.dir)
	return l
}

func TestReadyNamesWhatIsNotDone(t *testing.T) {
	err := open(t).Ready(t.Context())
	require.ErrorIs(t, err, ErrNotBuilt)
	require.ErrorContains(t, err, "not done: programs-kubernetes programs-coredns programs-clusterapi programs-ipam programs-cpi programs-preload engine rootfs images images-clusterapi upstream node ova")
	require.Equal(t, []string{"make lab-build"}, problem.Remedies(err))
}

func TestUpNeedsABuiltLab(t *testing.T) {
	l := open(t)
	_, err := l.Up(t.Context())
	require.ErrorIs(t, err, ErrNotBuilt)
	release, err := l.cache.Lock()
	require.NoError(t, err)
	_, err = l.Up(t.Context())
	require.ErrorIs(t, err, cache.ErrBusy)
	require.NoError(t, release())
}

func TestDownWithoutAnythingUp(t *testing.T) {
	require.NoError(t, open(t).Down(t.Context()))
}

func TestStatusOfAnEmptyCache(t *testing.T) {
	lines := strings.Join(open(t).Status(t.Context()), "\n")
	require.Contains(t, lines, "node                 not done")
	require.Contains(t, lines, "no Docker engine answers")
}

func TestOpenOutsideOfACheckout(t *testing.T) {
	_, err := Open(t.Context(), t.TempDir(), Options{})
	require.ErrorContains(t, err, "is not in a checkout of sealift")
}

func TestSourceOfImages(t *testing.T) {
	_, err := Open(t.Context(), ".", Options{Source: "elsewhere"})
	require.ErrorContains(t, err, `"elsewhere" is no source of images`)
	require.NotEmpty(t, problem.Remedies(err))
	public, err := Open(t.Context(), ".", Options{Source: "public"})
	require.NoError(t, err)
	require.NotEqual(t, open(t).steps.images.Key(), public.steps.images.Key(), "one cache holds the one or the other")
	t.Setenv("LAB_SOURCE", "public")
	require.Equal(t, "public", Environment(nil).Source)
}

func TestNodeImagesAreNamedAfterTheirContent(t *testing.T) {
	l := open(t)
	names, err := l.NodeImages()
	require.NoError(t, err)
	require.Contains(t, names.Full, l.steps.node.Key()[:12])
	require.Equal(t, names.Full+"-bare", names.Bare)
}

func TestTooLittleDisk(t *testing.T) {
	dir := t.TempDir()
	err := checkMachine(filepath.Join(dir, "not", "there", "yet"), needs{"building the lab", 1 << 60, 0})
	require.ErrorContains(t, err, "building the lab needs 1.0 EiB of disk, and "+dir+" has")
	require.NotEmpty(t, problem.Remedies(err))
	require.NoError(t, checkMachine(dir, needs{}))
}

func TestTooLittleMemory(t *testing.T) {
	const meminfo = "MemTotal: 4000000 kB\nMemAvailable: 1048576 kB\n"
	err := checkMemory(meminfo, running())
	require.EqualError(t, err, "bringing the lab up needs 2.0 GiB of memory, and 1.0 GiB are available")
	require.NotEmpty(t, problem.Remedies(err))
	require.NoError(t, checkMemory(meminfo, needs{memory: gib}))
}

func TestCgroups(t *testing.T) {
	root := t.TempDir()
	for _, c := range []string{"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, c), 0o755))
	}
	err := checkCgroups(root, "v1.34.4")
	require.ErrorContains(t, err, "nodes need the cgroup controller pids")
	require.Contains(t, problem.Remedies(err)[0], "mount -t cgroup -o pids")
	require.NoError(t, os.Mkdir(filepath.Join(root, "pids"), 0o755))
	require.NoError(t, checkCgroups(root, "v1.34.4"))
	require.ErrorContains(t, checkCgroups(root, "v1.35.0"), "Kubernetes v1.35.0 refuses cgroup version 1")
	require.NoError(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), nil, 0o644))
	require.NoError(t, checkCgroups(root, "v1.35.0"))
}

// The lab has the images that the components that ship ask for, of the same
// versions. Where this fails, "make generate" was forgotten.
func TestImagesOfTheComponentsThatShip(t *testing.T) {
	l := open(t)
	versions, err := l.Versions()
	require.NoError(t, err)
	rootfs := filepath.Join(t.TempDir(), "rootfs.tar")
	authorities := &bytes.Buffer{}
	w := tar.NewWriter(authorities)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "etc/ssl/certs/ca-certificates.crt"}))
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(rootfs, authorities.Bytes(), 0o644))
	all, err := images.ClusterAPI(images.Sources{Rootfs: rootfs}, versions)
	require.NoError(t, err)
	var names []string
	for _, image := range all {
		names = append(names, image.Name)
	}
	files, err := fs.Glob(manifests.Enterprise(), "providers/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 5)
	for _, file := range files {
		data, err := fs.ReadFile(manifests.Enterprise(), file)
		require.NoError(t, err)
		found := regexp.MustCompile(`(?m)^ +image: (\S+)$`).FindAllSubmatch(data, -1)
		require.Len(t, found, 1, file)
		require.Contains(t, names, string(found[0][1]), file)
	}
}
