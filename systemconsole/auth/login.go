package auth

import (
	"context"
	"errors"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/store"
)

// Login is the outcome of a step of logging in: the session that it opened.
type Login struct {
	Account string
	Secret  string // for the browser's cookie
	Expires time.Time
	Purpose Purpose // what is to be done next
}

// Login checks a name and a password and opens a session: a full one, or one
// for the step that is left. ErrLogin is all that it says against them.
func (s *Service) Login(ctx context.Context, name, password string, c Client) (Login, error) {
	start := time.Now()
	l, err := s.login(ctx, name, password, c)
	if errors.Is(err, ErrLogin) {
		s.Delay(ctx, start)
	}
	return l, err
}

// Delay makes failures look alike: each takes FailureTime at least.
func (s *Service) Delay(ctx context.Context, start time.Time) {
	select {
	case <-time.After(s.opts.FailureTime - time.Since(start)):
	case <-ctx.Done():
	}
}

func (s *Service) login(ctx context.Context, name, password string, c Client) (Login, error) {
	item, err := s.account(ctx, name)
	if err != nil {
		return Login{}, err
	}
	// A name without an account has no hash, which no password fits.
	ok, err := s.Verify(ctx, item.Value.Credential, password)
	if err != nil {
		return Login{}, err
	}
	if !ok || item.Value.Disabled || item.Value.Lock.Locked(s.now()) {
		if item.Version == "" {
			return Login{}, ErrLogin
		}
		return Login{}, errors.Join(ErrLogin, s.failed(ctx, name))
	}
	return s.proceed(ctx, name, item.Value, c)
}

// account returns the account of a name, or an empty one when there is none.
func (s *Service) account(ctx context.Context, name string) (store.Item[Account], error) {
	if store.CheckName(name) != nil {
		return store.Item[Account]{}, nil
	}
	item, err := s.accounts.Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return store.Item[Account]{}, nil
	}
	return item, err
}

// failed counts a failure, and records it when it locks the account.
func (s *Service) failed(ctx context.Context, name string) error {
	locked, policy := false, s.Policy(ctx)
	_, err := s.accounts.Modify(ctx, name, func(a *Account) error {
		before := a.Lock.Locked(s.now())
		a.Lock = a.Lock.Failed(s.now(), policy)
		locked = !before && a.Lock.Locked(s.now())
		return nil
	})
	if err == nil && locked {
		_, err = s.log.Append(ctx, audit.Event{Action: "account.lock", Object: AccountKind + "/" + name})
	}
	return err
}

// proceed opens the session for what comes after the password.
func (s *Service) proceed(ctx context.Context, name string, a Account, c Client) (Login, error) {
	purpose := s.afterFactor(ctx, a)
	if a.Factor.On() {
		purpose = SecondFactor
	}
	return s.enter(ctx, name, Session{Purpose: purpose, Proof: a.Credential.Proof()}, c)
}

// enter opens a session of an account; a full one is recorded as a login.
func (s *Service) enter(ctx context.Context, name string, v Session, c Client) (Login, error) {
	if v.Purpose == Full {
		if _, err := s.accounts.Modify(ctx, name, func(a *Account) error {
			a.Lock, a.LastLogin = Lock{}, s.now()
			return nil
		}); err != nil {
			return Login{}, err
		}
		ctx := audit.WithActor(ctx, audit.Actor{Name: name, Via: audit.ActorOf(ctx).Via, Source: c.Source})
		if _, err := s.log.Append(ctx, audit.Event{Action: "account.login", Object: AccountKind + "/" + name}); err != nil {
			return Login{}, err
		}
	}
	l := Login{Account: name, Purpose: v.Purpose}
	v.Account = name
	var err error
	l.Secret, l.Expires, err = s.OpenSession(ctx, AccountOwner(name), v, c)
	return l, err
}

// Identify returns who has the session of a secret, and what it is for. The
// account is looked at each time: one that is disabled is out at once, and so is
// a session that began with another password than it has.
func (s *Service) Identify(ctx context.Context, secret string) (Identity, Purpose, error) {
	return s.identify(ctx, secret, true)
}

// Watch is Identify for a request that nobody made, as a page makes to load a
// part of itself anew: it does not keep the session from being idle.
func (s *Service) Watch(ctx context.Context, secret string) (Identity, Purpose, error) {
	return s.identify(ctx, secret, false)
}

func (s *Service) identify(ctx context.Context, secret string, used bool) (Identity, Purpose, error) {
	now, err := s.pulse.Now(ctx)
	if err != nil {
		return Identity{}, "", err
	}
	session, err := s.session(ctx, now, secret, used)
	if err != nil {
		return Identity{}, "", err
	}
	v := session.Value
	id := Identity{Account: v.Account, Session: session.Name, FormToken: formToken(secret), Tenant: v.Tenant, session: v}
	if v.Purpose.OfTenant() {
		return id, v.Purpose, nil // the tenant's own service looks further
	}
	item, err := s.accounts.At(ctx, now, v.Account)
	if errors.Is(err, store.ErrNotFound) || err == nil && (item.Value.Disabled || !v.of(item.Value.Credential)) {
		return Identity{}, "", ErrNoSession
	}
	id.Role = item.Value.Role
	if v.Purpose == Full {
		id.Permissions = item.Value.Role.Permissions()
	}
	return id, v.Purpose, err
}

// ChangePassword sets a new password for the account of an identity, ends all
// its sessions and opens a new one.
func (s *Service) ChangePassword(ctx context.Context, id Identity, current, password string, c Client) (Login, error) {
	item, err := s.confirmed(ctx, id, current)
	if err != nil {
		return Login{}, err
	}
	renewed, err := s.Renewed(ctx, item.Value.Credential, id.Account, password)
	if err != nil {
		return Login{}, err
	}
	_, err = audit.Modify(ctx, s.log, s.accounts, id.Account, "account.password", func(a *Account) error {
		if a.Credential.Hash != item.Value.Credential.Hash {
			return store.ErrConflict // changed in between by somebody who knew it as well
		}
		a.Credential, a.MustChange, a.Lock = renewed, false, Lock{}
		return nil
	})
	if err != nil {
		return Login{}, err
	}
	if err := s.expel(context.WithoutCancel(ctx), id.Account); err != nil {
		return Login{}, err
	}
	return s.enter(ctx, id.Account, Session{Purpose: Full, Proof: renewed.Proof()}, c)
}
