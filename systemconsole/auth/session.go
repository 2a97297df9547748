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
)

// The bounds of a session's life.
const (
	DefaultSession = 4 * time.Hour
	MinSession     = 15 * time.Minute
	MaxSession     = 24 * time.Hour
	passingSession = 15 * time.Minute // between two steps of a login
)

// Session is a login. Its object has the hash of the secret that the browser
// holds: what is in the store opens nothing. Its owner is the account.
type Session struct {
	Account string    `json:"account"`
	Tenant  string    `json:"tenant,omitempty"`
	Purpose Purpose   `json:"purpose"`
	Source  string    `json:"source,omitempty"` // IP address of the login
	Agent   string    `json:"agent,omitempty"`  // what the browser calls itself
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

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
	if v.Purpose == Full || v.Purpose == TenantUser {
		life = s.sessionLife(ctx)
	}
	v.Expires = v.Created.Add(life)
	_, err = s.sessions.Create(ctx, store.Item[Session]{Name: hashed(secret), Owner: owner, Value: v})
	return secret, v.Expires, err
}

// Session returns the session of a secret, with the token of its forms. It
// fails with ErrNoSession when there is none, or its time is over.
func (s *Service) Session(ctx context.Context, secret string) (store.Item[Session], string, error) {
	item, err := s.sessions.Get(ctx, hashed(secret))
	if errors.Is(err, store.ErrNotFound) || err == nil && !s.now().Before(item.Value.Expires) {
		return item, "", ErrNoSession
	}
	return item, formToken(secret), err
}

// CloseSession ends a session. One that is gone already is no failure.
func (s *Service) CloseSession(ctx context.Context, name string) error {
	err := s.sessions.Delete(ctx, name, "")
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

// sessionLife is how long a login lasts.
func (s *Service) sessionLife(ctx context.Context) time.Duration {
	life := DefaultSession
	if s.opts.SessionLife != nil {
		life = s.opts.SessionLife(ctx)
	}
	return min(max(life, MinSession), MaxSession)
}
