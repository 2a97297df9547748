package release

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/sealift/sealift/bundles/closure"
	"github.com/sealift/sealift/bundles/packs"
)

// Resource is what machines have, as packs name it.
type Resource string

// The resources.
const (
	CPU    Resource = "cpu"
	Memory Resource = "memory"
	Disk   Resource = "diskSize"
)

// Request is what an addon asks of machines.
type Request struct {
	Addon    string
	Resource Resource
	Each     int64 // of one replica: thousandths of a core, or bytes
	Replicas int   // 0 means one on each machine
	// ControlPlane: it runs there alone.
	ControlPlane bool
}

// Requests returns what the packs among the addons say that they need. What a
// pack says in a way that nobody can count is left out.
func (c *Content) Requests(ctx context.Context) ([]Request, error) {
	var out []Request
	for _, a := range c.AddonsInOrder() {
		if a.Pack == "" {
			continue
		}
		d, err := c.AddonPack(ctx, a)
		if err != nil {
			return nil, fmt.Errorf("addon %s: %w", a.Name, err)
		}
		for _, r := range d.Resources {
			for _, one := range requestsOf(r, d) {
				one.Addon = a.Name
				out = append(out, one)
			}
		}
	}
	return out, nil
}

// requestsOf are those of a resource: its components', else its least.
func requestsOf(r packs.Resource, d *closure.Deployment) []Request {
	var out []Request
	for _, c := range r.Components {
		each, ok := quantity(Resource(r.Type), at(d.Values, c.ResourceRequestParamRef))
		if !ok {
			continue
		}
		one := Request{Resource: Resource(r.Type), Each: each, ControlPlane: c.ScheduleType == "master"}
		if c.ReplicaCountParamRef != "" {
			one.Replicas = 1
			if n, ok := quantity(Memory, at(d.Values, c.ReplicaCountParamRef)); ok {
				one.Replicas = int(n)
			}
			if one.Replicas == 0 {
				continue // nothing of it runs
			}
		}
		out = append(out, one)
	}
	least := map[Resource]float64{CPU: 1, Memory: 1 << 20, Disk: 1e9}[Resource(r.Type)] * r.MinLimit
	if len(r.Components) == 0 && least > 0 {
		out = append(out, Request{Resource: Resource(r.Type), Each: int64(least), Replicas: 1})
	}
	return out
}

// at returns the value at a path such as charts.lantern.replicas; nil when
// there is none.
func at(values any, path string) any {
	for key := range strings.SplitSeq(path, ".") {
		below, _ := values.(map[string]any)
		values = below[key]
	}
	return values
}

// quantity counts a value as Kubernetes does: 250m or 0.25 of a core, 64Mi.
func quantity(of Resource, value any) (int64, bool) {
	if value == nil {
		return 0, false
	}
	q, err := resource.ParseQuantity(fmt.Sprint(value))
	if err != nil || q.Sign() < 0 {
		return 0, false
	}
	if of == CPU {
		return q.MilliValue(), true
	}
	return q.Value(), true
}
