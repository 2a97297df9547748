package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/installer/step"
	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/progress"
)

// played is a step that lasts as long as it is told, and says what it is told.
type played struct {
	name   string
	said   []string
	pause  time.Duration // after each word
	detail string
	bytes  int64 // that it moves
	late   *lateReporter
	err    error
	done   bool
}

// Name implements step.Step.
func (p *played) Name() string { return p.name }

// Check implements step.Step.
func (p *played) Check(context.Context) (step.Status, error) {
	return step.Status{Done: p.done, Detail: p.detail}, nil
}

// Apply implements step.Step.
func (p *played) Apply(_ context.Context, say step.Say) error {
	if p.bytes > 0 {
		phase := progress.OrNone(p.late.Reporter).Start("sending", p.bytes)
		a, b := phase.Task("sha256:0123456789abcdef0123", p.bytes/2), phase.Task("sha256:fedcba98765432100123", p.bytes/2)
		for range 10 {
			a.Add(p.bytes / 20)
			b.Add(p.bytes / 20)
			time.Sleep(p.pause)
		}
		a.Done()
		b.Done()
		phase.Done()
	}
	for _, s := range p.said {
		say("%s", s)
		time.Sleep(p.pause)
	}
	p.done = true
	return p.err
}

// play is an installation as it looks to a person: steps that were done before,
// one that moves bytes, conditions of several lines, and a failure.
func play(late *lateReporter) []step.Step {
	return []step.Step{
		&played{name: "fill the registry", detail: "24 images and artifacts in registry.north.example:5000", bytes: 200 << 20, pause: 200 * time.Millisecond, late: late},
		&played{name: "import the node template", done: true, detail: "/north/vm/templates/node-1.34"},
		&played{name: "start the bootstrap control plane", said: []string{"etcd and kube-apiserver"}, pause: 300 * time.Millisecond, detail: "etcd and kube-apiserver on this host"},
		&played{name: "boot the first control plane", pause: time.Second, said: []string{
			"Cluster sealift-system/enterprise: InfrastructureReady True",
			"Machine sealift-system/enterprise-x2bq9: BootstrapConfigReady: KubeadmConfig status.initialization.dataSecretCreated is false\n* another line with \x1b[31mred\x1b[0m",
			"VSphereVM sealift-system/enterprise-x2bq9: VirtualMachineProvisioned: clone failed: NoDiskSpace: Insufficient disk space on datastore 'vmfs-ssd'"},
			err: problem.New(problem.Failed, "make room on the datastore", "after 20m0s: %w", errors.New("not done in time\nVSphereVM sealift-system/enterprise-x2bq9 VirtualMachineProvisioned: NoDiskSpace: Insufficient disk space on datastore 'vmfs-ssd'"))},
		&played{name: "install network, cloud provider and storage"},
		&played{name: "wait for all nodes"},
		&played{name: "install Cluster API in the cluster"},
		&played{name: "pivot: the cluster takes itself over"},
		&played{name: "install the system console"},
		&played{name: "remove the bootstrap control plane"},
	}
}

