package systemconsole

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/sealift/sealift/internal/resident"
	"github.com/sealift/sealift/internal/retry"
	"github.com/sealift/sealift/systemconsole/store"
)

// follow keeps in memory what pages list, until ctx is done.
func (s *Server) follow(ctx context.Context) {
	report := func(kind string, err error) {
		level := slog.LevelWarn
		if errors.Is(err, store.ErrWatchEnded) {
			level = slog.LevelDebug
		}
		s.log.Log(ctx, level, "pages read the store instead of memory for a while", "kind", kind, "error", err)
	}
	for _, follow := range []func(context.Context, func(string, error)){s.auth.Follow, s.tenants.Follow, s.registries.Follow} {
		go follow(ctx, report)
	}
}

// maintainEvery is how often what has expired is removed.
const maintainEvery = 15 * time.Minute

// garbagePercent is the garbage that the process may have for what is in use: a
// third of what is usual, which costs a console little time and saves much memory.
const garbagePercent = 30

// Run serves the console until ctx is done, and keeps its store tidy. The
// process is taken for the console's own: its memory is kept small, unless the
// variable GOGC says otherwise.
func (s *Server) Run(ctx context.Context, opts ServeOptions) error {
	resident.Collect(garbagePercent)
	ended := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group errgroup.Group
	group.Go(func() error {
		s.maintain(ctx)
		return nil
	})
	group.Go(func() error {
		s.keepSmall(ctx)
		return nil
	})
	err := Serve(ctx, s, opts)
	cancel()
	_ = group.Wait() // it never fails
	if ended.Err() != nil {
		s.tending.Wait() // an upgrade or a backup that is under way is left to the next replica
	}
	return err
}

// maintain removes sessions, links, tokens and uploads whose time is over. Several
// servers may do so at the same time.
func (s *Server) maintain(ctx context.Context) {
	tick := time.NewTicker(maintainEvery)
	defer tick.Stop()
	for {
		if err := s.auth.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "removing what has expired failed; it is tried again", "error", err)
		}
		s.sweepUploads(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// smallEvery is how often memory that is not used is given back.
const smallEvery = time.Minute

// keepSmall gives back what starting, or a busy time, took and is not used, until
// ctx is done: garbage, and the pages of the program that only its start needed,
// which are the most.
func (s *Server) keepSmall(ctx context.Context) {
	program, err := os.Executable()
	for ctx.Err() == nil {
		debug.FreeOSMemory()
		if err == nil {
			err = resident.LetGo(program) // its mapping never moves
		}
		if err != nil {
			s.log.DebugContext(ctx, "pages of the program stay in memory", "error", err)
		}
		_ = retry.Sleep(ctx, smallEvery) // its end is the loop's
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
