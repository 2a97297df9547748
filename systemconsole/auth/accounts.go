package auth

import (
	"context"
	"errors"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
)

// Draft is what an account is to be.
type Draft struct {
	Name     string `json:"name"` // login name; never changes
	FullName string `json:"fullName"`
	Email    string `json:"email"`
	Role     Role   `json:"role"`
}

func (d *Draft) check() form.Problems {
	var p form.Problems
	d.FullName, d.Email = strings.TrimSpace(d.FullName), strings.TrimSpace(d.Email)
	if len(d.Name) > 60 || store.CheckName(d.Name) != nil {
		p.Add("name", "use lower-case letters, digits, dots and hyphens, 60 at most")
	}
	if utf8.RuneCountInString(d.FullName) > 100 || !utf8.ValidString(d.FullName) || strings.ContainsFunc(d.FullName, unicode.IsControl) {
		p.Add("fullName", "use one line of 100 characters or fewer")
	}
	if a, err := mail.ParseAddress(d.Email); d.Email != "" && (err != nil || a.Address != d.Email || len(d.Email) > 254) {
		p.Add("email", "enter an e-mail address, such as ada@example.com")
	}
	if !slices.Contains(Roles(), d.Role) {
		p.Add("role", "choose a role")
	}
	return p
}

// Accounts returns a page of accounts.
func (s *Service) Accounts(ctx context.Context, opts store.ListOptions) ([]store.Item[Account], string, error) {
	opts.Owner = ""
	return s.accounts.List(ctx, opts)
}

// Everybody returns all accounts, for showing them.
func (s *Service) Everybody(ctx context.Context) ([]*store.Item[Account], error) {
	var all []*store.Item[Account]
	err := s.accounts.Select(ctx, "", func(item *store.Item[Account]) { all = append(all, item) })
	return all, err
}

// Account returns an account.
func (s *Service) Account(ctx context.Context, name string) (store.Item[Account], error) {
	return s.accounts.Get(ctx, name)
}

// mayManage fails when an identity may not make an account of a role, or change
// one that has it: only root manages root.
func mayManage(id Identity, role Role) error {
	if role == Root && id.Role != Root {
		return ErrForbidden
	}
	return nil
}

// CreateAccount adds an account and returns the secret of the link with which
// its owner sets a password.
func (s *Service) CreateAccount(ctx context.Context, id Identity, d Draft) (secret string, err error) {
	if err := d.check().Err(); err != nil {
		return "", err
	}
	if err := mayManage(id, d.Role); err != nil {
		return "", err
	}
	item := store.Item[Account]{Name: d.Name, Value: Account{Role: d.Role, FullName: d.FullName, Email: d.Email, Created: s.now()}}
	_, err = audit.Create(ctx, s.log, s.accounts, item, "account.create")
	if errors.Is(err, store.ErrExists) {
		return "", form.Fail("name", "this name is taken")
	}
	if err != nil {
		return "", err
	}
	return s.NewLink(ctx, AccountOwner(d.Name), Link{Subject: d.Name})
}

// UpdateAccount changes what an account is. Who is logged in stays so, with
// the rights of the new role.
func (s *Service) UpdateAccount(ctx context.Context, id Identity, d Draft) error {
	if err := d.check().Err(); err != nil {
		return err
	}
	if err := mayManage(id, d.Role); err != nil {
		return err
	}
	return s.manage(ctx, id, d.Name, "account.update", func(a *Account) error {
		if a.Role != d.Role && (d.Name == FirstAccount || d.Name == id.Account) {
			return form.Fail("role", "the role of %s cannot be changed", whose(d.Name, id))
		}
		a.FullName, a.Email, a.Role = d.FullName, d.Email, d.Role
		return nil
	})
}

func whose(name string, id Identity) string {
	if name == id.Account {
		return "your own account"
	}
	return name
}

// manage changes an account of another.
func (s *Service) manage(ctx context.Context, id Identity, name, action string, change func(*Account) error) error {
	_, err := audit.Modify(ctx, s.log, s.accounts, name, action, func(a *Account) error {
		if err := mayManage(id, a.Role); err != nil {
			return err
		}
		return change(a)
	})
	return err
}

// keep fails for accounts that must stay: the first one and the own one.
func keep(id Identity, name string) error {
	if name == FirstAccount || name == id.Account {
		return form.Fail("", "%s can be neither disabled nor deleted", whose(name, id))
	}
	return nil
}

// DisableAccount keeps an account and lets nobody in with it.
func (s *Service) DisableAccount(ctx context.Context, id Identity, name string) error {
	if err := keep(id, name); err != nil {
		return err
	}
	err := s.manage(ctx, id, name, "account.disable", func(a *Account) error { a.Disabled = true; return nil })
	if err != nil {
		return err
	}
	return s.expel(ctx, name)
}

