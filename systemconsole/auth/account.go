package auth

import (
	"context"
	"errors"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/store"
)

// The kinds of this package's objects.
const (
	AccountKind = "Account"
	SessionKind = "Session"
	TokenKind   = "Token"
	LinkKind    = "Link"
)

// Account is an administrator of the console. Its object has the login name.
type Account struct {
	Role       Role       `json:"role"`
	FullName   string     `json:"fullName,omitempty"`
	Email      string     `json:"email,omitempty"`
	Credential Credential `json:"credential"`
	MustChange bool       `json:"mustChange,omitempty"` // the password, before anything else
	Disabled   bool       `json:"disabled,omitempty"`
	Lock       Lock       `json:"lock"`
	Factor     Factor     `json:"factor"`
	Created    time.Time  `json:"created"`
	LastLogin  time.Time  `json:"lastLogin,omitzero"`
}

// Audit returns what may be recorded of an account.
func (a Account) Audit() any {
	return struct {
		Role                 Role
		FullName, Email      string
		HasPassword          bool
		MustChange, Disabled bool
		SecondFactor         bool
	}{a.Role, a.FullName, a.Email, a.Credential.Hash != "", a.MustChange, a.Disabled, a.Factor.On()}
}

// FirstAccount is the login name and the password of the account that is there
// at the first start. It is always root and cannot be removed.
const FirstAccount = "admin"

// Bootstrap makes the first account when it is not there.
func (s *Service) Bootstrap(ctx context.Context) error {
	_, err := s.accounts.Get(ctx, FirstAccount)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	hash, err := s.hasher.hash(ctx, FirstAccount)
	if err != nil {
		return err
	}
	first := Account{Role: Root, FullName: "Administrator", Credential: Credential{Hash: hash}, MustChange: true, Created: s.now()}
	_, err = audit.Create(ctx, s.log, s.accounts, store.Item[Account]{Name: FirstAccount, Value: first}, "account.create")
	if errors.Is(err, store.ErrExists) {
		return nil // another server was faster
	}
	return err
}
