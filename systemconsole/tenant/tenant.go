// Package tenant keeps the tenants: organizations that share the platform and
// must know nothing of one another.
//
// A tenant is created, then activated: its place is made in the cluster, and its
// first administrator gets a link to set a password with. It can be disabled,
// limited and deleted. Each has a data key of its own; what is known of its users
// is sealed with it, so that deleting the key deletes them for good.
package tenant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// The kinds of this package's objects.
const (
	Kind     = "Tenant"
	UserKind = "TenantUser"
)

// State is how far a tenant has come.
type State string

// The states.
const (
	Created  State = "created"  // nobody can log in
	Active   State = "active"   //
	Disabled State = "disabled" // kept as it is, and nobody can log in
	Deleting State = "deleting" // its deletion has begun
)

// Limits are the most that a tenant may use; 0 is no limit.
type Limits struct {
	Users      int `json:"users,omitempty"`
	CPU        int `json:"cpu,omitempty"`        // cores
	MemoryGiB  int `json:"memoryGiB,omitempty"`  //
	StorageGiB int `json:"storageGiB,omitempty"` //
	Pods       int `json:"pods,omitempty"`
}

// Tenant is one organization. Its object has a name made of the organization's.
type Tenant struct {
	Organization string    `json:"organization"`
	State        State     `json:"state"`
	Limits       Limits    `json:"limits"`
	Key          string    `json:"key"` // the data key, wrapped by the master key
	Created      time.Time `json:"created"`
	Activated    time.Time `json:"activated,omitzero"`
}

// Audit returns what may be recorded of a tenant.
func (t Tenant) Audit() any {
	return struct {
		Organization string
		State        State
		Limits       Limits
	}{t.Organization, t.State, t.Limits}
}

// Provisioner gives tenants their place in a cluster.
type Provisioner interface {
	// Exists tells whether a place of that name is there, whoever made it.
	Exists(ctx context.Context, name string) (bool, error)
	// Apply makes the tenant's place, or makes it fit its limits.
	Apply(ctx context.Context, name string, l Limits) error
	// Remove takes it away and returns what was removed. What is gone already
	// is no failure.
	Remove(ctx context.Context, name string) (removed []string, err error)
}

// Options complete a service.
type Options struct {
	Keeper      seal.Keeper // of the master key; required
	Provisioner Provisioner // nil where there is no cluster
	Logger      *slog.Logger
	Now         func() time.Time // nil means time.Now
	FailureTime time.Duration    // how long a failed login takes at least; see auth.Options
}

// Service is the tenants in a store.
type Service struct {
	opts    Options
	log     *audit.Log
	auth    *auth.Service
	tenants store.Collection[Tenant]
	users   store.Collection[User]
}

