package tenant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/store"
)

// ManageUsers is the permission of a tenant's administrators within their
// tenant. No role of the console has it: its own permission for tenants is
// another one.
const ManageUsers auth.Permission = "tenant.users"

// UserRoles returns every role of a tenant's user.
func UserRoles() []UserRole { return []UserRole{Administrator, Member} }

// UserDraft is what a user begins with.
type UserDraft struct {
	FirstName string   `json:"firstName"`
	LastName  string   `json:"lastName"`
	Email     string   `json:"email"`
	Role      UserRole `json:"role"`
}

// Users returns a page of a tenant's users, in the order of their names as far
// as the page goes.
func (s *Service) Users(ctx context.Context, tenant string, opts store.ListOptions) ([]UserView, string, error) {
	t, err := s.tenants.Get(ctx, tenant)
	if err != nil {
		return nil, "", err
	}
	key, err := s.key(ctx, t)
	if err != nil {
		return nil, "", err
	}
	opts.Owner = tenant
	items, next, err := s.users.List(ctx, opts)
	if err != nil {
		return nil, "", err
	}
	views := make([]UserView, 0, len(items))
	for _, item := range items {
		v, err := s.view(key, tenant, item)
		if err != nil {
			return nil, "", err
		}
		views = append(views, v)
	}
	slices.SortFunc(views, func(a, b UserView) int {
		return cmp.Or(cmp.Compare(a.Person.LastName, b.Person.LastName), cmp.Compare(a.Person.FirstName, b.Person.FirstName), cmp.Compare(a.Name, b.Name))
	})
	return views, next, nil
}

// Invite adds a user to an active tenant and returns the name of the user and
// the secret of the link with which a password is set.
func (s *Service) Invite(ctx context.Context, tenant string, d UserDraft) (name, secret string, err error) {
	person, err := d.check()
	if err != nil {
		return "", "", err
	}
	t, err := s.active(ctx, tenant)
	if err != nil {
		return "", "", err
	}
	if err := s.room(ctx, t, 1); err != nil {
		return "", "", err
	}
	item, err := s.addUser(ctx, t, person, User{Role: d.Role})
	if errors.Is(err, store.ErrExists) {
		return "", "", form.Fail("email", "there is a user with this address already")
	}
	if err != nil {
		return "", "", err
	}
	// Others may have been invited at the same time: who comes too late goes.
	if err := s.room(ctx, t, 0); err != nil {
		return "", "", errors.Join(err, audit.Delete(ctx, s.log, s.users, item, "tenant.user.delete"))
	}
	secret, err = s.auth.NewLink(ctx, Owner(tenant), auth.Link{Tenant: tenant, Subject: item.Name})
	return item.Name, secret, err
}

func (d UserDraft) check() (Person, error) {
	var p form.Problems
	person := Person{FirstName: text(&p, "firstName", d.FirstName, true), LastName: text(&p, "lastName", d.LastName, true), Email: Email(&p, "email", d.Email)}
	checkRole(&p, d.Role)
	return person, p.Err()
}

func checkRole(p *form.Problems, role UserRole) {
	if !slices.Contains(UserRoles(), role) {
		p.Add("role", "choose a role")
	}
}

// active returns a tenant whose people may be in.
func (s *Service) active(ctx context.Context, tenant string) (store.Item[Tenant], error) {
	t, err := s.tenants.Get(ctx, tenant)
	if err == nil && t.Value.State != Active {
		err = form.Fail("", "tenant %s is %s: activate it first", tenant, t.Value.State)
	}
	return t, err
}

// room fails when a tenant may not have more users than it has.
func (s *Service) room(ctx context.Context, t store.Item[Tenant], more int) error {
	limit := t.Value.Limits.Users
	if limit == 0 {
		return nil
	}
	n := more
	for _, err := range s.users.All(ctx, t.Name) {
		if err != nil {
			return err
		}
		n++
	}
	if n > limit {
		return form.Fail("", "the tenant may have %d users and has them: delete one, or ask who runs the platform for more", limit)
	}
	return nil
}

