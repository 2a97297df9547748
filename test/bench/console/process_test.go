package console

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a console that runs.
type process struct {
	cmd     *exec.Cmd
	address string
	started time.Duration // from its start to its first answer
	log     *os.File
}

// start runs a console and waits for its first answer.
func start(t *testing.T, program string, args ...string) *process {
	path, err := filepath.Abs(filepath.Join(*flags.programs, program))
	require.NoError(t, err)
	p := &process{cmd: exec.Command(path, args...)}
	for i, a := range args {
		if strings.HasSuffix(a, "-addr") {
			p.address = args[i+1]
		}
	}
	p.log, err = os.Create(filepath.Join(t.TempDir(), "log"))
	require.NoError(t, err)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begin := time.Now()
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	c := newClient()
	for time.Since(begin) < time.Minute {
		resp, err := c.Get("https://" + p.address + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				p.started = time.Since(begin)
				return p
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	text, _ := os.ReadFile(p.log.Name()) // shown below
	require.FailNow(t, "the console does not answer", "%s", text)
	return nil
}

func (p *process) stop(t *testing.T) {
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	_ = p.cmd.Wait() // what it ends with is not measured
	require.NoError(t, p.log.Close())
}

// cpu returns the CPU time that the console has used.
func (p *process) cpu(t *testing.T) time.Duration {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	require.NoError(t, err)
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	var ticks int
	for _, i := range []int{11, 12} { // user and system time, in ticks of 10 ms
		n, err := strconv.Atoi(string(fields[i]))
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// memory returns the resident memory in MiB: now (VmRSS) or at most (VmHWM).
func (p *process) memory(t *testing.T, field string) int {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(data), field+":")
	require.True(t, ok)
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(t, err)
	return n >> 10
}

// newClient is the browser of one session.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, //nolint:gosec // its own console
	}
}

// ask fetches a page and returns how long it took.
func (p *process) ask(c *http.Client, v visitor, path string) (time.Duration, int, error) {
	req, err := http.NewRequest(http.MethodGet, "https://"+p.address+path, nil)
	if err != nil {
		return 0, 0, err
	}
	req.AddCookie(&http.Cookie{Name: "__Host-session", Value: v.secret})
	begin := time.Now()
	resp, err := c.Do(req)
	if err != nil {
		return 0, 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return time.Since(begin), resp.StatusCode, err
}
