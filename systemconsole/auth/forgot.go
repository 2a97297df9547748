package auth

import "context"

// forgottenLinks is how many links that were asked for by name somebody may
// have at a time. Each is mailed to whom it is for and works, so that nobody
// keeps them out by asking, or fills a mailbox.
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
	secret, err := s.AskedLink(ctx, AccountOwner(name), Link{Subject: name})
	return Forgotten{Secret: secret, Email: a.Email}, err
}

// AskedLink makes a link that its subject asked for, and returns its secret:
// nothing when there are enough of them. Those of administrators stay.
func (s *Service) AskedLink(ctx context.Context, owner string, v Link) (secret string, err error) {
	there := 0
	for link, err := range s.links.All(ctx, owner) {
		if err != nil {
			return "", err
		}
		if l := link.Value; l.Asked && l.Subject == v.Subject && s.now().Before(l.Expires) {
			there++
		}
	}
	if there >= forgottenLinks {
		return "", nil
	}
	v.Reset, v.Asked = true, true
	return s.addLink(ctx, owner, v)
}
