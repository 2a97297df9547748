package auth

import (
	"context"
	"errors"

	"github.com/sealift/sealift/systemconsole/seal"
)

// Rewrap brings the secrets of all second factors under the present master key
// and returns how many there are.
func (s *Service) Rewrap(ctx context.Context) (int, error) {
	n := 0
	for item, err := range s.accounts.All(ctx, "") {
		if err != nil {
			return n, err
		}
		if item.Value.Factor.Key == "" && item.Value.Factor.Pending == "" {
			continue
		}
		_, err := s.accounts.Modify(ctx, item.Name, func(a *Account) error {
			var first, second error
			a.Factor.Key, first = seal.Rewrap(ctx, s.opts.Keeper, a.Factor.Key, AccountOwner(item.Name))
			a.Factor.Pending, second = seal.Rewrap(ctx, s.opts.Keeper, a.Factor.Pending, AccountOwner(item.Name))
			return errors.Join(first, second)
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
