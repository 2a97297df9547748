package auth

import (
	"context"

	"github.com/sealift/sealift/systemconsole/store"
)

// forgottenLinks is how many links that were asked for by name an account may
// have at a time. Each is mailed to its owner and works, so that nobody keeps
// the owner out by asking, or fills a mailbox.
const forgottenLinks = 3

// Forgotten is a link for the owner of an account who forgot the password.
type Forgotten struct {
	Secret, Email string
}

// Forgotten makes a link for whoever owns an account by that name. There is
// none for an account that is not there, is disabled, has no address or no
// password yet, or was sent enough of them. Links that an administrator made
// stay as they are.
func (s *Service) Forgotten(ctx context.Context, name string) (Forgotten, error) {
	item, err := s.account(ctx, name)
	if err != nil {
		return Forgotten{}, err
	}
	a := item.Value
	if item.Version == "" || a.Disabled || a.Email == "" || a.Credential.Hash == "" {
		return Forgotten{}, nil
	}
	there := 0
	for link, err := range s.links.All(ctx, AccountOwner(name)) {
		if err != nil {
			return Forgotten{}, err
		}
		if link.Value.Asked && s.now().Before(link.Value.Expires) {
			there++
		}
	}
	if there >= forgottenLinks {
		return Forgotten{}, nil
	}
	secret := newSecret()
	v := Link{Subject: name, Reset: true, Asked: true, Expires: s.now().Add(LinkLife)}
	_, err = s.links.Create(ctx, store.Item[Link]{Name: hashed(secret), Owner: AccountOwner(name), Value: v})
	return Forgotten{Secret: secret, Email: a.Email}, err
}
