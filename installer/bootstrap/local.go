package bootstrap

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/sealift/sealift/internal/durable"
	"github.com/sealift/sealift/internal/problem"
)

// Programs finds the programs that a local control plane runs.
type Programs interface {
	// Program returns the path of a program of an image. A name without a slash
	// is looked up in the image's PATH; "" means the image's entrypoint.
	Program(ctx context.Context, image, name string) (path string, err error)
}

// LocalOptions is how a local control plane is made. Every field is needed.
type LocalOptions struct {
	// Dir is a folder for nothing else. It holds keys and the objects: only its
	// owner may look into it.
	Dir      string
	Programs Programs
	// Etcd and APIServer are the references of the images that have the programs.
	Etcd, APIServer string
}

// Local is a control plane of child processes on the loopback interface.
type Local struct {
	opts LocalOptions

	mu      sync.Mutex
	lock    *os.File // held while anything runs
	ports   map[string]int
	running []*supervised // in the order of their start
	config  *Kubeconfig   // nil until all answer
}

var _ Bootstrap = (*Local)(nil)

// NewLocal returns a control plane that does not run yet.
func NewLocal(opts LocalOptions) *Local { return &Local{opts: opts} }

// ErrInUse means: another process runs a control plane in the same folder.
var ErrInUse = errors.New("another process works here")

// Start implements Bootstrap.
func (l *Local) Start(ctx context.Context) (*Kubeconfig, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.config != nil {
		return l.config, nil
	}
	config, err := l.start(ctx)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the local control plane in %s: %w", l.opts.Dir, err), l.stop())
	}
	l.config = config
	return config, nil
}

func (l *Local) start(ctx context.Context) (*Kubeconfig, error) {
	if err := l.open(); err != nil {
		return nil, err
	}
	keys, err := loadKeys(filepath.Join(l.opts.Dir, "pki"))
	if err != nil {
		return nil, err
	}
	etcd, err := l.etcd(ctx, keys)
	if err != nil {
		return nil, err
	}
	if err := l.run(ctx, etcd); err != nil {
		return nil, err
	}
	server, err := l.apiServer(ctx, keys)
	if err != nil {
		return nil, err
	}
	if err := l.run(ctx, server); err != nil {
		return nil, err
	}
	config := &Kubeconfig{Path: filepath.Join(l.opts.Dir, "kubeconfig")}
	data, err := keys.kubeconfig(l.url("kube-apiserver"))
	if err != nil {
		return nil, err
	}
	return config, durable.WriteFile(config.Path, data, 0o600)
}

// folders of the control plane, besides those of the managers.
func folders() []string { return []string{"pki", "bin", "etcd", "logs", "managers"} }

// localNames are all that a local control plane keeps in its folder.
func localNames() []string { return append(folders(), "ports.json", "kubeconfig", lockFile) }

// open makes the folder private, and makes sure that nobody else uses it.
func (l *Local) open() error {
	for _, dir := range append([]string{""}, folders()...) {
		if err := private(filepath.Join(l.opts.Dir, dir)); err != nil {
			return err
		}
	}
	var err error
	if l.lock, err = Lock(l.opts.Dir); err != nil {
		return err
	}
	return l.loadPorts()
}

// lockFile is a file in the folder of a control plane that is locked while a
// process works with it.
const lockFile = "lock"

// Lock takes a folder for this process, by a file in it. It fails with ErrInUse
// while another process has it. Closing the file, or the end of the process,
// gives it back.
func Lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, problem.New(problem.Failed, "wait until it is done, or end it", "%s: %w: %w", dir, ErrInUse, err)
	}
	return f, nil
}

// private makes a folder that only its owner may look into. One that others
// may write to could hold another's keys and is refused.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Lstat(dir, &stat); err != nil {
		return &fs.PathError{Op: "lstat", Path: dir, Err: err}
	}
	if !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return problem.New(problem.Failed, "name a folder that does not exist yet", "%s is not a folder that only its owner writes to", dir)
	}
	return os.Chmod(dir, 0o700)
}

