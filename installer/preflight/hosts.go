package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/sealift/sealift/installer/vsphere"
)

func (e *examination) uploadChecks() []check {
	return []check{{name: "hosts-upload", needs: []string{"inventory-cluster"}, follows: []string{"template"}, run: e.upload}}
}

// hostTimeout is how long a host may take to take a connection.
const hostTimeout = 3 * time.Second

// upload connects to the ESXi hosts: a template's disks are sent to the one that
// the vCenter chooses, and not to the vCenter.
func (e *examination) upload(ctx context.Context) finding {
	if e.vcenter.hasTemplate {
		return skipped("the template is there: nothing is sent to the hosts")
	}
	hosts, err := e.vcenter.client.Hosts(ctx, e.vcenter.placement.Hosts)
	if err != nil {
		return failedWith(err)
	}
	var usable []string
	for _, h := range hosts {
		if h.Reason == "" {
			usable = append(usable, h.Name)
		}
	}
	if len(usable) == 0 {
		return skipped("no host takes machines: capacity-memory says why")
	}
	return uploadFinding(usable, reachAll(ctx, usable))
}

// reachAll connects to port 443 of each host, and returns what failed, in the
// order of the hosts.
func reachAll(ctx context.Context, hosts []string) []error {
	out := make([]error, len(hosts))
	var all sync.WaitGroup
	for i, host := range hosts {
		all.Go(func() {
			limited, cancel := context.WithTimeout(ctx, hostTimeout)
			defer cancel()
			out[i] = vsphere.Reach(limited, host)
		})
	}
	all.Wait()
	return out
}

// uploadFinding fails when no host takes a connection. A name that this host
// cannot look up is a warning: the vCenter may tell another one when it is asked
// where to send a disk.
func uploadFinding(hosts []string, results []error) finding {
	const remedy = "let this host look up the ESXi hosts' names and reach them on TCP 443: the template's disks are sent to them, not to the vCenter; " +
		"or make the template yourself and name it in spec.cluster.template"
	var good, bad []string
	unknown := 0
	for i, err := range results {
		var dns *net.DNSError
		switch {
		case err == nil:
			good = append(good, hosts[i])
		case errors.As(err, &dns):
			unknown++
			bad = append(bad, fmt.Sprintf("%s: its name is not found", hosts[i]))
		default:
			bad = append(bad, err.Error())
		}
	}
	evidence := strings.Join(bad, "; ")
	switch {
	case len(bad) == 0:
		return ok("%s take connections on port 443, where the template is sent", strings.Join(good, ", "))
	case len(good) > 0:
		return warning(remedy, "%s; good: %s: the vCenter chooses one of all for the upload", evidence, strings.Join(good, ", "))
	case unknown == len(bad):
		return warning(remedy, "%s", evidence)
	}
	return failed(remedy, "%s", evidence)
}
