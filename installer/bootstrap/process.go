package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
)

// Process is a program that is kept running.
type Process struct {
	Name string // of its log, and in errors
	Path string // of the program
	// Args never hold a secret: every user of the host can read them.
	Args []string
	Env  []string // besides PATH and HOME
	// Ready fails until the program does its work; nil means at once.
	Ready func(ctx context.Context) error
}

// Times of the supervisor.
const (
	stopGrace  = 10 * time.Second // between SIGTERM and SIGKILL
	readyWait  = 5 * time.Minute
	readyPause = 100 * time.Millisecond
	steady     = time.Minute // a program that ran so long starts again at once
	maxDeaths  = 5           // before it was ever ready
	maxLog     = 16 << 20    // bytes, after which a log is set aside at the next start
	logTail    = 2 << 10     // bytes that an error shows
)

func restarts() retry.Backoff {
	return retry.Backoff{Min: 250 * time.Millisecond, Max: 15 * time.Second}
}

// supervised is a process and what keeps it running.
type supervised struct {
	Process
	log    string // path
	cancel context.CancelFunc
	ended  chan struct{} // closed when the supervisor has returned

	mu     sync.Mutex
	deaths int
	last   error // why it died
	pid    int   // 0 while it does not run
}

// supervise starts a process and keeps it running until stop is called. The
// process dies with this program, however that ends.
func supervise(p Process, logs string) *supervised {
	ctx, cancel := context.WithCancel(context.Background())
	s := &supervised{Process: p, log: filepath.Join(logs, p.Name+".log"), cancel: cancel, ended: make(chan struct{})}
	go s.run(ctx)
	return s
}

func (s *supervised) run(ctx context.Context) {
	defer close(s.ended)
	// The kernel takes the end of the thread that made a child for the end of
	// its parent: this thread lives as long as the child may.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for attempt := 1; ctx.Err() == nil; attempt++ {
		began := time.Now()
		err := s.once(ctx)
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		s.deaths++
		s.last = err
		s.mu.Unlock()
		if time.Since(began) > steady {
			attempt = 1
		}
		if retry.Sleep(ctx, restarts().Wait(attempt, nil)) != nil {
			return
		}
	}
}

// once runs the program until it ends or ctx is done.
func (s *supervised) once(ctx context.Context) error {
	out, err := openLog(s.log)
	if err != nil {
		return err
	}
	defer out.Close() //nolint:errcheck // the child has it open itself
	cmd := exec.CommandContext(ctx, s.Path, s.Args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(s.log)}, s.Env...)
	cmd.Dir = filepath.Dir(s.log)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopGrace
	if err := cmd.Start(); err != nil {
		return err
	}
	s.setPID(cmd.Process.Pid)
	defer s.setPID(0)
	if err = cmd.Wait(); err == nil {
		err = errors.New("it ended by itself")
	}
	return err
}

func (s *supervised) setPID(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = pid
}

// state returns how often the program died, why, and its process number.
func (s *supervised) state() (deaths, pid int, last error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deaths, s.pid, s.last
}

// wait returns once the program is ready. It fails when the program keeps
// dying, with the end of its log.
func (s *supervised) wait(ctx context.Context) error {
	if s.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	for {
		err := s.Ready(ctx)
		if err == nil {
			return nil
		}
		if deaths, _, last := s.state(); deaths >= maxDeaths {
			return s.failure(fmt.Errorf("it died %d times: %w", deaths, last))
		}
		if retry.Sleep(ctx, readyPause) != nil {
			return s.failure(errors.Join(context.Cause(ctx), err))
		}
	}
}

func (s *supervised) failure(err error) error {
	return problem.New(problem.Failed, "read "+s.log, "starting %s: %w%s", s.Name, err, tail(s.log))
}

// stop ends the program: it is asked, and after a while killed.
func (s *supervised) stop() {
	s.cancel()
	<-s.ended
}

// openLog opens a log to be continued; one that has grown long is set aside.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > maxLog {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
}

// tail returns the last lines of a log, to stand at the end of an error.
func tail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	at := max(0, info.Size()-logTail)
	data, err := io.ReadAll(io.NewSectionReader(f, at, info.Size()-at))
	if err != nil || len(data) == 0 {
		return ""
	}
	return "; its last words:\n" + strings.TrimSpace(strings.ToValidUTF8(string(data), "?"))
}
