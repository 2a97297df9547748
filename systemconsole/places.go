package systemconsole

import (
	"context"

	"github.com/sealift/sealift/systemconsole/tenant"
)

// places are the tenants' places in a cluster. What the cluster says against
// them is shown to who asked.
type places struct{ tenant.Provisioner }

// meteredPlaces tell what is used of them, too.
type meteredPlaces struct {
	places
	tenant.Meter
}

// placesOf returns places that are given by p; nil where there is no cluster.
func placesOf(p tenant.Provisioner) tenant.Provisioner {
	if p == nil {
		return nil
	}
	if m, ok := p.(tenant.Meter); ok {
		return meteredPlaces{places{p}, m}
	}
	return places{p}
}

// Exists implements tenant.Provisioner.
func (p places) Exists(ctx context.Context, name string) (bool, error) {
	there, err := p.Provisioner.Exists(ctx, name)
	return there, far(err)
}

// Apply implements tenant.Provisioner.
func (p places) Apply(ctx context.Context, name string, l tenant.Limits) error {
	return far(p.Provisioner.Apply(ctx, name, l))
}

// Remove implements tenant.Provisioner.
func (p places) Remove(ctx context.Context, name string) ([]string, error) {
	removed, err := p.Provisioner.Remove(ctx, name)
	return removed, far(err)
}
