package console

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/auth"
)

// scenario is one way in which they come.
type scenario struct {
	name  string
	who   []visitor
	think time.Duration
}

// measure writes the figures of a console and ends it.
func (p *process) measure(t *testing.T, out io.Writer, name string, who visitors, cluster bool) {
	all := pages(cluster)
	idle := p.resident(t)
	cpu := make([]time.Duration, len(all))
	for i := range all {
		cpu[i] = p.cost(t, all[i], who.many)
	}
	fmt.Fprintf(out, "\n### %s\n\n| %d sessions | requests a second | p50 | p99 | CPU of the console |\n|---|---:|---:|---:|---:|\n", name, *flags.sessions)
	var byPage times
	for i, s := range []scenario{
		{"an account each, with time to think", who.many, *flags.think},
		{"all of one account, with time to think", who.one, *flags.think},
		{"an account each, without a pause", who.many, 0},
	} {
		before, begin := p.cpu(t), time.Now()
		got := p.load(t, all, s.who, s.think)
		length, used := time.Since(begin), p.cpu(t)-before
		every := got.every()
		fmt.Fprintf(out, "| %s | %.0f | %s | %s | %.0f %% of one core |\n", s.name, float64(len(every))/length.Seconds(),
			ms(quantile(every, 50)), ms(quantile(every, 99)), 100*used.Seconds()/length.Seconds())
		if i == 0 {
			byPage = got
		}
	}
	fmt.Fprint(out, "\n| page, with time to think | p50 | p99 | CPU of the console for one |\n|---|---:|---:|---:|\n")
	for i, one := range byPage {
		fmt.Fprintf(out, "| %s | %s | %s | %s |\n", all[i].name, ms(quantile(one, 50)), ms(quantile(one, 99)), ms(cpu[i]))
	}
	loaded := p.resident(t)
	logins := p.logins(t)
	fmt.Fprintf(out, "\nFirst answer: %s after the start. Resident: %s before the load, %s after it; with %d logins at once (argon2id, 7 MiB each, two at a time; slowest %s) %d MiB at most.\n",
		ms(p.started), idle, loaded, len(logins), ms(slices.Max(logins)), p.memory(t, "VmHWM"))
	p.stop(t)
}

// resident says how much memory the console has, and how much of it are pages
// of files.
func (p *process) resident(t *testing.T) string {
	return fmt.Sprintf("%d MiB (%d of its own, the rest pages of files: the program and the store)", p.memory(t, "VmRSS"), p.memory(t, "RssAnon"))
}

// logins is how long logins take that come at the same time.
func (p *process) logins(t *testing.T) []time.Duration {
	out := make([]time.Duration, 20)
	var done sync.WaitGroup
	for i := range out {
		done.Go(func() {
			c := newClient()
			defer c.CloseIdleConnections()
			begin := time.Now()
			resp, err := c.PostForm("https://"+p.address+"/login", url.Values{"name": {auth.FirstAccount}, "password": {auth.FirstAccount}})
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusSeeOther {
				t.Errorf("login: %s", resp.Status)
			}
			out[i] = time.Since(begin)
		})
	}
	done.Wait()
	require.False(t, t.Failed())
	return out
}