// EnableAccount lets in again, and ends a lock.
func (s *Service) EnableAccount(ctx context.Context, id Identity, name string) error {
	return s.manage(ctx, id, name, "account.enable", func(a *Account) error { a.Disabled, a.Lock = false, Lock{}; return nil })
}

// expel ends all sessions and links of an account.
func (s *Service) expel(ctx context.Context, name string) error {
	return errors.Join(s.CloseSessions(ctx, AccountOwner(name), ""), s.DropLinks(ctx, AccountOwner(name)))
}

// DeleteAccount removes an account with its sessions, links and tokens.
func (s *Service) DeleteAccount(ctx context.Context, id Identity, name string) error {
	if err := s.DisableAccount(ctx, id, name); err != nil {
		return err
	}
	if err := s.dropTokens(ctx, name, func(Token) bool { return true }); err != nil {
		return err
	}
	item, err := s.accounts.Get(ctx, name)
	if err != nil {
		return err
	}
	return audit.Delete(ctx, s.log, s.accounts, item, "account.delete")
}

// ResetAccount returns the secret of a link with which the owner of an account
// sets a new password, and ends the sessions. The old password is good until
// then. The second factor goes too when that is asked for: the authenticator
// was lost.
func (s *Service) ResetAccount(ctx context.Context, id Identity, name string, factor bool) (secret string, err error) {
	if name == id.Account {
		return "", form.Fail("", "change your own password on the page of your account")
	}
	reset := false
	err = s.manage(ctx, id, name, "account.reset", func(a *Account) error {
		if reset = a.Credential.Hash != ""; a.Disabled {
			return form.Fail("", "enable the account first")
		}
		if factor {
			a.Factor = Factor{}
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if err := s.CloseSessions(ctx, AccountOwner(name), ""); err != nil {
		return "", err
	}
	return s.NewLink(ctx, AccountOwner(name), Link{Subject: name, Reset: reset})
}

// SetPassword uses up the link of an account and sets its password. One that
// the policy refuses leaves the link as it is.
func (s *Service) SetPassword(ctx context.Context, secret, password string) error {
	link, err := s.Link(ctx, secret)
	if err != nil {
		return err
	}
	name := link.Value.Subject
	item, err := s.accounts.Get(ctx, name)
	if errors.Is(err, store.ErrNotFound) || err == nil && item.Value.Disabled || link.Value.Tenant != "" {
		return ErrLink
	}
	if err != nil {
		return err
	}
	renewed, err := s.Renewed(ctx, item.Value.Credential, name, password)
	if err != nil {
		return err
	}
	if err := s.Use(ctx, link); err != nil {
		return err
	}
	ctx = audit.WithActor(ctx, audit.Actor{Name: name, Via: audit.ActorOf(ctx).Via, Source: audit.ActorOf(ctx).Source})
	_, err = audit.Modify(ctx, s.log, s.accounts, name, "account.password", func(a *Account) error {
		a.Credential, a.MustChange, a.Lock = renewed, false, Lock{}
		return nil
	})
	if err != nil {
		return err
	}
	return s.expel(context.WithoutCancel(ctx), name)
}

// Sessions returns the sessions of an account that are open.
func (s *Service) Sessions(ctx context.Context, account string) ([]store.Item[Session], error) {
	var out []store.Item[Session]
	now, policy := s.now(), s.Policy(ctx)
	err := s.sessions.Select(ctx, AccountOwner(account), func(item *store.Item[Session]) {
		if item.Value.open(now, policy) {
			out = append(out, *item)
		}
	})
	return out, err
}

// RevokeSession ends a session of the own account.
func (s *Service) RevokeSession(ctx context.Context, id Identity, name string) error {
	item, err := s.sessions.Get(ctx, name)
	if err != nil {
		return err
	}
	if item.Owner != AccountOwner(id.Account) {
		return store.ErrNotFound
	}
	e := audit.Event{Action: "session.revoke", Object: AccountKind + "/" + id.Account}
	return s.log.Do(ctx, e, func() error { return s.CloseSession(ctx, name) })
}

// Sweep removes sessions, links and tokens whose time is over.
func (s *Service) Sweep(ctx context.Context) error {
	policy := s.Policy(ctx)
	return errors.Join(
		sweep(ctx, s.sessions, func(v Session) bool { return v.open(s.now(), policy) }),
		sweep(ctx, s.links, func(v Link) bool { return s.now().Before(v.Expires) }),
		sweep(ctx, s.tokens, func(v Token) bool { return s.now().Before(v.Expires) }))
}

func sweep[T any](ctx context.Context, c store.Collection[T], keep func(T) bool) error {
	for item, err := range c.All(ctx, "") {
		if err != nil {
			return err
		}
		if keep(item.Value) {
			continue
		}
		if err := c.Delete(ctx, item.Name, item.Version); err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return nil
}
