package registries

import (
	"context"

	"github.com/sealift/sealift/systemconsole/seal"
)

// Rewrap brings the passwords of all registries under the present master key
// and returns how many there are.
func (s *Service) Rewrap(ctx context.Context) (int, error) {
	n := 0
	for item, err := range s.registries.All(ctx, "") {
		if err != nil {
			return n, err
		}
		if item.Value.Password == "" {
			continue
		}
		_, err := s.registries.Modify(ctx, item.Name, func(r *Registry) error {
			var err error
			r.Password, err = seal.Rewrap(ctx, s.keeper, r.Password, owner(item.Name))
			return err
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
