package resolve

import (
	"context"
	"errors"

	"github.com/sealift/sealift/bundles/definition"
)

func (s *session) pack(context.Context, definition.Pack) (*item, error) {
	return nil, errors.New("soon")
}
