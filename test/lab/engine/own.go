package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sealift/sealift/internal/problem"
)

// Own is an engine of the lab's own. Its data stands in the lab's cache; its
// sockets, process numbers and log stand below Run, which a restart of the
// machine empties.
type Own struct {
	Packages string // folder of the result of PackagesStep
	Data     string // folder of images and containers; it is removed by Stop
	Run      string // folder of sockets and process numbers; it is removed by Stop
	// Enter is a command that starts the one after it elsewhere, such as in a
	// network namespace, whose firewall is then the engine's; nil is this machine.
	Enter []string
}

// NewOwn returns the engine of a lab whose cache is the folder dir. Two labs
// on one machine have two engines.
func NewOwn(dir, packages string) *Own {
	sum := sha256.Sum256([]byte(dir))
	// A socket's path has at most 107 bytes, so it cannot stand in the cache.
	return &Own{Packages: packages, Data: filepath.Join(dir, "engine-data"), Run: fmt.Sprintf("/run/sealift-lab-%x", sum[:4])}
}

func (o *Own) socket() string  { return filepath.Join(o.Run, "docker.sock") }
func (o *Own) log() string     { return filepath.Join(o.Run, "log") }
func (o *Own) pidfile() string { return filepath.Join(o.Run, "docker.pid") }

// Exists tells whether the engine was started and not stopped, even if it was
// killed meanwhile.
func (o *Own) Exists() bool {
	_, err := os.Stat(o.Run)
	return err == nil
}

// engine returns the Engine that talks to it.
func (o *Own) engine() *Engine {
	root := filepath.Join(o.Packages, "root")
	path := strings.Join([]string{root + "/usr/sbin", root + "/usr/bin", os.Getenv("PATH"), "/usr/sbin", "/sbin"}, ":")
	return &Engine{Own: true, env: []string{"PATH=" + path, "DOCKER_HOST=unix://" + o.socket()}}
}

// Running returns the engine if it answers, and ErrNone if it does not.
func (o *Own) Running(ctx context.Context) (*Engine, error) {
	e := o.engine()
	version, err := e.Run(ctx, "version", "--format", "{{.Server.Version}}")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	e.Version = version
	return e, nil
}

// Start starts the engine, unless it runs.
func (o *Own) Start(ctx context.Context) (*Engine, error) {
	if e, err := o.Running(ctx); err == nil {
		return e, nil
	}
	e := o.engine()
	if err := Possible(); err != nil {
		return nil, err
	}
	for _, dir := range []string{o.Data, o.Run} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("starting an engine: %w", err)
		}
	}
	keep := o.keepNetwork
	if o.Enter != nil {
		keep = func(context.Context) error { return nil } // the namespace's own ends with it
	}
	if err := errors.Join(keep(ctx), o.forget()); err != nil {
		return nil, fmt.Errorf("starting an engine: %w", err)
	}
	ended, err := o.launch(e)
	if err != nil {
		return nil, err
	}
	return e, o.await(ctx, e, ended)
}

// forget removes the pidfile of a dockerd that was killed: another process may
// have its number now, and dockerd would take that one for itself.
func (o *Own) forget() error {
	pid, ok := readPid(o.pidfile())
	if ok && runs("dockerd", pid) {
		return nil
	}
	return os.RemoveAll(o.pidfile())
}

// launch starts dockerd as a process that outlives this one. The channel is
// closed when it ended.
func (o *Own) launch(e *Engine) (<-chan struct{}, error) {
	log, err := os.Create(o.log())
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // dockerd has its own
	args := append(slices.Clone(o.Enter), filepath.Join(o.Packages, "root/usr/sbin/dockerd"), "--host", "unix://"+o.socket(), "--data-root", o.Data,
		"--exec-root", filepath.Join(o.Run, "exec"), "--pidfile", o.pidfile(), "--bridge=none")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), e.env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting an engine: %w", err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its log says why
		close(ended)
	}()
	return ended, nil
}

// startTime is how long an engine may take until it answers.
const startTime = 60 * time.Second

