package faults_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/test/consoles"
	"github.com/sealift/sealift/test/lab/controlplane"
)

// writers are how many write at the same time while the console is killed.
const writers = 4

// keptConsole is a console whose process is killed and started again on the
// same store.
type keptConsole struct {
	command    func() *exec.Cmd
	token, url string
	cmd        *exec.Cmd
	client     *http.Client
}

// Whenever the console is killed, every change that it answered is there when
// it is started again, and the record of changes is whole.
func TestKilledConsoleLosesNoAnsweredWrite(t *testing.T) {
	t.Run("embedded store", func(t *testing.T) { killConsole(t, onBolt(t)) })
	t.Run("in a cluster", func(t *testing.T) { killConsole(t, inCluster(t)) })
}

func killConsole(t *testing.T, c *keptConsole) {
	answered := map[string]int{} // limit of CPU by tenant, as it was answered last
	for round := range kills {
		c.start(t)
		c.holds(t, answered)
		var mu sync.Mutex
		var all sync.WaitGroup
		wrote := make(chan struct{}, 1)
		for w := range writers {
			all.Go(func() {
				c.write(t, fmt.Sprintf("round %d writer %d", round, w), func(tenant string, cpu int) {
					mu.Lock()
					defer mu.Unlock()
					answered[tenant] = cpu
					select {
					case wrote <- struct{}{}:
					default: // it is known
					}
				})
			})
		}
		select {
		case <-wrote:
		case <-time.After(time.Minute): // too little is written, which fails below
		}
		time.Sleep(rand.N(400 * time.Millisecond))
		require.NoError(t, c.cmd.Process.Kill())
		_ = c.cmd.Wait() // it was killed
		all.Wait()
	}
	c.start(t)
	c.holds(t, answered)
	require.GreaterOrEqual(t, len(answered), kills, "too little was written to prove anything")
	t.Logf("%d tenants", len(answered))
}

// onBolt is the console of the command line, with its embedded store.
func onBolt(t *testing.T) *keptConsole {
	dir := t.TempDir()
	s, err := bolt.Open(filepath.Join(dir, "console.db"))
	require.NoError(t, err)
	keeper, err := seal.File(filepath.Join(dir, "master.key"))
	require.NoError(t, err)
	c := newKeptConsole(t, s, keeper)
	require.NoError(t, s.Close())
	c.command = func() *exec.Cmd {
		cmd := exec.Command(os.Args[0], "console", "--addr", strings.TrimPrefix(c.url, "https://"), "--data", dir)
		cmd.Env = append(os.Environ(), asSealift+"=1")
		return cmd
	}
	return c
}

// inCluster is the program that the cluster runs, whose store is the API.
func inCluster(t *testing.T) *keptConsole {
	config := controlplane.Start(t)
	_, err := controlplane.Populate(t.Context(), config)
	require.NoError(t, err)
	dir := t.TempDir()
	program := filepath.Join(dir, "systemconsole")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-trimpath", "-o", program, "../../cmd/systemconsole").CombinedOutput()
	require.NoError(t, err, "%s", out)
	kubeconfig := controlplane.Kubeconfig(t, config)
	s, keeper := consoles.InCluster(t, config)
	c := newKeptConsole(t, s, keeper)
	cert, key, err := systemconsole.SelfSigned(dir, "127.0.0.1")
	require.NoError(t, err)
	c.command = func() *exec.Cmd {
		return exec.Command(program, "--addr", strings.TrimPrefix(c.url, "https://"), "--tls-cert", cert, "--tls-key", key,
			"--namespace", controlplane.Namespace, "--kubeconfig", kubeconfig)
	}
	return c
}

// newKeptConsole fills a store with an account that has a token for everything.
func newKeptConsole(t *testing.T, s store.Store, keeper seal.Keeper) *keptConsole {
	accounts := auth.New(s, audit.New(s, audit.Options{}), auth.Options{Keeper: keeper})
	require.NoError(t, accounts.Bootstrap(t.Context()))
	token := consoles.Token(t, accounts)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: time.Minute} //nolint:gosec // its own certificate
	return &keptConsole{token: token, url: "https://" + l.Addr().String(), client: client}
}

// start runs the program and waits until it answers.
func (c *keptConsole) start(t *testing.T) {
	c.cmd = c.command()
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said bytes.Buffer
	c.cmd.Stderr = &said
	require.NoError(t, c.cmd.Start())
	cmd := c.cmd
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	c.client.CloseIdleConnections()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		resp, err := c.client.Get(c.url + "/readyz")
		if err == nil && resp.Body.Close() == nil && resp.StatusCode == http.StatusOK {
			return
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed
	require.Fail(t, "the console does not answer", "%s", said.String())
}

// errGone is that of a request whose answer never came.
var errGone = errors.New("no answer")

// ask calls the API. Whatever is not answered with success fails the test, but
// for a console that is gone.
func (c *keptConsole) ask(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+"/api/v1"+path, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.client.Do(req)
	if err != nil {
		return errGone
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return errGone
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// write makes tenants and gives each a limit until the console is gone, and
// tells what was answered.
func (c *keptConsole) write(t *testing.T, name string, answered func(tenant string, cpu int)) {
	for i := 0; ; i++ {
		var made systemconsole.Tenant
		draft := map[string]string{"organization": fmt.Sprintf("%s no %d", name, i), "firstName": "Ada", "lastName": "Byron", "email": "ada@example.com"}
		err := c.ask(t.Context(), http.MethodPost, "/tenants", draft, &made)
		if err == nil {
			answered(made.Name, 0)
			err = c.ask(t.Context(), http.MethodPut, "/tenants/"+made.Name+"/limits", map[string]int{"cpu": i + 1}, nil)
		}
		if err == nil {
			answered(made.Name, i+1)
			continue
		}
		if !errors.Is(err, errGone) {
			t.Error(err)
		}
		return
	}
}

// holds checks that all that was answered is there. A limit that was on its way
// when the console was killed may be there without an answer.
func (c *keptConsole) holds(t *testing.T, answered map[string]int) {
	for name, cpu := range answered {
		var found systemconsole.Tenant
		require.NoError(t, c.ask(t.Context(), http.MethodGet, "/tenants/"+name, nil, &found))
		if cpu > 0 {
			require.Equal(t, cpu, found.Limits.CPU, name)
		}
	}
	var sum audit.Summary
	require.NoError(t, c.ask(t.Context(), http.MethodGet, "/audit/verify", nil, &sum), "the record of changes")
	require.GreaterOrEqual(t, sum.Records, uint64(2*len(answered)))
}
