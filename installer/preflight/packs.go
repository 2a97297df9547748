package preflight

import (
	"context"
	"fmt"
	"strings"

	"github.com/sealift/sealift/installer/release"
	"github.com/sealift/sealift/installer/site"
)

// packs compares what the release's packs ask for with what the machines have
// that they run on: the workers, or the control plane where there are none.
func (e *examination) packs(ctx context.Context) finding {
	if e.options.Bundle == nil {
		return noBundle()
	}
	if e.options.Release.Requests == nil {
		return skipped("the bundle has no release")
	}
	requests, err := e.options.Release.Requests(ctx)
	if err != nil {
		return failedWith(err)
	}
	var said, faults []string
	for _, of := range []release.Resource{release.CPU, release.Memory, release.Disk} {
		for _, g := range groups(e.site.Spec.Cluster) {
			text, fault := g.compare(of, requests)
			if text != "" {
				said = append(said, text)
			}
			if fault != "" {
				faults = append(faults, fault)
			}
		}
	}
	switch {
	case len(faults) > 0:
		return failed("choose larger sizes or more replicas, or set less in the values of the packs and make the bundle again", "%s", strings.Join(faults, "; "))
	case len(said) == 0:
		return ok("no pack of the release says what it needs")
	}
	return ok("%s", strings.Join(said, "; "))
}

// group is machines of one role.
type group struct {
	name                   string
	sizes                  []site.Size // of each
	controlPlane, everyPod bool        // what runs there
}

func groups(c site.Cluster) []group {
	control, workers := group{name: "control plane's machines", controlPlane: true}, group{name: "workers", everyPod: true}
	for range c.ControlPlane.Replicas {
		control.sizes = append(control.sizes, c.ControlPlane.Size)
	}
	for _, pool := range c.Workers {
		for range pool.Replicas {
			workers.sizes = append(workers.sizes, pool.Size)
		}
	}
	if len(workers.sizes) == 0 {
		control.everyPod = true
		return []group{control}
	}
	return []group{control, workers}
}

// compare says what of a resource packs ask of the machines, "" for nothing,
// and what is wrong with that.
func (g group) compare(of release.Resource, requests []release.Request) (text, fault string) {
	var need, has, widest int64
	for _, s := range g.sizes {
		n := capacity(of, s)
		has, widest = has+n, max(widest, n)
	}
	for _, r := range requests {
		if r.Resource != of || r.ControlPlane && !g.controlPlane || !r.ControlPlane && !g.everyPod {
			continue
		}
		replicas := r.Replicas
		if replicas == 0 {
			replicas = len(g.sizes)
		}
		need += r.Each * int64(replicas)
		if r.Each > widest {
			fault = fmt.Sprintf("addon %s asks for %s at once, one of the %s has at most %s", r.Addon, amount(of, r.Each), g.name, amount(of, widest))
		}
	}
	if need == 0 {
		return "", ""
	}
	text = fmt.Sprintf("packs ask for %s, the %s have %s", amount(of, need), g.name, amount(of, has))
	if fault == "" && need > has {
		fault = text
	}
	return text, fault
}

// capacity is what a machine has of a resource, as requests count it.
func capacity(of release.Resource, s site.Size) int64 {
	switch of {
	case release.CPU:
		return int64(s.CPUs) * 1000
	case release.Memory:
		return int64(s.MemoryGiB) * gib
	default:
		return int64(s.DiskGiB) * gib
	}
}

func amount(of release.Resource, n int64) string {
	switch of {
	case release.CPU:
		return fmt.Sprintf("%.1f CPUs", float64(n)/1000)
	case release.Memory:
		return size(n) + " of memory"
	default:
		return size(n) + " of disk"
	}
}
