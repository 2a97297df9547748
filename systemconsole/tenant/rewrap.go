package tenant

import (
	"context"

	"github.com/sealift/sealift/systemconsole/seal"
)

// Rewrap brings the data keys of all tenants under the present master key and
// returns how many there are. The keys stay what they are: what they seal is
// not touched.
func (s *Service) Rewrap(ctx context.Context) (int, error) {
	n := 0
	for item, err := range s.tenants.All(ctx, "") {
		if err != nil {
			return n, err
		}
		_, err := s.tenants.Modify(ctx, item.Name, func(t *Tenant) error {
			var err error
			t.Key, err = seal.Rewrap(ctx, s.opts.Keeper, t.Key, item.Name)
			return err
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