// New returns the tenants in a store.
func New(s store.Store, log *audit.Log, accounts *auth.Service, opts Options) *Service {
	if opts.Provisioner == nil {
		opts.Provisioner = nowhere{}
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Service{opts: opts, log: log, auth: accounts,
		tenants: store.Collection[Tenant]{Store: s, Kind: Kind, Table: &store.Table[Tenant]{Trim: func(t *Tenant) { t.Key = "" }}},
		users:   store.Collection[User]{Store: s, Kind: UserKind, Table: &store.Table[User]{}}}
}

// Follow keeps in memory what pages list, until ctx is done: no keys, no
// credentials, and what is known of people as it is kept, sealed. Who is let in
// is never decided by it.
func (s *Service) Follow(ctx context.Context, report func(kind string, err error)) {
	var all sync.WaitGroup
	all.Go(func() { s.tenants.Follow(ctx, report) })
	all.Go(func() { s.users.Follow(ctx, report) })
	all.Wait()
}

// Kinds are the kinds of this package's objects.
func Kinds() []store.Kind {
	return []store.Kind{{Name: Kind, Value: Tenant{}}, {Name: UserKind, Value: User{}}}
}

// Owner is the owner of what belongs to a tenant besides its users: sessions
// and links.
func Owner(name string) string { return "tenant." + name }

// Get returns a tenant.
func (s *Service) Get(ctx context.Context, name string) (store.Item[Tenant], error) {
	return s.tenants.Get(ctx, name)
}

// List returns a page of tenants.
func (s *Service) List(ctx context.Context, opts store.ListOptions) ([]store.Item[Tenant], string, error) {
	opts.Owner = ""
	return s.tenants.List(ctx, opts)
}

// Draft is what a tenant begins with.
type Draft struct {
	Organization string `json:"organization"`
	FirstName    string `json:"firstName"` // of the first administrator
	LastName     string `json:"lastName"`
	Email        string `json:"email"`
}

// Create adds a tenant and its first administrator, who cannot log in yet.
func (s *Service) Create(ctx context.Context, d Draft) (store.Item[Tenant], error) {
	person, err := checkDraft(&d)
	if err != nil {
		return store.Item[Tenant]{}, err
	}
	base := slug(d.Organization)
	for n := 1; ; n++ {
		item, err := s.create(ctx, numbered(base, n), d.Organization)
		if errors.Is(err, store.ErrExists) && n < 100 {
			continue // another organization of that name
		}
		if err != nil {
			return item, err
		}
		_, err = s.addUser(ctx, item, person, User{Role: Administrator, First: true})
		return item, err
	}
}

func (s *Service) create(ctx context.Context, name, organization string) (store.Item[Tenant], error) {
	item := store.Item[Tenant]{Name: name, Value: Tenant{Organization: organization, State: Created, Created: s.opts.Now().UTC()}}
	if _, err := s.tenants.Get(ctx, name); err == nil {
		return item, store.ErrExists
	} else if !errors.Is(err, store.ErrNotFound) {
		return item, err
	}
	left, err := s.left(ctx, name)
	if err != nil {
		return item, err
	}
	if left {
		return item, store.ErrExists
	}
	if item.Value.Key, err = s.opts.Keeper.Wrap(ctx, seal.NewSecret(), name); err != nil {
		return item, err
	}
	item.Version, err = audit.Create(ctx, s.log, s.tenants, item, "tenant.create")
	return item, err
}

// left tells whether a forced deletion left something of a tenant, which keeps
// its name taken: nobody inherits another's users, or what runs in the place.
func (s *Service) left(ctx context.Context, name string) (bool, error) {
	users, _, err := s.users.List(ctx, store.ListOptions{Owner: name, Limit: 1})
	if err != nil || len(users) > 0 {
		return len(users) > 0, err
	}
	there, err := s.opts.Provisioner.Exists(ctx, name)
	if err != nil {
		return false, fmt.Errorf("looking for a place of the name %s: %w", name, err)
	}
	return there, nil
}

// key unwraps the data key of a tenant.
func (s *Service) key(ctx context.Context, item store.Item[Tenant]) (*seal.Key, error) {
	secret, err := s.opts.Keeper.Unwrap(ctx, item.Value.Key, item.Name)
	if err != nil {
		return nil, err
	}
	return seal.NewKey(secret)
}

// Activate makes the tenant's place and returns the secret of a link with
// which its first administrator sets a password. Done again, it makes a new
// link; the one before ends.
func (s *Service) Activate(ctx context.Context, name string) (secret string, err error) {
	item, err := s.tenants.Get(ctx, name)
	if err != nil {
		return "", err
	}
	if item.Value.State != Created && item.Value.State != Active {
		return "", form.Fail("", "tenant %s is %s", name, item.Value.State)
	}
	if err := s.opts.Provisioner.Apply(ctx, name, item.Value.Limits); err != nil {
		return "", fmt.Errorf("making the place of tenant %s: %w", name, err)
	}
	first, err := s.firstAdministrator(ctx, name)
	if err != nil {
		return "", err
	}
	_, err = audit.Modify(ctx, s.log, s.tenants, name, "tenant.activate", func(t *Tenant) error {
		if t.State != Created && t.State != Active {
			return store.ErrConflict
		}
		if t.State = Active; t.Activated.IsZero() {
			t.Activated = s.opts.Now().UTC()
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return s.auth.NewLink(ctx, Owner(name), auth.Link{Tenant: name, Subject: first, Reset: item.Value.State == Active})
}

// Disable keeps a tenant as it is and everybody of it out.
func (s *Service) Disable(ctx context.Context, name string) error {
	_, err := audit.Modify(ctx, s.log, s.tenants, name, "tenant.disable", func(t *Tenant) error {
		return t.become(name, Active, Disabled)
	})
	if err != nil {
		return err
	}
	return s.expel(ctx, name)
}

// Enable lets a disabled tenant in again, within the limits that were set
// meanwhile.
func (s *Service) Enable(ctx context.Context, name string) error {
	item, err := s.tenants.Get(ctx, name)
	if err != nil {
		return err
	}
	limits := item.Value.Limits
	if err := item.Value.become(name, Disabled, Active); err != nil {
		return err
	}
	if err := s.applyLimits(ctx, name, limits); err != nil {
		return err
	}
	_, err = audit.Modify(ctx, s.log, s.tenants, name, "tenant.enable", func(t *Tenant) error {
		if t.Limits != limits {
			return store.ErrConflict // set just now, and not applied
		}
		return t.become(name, Disabled, Active)
	})
	return err
}

// become changes the state of the tenant of a name from one to another.
func (t *Tenant) become(name string, from, to State) error {
	if t.State != from {
		return form.Fail("", "tenant %s is %s, not %s", name, t.State, from)
	}
	t.State = to
	return nil
}

// expel ends all sessions and links of a tenant.
func (s *Service) expel(ctx context.Context, name string) error {
	return errors.Join(s.auth.CloseSessions(ctx, Owner(name), ""), s.auth.DropLinks(ctx, Owner(name)))
}

// SetLimits changes what a tenant may use: at once, or when it is active again.
func (s *Service) SetLimits(ctx context.Context, name string, l Limits) error {
	if err := l.check().Err(); err != nil {
		return err
	}
	item, err := audit.Modify(ctx, s.log, s.tenants, name, "tenant.limits", func(t *Tenant) error {
		t.Limits = l
		return nil
	})
	if err != nil || item.Value.State != Active {
		return err
	}
	return s.applyLimits(ctx, name, l)
}

func (s *Service) applyLimits(ctx context.Context, name string, l Limits) error {
	if err := s.opts.Provisioner.Apply(ctx, name, l); err != nil {
		return fmt.Errorf("applying the limits of tenant %s: %w", name, err)
	}
	return nil
}

// nowhere is the provisioner without a cluster.
type nowhere struct{}

func (nowhere) Exists(context.Context, string) (bool, error)     { return false, nil }
func (nowhere) Apply(context.Context, string, Limits) error      { return nil }
func (nowhere) Remove(context.Context, string) ([]string, error) { return nil, nil }
