package tenant

import (
	"context"
	"strings"

	"github.com/sealift/sealift/systemconsole/store"
)

// Count is how many tenants there are.
type Count struct{ All, Active int }

// Count counts the tenants, for showing it.
func (s *Service) Count(ctx context.Context) (Count, error) {
	var c Count
	err := s.tenants.Select(ctx, "", func(item *store.Item[Tenant]) {
		c.All++
		if item.Value.State == Active {
			c.Active++
		}
	})
	return c, err
}

// Search returns the tenants whose organization or name has a text in it,
// without their keys, for showing them.
func (s *Service) Search(ctx context.Context, text string) ([]*store.Item[Tenant], error) {
	text = strings.ToLower(strings.TrimSpace(text))
	var found []*store.Item[Tenant]
	err := s.tenants.Select(ctx, "", func(item *store.Item[Tenant]) {
		if text == "" || strings.Contains(item.Name, text) || strings.Contains(strings.ToLower(item.Value.Organization), text) {
			found = append(found, item)
		}
	})
	return found, err
}
