package tenant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
)

// UserRole is what a user may do within the tenant.
type UserRole string

// The roles of users.
const (
	Administrator UserRole = "administrator"
	Member        UserRole = "member"
)

// User is somebody of a tenant. Its object is named after the tenant and an
// index of the e-mail address, which only the tenant's key can make; its owner
// is the tenant.
type User struct {
	Role       UserRole  `json:"role"`
	First      bool      `json:"first,omitempty"` // the administrator whom the tenant was created with
	Person     string    `json:"person"`          // Person, sealed
	Credential string    `json:"credential"`      // auth.Credential, sealed
	Lock       auth.Lock `json:"lock"`
	Created    time.Time `json:"created"`
	LastLogin  time.Time `json:"lastLogin,omitzero"`
}

// Audit returns what may be recorded of a user: nothing of the person.
func (u User) Audit() any {
	return struct {
		Role  UserRole
		First bool
	}{u.Role, u.First}
}

// Person is who a user is.
type Person struct {
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	Email     string `json:"email"`
}

// UserView is a user, unsealed.
type UserView struct {
	Name   string
	Tenant string
	Role   UserRole
	Person Person
}

// userName returns the name of the object of a user.
func userName(key *seal.Key, tenant, email string) string {
	return tenant + "." + key.Index(email, tenant, "email")
}

// place is where a field of a user is sealed for.
func place(tenant, user, field string) []string { return []string{tenant, UserKind, user, field} }

func (s *Service) addUser(ctx context.Context, t store.Item[Tenant], p Person, role UserRole) error {
	key, err := s.key(ctx, t)
	if err != nil {
		return err
	}
	name := userName(key, t.Name, p.Email)
	u := User{Role: role, First: role == Administrator, Created: s.opts.Now().UTC()}
	if u.Person, err = sealed(key, p, place(t.Name, name, "person")); err != nil {
		return err
	}
	if u.Credential, err = sealed(key, auth.Credential{}, place(t.Name, name, "credential")); err != nil {
		return err
	}
	_, err = audit.Create(ctx, s.log, s.users, store.Item[User]{Name: name, Owner: t.Name, Value: u}, "tenant.user.create")
	return err
}

func sealed(key *seal.Key, v any, place []string) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return key.Seal(data, place...), nil
}

func opened[T any](key *seal.Key, text string, place []string) (T, error) {
	var v T
	data, err := key.Open(text, place...)
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		return v, fmt.Errorf("opening %s of %s: %w", place[3], place[2], err)
	}
	return v, nil
}

// firstAdministrator returns the name of the user whom the tenant was created with.
func (s *Service) firstAdministrator(ctx context.Context, tenant string) (string, error) {
	for item, err := range s.users.All(ctx, tenant) {
		if err != nil {
			return "", err
		}
		if item.Value.First {
			return item.Name, nil
		}
	}
	return "", fmt.Errorf("the first administrator of tenant %s: %w", tenant, store.ErrNotFound)
}

// FirstAdministrator returns who administers a tenant first, for showing it.
func (s *Service) FirstAdministrator(ctx context.Context, t store.Item[Tenant]) (UserView, error) {
	var first *store.Item[User]
	err := s.users.Select(ctx, t.Name, func(item *store.Item[User]) {
		if item.Value.First {
			first = item
		}
	})
	if err != nil {
		return UserView{}, err
	}
	if first == nil { // or another server has just made it
		name, err := s.firstAdministrator(ctx, t.Name)
		if err != nil {
			return UserView{}, err
		}
		return s.User(ctx, t.Name, name)
	}
	key, err := s.key(ctx, t)
	if err != nil {
		return UserView{}, err
	}
	return viewOf(t.Name, *first, key)
}

// User returns a user of a tenant. A name of another tenant's is not found.
func (s *Service) User(ctx context.Context, tenant, name string) (UserView, error) {
	t, u, key, err := s.user(ctx, tenant, name)
	if err != nil {
		return UserView{}, err
	}
	return viewOf(t.Name, u, key)
}

func viewOf(tenant string, u store.Item[User], key *seal.Key) (UserView, error) {
	p, err := opened[Person](key, u.Value.Person, place(tenant, u.Name, "person"))
	return UserView{Name: u.Name, Tenant: tenant, Role: u.Value.Role, Person: p}, err
}

func (s *Service) user(ctx context.Context, tenant, name string) (store.Item[Tenant], store.Item[User], *seal.Key, error) {
	var u store.Item[User]
	t, err := s.tenants.Get(ctx, tenant)
	if err != nil {
		return t, u, nil, err
	}
	if u, err = s.users.Get(ctx, name); err != nil {
		return t, u, nil, err
	}
	if u.Owner != tenant {
		return t, u, nil, fmt.Errorf("user of tenant %s: %w", tenant, store.ErrNotFound)
	}
	key, err := s.key(ctx, t)
	return t, u, key, err
}

