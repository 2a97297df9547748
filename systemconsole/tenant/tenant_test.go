package tenant_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
	"github.com/sealift/sealift/systemconsole/tenant"
)

const password = "Correct-Horse-7-Battery"

// fixture is a service with what stands below it.
type fixture struct {
	*tenant.Service
	store store.Store
	auth  *auth.Service
	now   time.Time
}

func open(t *testing.T, p tenant.Provisioner) *fixture {
	t.Helper()
	return openOn(t, func(s store.Store) store.Store { return s }, p)
}

// openOn opens a service on what of makes of a store.
func openOn(t *testing.T, of func(store.Store) store.Store, p tenant.Provisioner) *fixture {
	t.Helper()
	file, err := bolt.Open(filepath.Join(t.TempDir(), "objects.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	s := of(file)
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	f := &fixture{store: s, now: time.Now()}
	now := func() time.Time { return f.now }
	log := audit.New(s, audit.Options{Now: now})
	f.auth = auth.New(s, log, auth.Options{Now: now, FailureTime: time.Millisecond})
	f.Service = tenant.New(s, log, f.auth, tenant.Options{Keeper: keeper, Provisioner: p, Now: now})
	return f
}

// active returns a tenant whose first administrator has a password.
func (f *fixture) first(t *testing.T, name string) tenant.UserView {
	t.Helper()
	item, err := f.Get(t.Context(), name)
	require.NoError(t, err)
	user, err := f.FirstAdministrator(t.Context(), item)
	require.NoError(t, err)
	return user
}

func (f *fixture) active(t *testing.T, organization, email string) string {
	t.Helper()
	item, err := f.Create(t.Context(), tenant.Draft{Organization: organization, FirstName: "Ada", LastName: "Lovelace", Email: email})
	require.NoError(t, err)
	secret, err := f.Activate(t.Context(), item.Name)
	require.NoError(t, err)
	name, err := f.SetPassword(t.Context(), secret, password)
	require.NoError(t, err)
	require.Equal(t, item.Name, name)
	return item.Name
}

// identify returns the user of a session's identity.
func identify(ctx context.Context, f *fixture, id auth.Identity) (tenant.UserView, error) {
	_, v, err := f.Admit(ctx, id)
	return v.User, err
}

func TestFromCreationToLogin(t *testing.T) {
	f := open(t, nil)
	ctx := t.Context()
	item, err := f.Create(ctx, tenant.Draft{Organization: " Größe & Co. ", FirstName: "Ada", LastName: "Lovelace", Email: "Ada@Example.com"})
	require.NoError(t, err)
	require.Equal(t, "gr-e-co", item.Name)
	require.Equal(t, "Größe & Co.", item.Value.Organization)
	_, err = f.Login(ctx, item.Name, "ada@example.com", "", auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)

	first, err := f.Activate(ctx, item.Name)
	require.NoError(t, err)
	second, err := f.Activate(ctx, item.Name)
	require.NoError(t, err)
	_, err = f.SetPassword(ctx, first, password)
	require.ErrorIs(t, err, auth.ErrLink, "a new link ends the one before")
	_, err = f.SetPassword(ctx, second, "short")
	require.ErrorAs(t, err, &form.Problems{})
	_, err = f.SetPassword(ctx, second, password)
	require.NoError(t, err, "a refused password leaves the link as it is")
	_, err = f.SetPassword(ctx, second, password+"2")
	require.ErrorIs(t, err, auth.ErrLink, "single use")

	l, err := f.Login(ctx, item.Name, "ADA@example.com", password, auth.Client{})
	require.NoError(t, err)
	id, purpose, err := f.auth.Identify(ctx, l.Secret)
	require.NoError(t, err)
	require.Equal(t, auth.TenantUser, purpose)
	user, err := identify(ctx, f, id)
	require.NoError(t, err)
	require.Equal(t, tenant.Person{FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com"}, user.Person)

	require.NoError(t, f.Disable(ctx, item.Name))
	_, _, err = f.auth.Identify(ctx, l.Secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
	_, err = f.Login(ctx, item.Name, "ada@example.com", password, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)
	require.NoError(t, f.Enable(ctx, item.Name))
	_, err = f.Login(ctx, item.Name, "ada@example.com", password, auth.Client{})
	require.NoError(t, err)
}

func TestLinksExpire(t *testing.T) {
	f := open(t, nil)
	item, err := f.Create(t.Context(), tenant.Draft{Organization: "Acme", FirstName: "A", LastName: "B", Email: "a@example.com"})
	require.NoError(t, err)
	secret, err := f.Activate(t.Context(), item.Name)
	require.NoError(t, err)
	f.now = f.now.Add(auth.LinkLife)
	_, err = f.SetPassword(t.Context(), secret, password)
	require.ErrorIs(t, err, auth.ErrLink)
}

// What one tenant has opens nothing of another's, even for who can move things
// about in the store.
func TestTenantsAreApart(t *testing.T) {
	f := open(t, nil)
	ctx := t.Context()
	one, two := f.active(t, "One", "ada@example.com"), f.active(t, "Two", "eve@example.com")
	_, err := f.Login(ctx, two, "ada@example.com", password, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)

	l, err := f.Login(ctx, one, "ada@example.com", password, auth.Client{})
	require.NoError(t, err)
	id, _, err := f.auth.Identify(ctx, l.Secret)
	require.NoError(t, err)
	id.Tenant = two
	_, err = identify(ctx, f, id)
	require.ErrorIs(t, err, auth.ErrNoSession, "a session of one in the other")

	ada := f.first(t, one)
	_, err = f.User(ctx, two, ada.Name)
	require.ErrorIs(t, err, store.ErrNotFound)
	eve := f.first(t, two)

	users := store.Collection[tenant.User]{Store: f.store, Kind: tenant.UserKind}
	adas, err := users.Get(ctx, ada.Name)
	require.NoError(t, err)
	_, err = users.Modify(ctx, eve.Name, func(u *tenant.User) error {
		u.Person, u.Credential = adas.Value.Person, adas.Value.Credential
		return nil
	})
	require.NoError(t, err)
	_, err = f.User(ctx, two, eve.Name)
	require.ErrorIs(t, err, seal.ErrSealed, "values of one in the other")

	tenants := store.Collection[tenant.Tenant]{Store: f.store, Kind: tenant.Kind}
	first, err := tenants.Get(ctx, one)
	require.NoError(t, err)
	_, err = tenants.Modify(ctx, two, func(v *tenant.Tenant) error { v.Key = first.Value.Key; return nil })
	require.NoError(t, err)
	_, err = f.User(ctx, two, eve.Name)
	require.ErrorIs(t, err, seal.ErrSealed, "the key of one in the other")
}

func TestTheStoreShowsNobody(t *testing.T) {
	f := open(t, nil)
	f.active(t, "Acme", "ada@example.com")
	for _, kind := range []string{tenant.Kind, tenant.UserKind, auth.LinkKind, auth.SessionKind, audit.Kind} {
		page, err := f.store.List(t.Context(), kind, store.ListOptions{})
		require.NoError(t, err)
		for _, o := range page.Objects {
			for _, secret := range []string{"Lovelace", "ada@", "argon2"} {
				require.NotContains(t, o.Name+string(o.Data), secret)
			}
		}
	}
}

func TestBadDrafts(t *testing.T) {
	f := open(t, nil)
	_, err := f.Create(t.Context(), tenant.Draft{Organization: "a\nb", LastName: strings.Repeat("x", 101), Email: "Ada <a@example.com>"})
	p, ok := form.From(err)
	require.True(t, ok)
	for _, field := range []string{"organization", "firstName", "lastName", "email"} {
		require.NotEmpty(t, p.Of(field), field)
	}
	require.Error(t, f.SetLimits(t.Context(), "x", tenant.Limits{CPU: -1}))
	for organization, want := range map[string]string{"日本": "tenant", "3M": "tenant-3m", "a--b..c": "a-b-c", "Acme": "acme"} {
		item, err := f.Create(t.Context(), tenant.Draft{Organization: organization, FirstName: "A", LastName: "B", Email: "a@example.com"})
		require.NoError(t, err)
		require.Equal(t, want, item.Name)
	}
}

// broken is a cluster that removes nothing until it is mended.
type broken struct {
	mended  bool
	refuses bool // to make places
	places  map[string]tenant.Limits
}

func (b *broken) Exists(_ context.Context, name string) (bool, error) {
	_, there := b.places[name]
	return there, nil
}

func (b *broken) Apply(_ context.Context, name string, l tenant.Limits) error {
	if b.refuses {
		return errors.New("the cluster is away")
	}
	if b.places == nil {
		b.places = map[string]tenant.Limits{}
	}
	b.places[name] = l
	return nil
}

func (b *broken) Remove(_ context.Context, name string) ([]string, error) {
	if b.mended {
		delete(b.places, name)
		return []string{"Namespace tenant-" + name}, nil
	}
	return []string{"Role x"}, errors.New("the cluster is away")
}

func TestDelete(t *testing.T) {
	b := &broken{}
	f := open(t, b)
	ctx := t.Context()
	one, two := f.active(t, "One", "ada@example.com"), f.active(t, "Two", "ada@example.com")
	_, err := f.Delete(ctx, one, "", false)
	require.ErrorAs(t, err, &form.Problems{}, "it must be confirmed")
	_, err = f.Delete(ctx, one, one, false)
	require.ErrorContains(t, err, "the cluster is away")
	require.ErrorIs(t, err, tenant.ErrHeld)
	item, err := f.Get(ctx, one)
	require.NoError(t, err)
	require.Equal(t, tenant.Deleting, item.Value.State)
	_, err = f.Login(ctx, one, "ada@example.com", password, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)

	b.mended = true
	d, err := f.Delete(ctx, one, one, false)
	require.NoError(t, err)
	require.Empty(t, d.Left)
	require.Equal(t, "Namespace tenant-one", d.Removed[0])
	require.Equal(t, "Tenant one", d.Removed[len(d.Removed)-1])
	_, err = f.Get(ctx, one)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = f.Login(ctx, two, "ada@example.com", password, auth.Client{})
	require.NoError(t, err, "nothing of another's")

	b.mended = false
	d, err = f.Delete(ctx, two, two, true)
	require.NoError(t, err)
	require.Len(t, d.Left, 1)
	require.Contains(t, d.Left[0], "the cluster is away")
	require.Contains(t, d.Removed, "Tenant two")
	require.Equal(t, "two-2", f.active(t, "Two", "eve@example.com"), "nobody inherits what was left")
	require.Equal(t, "one", f.active(t, "One", "eve@example.com"), "nothing was left of that one")
}

// Limits that are set while a tenant is disabled hold when it is enabled.
func TestLimitsWhileDisabled(t *testing.T) {
	b := &broken{}
	f := open(t, b)
	ctx := t.Context()
	name := f.active(t, "Acme", "ada@example.com")
	require.NoError(t, f.SetLimits(ctx, name, tenant.Limits{CPU: 64}))
	require.NoError(t, f.Disable(ctx, name))
	require.NoError(t, f.SetLimits(ctx, name, tenant.Limits{CPU: 4}))
	b.refuses = true
	require.ErrorContains(t, f.Enable(ctx, name), "the cluster is away")
	item, err := f.Get(ctx, name)
	require.NoError(t, err)
	require.Equal(t, tenant.Disabled, item.Value.State, "nobody is let in with limits of before")
	b.refuses = false
	require.NoError(t, f.Enable(ctx, name))
	require.Equal(t, tenant.Limits{CPU: 4}, b.places[name])
	require.ErrorAs(t, f.Enable(ctx, name), &form.Problems{}, "it is active")
}

// meddled is a cluster that somebody changes limits during.
type meddled struct {
	broken
	meanwhile func()
}

func (m *meddled) Apply(ctx context.Context, name string, l tenant.Limits) error {
	if m.meanwhile != nil {
		m.meanwhile()
	}
	return m.broken.Apply(ctx, name, l)
}

// Limits that are set while a tenant is being enabled are not passed over.
func TestLimitsWhileEnabling(t *testing.T) {
	m := &meddled{}
	f := open(t, m)
	ctx := t.Context()
	name := f.active(t, "Acme", "ada@example.com")
	require.NoError(t, f.Disable(ctx, name))
	m.meanwhile = func() { require.NoError(t, f.SetLimits(ctx, name, tenant.Limits{CPU: 4})) }
	require.ErrorIs(t, f.Enable(ctx, name), store.ErrConflict)
	item, err := f.Get(ctx, name)
	require.NoError(t, err)
	require.Equal(t, tenant.Disabled, item.Value.State)
	m.meanwhile = nil
	require.NoError(t, f.Enable(ctx, name))
	require.Equal(t, tenant.Limits{CPU: 4}, m.places[name])
}

func TestLock(t *testing.T) {
	f := open(t, nil)
	name := f.active(t, "Acme", "ada@example.com")
	for range 5 {
		_, err := f.Login(t.Context(), name, "ada@example.com", "wrong", auth.Client{})
		require.ErrorIs(t, err, auth.ErrLogin)
	}
	_, err := f.Login(t.Context(), name, "ada@example.com", password, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)
	f.now = f.now.Add(15 * time.Minute)
	_, err = f.Login(t.Context(), name, "ada@example.com", password, auth.Client{})
	require.NoError(t, err)
}

// A link for a forgotten password is made for those who have one and may be in,
// and for nobody without end.
func TestForgotten(t *testing.T) {
	f := open(t, nil)
	ctx := t.Context()
	name := f.active(t, "Acme", "ada@example.com")
	invited, first, err := f.Invite(ctx, name, tenant.UserDraft{FirstName: "Grace", LastName: "Hopper", Email: "grace@example.com", Role: tenant.Member})
	require.NoError(t, err)
	none := func(tenant, email, why string) {
		t.Helper()
		_, secret, err := f.Forgotten(ctx, tenant, email)
		require.NoError(t, err)
		require.Empty(t, secret, why)
	}
	none(name, "grace@example.com", "no password was ever set: the invitation is what she needs")
	_, err = f.SetPassword(ctx, first, password)
	require.NoError(t, err)
	none(name, "nobody@example.com", "nobody")
	none(name, "no address", "no address")
	none("other", "ada@example.com", "no such tenant")

	var last string
	for range 3 {
		u, secret, err := f.Forgotten(ctx, name, " Ada@Example.com")
		require.NoError(t, err)
		require.NotEmpty(t, secret)
		require.Equal(t, "ada@example.com", u.Person.Email)
		last = secret
	}
	none(name, "ada@example.com", "three are enough")
	_, secret, err := f.Forgotten(ctx, name, "grace@example.com")
	require.NoError(t, err)
	require.NotEmpty(t, secret, "those of somebody else do not count")
	_, err = f.SetPassword(ctx, last, password+"2")
	require.NoError(t, err)
	_, err = f.Login(ctx, name, "ada@example.com", password, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)
	_, secret, err = f.Forgotten(ctx, name, "ada@example.com")
	require.NoError(t, err)
	require.NotEmpty(t, secret, "a new password ends the links before")

	require.NoError(t, f.DisableUser(ctx, auth.Identity{}, name, invited))
	none(name, "grace@example.com", "disabled")
	require.NoError(t, f.Disable(ctx, name))
	none(name, "ada@example.com", "the tenant is disabled")
}

// attended is a store that answers nobody who has stopped waiting, as one in a
// cluster does.
type attended struct{ store.Store }

func (s attended) Get(ctx context.Context, kind, name string) (store.Object, error) {
	if err := ctx.Err(); err != nil {
		return store.Object{}, err
	}
	return s.Store.Get(ctx, kind, name)
}

func (s attended) List(ctx context.Context, kind string, opts store.ListOptions) (store.Page, error) {
	if err := ctx.Err(); err != nil {
		return store.Page{}, err
	}
	return s.Store.List(ctx, kind, opts)
}

func (s attended) Delete(ctx context.Context, kind, name, version string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Store.Delete(ctx, kind, name, version)
}

// left is a cluster from whose removals clients walk away.
type left struct {
	broken
	leave context.CancelFunc
}

func (l *left) Remove(ctx context.Context, name string) ([]string, error) {
	l.leave()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return l.broken.Remove(ctx, name)
}

// A deletion that has begun goes on when nobody waits for it any more.
func TestADeletionOutlivesItsRequest(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	f := openOn(t, func(s store.Store) store.Store { return attended{s} }, &left{leave: leave})
	name := f.active(t, "Acme", "ada@example.com")
	d, err := f.Delete(ctx, name, name, true)
	require.NoError(t, err)
	require.ErrorIs(t, ctx.Err(), context.Canceled)
	require.Len(t, d.Left, 1)
	require.Contains(t, d.Left[0], "the cluster is away")
	_, err = f.Get(t.Context(), name)
	require.ErrorIs(t, err, store.ErrNotFound)
	page, err := f.store.List(t.Context(), tenant.UserKind, store.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, page.Objects)
}

// dying is a store whose console dies before it ends a session.
type dying struct{ store.Store }

func (s dying) Update(ctx context.Context, o store.Object) (string, error) {
	if o.Kind == auth.SessionKind {
		return "", errors.New("killed")
	}
	return s.Store.Update(ctx, o)
}

// A new password ends the sessions of the old one, whatever becomes of the
// console that set it.
func TestANewPasswordEndsSessionsByItself(t *testing.T) {
	f := openOn(t, func(s store.Store) store.Store { return dying{s} }, nil)
	ctx := t.Context()
	name := f.active(t, "Acme", "ada@example.com")
	enter := func(password string) auth.Identity {
		l, err := f.Login(ctx, name, "ada@example.com", password, auth.Client{})
		require.NoError(t, err)
		id, _, err := f.auth.Identify(ctx, l.Secret)
		require.NoError(t, err)
		return id
	}
	stolen, own := enter(password), enter(password)
	_, err := identify(ctx, f, stolen)
	require.NoError(t, err)
	_, err = f.ChangePassword(ctx, own, password, password+"2", auth.Client{})
	require.ErrorContains(t, err, "killed")
	for _, id := range []auth.Identity{stolen, own} {
		_, err = identify(ctx, f, id)
		require.ErrorIs(t, err, auth.ErrNoSession)
	}
	_, err = identify(ctx, f, enter(password+"2"))
	require.NoError(t, err)
}
