package upgrades

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/retry"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/store"
)

// errLost means: another replica holds the upgrade.
var errLost = errors.New("another replica goes on with the upgrade")

// Tend carries out what is asked for, and takes over what another replica left,
// until ctx is done. An upgrade that is then under way is left for the next.
func (s *Service) Tend(ctx context.Context) {
	if s.upgrader == nil {
		return
	}
	tick := time.NewTicker(s.opts.Tick)
	defer tick.Stop()
	for ctx.Err() == nil { // a tick that came at the same time begins nothing any more
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.opts.Logger.WarnContext(ctx, "looking after the upgrade failed; it is tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

// look takes up an upgrade that nobody works at.
func (s *Service) look(ctx context.Context) error {
	item, err := s.upgrades.Get(ctx, Name)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	u := &item.Value
	if err != nil || u.State != enterprise.Running || u.Holder != "" && s.opts.Now().Sub(u.Renewed) < s.opts.Lease {
		return err
	}
	u.Holder, u.Renewed, u.Taken = s.self, s.opts.Now().UTC(), u.Taken+1
	item.Version, err = s.upgrades.Update(ctx, item)
	if errors.Is(err, store.ErrConflict) {
		return nil // another replica was first
	}
	if err != nil {
		return err
	}
	return s.carryOut(ctx, item)
}

// carryOut runs the upgrade that this replica holds to its end.
func (s *Service) carryOut(ctx context.Context, item store.Item[Upgrade]) error {
	s.opts.Logger.InfoContext(ctx, "the upgrade begins or goes on", "bundle", item.Value.Bundle.ID, "taken", item.Value.Taken)
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h := &holding{service: s, item: item, cancel: cancel}
	var renewing sync.WaitGroup
	renewing.Go(func() { h.renew(running) })
	err := s.upgrader.Run(running, item.Value.Bundle.ID, item.Value.Choices, h)
	lost := errors.Is(context.Cause(running), errLost)
	cancel(nil)
	renewing.Wait()
	switch {
	case lost:
		return errLost
	case ctx.Err() != nil:
		return h.letGo(ctx)
	default:
		return h.end(ctx, err)
	}
}

// holding is the upgrade as this replica holds it. It notes what the run says.
type holding struct {
	service *Service
	cancel  context.CancelCauseFunc

	mu      sync.Mutex
	item    store.Item[Upgrade]
	renewed time.Time // when a write last succeeded
}

var _ upgrade.Observer = (*holding)(nil)

// Most of what is kept: lines of a log, bytes of each, and bytes of why an
// upgrade stopped. A store takes no object of any size.
const (
	maxLines   = 100
	maxLine    = 400
	maxFailure = 8 << 10
)

// cut shortens a text to most bytes at a character.
func cut(text string, most int) string {
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// Steps implements upgrade.Observer.
func (h *holding) Steps(names []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.item.Value.Steps = nil
	for _, name := range names {
		h.item.Value.Steps = append(h.item.Value.Steps, Step{Name: name})
	}
}

// Step implements upgrade.Observer.
func (h *holding) Step(n int, state upgrade.State, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u := &h.item.Value
	if n < 0 || n >= len(u.Steps) {
		return
	}
	text = cut(strings.Join(strings.Fields(text), " "), maxLine)
	u.Steps[n].State, u.Steps[n].Text = state, text
	line := u.Steps[n].Name + ": " + text
	if len(u.Log) > 0 && u.Log[len(u.Log)-1] == line {
		return
	}
	u.Log = append(u.Log, line)
	u.Log = u.Log[max(0, len(u.Log)-maxLines):]
}

// renew writes how far the run is until ctx is done. A replica that cannot
// write for so long that others may take over ends its run before they do.
func (h *holding) renew(ctx context.Context) {
	s := h.service
	tick := time.NewTicker(s.opts.Tick)
	defer tick.Stop()
	h.renewed = s.opts.Now()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		err := h.write(ctx, nil)
		switch {
		case err == nil:
			h.renewed = s.opts.Now()
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrNotFound), s.opts.Now().Sub(h.renewed) > s.opts.Lease*3/4:
			h.cancel(errLost)
			return
		}
	}
}

// write writes the upgrade, after a change of it.
func (h *holding) write(ctx context.Context, change func(*Upgrade)) error {
	ctx, cancel := context.WithTimeout(ctx, h.service.opts.Lease/4)
	defer cancel()
	h.mu.Lock()
	item := h.item
	item.Value.Steps, item.Value.Log = append([]Step(nil), item.Value.Steps...), append([]string(nil), item.Value.Log...)
	h.mu.Unlock()
	item.Value.Renewed = h.service.opts.Now().UTC()
	if change != nil {
		change(&item.Value)
	}
	version, err := h.service.upgrades.Update(ctx, item)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.item.Version = version
	return nil
}

// letGo leaves the upgrade to the next replica, when this one ends.
func (h *holding) letGo(ctx context.Context) error {
	return h.write(context.WithoutCancel(ctx), func(u *Upgrade) { u.Holder = "" })
}

// end writes how the upgrade ended, and records it.
func (h *holding) end(ctx context.Context, failed error) error {
	s := h.service
	state, failure := enterprise.Done, ""
	if failed != nil {
		state = enterprise.Stopped
		failure = cut(strings.Join(append([]string{failed.Error()}, problem.Remedies(failed)...), "; "), maxFailure)
	}
	for { // until it is written, or others have taken over or removed it
		err := h.write(ctx, func(u *Upgrade) { u.State, u.Failure, u.Ended, u.Holder = state, failure, s.opts.Now().UTC(), "" })
		if err == nil {
			break
		}
		if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) || retry.Sleep(ctx, s.opts.Tick) != nil {
			return err
		}
	}
	b := h.item.Value.Bundle
	actor := audit.WithActor(ctx, audit.Actor{Name: h.item.Value.By, Via: "system"})
	_, err := s.log.Append(actor, audit.Event{Action: "cluster.upgrade.end", Object: "Cluster", After: ended{b.Name + " " + b.Version, state, failure}})
	return err
}

// ended is what the record of changes shows of an upgrade's end.
type ended struct {
	Bundle  string           `json:"bundle"`
	State   enterprise.State `json:"state"`
	Failure string           `json:"failure,omitempty"`
}