// SetPassword uses up a link and sets the first password of a user, or a new
// one. A password that the policy refuses leaves the link as it is.
func (s *Service) SetPassword(ctx context.Context, secret, password string) (tenant string, err error) {
	link, err := s.auth.Link(ctx, secret)
	if err != nil {
		return "", err
	}
	v := link.Value
	t, u, key, err := s.user(ctx, v.Tenant, v.Subject)
	if errors.Is(err, store.ErrNotFound) || err == nil && t.Value.State != Active {
		return "", auth.ErrLink
	}
	if err != nil {
		return "", err
	}
	at := place(t.Name, u.Name, "credential")
	old, err := opened[auth.Credential](key, u.Value.Credential, at)
	if err != nil {
		return "", err
	}
	renewed, err := s.auth.Renewed(ctx, old, "", password)
	if err != nil {
		return "", err
	}
	text, err := sealed(key, renewed, at)
	if err != nil {
		return "", err
	}
	if err := s.auth.Use(ctx, link); err != nil {
		return "", err
	}
	ctx = audit.WithActor(ctx, audit.Actor{Name: u.Name, Via: "page", Source: audit.ActorOf(ctx).Source})
	_, err = audit.Modify(ctx, s.log, s.users, u.Name, "tenant.user.password", func(u *User) error {
		u.Credential, u.Lock = text, auth.Lock{}
		return nil
	})
	return t.Name, err
}

// Login checks a user's e-mail address and password and opens a session.
func (s *Service) Login(ctx context.Context, tenant, email, password string, c auth.Client) (auth.Login, error) {
	start := time.Now()
	l, err := s.login(ctx, tenant, email, password, c)
	if errors.Is(err, auth.ErrLogin) {
		s.auth.Delay(ctx, start)
	}
	return l, err
}

func (s *Service) login(ctx context.Context, tenant, email, password string, c auth.Client) (auth.Login, error) {
	u, credential, err := s.find(ctx, tenant, email)
	if err != nil {
		return auth.Login{}, err
	}
	ok, err := s.auth.Verify(ctx, credential, password)
	if err != nil {
		return auth.Login{}, err
	}
	if u.Version == "" {
		return auth.Login{}, auth.ErrLogin
	}
	if now := s.opts.Now(); !ok || u.Value.Lock.Locked(now) {
		_, err := s.users.Modify(ctx, u.Name, func(u *User) error {
			u.Lock = u.Lock.Failed(now, s.auth.Policy(ctx))
			return nil
		})
		return auth.Login{}, errors.Join(auth.ErrLogin, err)
	}
	_, err = s.users.Modify(ctx, u.Name, func(u *User) error {
		u.Lock, u.LastLogin = auth.Lock{}, s.opts.Now().UTC()
		return nil
	})
	if err != nil {
		return auth.Login{}, err
	}
	ctx = audit.WithActor(ctx, audit.Actor{Name: u.Name, Via: "page", Source: c.Source})
	if _, err := s.log.Append(ctx, audit.Event{Action: "tenant.user.login", Object: UserKind + "/" + u.Name}); err != nil {
		return auth.Login{}, err
	}
	l := auth.Login{Account: u.Name, Purpose: auth.TenantUser}
	l.Secret, l.Expires, err = s.auth.OpenSession(ctx, Owner(tenant), auth.Session{Account: u.Name, Tenant: tenant, Purpose: auth.TenantUser}, c)
	return l, err
}

// find returns the user of an address and the credential; both are empty when
// there is none, or the tenant is not active.
func (s *Service) find(ctx context.Context, tenant, email string) (u store.Item[User], c auth.Credential, err error) {
	var p form.Problems
	email = Email(&p, "", email)
	if len(p) > 0 || store.CheckName(tenant) != nil {
		return u, c, nil
	}
	t, err := s.tenants.Get(ctx, tenant)
	if errors.Is(err, store.ErrNotFound) || err == nil && t.Value.State != Active {
		return u, c, nil
	}
	if err != nil {
		return u, c, err
	}
	key, err := s.key(ctx, t)
	if err != nil {
		return u, c, err
	}
	u, err = s.users.Get(ctx, userName(key, tenant, email))
	if errors.Is(err, store.ErrNotFound) {
		return store.Item[User]{}, c, nil
	}
	if err != nil {
		return u, c, err
	}
	c, err = opened[auth.Credential](key, u.Value.Credential, place(tenant, u.Name, "credential"))
	return u, c, err
}

// Identify returns the user of a session's identity. The tenant is looked at
// each time: one that is disabled is out at once.
func (s *Service) Identify(ctx context.Context, id auth.Identity) (UserView, error) {
	t, err := s.tenants.Get(ctx, id.Tenant)
	if errors.Is(err, store.ErrNotFound) || err == nil && t.Value.State != Active {
		return UserView{}, auth.ErrNoSession
	}
	if err != nil {
		return UserView{}, err
	}
	m, err := s.User(ctx, id.Tenant, id.Account)
	if errors.Is(err, store.ErrNotFound) {
		return UserView{}, auth.ErrNoSession
	}
	return m, err
}
