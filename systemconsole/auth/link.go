package auth

import (
	"context"
	"errors"
	"time"

	"github.com/sealift/sealift/systemconsole/store"
)

// LinkLife is how long a link can be used.
const LinkLife = 24 * time.Hour

// ErrLink means: the link was used already, has expired, or never was.
var ErrLink = errors.New("the link was used already or has expired: ask for a new one")

// Link lets somebody who has no password set one, once. Its object has the hash
// of the secret in the address. Its owner is whom it is for.
type Link struct {
	Tenant  string    `json:"tenant,omitempty"` // of a tenant's user
	Subject string    `json:"subject"`          // name of the account or of the tenant's user
	Reset   bool      `json:"reset,omitempty"`  // a password is there already, and forgotten
	Asked   bool      `json:"asked,omitempty"`  // by the subject, on the page of the login
	Expires time.Time `json:"expires"`
}

// NewLink makes a link for an owner and returns its secret; links for the same
// subject end.
func (s *Service) NewLink(ctx context.Context, owner string, v Link) (secret string, err error) {
	if err := s.dropLinks(ctx, owner, v.Subject); err != nil {
		return "", err
	}
	return s.addLink(ctx, owner, v)
}

func (s *Service) addLink(ctx context.Context, owner string, v Link) (secret string, err error) {
	secret = newSecret()
	v.Expires = s.now().Add(LinkLife)
	_, err = s.links.Create(ctx, store.Item[Link]{Name: hashed(secret), Owner: owner, Value: v})
	return secret, err
}

// DropLinks ends all links of an owner.
func (s *Service) DropLinks(ctx context.Context, owner string) error {
	return s.dropLinks(ctx, owner, "")
}

// Expel ends the sessions and links of one of those whom an owner has.
func (s *Service) Expel(ctx context.Context, owner, subject string) error {
	for item, err := range s.sessions.All(ctx, owner) {
		if err != nil {
			return err
		}
		if item.Value.Account != subject {
			continue
		}
		if err := s.CloseSession(ctx, item.Name); err != nil {
			return err
		}
	}
	return s.dropLinks(ctx, owner, subject)
}

// dropLinks ends the links of an owner for a subject; an empty one is all.
func (s *Service) dropLinks(ctx context.Context, owner, subject string) error {
	for item, err := range s.links.All(ctx, owner) {
		if err != nil {
			return err
		}
		if subject != "" && item.Value.Subject != subject {
			continue
		}
		if err := s.links.Delete(ctx, item.Name, ""); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// Link returns the link of a secret without using it, or ErrLink.
func (s *Service) Link(ctx context.Context, secret string) (store.Item[Link], error) {
	item, err := s.links.Get(ctx, hashed(secret))
	if errors.Is(err, store.ErrNotFound) || err == nil && !s.now().Before(item.Value.Expires) {
		return item, ErrLink
	}
	return item, err
}

// Use uses up a link. Of all who try at the same time one succeeds.
func (s *Service) Use(ctx context.Context, link store.Item[Link]) error {
	err := s.links.Delete(ctx, link.Name, link.Version)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrConflict) {
		return ErrLink
	}
	return err
}
