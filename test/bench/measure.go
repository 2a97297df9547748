package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// usage is what one run took.
type usage struct {
	wall, cpu time.Duration
	rss       int64 // bytes of memory of its own, at most
	disk      int64 // bytes at most, in the run's folder
}

// contestant is one way of doing a job. prepare is not timed.
type contestant struct {
	name    string
	prepare func(dir string) error
	do      func(dir string) (usage, error)
}

// race runs the contestants in turn, several times, each in a fresh folder, in
// an order that changes, and returns the median of each. Memory and disk are
// those of one run before: looking at them takes time from what is timed. A
// contestant that is not on this machine has no result.
func (b *bench) race(job string, contestants []contestant) (map[string]usage, error) {
	all, watched := map[string][]usage{}, map[string]usage{}
	for i := range b.runs + 1 {
		for j := range contestants {
			c := contestants[(i+j)%len(contestants)]
			b.say(fmt.Sprintf("%s: %s, run %d of %d", job, c.name, i, b.runs))
			u, err := b.once(c, i == 0)
			if errors.Is(err, exec.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", job, c.name, err)
			}
			if i == 0 {
				watched[c.name] = u
			} else {
				all[c.name] = append(all[c.name], u)
			}
		}
	}
	out := map[string]usage{}
	for name, runs := range all {
		slices.SortFunc(runs, func(x, y usage) int { return int(x.wall - y.wall) })
		median := runs[len(runs)/2]
		median.rss, median.disk = watched[name].rss, watched[name].disk
		out[name] = median
	}
	return out, nil
}

func (b *bench) once(c contestant, watch bool) (usage, error) {
	b.watching = watch
	dir, err := os.MkdirTemp(b.work, "run-")
	if err != nil {
		return usage{}, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // only room is lost
	if c.prepare != nil {
		if err := c.prepare(dir); err != nil {
			return usage{}, err
		}
	}
	syscall.Sync() // what others wrote is not this one's to wait for
	if !watch {
		return c.do(dir)
	}
	peak := watchDisk(dir)
	u, err := c.do(dir)
	u.disk = peak()
	return u, err
}

// watchDisk looks at the size of a folder until the returned function is called.
func watchDisk(dir string) func() int64 {
	var peak atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	look := func() {
		var total int64
		_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil //nolint:nilerr // files come and go
			}
			if info, err := d.Info(); err == nil {
				total += info.Sys().(*syscall.Stat_t).Blocks * 512
			}
			return nil
		})
		peak.Store(max(peak.Load(), total))
	}
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				look()
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-stopped
		look()
		return peak.Load()
	}
}

// command runs a program in a folder and adds up what it takes.
func (b *bench) command(dir string, u *usage, name string, args ...string) error {
	path, err := b.find(name)
	if err != nil {
		return err
	}
	if err := read(path); err != nil {
		return err
	}
	cmd := exec.CommandContext(b.ctx, path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+b.work, "DOCKER_CONFIG="+b.work)
	cmd.Env = append(cmd.Env, b.secrets()...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	peak := func() int64 { return 0 }
	if b.watching {
		peak = watchMemory(cmd.Process.Pid, 5*time.Millisecond)
	}
	err = cmd.Wait()
	u.wall += time.Since(start)
	u.rss = max(u.rss, peak())
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out.String())
	}
	u.cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return nil
}

// read brings a program into the cache of the system, as a use just before does:
// large ones would else pay for what was read or written since.
func read(program string) error {
	f, err := os.Open(program)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	_, err = io.Copy(io.Discard, f)
	return err
}

// watchMemory looks, every so often, at the most memory that a process has held
// of its own until the returned function is called. The pages of its program file are not
// counted: the system shares them, and takes them back at need.
func watchMemory(pid int, every time.Duration) func() int64 {
	var peak int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			peak = max(peak, held(pid))
			select {
			case <-stop:
				return
			case <-time.After(every):
			}
		}
	}()
	return func() int64 {
		close(stop)
		<-stopped
		return peak
	}
}

// held returns the memory that a process holds of its own, in bytes.
func held(pid int) int64 {
	var total int64
	for _, name := range []string{"RssAnon", "RssShmem"} {
		text := strings.TrimSuffix(field(fmt.Sprintf("/proc/%d/status", pid), name), " kB")
		kib, _ := strconv.ParseInt(text, 10, 64) // 0 for a process that has ended
		total += kib << 10
	}
	return total
}

// field returns a value of a file of lines KEY: VALUE.
func field(file, key string) string {
	data, _ := os.ReadFile(file)
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// find finds sealift, a tool of .tools/bin, or a program on PATH.
func (b *bench) find(name string) (string, error) {
	switch name {
	case "sealift":
		return b.sealift, nil
	case pkcs11Build:
		return filepath.Join(filepath.Dir(b.sealift), name), nil
	}
	tool := filepath.Join(filepath.Dir(filepath.Dir(b.sealift)), ".tools", "bin", name)
	if _, err := os.Stat(tool); err == nil {
		return tool, nil
	}
	return exec.LookPath(name)
}

// server is a registry that runs beside the bench.
type server struct {
	cmd  *exec.Cmd
	host string
	peak func() int64 // ends watching the memory
}

func (b *bench) startRegistry(data string) (*server, error) {
	return b.start("registry", "serve", "--data", data)
}

// start runs sealift as a server on a free port.
func (b *bench) start(args ...string) (*server, error) {
	cmd := exec.CommandContext(b.ctx, b.sealift, append(args, "--addr", "127.0.0.1:0", "--quiet")...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("sealift %s did not start: %w", strings.Join(args, " "), err)
	}
	return &server{cmd: cmd, host: strings.TrimPrefix(strings.TrimSpace(line), "http://"), peak: watchMemory(cmd.Process.Pid, 100*time.Millisecond)}, nil
}

// stop ends the server and returns what it took.
func (s *server) stop() usage {
	rss := s.peak()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	state := s.cmd.ProcessState
	return usage{cpu: state.UserTime() + state.SystemTime(), rss: rss}
}

// machine describes where the run took place.
func machine(ctx context.Context, sealift string) string {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	version, _ := exec.CommandContext(ctx, sealift, "--version").Output()
	return fmt.Sprintf("Machine: %s, %d cores, %s memory, Linux %s, %s; %s.\n", field("/proc/cpuinfo", "model name"), runtime.NumCPU(),
		field("/proc/meminfo", "MemTotal"), strings.TrimSpace(string(kernel)), runtime.Version(), strings.TrimSpace(string(version)))
}
