// Package auth knows who may do what: accounts, passwords, sessions, second
// factors, links for those who have no password yet, and tokens for programs.
//
// What is secret is kept as a hash: passwords with argon2id, and random secrets
// of 256 bits (sessions, links, tokens) with SHA-256. A failed login tells
// nothing: an account that does not exist, a wrong password, a disabled and a
// locked account have the same answer after the same time.
package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// The errors of this package.
var (
	ErrLogin     = errors.New("the name or the password is wrong, or the account is locked")
	ErrBusy      = errors.New("too many logins at the same time")
	ErrNoSession = errors.New("not logged in")
	ErrForbidden = errors.New("not allowed")
)

// Options complete a service. The zero value is usable.
type Options struct {
	Now    func() time.Time             // nil means time.Now
	Policy func(context.Context) Policy // nil means the zero value
	Keeper seal.Keeper                  // of the master key, which wraps the secrets of second factors
	// FailureTime is how long a failed login takes at least; 0 means 400 ms.
	FailureTime time.Duration
}

// Service is the accounts in a store.
type Service struct {
	opts     Options
	log      *audit.Log
	pulse    *store.Pulse // of accounts and sessions
	accounts store.Collection[Account]
	sessions store.Collection[Session]
	links    store.Collection[Link]
	tokens   store.Collection[Token]
	hasher   *hasher
}

// New returns the accounts in a store.
func New(s store.Store, log *audit.Log, opts Options) *Service {
	if opts.FailureTime == 0 {
		opts.FailureTime = 400 * time.Millisecond
	}
	pulse := store.NewPulse(s)
	return &Service{opts: opts, log: log, pulse: pulse,
		accounts: store.Collection[Account]{Store: s, Kind: AccountKind, Table: &store.Table[Account]{}, Pulse: pulse},
		sessions: store.Collection[Session]{Store: s, Kind: SessionKind, Table: &store.Table[Session]{}, Pulse: pulse},
		links:    store.Collection[Link]{Store: s, Kind: LinkKind},
		tokens:   store.Collection[Token]{Store: s, Kind: TokenKind, Table: &store.Table[Token]{}},
		hasher:   newHasher(2, 64)}
}

// Follow keeps in memory what pages list, until ctx is done. Who is let in is
// decided by it only when the store's pulse, which each request reads, says that
// it is current: else the session and the account are read from the store.
func (s *Service) Follow(ctx context.Context, report func(kind string, err error)) {
	var all sync.WaitGroup
	all.Go(func() { s.accounts.Follow(ctx, report) })
	all.Go(func() { s.sessions.Follow(ctx, report) })
	all.Go(func() { s.tokens.Follow(ctx, report) })
	all.Wait()
}

// Following tells whether all of it is in memory and current.
func (s *Service) Following() bool {
	return s.accounts.Table.Current() && s.sessions.Table.Current() && s.tokens.Table.Current()
}

func (s *Service) now() time.Time {
	if s.opts.Now != nil {
		return s.opts.Now().UTC()
	}
	return time.Now().UTC()
}

// Kinds are the kinds of this package's objects.
func Kinds() []store.Kind {
	return []store.Kind{{Name: AccountKind, Value: Account{}}, {Name: SessionKind, Value: Session{}},
		{Name: TokenKind, Value: Token{}}, {Name: LinkKind, Value: Link{}}}
}

// AccountOwner is the owner of what belongs to an account: sessions, links and
// tokens.
func AccountOwner(name string) string { return "account." + name }
