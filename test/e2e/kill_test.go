//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// moments is how long after its beginning each step of an installation is
// killed: when it has done something, and not all.
func moments() map[string]time.Duration {
	return map[string]time.Duration{
		"fill the registry":                           700 * time.Millisecond,
		"import the node template":                    300 * time.Millisecond,
		"start the bootstrap control plane":           2 * time.Second,
		"start Cluster API":                           3 * time.Second,
		"describe the cluster":                        200 * time.Millisecond,
		bootStep:                                      time.Second,
		"install network, cloud provider and storage": 300 * time.Millisecond,
		"wait for all nodes":                          5 * time.Second,
		"install Cluster API in the cluster":          3 * time.Second,
		"pivot: the cluster takes itself over":        time.Second,
		"install the system console":                  500 * time.Millisecond,
		keepStep:                                      0,
		"remove the bootstrap control plane":          20 * time.Millisecond,
	}
}

const (
	// bootStep is killed when its machine runs.
	bootStep = "boot the first control plane"
	// keepStep is one write, over in milliseconds: the kill that is sent as it
	// begins may come after it.
	keepStep = "keep the site in the cluster"
)

// booting returns when a machine of the cluster runs.
func (e *enterprise) booting(t *testing.T) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		out, err := e.engine.Run(t.Context(), "ps", "--quiet", "--filter", "name="+e.vcenter.machines.Name+"-vm-")
		if err == nil && out != "" {
			return
		}
	}
}

// installWithKills installs by runs of which each but the last is killed, once
// in every step; after each kill, then is called.
func (e *enterprise) installWithKills(t *testing.T, then func(killed string)) (done installation) {
	t.Helper()
	left, start := moments(), time.Now()
	for run := 1; ; run++ {
		require.LessOrEqual(t, run, 1+len(moments()), "a run after the last kill has to end")
		out, killed := e.installUntil(t, left)
		e.noOrphans(t)
		if killed == "" {
			require.NoError(t, json.Unmarshal(out, &done))
			break
		}
		t.Logf("run %d: killed in %q", run, killed)
		then(killed)
	}
	if _, missed := left[keepStep]; missed {
		t.Logf("%q was over before it could be killed", keepStep)
		delete(left, keepStep)
	}
	require.Empty(t, left, "steps that were over before they could be killed")
	t.Logf("installed in %s with kill -9 in each of %d steps", time.Since(start).Round(time.Second), len(moments()))
	return done
}

// installUntil runs the installation until it ends or comes to a step that is
// to be killed, and kills it there.
func (e *enterprise) installUntil(t *testing.T, left map[string]time.Duration) (out []byte, killed string) {
	cmd := e.command(t, installArgs()...)
	var printed bytes.Buffer
	cmd.Stdout = &printed
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	cmd.Stderr = write
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	said, running, kill := strings.Builder{}, "", (*time.Timer)(nil)
	for lines := bufio.NewScanner(read); lines.Scan(); {
		line := lines.Text()
		said.WriteString(line + "\n")
		if kill != nil && strings.HasPrefix(line, running+": done") && kill.Stop() {
			kill = nil // it was over before
		}
		name, begins := strings.CutSuffix(line, " ...")
		if moment, ok := left[name]; begins && ok && kill == nil {
			running, kill = name, time.AfterFunc(moment, func() {
				if name == bootStep {
					e.booting(t)
				}
				_ = cmd.Process.Signal(syscall.SIGKILL)
			})
		}
	}
	err = cmd.Wait()
	if kill == nil {
		require.NoError(t, err, said.String())
		t.Log(said.String())
		return printed.Bytes(), ""
	}
	require.ErrorContains(t, err, "killed", said.String())
	delete(left, running)
	return nil, running
}
