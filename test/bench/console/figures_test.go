package console

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/test/consoles"
	"github.com/sealift/sealift/test/lab/controlplane"
	"github.com/sealift/sealift/test/lab/site"
)

// settings are the flags of the measurement.
type settings struct {
	programs, out  *string
	tenants, nodes *int
	sessions       *int
	length, think  *time.Duration
}

var flags = settings{
	programs: flag.String("programs", "", "`folder` of sealift and systemconsole; nothing is measured without"),
	out:      flag.String("out", "", "`file` whose part about the console is replaced by the figures"),
	tenants:  flag.Int("tenants", 10_000, "tenants"),
	nodes:    flag.Int("nodes", 1000, "nodes of the cluster"),
	sessions: flag.Int("sessions", 200, "sessions at the same time"),
	length:   flag.Duration("length", 30*time.Second, "of each load"),
	think:    flag.Duration("think", time.Second, "mean time between an answer and the next request of a session"),
}

func TestFigures(t *testing.T) {
	if *flags.programs == "" {
		t.Skip("no --programs: make bench-console")
	}
	var out bytes.Buffer
	heading(&out)
	config := lab(t)
	p, who := embedded(t, config)
	p.measure(t, &out, "embedded store (bbolt)", who, config != nil)
	if config == nil {
		fmt.Fprint(&out, "\nThe pages of the cluster and the kube store were not measured: the lab is not built on this machine (`make lab-build`).\n")
	} else {
		p, who = inCluster(t, config)
		p.measure(t, &out, "kube store (etcd and kube-apiserver)", who, true)
	}
	fmt.Print(out.String())
	if *flags.out != "" {
		require.NoError(t, replacePart(*flags.out, out.Bytes()))
	}
}

// lab returns the way to a real API server with a cluster of many nodes, or nil
// where the lab is not built.
func lab(t *testing.T) *rest.Config {
	l, err := site.Open(t.Context(), ".", site.Options{})
	require.NoError(t, err)
	if programs, err := l.Programs(); err != nil || programs["kube-apiserver"] == "" {
		return nil
	}
	config := controlplane.Start(t)
	start := time.Now()
	makeCluster(t, config, *flags.nodes)
	t.Logf("cluster of %d nodes made in %s", *flags.nodes, time.Since(start).Round(time.Second))
	return config
}

// embedded is the console of the jump host.
func embedded(t *testing.T, config *rest.Config) (*process, visitors) {
	data := t.TempDir()
	s, err := bolt.Open(filepath.Join(data, "console.db"))
	require.NoError(t, err)
	keeper, err := seal.File(filepath.Join(data, "master.key"))
	require.NoError(t, err)
	who := fill(t, s, keeper, 1)
	require.NoError(t, s.Close())
	args := []string{"console", "--addr", freeAddress(t), "--data", data}
	if config != nil {
		args = append(args, "--kubeconfig", controlplane.Kubeconfig(t, config))
	}
	return start(t, "sealift", args...), who
}

// inCluster is the console of the enterprise cluster.
func inCluster(t *testing.T, config *rest.Config) (*process, visitors) {
	s, keeper := consoles.InCluster(t, config)
	who := fill(t, s, keeper, 16)
	cert, key, err := systemconsole.SelfSigned(t.TempDir(), "127.0.0.1")
	require.NoError(t, err)
	return start(t, "systemconsole", "-addr", freeAddress(t), "-tls-cert", cert, "-tls-key", key, "-namespace", controlplane.Namespace, "-kubeconfig", controlplane.Kubeconfig(t, config)), who
}

func makeCluster(t *testing.T, config *rest.Config, nodes int) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	c, err := controlplane.Populate(t.Context(), config)
	require.NoError(t, err)
	require.NoError(t, grow(t.Context(), c, nodes))
}

// grow gives the cluster's pool of workers so many machines that there are so
// many nodes; their heartbeats last for the whole measurement.
func grow(ctx context.Context, c *controlplane.Cluster, nodes int) error {
	if err := setWorkers(ctx, c, nodes-3); err != nil {
		return err
	}
	if err := c.Settle(ctx); err != nil {
		return err
	}
	return keepAlive(ctx, c)
}

// The part of the page begins with its title, and ends where the next begins.
const (
	title = "\n## Elsewhere measured: the system console\n"
	next  = "\n## "
)

// replacePart writes the part about the console, and leaves the others.
func replacePart(path string, text []byte) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := bytes.Cut(page, []byte(title))
	if !found {
		before = append(bytes.TrimRight(before, "\n"), '\n')
	}
	after := []byte{}
	if i := bytes.Index(rest, []byte(next)); i >= 0 {
		after = rest[i:]
	}
	return os.WriteFile(path, bytes.Join([][]byte{before, text, after}, nil), 0o644) //nolint:gosec // a page of the documentation
}

func heading(out io.Writer) {
	load, _ := os.ReadFile("/proc/loadavg") // empty where there is none
	minute, _, _ := strings.Cut(string(load), " ")
	fmt.Fprintf(out, "%s\n`make bench-console` runs the programs that ship on two cores (GOMAXPROCS=2), with %d tenants, %d nodes and %d audit records, and %d sessions at\n"+
		"the same time, each on a connection of its own over TLS. *With time to think* is what people do: %s on average (half to one and a half) between an answer and the next\n"+
		"request. *Without a pause* asks again at once: there the p99 says how long the queue is, the rate how much the console can do. Browsers, etcd and kube-apiserver\n"+
		"are on the same cores. Only reads are measured: no page writes, and a session is written by its use every five minutes at most. CPU of one page is measured with four sessions before the load.\n\n"+
		"%s Load of the machine at the start, of all that runs on it: %s.\n",
		title, *flags.tenants, *flags.nodes, records, *flags.sessions, *flags.think, machine(), minute)
}
