package console

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// page is one of those that administrators look at.
type page struct {
	name   string
	path   func() string
	weight int  // among all
	nodes  bool // it needs a cluster
}

// pages are what is asked for, with those of the cluster or without.
func pages(cluster bool) []page {
	return slices.DeleteFunc(allPages(), func(p page) bool { return p.nodes && !cluster })
}

func allPages() []page {
	at := func(path string) func() string { return func() string { return path } }
	return []page{
		{"summary", at("/"), 20, false},
		{"tenants", func() string { return fmt.Sprintf("/tenants?page=%d", 1+rand.IntN(*flags.tenants/50)) }, 16, false},
		{"tenants, searched", func() string { return fmt.Sprintf("/tenants?filter=organization+%03d", rand.IntN(*flags.tenants/10)) }, 4, false},
		{"one tenant", func() string { return fmt.Sprintf("/tenants/organization-%05d", rand.IntN(*flags.tenants)) }, 20, false},
		{"enterprise cluster", at("/cluster"), 10, true},
		{"nodes", func() string { return fmt.Sprintf("/cluster/nodes?page=%d", 1+rand.IntN(*flags.nodes/50)) }, 8, true},
		{"one node", func() string {
			return fmt.Sprintf("/cluster/nodes/enterprise-default-%d", 1+rand.IntN(*flags.nodes-10))
		}, 4, true},
		{"events", at("/cluster/events"), 2, true},
		{"audit", at("/audit"), 5, false},
		{"my account", at("/me"), 4, false},
		{"accounts", at("/accounts"), 3, false},
		{"registries", at("/registries"), 2, false},
		{"administration", at("/administration"), 2, false},
	}
}

// choose picks a page by its weight.
func choose(all []page) int {
	sum := 0
	for _, p := range all {
		sum += p.weight
	}
	n := rand.IntN(sum)
	for i, p := range all {
		if n -= p.weight; n < 0 {
			return i
		}
	}
	return 0
}

// cost is the CPU time of one request of a page, on connections that are open.
func (p *process) cost(t *testing.T, pg page, who []visitor) time.Duration {
	const requests, clients = 200, 4
	var browsers [clients]*http.Client
	for i := range browsers {
		browsers[i] = newClient()
		defer browsers[i].CloseIdleConnections()
		p.must(t, browsers[i], who[i], pg.path())
	}
	before := p.cpu(t)
	var done sync.WaitGroup
	for i, b := range browsers {
		done.Go(func() {
			for range requests / clients {
				p.must(t, b, who[i], pg.path())
			}
		})
	}
	done.Wait()
	return (p.cpu(t) - before) / requests
}

func (p *process) must(t *testing.T, c *http.Client, v visitor, path string) time.Duration {
	took, status, err := p.ask(c, v, path)
	if err != nil || status != http.StatusOK {
		t.Errorf("%s: status %d, %v", path, status, err)
	}
	return took
}

// times are how long answers took, by page.
type times [][]time.Duration

func (t times) every() []time.Duration { return slices.Concat(t...) }

// load has every session ask for pages, with so much time between an answer
// and the next request on average.
func (p *process) load(t *testing.T, all []page, who []visitor, think time.Duration) times {
	var mu sync.Mutex
	out := make(times, len(all))
	var done sync.WaitGroup
	end := time.Now().Add(*flags.length)
	for _, v := range who {
		done.Go(func() {
			c := newClient()
			defer c.CloseIdleConnections()
			pause(think / 2)
			p.must(t, c, v, "/administration") // a browser has its connection before
			for time.Now().Before(end) {
				pause(think)
				i := choose(all)
				took := p.must(t, c, v, all[i].path())
				mu.Lock()
				out[i] = append(out[i], took)
				mu.Unlock()
			}
		})
	}
	done.Wait()
	require.False(t, t.Failed())
	return out
}

// pause waits for half to one and a half times as long.
func pause(mean time.Duration) {
	if mean > 0 {
		time.Sleep(mean/2 + rand.N(mean))
	}
}

func quantile(times []time.Duration, percent int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	times = slices.Sorted(slices.Values(times))
	return times[min(len(times)-1, len(times)*percent/100)]
}

func ms(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