// Run starts further programs and keeps them running until Stop. It returns
// when all are ready. One that runs already under its name stays.
func (l *Local) Run(ctx context.Context, processes ...Process) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.config == nil {
		return errors.New("the local control plane does not run")
	}
	return l.run(ctx, processes...)
}

func (l *Local) run(ctx context.Context, processes ...Process) error {
	var started []*supervised
	for _, p := range processes {
		if slices.ContainsFunc(l.running, func(s *supervised) bool { return s.Name == p.Name }) {
			continue
		}
		s := supervise(p, filepath.Join(l.opts.Dir, "logs"))
		l.running = append(l.running, s)
		started = append(started, s)
	}
	for _, s := range started {
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Program returns the path of a program of an image.
func (l *Local) Program(ctx context.Context, image, name string) (string, error) {
	return l.opts.Programs.Program(ctx, image, name)
}

// Dir returns a private folder for a manager's files. The control plane runs.
func (l *Local) Dir(name string) (string, error) {
	dir := filepath.Join(l.opts.Dir, "managers", name)
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("manager %q: the name leads out of the folder", name)
	}
	return dir, private(dir)
}

// Logs returns the folder of the programs' logs.
func (l *Local) Logs() string { return filepath.Join(l.opts.Dir, "logs") }

// Stop implements Bootstrap: the programs end in the reverse of their order.
func (l *Local) Stop(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stop()
}

func (l *Local) stop() error {
	for _, s := range slices.Backward(l.running) {
		s.stop()
	}
	l.running, l.config = nil, nil
	if l.lock == nil {
		return nil
	}
	err := l.lock.Close()
	l.lock = nil
	return err
}

// Exists implements Bootstrap.
func (l *Local) Exists(context.Context) (bool, error) { return left(l.opts.Dir, localNames()) }

// Remove implements Bootstrap. It refuses while another process runs a control
// plane in the folder.
func (l *Local) Remove(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if there, err := l.Exists(ctx); err != nil || !there {
		return err
	}
	if l.lock == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	if err := errors.Join(l.stop(), empty(l.opts.Dir, localNames())); err != nil {
		return fmt.Errorf("removing the local control plane: %w", err)
	}
	return nil
}

// loadPorts reads the ports of an earlier run, so that what points at them
// stays right, and forgets those that are taken now.
func (l *Local) loadPorts() error {
	l.ports = map[string]int{}
	data, err := os.ReadFile(filepath.Join(l.opts.Dir, "ports.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	known := map[string]int{}
	if json.Unmarshal(data, &known) != nil {
		return nil // a broken file is as good as none
	}
	for name, port := range known {
		if l.taken(port) {
			continue // two programs of one port: one of them gets another
		}
		if listener, err := net.Listen("tcp", loopback(port)); err == nil {
			l.ports[name] = port
			_ = listener.Close() // it took no connection
		}
	}
	return nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Port returns the port of the loopback interface that has a name, the same in
// every run as long as it is free. The control plane runs.
func (l *Local) Port(name string) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.port(name)
}

func (l *Local) port(name string) (int, error) {
	if port := l.ports[name]; port != 0 {
		return port, nil
	}
	port, err := freePort(l.taken)
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	l.ports[name] = port
	data, err := json.Marshal(l.ports)
	if err != nil {
		return 0, err
	}
	return port, durable.WriteFile(filepath.Join(l.opts.Dir, "ports.json"), data, 0o600)
}

// taken tells whether a port has a name, though nobody may listen there yet.
func (l *Local) taken(port int) bool {
	return slices.Contains(slices.Collect(maps.Values(l.ports)), port)
}

// freePort returns a port of the loopback interface at which nobody listens, and
// that is not promised to somebody who does not listen yet: of two programs with
// one port the second would die, and the first answer for both.
func freePort(promised func(port int) bool) (int, error) {
	for {
		listener, err := net.Listen("tcp", loopback(0))
		if err != nil {
			return 0, err
		}
		port := listener.Addr().(*net.TCPAddr).Port
		if err := listener.Close(); err != nil {
			return 0, err
		}
		if !promised(port) {
			return port, nil
		}
	}
}

// url returns where a program of this control plane is asked.
func (l *Local) url(name string) string { return "https://" + loopback(l.ports[name]) }
