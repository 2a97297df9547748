// Package upgrades runs the upgrade of the enterprise cluster for the console,
// and lets go of nothing when the console is replaced by it.
//
// There is at most one upgrade, an object of the store: what was asked for, by
// whom, how far it is, and which replica works at it. That replica renews its
// hold on the object every few seconds. When it is gone - it was replaced by
// the upgrade itself, its node was, or it was killed - another one, or the same
// after its start, takes the object over and goes on: an Upgrader finds out for
// itself what is done. Each write names the version that it replaces, so that a
// replica which was cut off for a while finds that it has lost its hold, and
// stops.
package upgrades

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/internal/upgrade"
	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/enterprise"
	"github.com/sealift/sealift/systemconsole/store"
)

// Kind is the kind of the object; there is one, of the name Name.
const (
	Kind = "Upgrade"
	Name = "enterprise"
)

// Kinds are the kinds of this package's objects.
func Kinds() []store.Kind { return []store.Kind{{Name: Kind, Value: Upgrade{}}} }

// Upgrade is one upgrade, under way or ended.
type Upgrade struct {
	Bundle  upgrade.Bundle          `json:"bundle"`
	Choices map[string]upgrade.Side `json:"choices,omitempty"` // by the setting's path
	By      string                  `json:"by"`                // the account that asked for it
	State   enterprise.State        `json:"state"`
	Began   time.Time               `json:"began"`
	Ended   time.Time               `json:"ended,omitzero"`
	Steps   []Step                  `json:"steps,omitempty"`
	Log     []string                `json:"log,omitempty"`     // the last lines
	Failure string                  `json:"failure,omitempty"` // why it stopped
	Holder  string                  `json:"holder,omitempty"`  // the replica that works at it
	Renewed time.Time               `json:"renewed,omitzero"`  // when the holder last said so
	Taken   int                     `json:"taken,omitempty"`   // how often a replica took it up
}

// Step is one step of an upgrade.
type Step struct {
	Name  string        `json:"name"`
	State upgrade.State `json:"state,omitempty"`
	Text  string        `json:"text,omitempty"`
}

// Options complete a service. The zero value is usable.
type Options struct {
	Logger *slog.Logger     // nil means nobody is told
	Now    func() time.Time // nil means time.Now
	// Lease is how long a replica that says nothing keeps its hold; 0 means 60 s.
	Lease time.Duration
	// Tick is how often a holder renews it, and others look; 0 means 3 s.
	Tick time.Duration
}

// Service is the upgrade in a store.
type Service struct {
	upgrades store.Collection[Upgrade]
	log      *audit.Log
	upgrader enterprise.Upgrader
	opts     Options
	self     string        // name of this replica
	wake     chan struct{} // an upgrade was asked for
}

// New returns the upgrade in a store. Nothing is carried out before Tend.
func New(s store.Store, log *audit.Log, upgrader enterprise.Upgrader, opts Options) *Service {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Lease == 0 {
		opts.Lease = time.Minute
	}
	if opts.Tick == 0 {
		opts.Tick = 3 * time.Second
	}
	return &Service{upgrades: store.Collection[Upgrade]{Store: s, Kind: Kind}, log: log, upgrader: upgrader, opts: opts,
		self: rand.Text()[:12], wake: make(chan struct{}, 1)}
}

// Possible tells whether this console can upgrade the cluster.
func (s *Service) Possible() bool { return s.upgrader != nil }

// Upgrader is what knows bundles and plans; nil where there is none.
func (s *Service) Upgrader() enterprise.Upgrader { return s.upgrader }

// Last returns the upgrade that is under way, or else the last one; nil when
// there was none.
func (s *Service) Last(ctx context.Context) (*Upgrade, error) {
	item, err := s.upgrades.Get(ctx, Name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil //nolint:nilnil // there was none
	}
	if err != nil {
		return nil, err
	}
	return &item.Value, nil
}

// Idle fails with enterprise.ErrBusy while an upgrade is under way.
func (s *Service) Idle(ctx context.Context) error {
	last, err := s.Last(ctx)
	if err != nil {
		return err
	}
	return idle(last)
}

func idle(last *Upgrade) error {
	if last != nil && last.State == enterprise.Running {
		return problem.New(problem.Failed, "wait until it has ended; the page Upgrade shows how far it is", "an upgrade to %s %s: %w", last.Bundle.Name, last.Bundle.Version, enterprise.ErrBusy)
	}
	return nil
}

// Start asks for an upgrade. It returns at once; Last tells how far it is. It
// fails with enterprise.ErrBusy while there is one, also one that another
// replica was asked for at the same moment.
func (s *Service) Start(ctx context.Context, b upgrade.Bundle, choices upgrade.Choices) error {
	u := Upgrade{Bundle: b, Choices: choices, By: audit.ActorOf(ctx).Name, State: enterprise.Running, Began: s.opts.Now().UTC()}
	e := audit.Event{Action: "cluster.upgrade", Object: "Cluster", After: asked{b.Name + " " + b.Version, b.Statement, choices}}
	return s.begin(ctx, e, func(*Upgrade) (Upgrade, error) { return u, nil })
}

// asked is what the record of changes shows of an upgrade.
type asked struct {
	Bundle    string          `json:"bundle"`
	Statement string          `json:"statement"`
	Choices   upgrade.Choices `json:"choices,omitempty"`
}

// Resume goes on with an upgrade that stopped.
func (s *Service) Resume(ctx context.Context) error {
	e := audit.Event{Action: "cluster.upgrade.resume", Object: "Cluster"}
	return s.begin(ctx, e, func(last *Upgrade) (Upgrade, error) {
		if last == nil || last.State != enterprise.Stopped {
			return Upgrade{}, problem.New(problem.Usage, "choose a bundle and start one", "no upgrade has stopped: %w", enterprise.ErrInvalid)
		}
		u := *last
		u.State, u.Failure, u.Ended, u.Holder = enterprise.Running, "", time.Time{}, ""
		return u, nil
	})
}

// begin writes an upgrade that is to be carried out, unless one is: what it
// read is what it replaces.
func (s *Service) begin(ctx context.Context, e audit.Event, next func(last *Upgrade) (Upgrade, error)) error {
	item, err := s.upgrades.Get(ctx, Name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	var last *Upgrade
	if err == nil {
		last = &item.Value
	}
	if err := idle(last); err != nil {
		return err
	}
	u, err := next(last)
	if err != nil {
		return err
	}
	err = s.log.Do(ctx, e, func() error {
		if last == nil {
			_, err := s.upgrades.Create(ctx, store.Item[Upgrade]{Name: Name, Value: u})
			return err
		}
		item.Value = u
		_, err := s.upgrades.Update(ctx, item)
		return err
	})
	if errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrConflict) {
		return problem.New(problem.Failed, "look at the page Upgrade", "somebody else was first: %w", enterprise.ErrBusy)
	}
	if err == nil {
		select {
		case s.wake <- struct{}{}:
		default: // it is awake already
		}
	}
	return err
}
