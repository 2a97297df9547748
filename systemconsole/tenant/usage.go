package tenant

import (
	"context"

	"github.com/sealift/sealift/systemconsole/store"
)

// Usage is what a tenant uses of what its limits speak of.
type Usage struct {
	Users int `json:"users"`
	// Measured tells whether the cluster was asked; without it the rest is 0.
	Measured   bool    `json:"measured"`
	CPU        float64 `json:"cpu"`        // cores that its pods asked for
	MemoryGiB  float64 `json:"memoryGiB"`  // that its pods asked for
	StorageGiB float64 `json:"storageGiB"` // of its volumes
	Pods       int     `json:"pods"`
}

// Meter is a Provisioner that knows what a place uses. It fills in all but the
// users; a tenant without a place uses nothing.
type Meter interface {
	Usage(ctx context.Context, name string) (Usage, error)
}

// Usage returns what a tenant uses now, for showing it.
func (s *Service) Usage(ctx context.Context, t store.Item[Tenant]) (u Usage, err error) {
	if meter, ok := s.opts.Provisioner.(Meter); ok {
		if u, err = meter.Usage(ctx, t.Name); err != nil {
			return u, err
		}
	}
	u.Users, err = s.CountUsers(ctx, t.Name)
	return u, err
}

// CountUsers counts the users of a tenant, for showing it.
func (s *Service) CountUsers(ctx context.Context, tenant string) (n int, err error) {
	err = s.users.Select(ctx, tenant, func(*store.Item[User]) { n++ })
	return n, err
}
