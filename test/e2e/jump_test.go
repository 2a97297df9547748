//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// installation is what sealift install -o json prints.
type installation struct {
	Console, Address, Kubeconfig string
	Steps                        []struct {
		Name, Outcome, Detail string
		Nanoseconds           time.Duration
	}
}

// installArgs are those of every run: a repeated run is the same command.
func installArgs() []string {
	return []string{"install", "-f", "site.yaml", "--bundle", "enterprise.tar", "--key", "cosign.pub", "--dir", "state", "-o", "json"}
}

// command is a run of sealift on the jump host.
func (e *enterprise) command(t *testing.T, args ...string) *exec.Cmd {
	t.Logf("jump host $ sealift %s", strings.Join(args, " "))
	cmd := e.jump.Command(t.Context(), e.programs["sealift"], args...)
	cmd.Dir, cmd.Env = e.dir, append(os.Environ(), e.variables...)
	return cmd
}

// sealift runs sealift on the jump host to its end.
func (e *enterprise) sealift(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := e.command(t, args...)
	var out, lines bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &lines
	require.NoError(t, cmd.Start())
	memory := watchMemory(t.Context(), cmd.Process.Pid)
	start := time.Now()
	err := cmd.Wait()
	most := <-memory
	t.Logf("%s, %d MiB of its own memory\n%s", time.Since(start).Round(time.Second/10), most>>20, lines.String())
	require.NoError(t, err, out.String())
	require.Less(t, most, mostMemory)
	return out.Bytes()
}

// install runs the installation to its end.
func (e *enterprise) install(t *testing.T) installation {
	t.Helper()
	start := time.Now()
	var done installation
	require.NoError(t, json.Unmarshal(e.sealift(t, installArgs()...), &done))
	for _, s := range done.Steps {
		if s.Outcome != "skipped" {
			t.Logf("took %6.1fs: step %q: %s", s.Nanoseconds.Seconds(), s.Name, s.Detail)
		}
	}
	t.Logf("all in %s", time.Since(start).Round(time.Second))
	return done
}

// mostMemory is what sealift may have of its own on a jump host, in bytes.
const mostMemory = 200 << 20

// watchMemory returns the most memory, in bytes, that a process had of its own
// until it ended: without the pages of its program file, which the system takes
// back at need, and without its children.
func watchMemory(ctx context.Context, pid int) <-chan int {
	most := make(chan int, 1)
	go func() {
		peak := 0
		for ctx.Err() == nil {
			now, ok := anonymous(pid)
			if !ok {
				break
			}
			peak = max(peak, now)
			time.Sleep(100 * time.Millisecond)
		}
		most <- peak
	}()
	return most
}

// anonymous reads RssAnon; a process that ended has none.
func anonymous(pid int) (int, bool) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "RssAnon:" {
			kib, err := strconv.Atoi(f[1])
			return kib << 10, err == nil
		}
	}
	return 0, false
}

// programs returns the commands of what runs from the bootstrap's folder.
func (e *enterprise) running(t *testing.T) []string {
	found, err := filepath.Glob("/proc/[0-9]*/exe")
	require.NoError(t, err)
	var out []string
	for _, link := range found {
		if path, err := os.Readlink(link); err == nil && strings.HasPrefix(path, filepath.Join(e.dir, "state")) {
			out = append(out, path)
		}
	}
	return out
}

// noOrphans waits for the kernel to end what a killed run has started.
func (e *enterprise) noOrphans(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return len(e.running(t)) == 0 }, 5*time.Second, 50*time.Millisecond, "of a run that ended: %v", e.running(t))
}
