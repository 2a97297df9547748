package systemconsole

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

// maintainEvery is how often what has expired is removed.
const maintainEvery = 15 * time.Minute

// Run serves the console until ctx is done, and keeps its store tidy.
func (s *Server) Run(ctx context.Context, opts ServeOptions) error {
	ended := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group errgroup.Group
	group.Go(func() error {
		s.maintain(ctx)
		return nil
	})
	err := Serve(ctx, s, opts)
	cancel()
	_ = group.Wait() // it never fails
	if ended.Err() != nil {
		s.tending.Wait() // an upgrade that is under way is left to the next replica
	}
	return err
}

// maintain removes sessions, links and tokens whose time is over. Several
// servers may do so at the same time.
func (s *Server) maintain(ctx context.Context) {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		if err := s.auth.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "removing what has expired failed; it is tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// levelTick is how soon a level of the log holds that another replica was told.
const levelTick = 15 * time.Second

// followLevel keeps the log at the level of the settings until ctx is done.
func (s *Server) followLevel(ctx context.Context) {
	tick := time.NewTicker(levelTick)
	defer tick.Stop()
	for {
		s.setLevel(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// setLevel takes the level from the settings; a store that does not answer
// changes nothing.
func (s *Server) setLevel(ctx context.Context) {
	if s.opts.Level == nil {
		return
	}
	if current, err := s.settings.Get(ctx); err == nil {
		s.opts.Level.Set(current.Level())
	}
}