// SetRole changes what a user may do within the tenant.
func (s *Service) SetRole(ctx context.Context, id auth.Identity, tenant, name string, role UserRole) error {
	var p form.Problems
	if checkRole(&p, role); len(p) > 0 {
		return p.Err()
	}
	if role != Administrator {
		if err := s.keep(ctx, id, tenant, name); err != nil {
			return err
		}
	}
	return s.manage(ctx, tenant, name, "tenant.user.role", func(u *User) { u.Role = role })
}

// DisableUser keeps a user and lets nobody in as them.
func (s *Service) DisableUser(ctx context.Context, id auth.Identity, tenant, name string) error {
	if err := s.keep(ctx, id, tenant, name); err != nil {
		return err
	}
	if err := s.manage(ctx, tenant, name, "tenant.user.disable", func(u *User) { u.Disabled = true }); err != nil {
		return err
	}
	return s.auth.Expel(ctx, Owner(tenant), name)
}

// EnableUser lets a user in again, and ends a lock.
func (s *Service) EnableUser(ctx context.Context, tenant, name string) error {
	return s.manage(ctx, tenant, name, "tenant.user.enable", func(u *User) { u.Disabled, u.Lock = false, auth.Lock{} })
}

// ResetUser returns the secret of a link with which a user sets a new password,
// and ends the user's sessions. The old password is good until then.
func (s *Service) ResetUser(ctx context.Context, id auth.Identity, tenant, name string) (secret string, err error) {
	if name == id.Account {
		return "", form.Fail("", "change your own password on the page of your account")
	}
	if _, err := s.active(ctx, tenant); err != nil {
		return "", err
	}
	_, u, key, err := s.user(ctx, tenant, name)
	if err != nil {
		return "", err
	}
	if u.Value.Disabled {
		return "", form.Fail("", "enable the user first")
	}
	before, err := opened[auth.Credential](key, u.Value.Credential, place(tenant, name, "credential"))
	if err != nil {
		return "", err
	}
	e := audit.Event{Action: "tenant.user.reset", Object: UserKind + "/" + name}
	err = s.log.Do(ctx, e, func() error {
		if err := s.auth.Expel(ctx, Owner(tenant), name); err != nil {
			return err
		}
		secret, err = s.auth.NewLink(ctx, Owner(tenant), auth.Link{Tenant: tenant, Subject: name, Reset: before.Hash != ""})
		return err
	})
	return secret, err
}

// DeleteUser removes a user with sessions and links.
func (s *Service) DeleteUser(ctx context.Context, id auth.Identity, tenant, name string) error {
	if err := s.keep(ctx, id, tenant, name); err != nil {
		return err
	}
	_, u, _, err := s.user(ctx, tenant, name)
	if err != nil {
		return err
	}
	if err := audit.Delete(ctx, s.log, s.users, u, "tenant.user.delete"); err != nil {
		return err
	}
	return s.auth.Expel(ctx, Owner(tenant), name)
}

// manage changes a user of a tenant. A name of another tenant's is not found.
func (s *Service) manage(ctx context.Context, tenant, name, action string, change func(*User)) error {
	if _, _, _, err := s.user(ctx, tenant, name); err != nil {
		return err
	}
	_, err := audit.Modify(ctx, s.log, s.users, name, action, func(u *User) error {
		change(u)
		return nil
	})
	return err
}

// keep fails for a user who must stay an administrator: oneself, and the last
// one.
func (s *Service) keep(ctx context.Context, id auth.Identity, tenant, name string) error {
	if name == id.Account {
		return form.Fail("", "you cannot shut yourself out: ask another administrator")
	}
	for item, err := range s.users.All(ctx, tenant) {
		if err != nil {
			return err
		}
		if u := item.Value; item.Name != name && u.Role == Administrator && !u.Disabled {
			return nil
		}
	}
	_, u, _, err := s.user(ctx, tenant, name)
	if err == nil && u.Value.Role == Administrator && !u.Value.Disabled {
		return fmt.Errorf("user of tenant %s: %w", tenant, form.Fail("", "this is the tenant's last administrator: make another one first"))
	}
	return err
}

