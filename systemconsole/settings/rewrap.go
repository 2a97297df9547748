package settings

import (
	"context"
	"errors"

	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// Rewrap brings the secrets of the settings under the present master key and
// returns how many there are.
func (s *Service) Rewrap(ctx context.Context) (int, error) {
	n := 0
	_, err := s.objects.Modify(ctx, Name, func(to *Settings) error {
		n = 0
		for _, one := range to.secrets() {
			if *one.wrapped == "" {
				continue
			}
			var err error
			if *one.wrapped, err = seal.Rewrap(ctx, s.keeper, *one.wrapped, one.place); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	s.Forget() // what is kept when a form leaves a secret empty is the new one
	return n, err
}
