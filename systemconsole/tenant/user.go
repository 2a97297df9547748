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
	Disabled   bool      `json:"disabled,omitempty"`
	Person     string    `json:"person"`     // Person, sealed
	Credential string    `json:"credential"` // auth.Credential, sealed
	Lock       auth.Lock `json:"lock"`
	Created    time.Time `json:"created"`
	LastLogin  time.Time `json:"lastLogin,omitzero"`
}

// Audit returns what may be recorded of a user: nothing of the person.
func (u User) Audit() any {
	return struct {
		Role            UserRole
		First, Disabled bool
	}{u.Role, u.First, u.Disabled}
}

// Person is who a user is.
type Person struct {
	FirstName string `json:"firstName"`
	LastName  string `json:"lastName"`
	Email     string `json:"email"`
}

// UserView is a user, unsealed.
type UserView struct {
	Name     string
	Tenant   string
	Role     UserRole
	Person   Person
	Disabled bool
	Locked   bool // too many wrong passwords; it passes
	Invited  bool // has set no password yet

	Created, LastLogin time.Time
}

// userName returns the name of the object of a user.
func userName(key *seal.Key, tenant, email string) string {
	return tenant + "." + key.Index(email, tenant, "email")
}

// place is where a field of a user is sealed for.
func place(tenant, user, field string) []string { return []string{tenant, UserKind, user, field} }

func (s *Service) addUser(ctx context.Context, t store.Item[Tenant], p Person, u User) (store.Item[User], error) {
	item := store.Item[User]{Owner: t.Name}
	key, err := s.key(ctx, t)
	if err != nil {
		return item, err
	}
	item.Name, u.Created = userName(key, t.Name, p.Email), s.opts.Now().UTC()
	if u.Person, err = sealed(key, p, place(t.Name, item.Name, "person")); err != nil {
		return item, err
	}
	if u.Credential, err = sealed(key, auth.Credential{}, place(t.Name, item.Name, "credential")); err != nil {
		return item, err
	}
	item.Value = u
	item.Version, err = audit.Create(ctx, s.log, s.users, item, "tenant.user.create")
	return item, err
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

// firstAdministrator returns the name of the user whom the tenant was created
// with; once that one is gone or disabled, of the administrator who has been
// there longest.
func (s *Service) firstAdministrator(ctx context.Context, tenant string) (string, error) {
	var found store.Item[User]
	for item, err := range s.users.All(ctx, tenant) {
		if err != nil {
			return "", err
		}
		u := item.Value
		if u.Role != Administrator || u.Disabled {
			continue
		}
		if found.Name == "" || u.First || !found.Value.First && u.Created.Before(found.Value.Created) {
			found = item
		}
	}
	if found.Name != "" {
		return found.Name, nil
	}
	return "", fmt.Errorf("the first administrator of tenant %s: %w", tenant, store.ErrNotFound)
}

// FirstAdministrator returns who administers a tenant first, for showing it.
func (s *Service) FirstAdministrator(ctx context.Context, t store.Item[Tenant]) (UserView, error) {
	var first *store.Item[User]
	err := s.users.Select(ctx, t.Name, func(item *store.Item[User]) {
		if u := item.Value; u.First && u.Role == Administrator && !u.Disabled {
			first = item
		}
	})
	if err != nil {
		return UserView{}, err
	}
	if first == nil { // gone or disabled, or another server has just made it
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
	return s.view(key, t.Name, *first)
}

// User returns a user of a tenant. A name of another tenant's is not found.
func (s *Service) User(ctx context.Context, tenant, name string) (UserView, error) {
	_, u, key, err := s.user(ctx, tenant, name)
	if err != nil {
		return UserView{}, err
	}
	return s.view(key, tenant, u)
}

// view unseals a user, but for the password.
func (s *Service) view(key *seal.Key, tenant string, item store.Item[User]) (UserView, error) {
	v, _, err := s.unsealed(key, tenant, item)
	return v, err
}

// unsealed unseals a user and the password.
func (s *Service) unsealed(key *seal.Key, tenant string, item store.Item[User]) (UserView, auth.Credential, error) {
	u := item.Value
	v := UserView{Name: item.Name, Tenant: tenant, Role: u.Role, Disabled: u.Disabled, Locked: u.Lock.Locked(s.opts.Now()), Created: u.Created, LastLogin: u.LastLogin}
	var err error
	if v.Person, err = opened[Person](key, u.Person, place(tenant, item.Name, "person")); err != nil {
		return v, auth.Credential{}, err
	}
	c, err := opened[auth.Credential](key, u.Credential, place(tenant, item.Name, "credential"))
	v.Invited = c.Hash == ""
	return v, c, err
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
	if errors.Is(err, store.ErrNotFound) || err == nil && (t.Value.State != Active || u.Value.Disabled) {
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
	if err != nil {
		return "", err
	}
	return t.Name, s.auth.Expel(context.WithoutCancel(ctx), Owner(t.Name), u.Name)
}

// Login checks a user's e-mail address and password and opens a session: one of
// the tenant's pages, or, when the password has expired, one for setting another.
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
	if !ok || u.Value.Disabled || u.Value.Lock.Locked(s.opts.Now()) {
		return auth.Login{}, errors.Join(auth.ErrLogin, s.failed(ctx, u.Name))
	}
	if s.auth.Expired(ctx, credential, u.Value.Created) {
		return s.open(ctx, auth.Session{Account: u.Name, Tenant: tenant, Purpose: auth.TenantPassword, Proof: credential.Proof()}, c)
	}
	return s.enter(ctx, tenant, u.Name, credential, c)
}

// failed counts a failure, and records it when it locks the user out.
func (s *Service) failed(ctx context.Context, name string) error {
	locked, policy := false, s.auth.Policy(ctx)
	_, err := s.users.Modify(ctx, name, func(u *User) error {
		now := s.opts.Now()
		before := u.Lock.Locked(now)
		u.Lock = u.Lock.Failed(now, policy)
		locked = !before && u.Lock.Locked(now)
		return nil
	})
	if err == nil && locked {
		_, err = s.log.Append(ctx, audit.Event{Action: "tenant.user.lock", Object: UserKind + "/" + name})
	}
	return err
}

// enter opens a session of the tenant's pages for a user whose password was
// checked: that of the credential.
func (s *Service) enter(ctx context.Context, tenant, name string, checked auth.Credential, c auth.Client) (auth.Login, error) {
	_, err := s.users.Modify(ctx, name, func(u *User) error {
		u.Lock, u.LastLogin = auth.Lock{}, s.opts.Now().UTC()
		return nil
	})
	if err != nil {
		return auth.Login{}, err
	}
	ctx = audit.WithActor(ctx, audit.Actor{Name: name, Via: "page", Source: c.Source})
	if _, err := s.log.Append(ctx, audit.Event{Action: "tenant.user.login", Object: UserKind + "/" + name}); err != nil {
		return auth.Login{}, err
	}
	return s.open(ctx, auth.Session{Account: name, Tenant: tenant, Purpose: auth.TenantUser, Proof: checked.Proof()}, c)
}

func (s *Service) open(ctx context.Context, v auth.Session, c auth.Client) (auth.Login, error) {
	l := auth.Login{Account: v.Account, Purpose: v.Purpose}
	var err error
	l.Secret, l.Expires, err = s.auth.OpenSession(ctx, Owner(v.Tenant), v, c)
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