// Admit returns the identity of a session of a tenant's user with what the user
// may do, and who that is. The tenant and the user are looked at each time: one
// that is disabled is out at once, and so is a session that began with another
// password than the user has.
func (s *Service) Admit(ctx context.Context, id auth.Identity) (auth.Identity, Visit, error) {
	t, item, key, err := s.user(ctx, id.Tenant, id.Account)
	if errors.Is(err, store.ErrNotFound) || err == nil && (t.Value.State != Active || item.Value.Disabled) {
		return auth.Identity{}, Visit{}, auth.ErrNoSession
	}
	if err != nil {
		return auth.Identity{}, Visit{}, err
	}
	u, credential, err := s.unsealed(key, t.Name, item)
	if err != nil {
		return auth.Identity{}, Visit{}, err
	}
	if !id.Of(credential) {
		return auth.Identity{}, Visit{}, auth.ErrNoSession
	}
	id.Permissions = []auth.Permission{}
	if u.Role == Administrator {
		id.Permissions = []auth.Permission{ManageUsers}
	}
	return id, Visit{Tenant: t, User: u}, nil
}

// Forgotten makes a link for the user of an e-mail address who forgot the
// password. Its secret is empty for nobody: where there is no such tenant or
// user, one of them is disabled, no password was ever set, or enough links were
// asked for.
func (s *Service) Forgotten(ctx context.Context, tenant, email string) (u UserView, secret string, err error) {
	item, c, err := s.find(ctx, tenant, email)
	if err != nil || item.Version == "" || item.Value.Disabled || c.Hash == "" {
		return u, "", err
	}
	if u, err = s.User(ctx, tenant, item.Name); err != nil {
		return u, "", err
	}
	secret, err = s.auth.AskedLink(ctx, Owner(tenant), auth.Link{Tenant: tenant, Subject: item.Name})
	return u, secret, err
}

// Visit is a user of a tenant who is logged in.
type Visit struct {
	Tenant store.Item[Tenant]
	User   UserView
}

// ChangePassword sets a new password of the user of an identity, ends all
// sessions of the user and opens a new one.
func (s *Service) ChangePassword(ctx context.Context, id auth.Identity, current, password string, c auth.Client) (auth.Login, error) {
	_, u, key, err := s.user(ctx, id.Tenant, id.Account)
	if err != nil {
		return auth.Login{}, err
	}
	at := place(id.Tenant, u.Name, "credential")
	old, err := opened[auth.Credential](key, u.Value.Credential, at)
	if err != nil {
		return auth.Login{}, err
	}
	ok, err := s.auth.Verify(ctx, old, current)
	if err != nil {
		return auth.Login{}, err
	}
	if !ok || u.Value.Lock.Locked(s.opts.Now()) {
		return auth.Login{}, errors.Join(form.Fail("current", "this is not the current password"), s.failed(ctx, u.Name))
	}
	renewed, err := s.auth.Renewed(ctx, old, "", password)
	if err != nil {
		return auth.Login{}, err
	}
	text, err := sealed(key, renewed, at)
	if err != nil {
		return auth.Login{}, err
	}
	_, err = audit.Modify(ctx, s.log, s.users, u.Name, "tenant.user.password", func(now *User) error {
		if now.Credential != u.Value.Credential {
			return store.ErrConflict // changed in between by somebody who knew it as well
		}
		now.Credential, now.Lock = text, auth.Lock{}
		return nil
	})
	if err != nil {
		return auth.Login{}, err
	}
	if err := s.auth.Expel(context.WithoutCancel(ctx), Owner(id.Tenant), u.Name); err != nil {
		return auth.Login{}, err
	}
	return s.enter(ctx, id.Tenant, u.Name, renewed, c)
}
