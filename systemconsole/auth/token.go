package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
)

// MaxToken is the longest life of a token.
const MaxToken = 365 * 24 * time.Hour

// tokenPrefix makes tokens findable by tools that look for leaked secrets.
const tokenPrefix = "sealift_"

// Token lets a program act for an account, with some of its permissions. Its
// object has an identifier, which the token that is shown once begins with.
// Its owner is the account.
type Token struct {
	Account string       `json:"account"`
	Label   string       `json:"label"` // what it is for
	Scopes  []Permission `json:"scopes,omitempty"`
	Hash    string       `json:"hash"` // SHA-256 of the secret
	Created time.Time    `json:"created"`
	Expires time.Time    `json:"expires"`
	Parent  string       `json:"parent,omitempty"` // the token that made it, without which it is none
}

// Audit returns what may be recorded of a token.
func (t Token) Audit() any {
	return struct {
		Account, Label string
		Scopes         []Permission
		Expires        time.Time
		Parent         string
	}{t.Account, t.Label, t.Scopes, t.Expires, t.Parent}
}

// NewToken is what a token is to be.
type NewToken struct {
	Label  string       `json:"label"`
	Scopes []Permission `json:"scopes"`
	Days   int          `json:"days"` // until it expires, at most 365
}

// May tells whether the token is to have a permission.
func (n NewToken) May(p Permission) bool { return slices.Contains(n.Scopes, p) }

// CreateToken makes a token for the account of an identity, which can do no
// more than the identity itself, and lasts no longer than the token that the
// identity has. The text is shown once.
func (s *Service) CreateToken(ctx context.Context, id Identity, n NewToken) (text string, item store.Item[Token], err error) {
	if err := checkToken(id, n).Err(); err != nil {
		return "", item, err
	}
	secret, parent, expires := newSecret(), id.token, s.now().AddDate(0, 0, n.Days)
	if parent.Name != "" && parent.Value.Expires.Before(expires) {
		expires = parent.Value.Expires
	}
	item = store.Item[Token]{Name: strings.ToLower(rand.Text()[:16]), Owner: AccountOwner(id.Account), Value: Token{Account: id.Account, Label: n.Label,
		Scopes: n.Scopes, Hash: hashed(secret), Created: s.now(), Expires: expires, Parent: parent.Name}}
	item.Version, err = audit.Create(ctx, s.log, s.tokens, item, "token.create")
	return tokenPrefix + item.Name + "_" + secret, item, err
}

func checkToken(id Identity, n NewToken) form.Problems {
	var p form.Problems
	if n.Label == "" || len(n.Label) > 100 {
		p.Add("label", "say what the token is for, in 100 characters or fewer")
	}
	if n.Days < 1 || n.Days > int(MaxToken/(24*time.Hour)) {
		p.Add("days", "choose 1 to 365 days")
	}
	if len(n.Scopes) == 0 {
		p.Add("scopes", "choose one permission or more")
	}
	for _, scope := range n.Scopes {
		if !id.May(scope) {
			p.Add("scopes", "you do not have the permission %.40s yourself", scope)
		}
	}
	if id.token.Value.Parent != "" { // so that each request looks for one parent at most
		p.Add("", "a token that a token made makes no other: use one that was made on the page My account")
	}
	return p
}

// Tokens returns the tokens of an account.
func (s *Service) Tokens(ctx context.Context, account string) ([]store.Item[Token], error) {
	var out []store.Item[Token]
	err := s.tokens.Select(ctx, AccountOwner(account), func(item *store.Item[Token]) { out = append(out, *item) })
	return out, err
}

// RevokeToken ends a token of an account, and with it those that it made.
// Somebody else's is not found.
func (s *Service) RevokeToken(ctx context.Context, account, name string) error {
	item, err := s.tokens.Get(ctx, name)
	if err == nil && item.Value.Account != account {
		return store.ErrNotFound
	}
	if err != nil {
		return err
	}
	if err := audit.Delete(ctx, s.log, s.tokens, item, "token.revoke"); err != nil {
		return err
	}
	return s.dropTokens(ctx, account, func(t Token) bool { return t.Parent == name })
}

// dropTokens removes those tokens of an account that are to go.
func (s *Service) dropTokens(ctx context.Context, account string, gone func(Token) bool) error {
	for item, err := range s.tokens.All(ctx, AccountOwner(account)) {
		if err != nil {
			return err
		}
		if !gone(item.Value) {
			continue
		}
		if err := audit.Delete(ctx, s.log, s.tokens, item, "token.revoke"); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
	}
	return nil
}

// IdentifyToken returns who a token acts for: with the permissions that both
// the token and the account's role have now.
func (s *Service) IdentifyToken(ctx context.Context, text string) (Identity, error) {
	name, secret, ok := strings.Cut(strings.TrimPrefix(text, tokenPrefix), "_")
	if !ok || !strings.HasPrefix(text, tokenPrefix) || store.CheckName(name) != nil {
		return Identity{}, ErrNoSession
	}
	item, err := s.tokens.Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		return Identity{}, ErrNoSession
	}
	if err != nil {
		return Identity{}, err
	}
	t := item.Value
	if !equal(t.Hash, hashed(secret)) || !s.now().Before(t.Expires) {
		return Identity{}, ErrNoSession
	}
	if t.Parent != "" {
		if _, err := s.tokens.Get(ctx, t.Parent); errors.Is(err, store.ErrNotFound) {
			return Identity{}, ErrNoSession // it was revoked
		} else if err != nil {
			return Identity{}, err
		}
	}
	a, err := s.accounts.Get(ctx, t.Account)
	if errors.Is(err, store.ErrNotFound) || err == nil && (a.Value.Disabled || a.Value.MustChange) {
		return Identity{}, ErrNoSession
	}
	id := Identity{Account: t.Account, Role: a.Value.Role, token: item}
	for _, p := range a.Value.Role.Permissions() {
		if slices.Contains(t.Scopes, p) {
			id.Permissions = append(id.Permissions, p)
		}
	}
	return id, err
}
