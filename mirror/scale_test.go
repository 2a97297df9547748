package mirror_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/archive"
	"github.com/sealift/sealift/bundles/archive/archivetest"
	"github.com/sealift/sealift/bundles/content"
	"github.com/sealift/sealift/mirror"
)

// The size at which planning has its limits: 10 s and 512 MiB.
const (
	largeImages = 10_000
	largeBytes  = 1_000_000_000_000
	planTime    = 10 * time.Second
	planMemory  = 512 << 20
)

// largeBundle names what the other process of TestPlanAtScale plans: a bundle
// to push, or planCreate.
const (
	largeBundle = "SEALIFT_TEST_LARGE_BUNDLE"
	planCreate  = "create"
)

// TestPlanAtScale measures processes of their own, so that nothing of this
// test is counted: one lays out a bundle, one opens it and plans its push, and
// one does so with a delta that leaves out every blob.
func TestPlanAtScale(t *testing.T) {
	if testing.Short() {
		t.Skip("lays out bundles of 1 TB")
	}
	switch what := os.Getenv(largeBundle); what {
	case "":
	case planCreate:
		layOutLarge(t, nil)
		requireLittleMemory(t)
		return
	default:
		planLarge(t, what)
		requireLittleMemory(t)
		return
	}
	measure(t, "create", planCreate)
	measure(t, "push", layOutLarge(t, nil))
	all := func(content.Descriptor) bool { return true }
	measure(t, "push of a delta", layOutLarge(t, all))
}

// layOutLarge lays a large bundle out and, unless that is what is measured,
// writes it. has is that of a delta.
func layOutLarge(t *testing.T, has func(content.Descriptor) bool) string {
	contents := archivetest.Large(t, largeImages, largeBytes)
	if contents.Has = has; has != nil {
		contents.Bases = []archive.Base{{Name: "base", Version: "1.0.0", Statement: contents.Roots[0].Descriptor.Digest}}
	}
	layout, err := archive.Plan(contents)
	require.NoError(t, err)
	if os.Getenv(largeBundle) == planCreate {
		return ""
	}
	return archivetest.WriteSparse(t, layout, contents.Documents)
}

func measure(t *testing.T, name, what string) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestPlanAtScale$", "-test.v")
	cmd.Env = append(os.Environ(), largeBundle+"="+what)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	// Time of the processor: what else runs on the machine does not count.
	took := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("%s: planned in %v\n%s", name, took, out)
	require.Less(t, took, planTime, name)
}

// requireLittleMemory looks at the most memory that this process ever had.
// (What wait4 tells of a child begins with the memory of its parent.)
func requireLittleMemory(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(t, peak)
	kib, err := strconv.ParseInt(string(peak[1]), 10, 64)
	require.NoError(t, err)
	t.Logf("%d MiB", kib>>10)
	require.Less(t, kib<<10, int64(planMemory))
}

func planLarge(t *testing.T, path string) {
	began := time.Now()
	r := archivetest.Open(t, path)
	t.Logf("opened in %v", time.Since(began))
	m, err := mirror.ParseMapping("site", nil)
	require.NoError(t, err)
	blobs, size, repositories, err := mirror.Plan(t.Context(), []*archive.Reader{r}, m, mirror.Shard{Index: 1, Of: 4})
	require.NoError(t, err)
	t.Logf("planned in %v", time.Since(began))
	require.Equal(t, largeImages*2*5+100, blobs)
	require.Greater(t, size, int64(largeBytes))
	require.Equal(t, 2500, repositories)
}
