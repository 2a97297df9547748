package enterprise

import (
	"context"

	"github.com/sealift/sealift/systemconsole/recent"
)

// Recent is a cluster whose state is read at most every two seconds, however
// many look at it, and is fifteen seconds old at most. After a change through
// it the state is read anew. What a change is checked against is never the state
// that is kept: the cluster itself checks it.
type Recent struct {
	inner    Source
	overview *recent.Value[*Overview]
	events   *recent.Value[[]Event]
}

var _ Cluster = (*Recent)(nil)

// NewRecent returns a cluster that is read seldom. It calls failed when the
// cluster could not be read.
func NewRecent(c Source, failed func()) *Recent {
	return &Recent{inner: c, overview: recent.New(func(ctx context.Context) (*Overview, error) {
		o, err := c.Watched(ctx)
		if err != nil {
			failed()
		}
		return o, err
	}, recent.Options{}), events: recent.New(c.Events, recent.Options{})}
}

// Overview returns the cluster as it was a moment ago. It is shared with others
// and must not be changed.
func (r *Recent) Overview(ctx context.Context) (*Overview, error) { return r.overview.Get(ctx) }

// Now returns the cluster as it is, for what is decided by it.
func (r *Recent) Now(ctx context.Context) (*Overview, error) { return r.inner.Overview(ctx) }

// Events returns the last events of a moment ago, shared as Overview is.
func (r *Recent) Events(ctx context.Context) ([]Event, error) { return r.events.Get(ctx) }

// Scale sets the machines of a pool.
func (r *Recent) Scale(ctx context.Context, pool string, machines int) error {
	defer r.overview.Forget()
	return r.inner.Scale(ctx, pool, machines)
}

// AddPool adds a pool.
func (r *Recent) AddPool(ctx context.Context, p NewPool) error {
	defer r.overview.Forget()
	return r.inner.AddPool(ctx, p)
}

// RemovePool removes a pool.
func (r *Recent) RemovePool(ctx context.Context, name string) error {
	defer r.overview.Forget()
	return r.inner.RemovePool(ctx, name)
}

// Resize replaces the machines of a pool.
func (r *Recent) Resize(ctx context.Context, pool string, size Size) error {
	defer r.overview.Forget()
	return r.inner.Resize(ctx, pool, size)
}
