package mirror

import (
	"context"

	"github.com/sealift/sealift/bundles/archive"
)

// Plan plans a push and returns how many blobs, of how many bytes, would go to
// how many repositories.
func Plan(ctx context.Context, bundles []*archive.Reader, m *Mapping, s Shard) (blobs int, size int64, repositories int, err error) {
	p, err := planPush(ctx, Join(bundles), m)
	if err != nil {
		return 0, 0, 0, err
	}
	s.assign(p.blobs)
	return len(p.blobs), totalSize(p.blobs), len(p.repositories), nil
}
