package preflight

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/beevik/ntp"
)

// How far clocks may be apart. Certificates are good from the moment they are
// issued, and etcd compares times; a Date header is only good to a second.
const (
	tolerated   = 3 * time.Second
	intolerable = 30 * time.Second
)

// clocks collects how far other clocks are ahead of this host's.
type clocks struct {
	mu   sync.Mutex
	list []clock
}

type clock struct {
	whose string
	ahead time.Duration
}

// note adds a clock that was read at a moment between two of this host's.
func (c *clocks) note(whose string, ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, clock{whose, ahead})
}

// noteTime adds a clock by what it said just now.
func (c *clocks) noteTime(whose string, says time.Time) { c.note(whose, time.Until(says)) }

func (e *examination) timeChecks() []check {
	return []check{
		{name: "ntp", run: e.ntp},
		{name: "clocks", follows: []string{"ntp", "inventory-cluster", "registry-tls"}, run: e.compareClocks},
	}
}

func (e *examination) ntp(ctx context.Context) finding {
	servers := e.site.Spec.Network.NTP
	if len(servers) == 0 {
		return warning("name the site's time servers in spec.network.ntp", "no time server is named: the nodes' clocks will drift")
	}
	var good, bad []string
	for _, server := range servers {
		options := ntp.QueryOptions{Timeout: remaining(ctx) / time.Duration(len(servers)+1)}
		answer, err := ntp.QueryWithOptions(server, options)
		if err == nil {
			err = answer.Validate()
		}
		if err != nil {
			bad = append(bad, fmt.Sprintf("%s: %v", server, err))
			continue
		}
		e.clocks.note("time server "+server, answer.ClockOffset)
		good = append(good, fmt.Sprintf("%s (stratum %d)", server, answer.Stratum))
	}
	const remedy = "check the server and the firewall (UDP 123)"
	switch {
	case len(good) == 0:
		return failed(remedy, "no time server answers: %s", strings.Join(bad, "; "))
	case len(bad) > 0:
		return warning(remedy, "%s; good: %s", strings.Join(bad, "; "), strings.Join(good, ", "))
	}
	return ok("%s", strings.Join(good, ", "))
}

// remaining returns the time that a check has left.
func remaining(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return defaultTimeout
	}
	return time.Until(deadline)
}

func (e *examination) compareClocks(ctx context.Context) finding {
	silent := e.askClocks(ctx)
	if len(e.clocks.list) == 0 {
		return skipped("no other clock could be read")
	}
	var far []string
	var all []string
	worst := time.Duration(0)
	for _, c := range e.clocks.list {
		text := fmt.Sprintf("%s %+.1f s", c.whose, c.ahead.Seconds())
		all = append(all, text)
		if c.ahead.Abs() > tolerated {
			far = append(far, text)
		}
		worst = max(worst, c.ahead.Abs())
	}
	evidence := "against this host: " + strings.Join(all, ", ")
	if len(silent) > 0 {
		evidence += "; not told: " + strings.Join(silent, ", ")
	}
	const remedy = "set the clocks by the same time server, this host's too"
	switch {
	case worst > intolerable:
		return failed(remedy, "apart by more than %s: %s; %s", intolerable, strings.Join(far, ", "), evidence)
	case worst > tolerated:
		return warning(remedy, "apart by more than %s: %s; %s", tolerated, strings.Join(far, ", "), evidence)
	}
	return ok("%s", evidence)
}

// askClocks reads the clocks of the vCenter and its hosts, and returns those
// that did not tell: the privilege to ask a host is none that an installation
// needs.
func (e *examination) askClocks(ctx context.Context) (silent []string) {
	client := e.vcenter.client
	if client == nil {
		return nil
	}
	if now, err := client.Time(ctx); err == nil {
		e.clocks.noteTime("vCenter", now)
	} else {
		silent = append(silent, "vCenter")
	}
	if e.vcenter.placement == nil {
		return silent
	}
	for _, host := range e.vcenter.placement.Hosts {
		if now, err := client.HostTime(ctx, host); err == nil {
			e.clocks.noteTime("host "+host.Name(), now)
		} else {
			silent = append(silent, "host "+host.Name())
		}
	}
	return silent
}
