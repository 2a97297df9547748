package auth_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/store"
)

const newPassword = "Another-Horse-8-Battery"

// hooked is a store that does something else before it writes.
type hooked struct {
	store.Store
	update func(store.Object) error
	create func(store.Object)
}

func (h *hooked) Update(ctx context.Context, o store.Object) (string, error) {
	if h.update != nil {
		if err := h.update(o); err != nil {
			return "", err
		}
	}
	return h.Store.Update(ctx, o)
}

func (h *hooked) Create(ctx context.Context, o store.Object) (string, error) {
	if h.create != nil {
		h.create(o)
	}
	return h.Store.Create(ctx, o)
}

// another is a second console on a store.
func another(s store.Store) *auth.Service {
	return auth.New(s, audit.New(s, audit.Options{}), auth.Options{FailureTime: time.Millisecond})
}

// dying is a console that dies before it ends a session.
func dying(s store.Store) *auth.Service {
	return another(&hooked{Store: s, update: func(o store.Object) error {
		if o.Kind == auth.SessionKind {
			return errors.New("killed")
		}
		return nil
	}})
}

// A console that dies when a new password is written has ended the sessions of
// the old one.
func TestANewPasswordEndsSessionsByItself(t *testing.T) {
	f := open(t)
	stolen := f.login(t, "admin", password)
	_, err := dying(f.store).ChangePassword(t.Context(), f.root, password, newPassword, auth.Client{})
	require.ErrorContains(t, err, "killed")
	_, _, err = f.Identify(t.Context(), stolen.Secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
	_, purpose, err := f.Identify(t.Context(), f.login(t, "admin", newPassword).Secret)
	require.NoError(t, err)
	require.Equal(t, auth.Full, purpose)
}

// A login with the old password that is under way opens no session of use.
func TestALoginRacesWithANewPassword(t *testing.T) {
	f := open(t)
	h := &hooked{Store: f.store}
	h.create = func(o store.Object) {
		if o.Kind != auth.SessionKind {
			return
		}
		h.create = nil
		_, err := f.ChangePassword(t.Context(), f.root, password, newPassword, auth.Client{})
		require.NoError(t, err)
	}
	l, err := another(h).Login(t.Context(), "admin", password, auth.Client{})
	require.NoError(t, err)
	_, _, err = f.Identify(t.Context(), l.Secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
}

// Sessions of before it was noted which password they began with go on, until
// there is another.
func TestSessionsOfBefore(t *testing.T) {
	f := open(t)
	secret, _, err := f.OpenSession(t.Context(), auth.AccountOwner("admin"), auth.Session{Account: "admin", Purpose: auth.Full}, auth.Client{})
	require.NoError(t, err)
	_, _, err = f.Identify(t.Context(), secret)
	require.NoError(t, err)
	f.now = f.now.Add(time.Second)
	_, err = dying(f.store).ChangePassword(t.Context(), f.root, password, newPassword, auth.Client{})
	require.ErrorContains(t, err, "killed")
	_, _, err = f.Identify(t.Context(), secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
}

// Who goes away while the password is changed leaves no link behind that would
// set another.
func TestANewPasswordEndsLinksForWhoIsGone(t *testing.T) {
	f := open(t)
	f.account(t, "ada", auth.Operations)
	first, err := f.ResetAccount(t.Context(), f.root, "ada", false)
	require.NoError(t, err)
	asked, err := f.AskedLink(t.Context(), auth.AccountOwner("ada"), auth.Link{Subject: "ada"})
	require.NoError(t, err)
	ctx, leave := context.WithCancel(t.Context())
	h := &hooked{Store: f.store, update: func(store.Object) error { leave(); return nil }}
	err = another(attended{h}).SetPassword(ctx, first, newPassword)
	require.NoError(t, err)
	_, err = f.Link(t.Context(), asked)
	require.ErrorIs(t, err, auth.ErrLink)
}

// attended is a store that lists nothing for who has stopped waiting, as one in
// a cluster does.
type attended struct{ store.Store }

func (s attended) List(ctx context.Context, kind string, opts store.ListOptions) (store.Page, error) {
	if err := ctx.Err(); err != nil {
		return store.Page{}, err
	}
	return s.Store.List(ctx, kind, opts)
}
