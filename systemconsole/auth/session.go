package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealift/sealift/systemconsole/store"
)

// Purpose is what a session is good for.
type Purpose string

// The purposes.
const (
	Full           Purpose = "full"            // all that the role may do
	ChangePassword Purpose = "change-password" // set a new password, nothing else
	SecondFactor   Purpose = "second-factor"   // enter the code of the second factor, nothing else
	TenantUser     Purpose = "tenant-user"     // the own tenant's pages
	TenantPassword Purpose = "tenant-password" // set a new password as a tenant's user, nothing else
)

// OfTenant tells whether a session is that of a tenant's user.
func (p Purpose) OfTenant() bool { return p == TenantUser || p == TenantPassword }

const (
	passingSession = 15 * time.Minute // between two steps of a login
	// seenEvery is how exactly it is known when a session was last used, where
	// no policy asks for more: each time costs a write.
	seenEvery = 5 * time.Minute
)

// Session is a login. Its object has the hash of the secret that the browser
// holds: what is in the store opens nothing. Its owner is the account.
type Session struct {
	Account string    `json:"account"`
	Tenant  string    `json:"tenant,omitempty"`
	Purpose Purpose   `json:"purpose"`
	Proof   string    `json:"proof,omitempty"`  // of the password that it began with; empty for one of before that was noted
	Source  string    `json:"source,omitempty"` // IP address of the login
	Agent   string    `json:"agent,omitempty"`  // what the browser calls itself
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen,omitzero"` // the last request, to within minutes
	Expires time.Time `json:"expires"`
}

// LastSeen is when a session was last used, to within minutes.
func (v Session) LastSeen() time.Time {
	if v.Seen.IsZero() {
		return v.Created
	}
	return v.Seen
}

// open tells whether a session is good at a time.
func (v Session) open(now time.Time, p Policy) bool {
	idle := time.Duration(p.IdleMinutes) * time.Minute
	return now.Before(v.Expires) && (idle == 0 || now.Sub(v.LastSeen()) < idle)
}

// of tells whether a session began with the password that a credential has now.
// Another password ends a session by this alone, wherever the change was cut
// short, and also one that the old password opens a moment later.
func (v Session) of(c Credential) bool {
	if v.Proof == "" {
		return !v.Created.Before(c.Changed)
	}
	return v.Proof == c.Proof()
}

// lasting tells whether a session is more than a step of a login.
func (v Session) lasting() bool { return v.Purpose == Full || v.Purpose == TenantUser }

// Client is where a request comes from.
type Client struct {
	Source string // IP address
	Agent  string // User-Agent
}

// newSecret returns 256 random bits as text.
func newSecret() string {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}

// hashed returns the name under which a secret is kept.
func hashed(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// formToken is what forms of a session carry; only who has the secret can make it.
func formToken(secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("form"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// OpenSession starts a session and returns the secret for the browser's cookie
// and when it ends.
func (s *Service) OpenSession(ctx context.Context, owner string, v Session, c Client) (secret string, expires time.Time, err error) {
	secret = newSecret()
	v.Created, v.Source, v.Agent = s.now(), c.Source, fmt.Sprintf("%.200s", c.Agent)
	life := passingSession
	if v.lasting() {
		policy := s.Policy(ctx)
		life = time.Duration(policy.SessionMinutes) * time.Minute
		if err := s.makeRoom(ctx, owner, v.Account, policy.Sessions); err != nil {
			return "", time.Time{}, err
		}
	}
	v.Expires = v.Created.Add(life)
	_, err = s.sessions.Create(ctx, store.Item[Session]{Name: hashed(secret), Owner: owner, Value: v})
	return secret, v.Expires, err
}

// makeRoom ends the oldest sessions of an account, so that with one more there
// are no more than most; 0 is any number.
func (s *Service) makeRoom(ctx context.Context, owner, account string, most int) error {
	if most == 0 {
		return nil
	}
	var there []store.Item[Session]
	for item, err := range s.sessions.All(ctx, owner) {
		if err != nil {
			return err
		}
		if item.Value.Account == account && item.Value.lasting() {
			there = append(there, item)
		}
	}
	slices.SortFunc(there, func(a, b store.Item[Session]) int { return a.Value.Created.Compare(b.Value.Created) })
	for _, item := range there[:max(0, len(there)-most+1)] {
		if err := s.CloseSession(ctx, item.Name); err != nil {
			return err
		}
	}
	return nil
}

// session returns the session of a secret, and notes that it is used. It fails
// with ErrNoSession when there is none, or its time is over.
func (s *Service) session(ctx context.Context, now store.Moment, secret string, used bool) (store.Item[Session], error) {
	item, err := s.sessions.At(ctx, now, hashed(secret))
	if errors.Is(err, store.ErrNotFound) {
		return item, ErrNoSession
	}
	if err != nil {
		return item, err
	}
	policy := s.Policy(ctx)
	if !item.Value.open(s.now(), policy) {
		return item, ErrNoSession
	}
	if used {
		err = s.touch(ctx, item, policy)
	}
	return item, err
}

// touch notes that a session is used, unless that was noted not long ago.
func (s *Service) touch(ctx context.Context, item store.Item[Session], p Policy) error {
	every := seenEvery
	if p.IdleMinutes > 0 {
		every = min(time.Minute, time.Duration(p.IdleMinutes)*time.Minute/5)
	}
	if s.now().Sub(item.Value.LastSeen()) < every {
		return nil
	}
	item.Value.Seen = s.now()
	_, err := s.sessions.Update(ctx, item)
	if errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrNotFound) {
		return nil // another request noted it, or ended the session
	}
	return err
}

// CloseSession ends a session. One that is gone already is no failure. Its time
// is over, by every console's clock, before it is deleted: that is what other
// consoles are told.
func (s *Service) CloseSession(ctx context.Context, name string) error {
	_, err := s.sessions.Modify(ctx, name, func(v *Session) error {
		v.Expires = time.Time{}
		return nil
	})
	if err == nil {
		err = s.sessions.Delete(ctx, name, "")
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// CloseSessions ends all sessions of an owner but one.
func (s *Service) CloseSessions(ctx context.Context, owner, except string) error {
	for item, err := range s.sessions.All(ctx, owner) {
		if err != nil {
			return err
		}
		if item.Name == except {
			continue
		}
		if err := s.CloseSession(ctx, item.Name); err != nil {
			return err
		}
	}
	return nil
}

// Replaced ends all sessions and tells other consoles of all accounts: somebody
// put the accounts of a backup in the place of what was there.
func (s *Service) Replaced(ctx context.Context) error {
	return errors.Join(s.accounts.Tell(ctx), s.CloseSessions(ctx, "", ""))
}
