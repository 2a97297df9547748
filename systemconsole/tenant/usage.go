package tenant

import "context"

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

// Usage returns what a tenant uses now.
func (s *Service) Usage(ctx context.Context, name string) (Usage, error) {
	var u Usage
	if _, err := s.tenants.Get(ctx, name); err != nil {
		return u, err
	}
	if meter, ok := s.opts.Provisioner.(Meter); ok {
		var err error
		if u, err = meter.Usage(ctx, name); err != nil {
			return u, err
		}
	}
	var err error
	u.Users, err = s.countUsers(ctx, name)
	return u, err
}