func (o *Own) await(ctx context.Context, e *Engine, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		running, err := o.Running(ctx)
		if err == nil {
			*e = *running
			return nil
		}
		select {
		case <-ended:
			return o.startError("it ended")
		case <-ctx.Done():
			return o.startError("it does not answer")
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// startError tells why dockerd did not start, by the end of its log.
func (o *Own) startError(what string) error {
	data, err := os.ReadFile(o.log())
	if err != nil {
		data = []byte(err.Error())
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return problem.New(problem.Preflight, "mend what its log says: "+o.log()+"; or start a Docker engine of this machine",
		"starting an engine: %s: %s", what, lines[len(lines)-1])
}

// Possible tells why no engine can be started by this process.
func Possible() error {
	remedy := "run this as root, or start a Docker engine and set DOCKER_HOST"
	if os.Geteuid() != 0 {
		return problem.New(problem.Preflight, remedy, "no Docker engine answers, and only root can start one")
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	if missing := missingCapabilities(string(status)); len(missing) > 0 {
		return problem.New(problem.Preflight, "run this on the machine itself or in a privileged container",
			"no Docker engine answers, and none can be started: this process lacks %s", strings.Join(missing, " and "))
	}
	if firewallProgram() != "" {
		return nil
	}
	return problem.New(problem.Preflight, "apt-get install iptables", "an engine cannot be started: iptables is not installed")
}

// missingCapabilities returns the names of those that dockerd cannot do without.
func missingCapabilities(status string) []string {
	var effective uint64
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "CapEff:"); ok {
			effective, _ = strconv.ParseUint(strings.TrimSpace(value), 16, 64) // 0 lacks all
		}
	}
	var missing []string
	for _, c := range []struct {
		name string
		bit  uint
	}{{"CAP_SYS_ADMIN", unix.CAP_SYS_ADMIN}, {"CAP_NET_ADMIN", unix.CAP_NET_ADMIN}} {
		if effective&(1<<c.bit) == 0 {
			missing = append(missing, c.name)
		}
	}
	return missing
}

// stopTime is how long an engine may take to end before it is killed.
const stopTime = 30 * time.Second

// Stop ends the engine and removes its data. It does nothing where there is none.
func (o *Own) Stop(ctx context.Context) error {
	for _, daemon := range []struct{ name, pidfile string }{
		{"dockerd", o.pidfile()}, {"containerd", filepath.Join(o.Run, "exec/containerd/containerd.pid")},
	} {
		if err := end(ctx, daemon.name, daemon.pidfile); err != nil {
			return fmt.Errorf("stopping the engine: %w", err)
		}
	}
	if err := o.restoreNetwork(ctx); err != nil {
		return fmt.Errorf("stopping the engine: %w", err)
	}
	return errors.Join(remove(o.Data), remove(o.Run))
}

// end ends the process of a pidfile, if it still is the program of this name.
func end(ctx context.Context, program, pidfile string) error {
	pid, ok := readPid(pidfile)
	if !ok {
		return nil
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} { // dockerd forces its end at a third one
		if !runs(program, pid) {
			return nil
		}
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		if gone, err := awaitEnd(ctx, program, pid); gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("process %d (%s) does not end", pid, program)
}

// readPid returns the number in a pidfile, and false where there is none or it
// was not finished.
func readPid(pidfile string) (int, bool) {
	data, err := os.ReadFile(pidfile)
	if err != nil {
		return 0, false
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	return pid, err == nil && pid > 1
}

// awaitEnd tells whether a process ended in stopTime.
func awaitEnd(ctx context.Context, program string, pid int) (bool, error) {
	for deadline := time.Now().Add(stopTime); time.Now().Before(deadline); {
		if !runs(program, pid) {
			return true, nil
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return false, nil
}

func runs(program string, pid int) bool {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(comm)) != program {
		return false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && !strings.Contains(string(status), "State:\tZ")
}

// remove removes a folder with what is mounted on it and below it: an engine
// that was killed leaves mounts.
func remove(dir string) error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for _, point := range mountPoints(string(mounts), dir) {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("unmounting %s: %w", point, err)
		}
	}
	return os.RemoveAll(dir)
}

// mountPoints returns those at and below a folder, the last mounted first.
func mountPoints(mounts, dir string) []string {
	var out []string
	for line := range strings.Lines(mounts) {
		if f := strings.Fields(line); len(f) > 1 && (f[1] == dir || strings.HasPrefix(f[1], dir+"/")) {
			out = append(out, f[1])
		}
	}
	slices.Reverse(out)
	return out
}