// terminal runs the play in a terminal of its own, and returns a look at it.
func terminal(t *testing.T, width, height int) (look func() string) {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("tmux is not installed")
	}
	socket := filepath.Join(t.TempDir(), "tmux")
	tmux := func(args ...string) string {
		out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "tmux", append([]string{"-S", socket}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	// tmux keeps a screen that is cleared from its first line on, hence the echo.
	tmux("-f", "/dev/null", "new-session", "-d", "-x", strconv.Itoa(width), "-y", strconv.Itoa(height),
		"echo '$ sealift install'; SEALIFT_TEST_PLAY=1 "+os.Args[0]+" -test.run '^TestPlay$'; echo over; sleep 60")
	t.Cleanup(func() { tmux("kill-server") })
	return func() string { return tmux("capture-pane", "-p", "-S", "-50") }
}

// await looks until a text is there.
func await(t *testing.T, look func() string, text string) string {
	t.Helper()
	screen := ""
	require.Eventually(t, func() bool { screen = look(); return strings.Contains(screen, text) }, 30*time.Second, 50*time.Millisecond, "no %q", text)
	return regexp.MustCompile(`\d\.\ds`).ReplaceAllString(screen, "0.0s") // this machine may be slow
}

// The list as a person sees it at the usual width: each step once, the words of
// the failing object below it, and nothing of what moved bytes.
func TestTheLiveList(t *testing.T) {
	t.Parallel()
	look := terminal(t, 80, 24)
	require.Contains(t, await(t, look, "sending  "), "  sha256:0123456789ab   --", "bytes that move")
	await(t, look, "    Machine sealift-system/enterprise-x2bq9: BootstrapConfigReady: KubeadmConfig\n    status.initialization.dataSecretCreated is false")
	screen := await(t, look, "\nover\n")
	require.Contains(t, screen, `= import the node template                       0.0s  /north/vm/templates/no...
+ start the bootstrap control plane              0.0s  etcd and kube-apiserve...
x boot the first control plane                   0.0s
    VSphereVM sealift-system/enterprise-x2bq9: VirtualMachineProvisioned: clone
    failed: NoDiskSpace: Insufficient disk space on datastore 'vmfs-ssd'
  install network, cloud provider and storage
  wait for all nodes
`)
	for _, name := range []string{"fill the registry", "boot the first control plane  ", "remove the bootstrap control plane"} {
		require.Equal(t, 1, strings.Count(screen, name), "%q stands once:\n%s", name, screen)
	}
	require.NotContains(t, screen, "sending  ")
}

// In a narrow terminal the times are still there.
func TestTheLiveListIsNarrow(t *testing.T) {
	t.Parallel()
	screen := await(t, terminal(t, 40, 24), "\nover\n")
	require.Contains(t, screen, "+ start the bootstrap control...    0.0s\nx boot the first control plane      0.0s\n    VSphereVM sealift-system/enterprise-\n    x2bq9: ")
}

// Where the list does not fit, there are lines.
func TestTheLiveListDoesNotFit(t *testing.T) {
	t.Parallel()
	screen := await(t, terminal(t, 100, 10), "\nover\n")
	require.Contains(t, screen, "import the node template: done before: /north/vm/templates/node-1.34\n")
	require.Contains(t, screen, "boot the first control plane: failed after 0.0s\n")
}

// However a run ends, its list does.
func TestTheLiveListEnds(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, run := range map[string]struct {
		ctx  context.Context
		list []step.Step
	}{
		"well":     {t.Context(), []step.Step{&played{name: "a"}, &played{name: "b", done: true}}},
		"failed":   {t.Context(), []step.Step{&played{name: "a", err: errors.New("no")}, &played{name: "b"}}},
		"canceled": {canceled, []step.Step{&played{name: "a"}, &played{name: "b"}}},
	} {
		t.Run(name, func(t *testing.T) {
			over := make(chan struct{})
			go func() {
				defer close(over)
				s := newStepBars(newBars(io.Discard), stepNames(run.list))
				_, _ = step.Run(run.ctx, run.list, step.Options{Observer: s})
				s.wait()
			}()
			select {
			case <-over:
			case <-time.After(10 * time.Second):
				require.Fail(t, "the list does not end")
			}
		})
	}
}

// TestPlay is what the tests of the live list run in a terminal of their own.
func TestPlay(t *testing.T) {
	if os.Getenv("SEALIFT_TEST_PLAY") == "" {
		t.Skip("it is run in a terminal")
	}
	a := &app{Streams: Streams{Out: os.Stdout, Err: os.Stderr}}
	late := &lateReporter{}
	list := play(late)
	_, err := a.runSteps(t.Context(), list, late)
	fmt.Fprintln(os.Stderr, "sealift:", err)
	require.Error(t, err)
}
