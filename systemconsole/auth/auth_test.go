package auth_test

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/audit"
	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
	"github.com/sealift/sealift/systemconsole/seal"
	"github.com/sealift/sealift/systemconsole/store"
	"github.com/sealift/sealift/systemconsole/store/bolt"
)

const password = "Correct-Horse-7-Battery"

// fixture is a service with its first account, whose password is changed.
type fixture struct {
	*auth.Service
	store  store.Store
	now    time.Time
	root   auth.Identity
	policy auth.Policy
}

func open(t *testing.T) *fixture {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "objects.db"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	keeper, err := seal.Local(seal.NewSecret())
	require.NoError(t, err)
	f := &fixture{store: s, now: time.Now()}
	now := func() time.Time { return f.now }
	f.Service = auth.New(s, audit.New(s, audit.Options{Now: now}), auth.Options{Now: now, Keeper: keeper, FailureTime: time.Millisecond,
		Policy: func(context.Context) auth.Policy { return f.policy }})
	require.NoError(t, f.Bootstrap(t.Context()))
	first := f.login(t, auth.FirstAccount, auth.FirstAccount)
	require.Equal(t, auth.ChangePassword, first.Purpose)
	id, _, err := f.Identify(t.Context(), first.Secret)
	require.NoError(t, err)
	require.Empty(t, id.Permissions, "nothing before the password is changed")
	l, err := f.ChangePassword(t.Context(), id, auth.FirstAccount, password, auth.Client{})
	require.NoError(t, err)
	require.NotEqual(t, first.Secret, l.Secret, "a session of its own for each step")
	_, _, err = f.Identify(t.Context(), first.Secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
	f.root, _, err = f.Identify(t.Context(), l.Secret)
	require.NoError(t, err)
	return f
}

func (f *fixture) login(t *testing.T, name, password string) auth.Login {
	t.Helper()
	l, err := f.Login(t.Context(), name, password, auth.Client{Source: "192.0.2.1"})
	require.NoError(t, err)
	return l
}

// account makes an account with a password and returns who it is.
func (f *fixture) account(t *testing.T, name string, role auth.Role) auth.Identity {
	t.Helper()
	secret, err := f.CreateAccount(t.Context(), f.root, auth.Draft{Name: name, Role: role})
	require.NoError(t, err)
	require.NoError(t, f.SetPassword(t.Context(), secret, password))
	id, purpose, err := f.Identify(t.Context(), f.login(t, name, password).Secret)
	require.NoError(t, err)
	require.Equal(t, auth.Full, purpose)
	return id
}

func TestBootstrapOnce(t *testing.T) {
	f := open(t)
	require.NoError(t, f.Bootstrap(t.Context()))
	_, err := f.Login(t.Context(), auth.FirstAccount, auth.FirstAccount, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)
}

func TestPolicy(t *testing.T) {
	f := open(t)
	id := f.account(t, "ada", auth.Operations)
	for bad, why := range map[string]string{
		"Short-1":                     "14 characters",
		"correct-horse-7-battery":     "upper-case",
		"CORRECT-HORSE-7-BATTERY":     "lower-case",
		"Correct-Horse-x-Battery":     "digit",
		"CorrectHorse7Battery":        "special",
		"Adas-Correct-Horse-7":        "name of the account",
		strings.Repeat("Aa1-", 65):    "256",
		password:                      "last 5",
		"Correct-Horse-7-\xff-Batter": "256",
	} {
		_, err := f.ChangePassword(t.Context(), id, password, bad, auth.Client{})
		require.ErrorContains(t, err, why, "%q", bad)
	}
	current := password
	for _, next := range []string{"Another-Horse-1-x", "Another-Horse-2-x", "Another-Horse-3-x", "Another-Horse-4-x"} {
		l, err := f.ChangePassword(t.Context(), id, current, next, auth.Client{})
		require.NoError(t, err)
		id, _, err = f.Identify(t.Context(), l.Secret)
		require.NoError(t, err)
		current = next
	}
	_, err := f.ChangePassword(t.Context(), id, current, password, auth.Client{})
	require.ErrorContains(t, err, "last 5")
	l, err := f.ChangePassword(t.Context(), id, current, "Another-Horse-5-x", auth.Client{})
	require.NoError(t, err)
	id, _, err = f.Identify(t.Context(), l.Secret)
	require.NoError(t, err)
	_, err = f.ChangePassword(t.Context(), id, "Another-Horse-5-x", password, auth.Client{})
	require.NoError(t, err, "five others came in between")
}

func TestLock(t *testing.T) {
	f := open(t)
	id := f.account(t, "ada", auth.Operations)
	for range 5 {
		_, err := f.Login(t.Context(), "ada", "wrong", auth.Client{})
		require.ErrorIs(t, err, auth.ErrLogin)
	}
	_, err := f.Login(t.Context(), "ada", password, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin, "locked")
	_, err = f.ChangePassword(t.Context(), id, password, "Another-Horse-1-x", auth.Client{})
	require.Error(t, err, "locked here too")
	f.now = f.now.Add(15*time.Minute - time.Second)
	_, err = f.Login(t.Context(), "ada", password, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)
	f.now = f.now.Add(time.Second)
	f.login(t, "ada", password)
}

// An account that exists and one that does not have the same answer after the
// same time.
func TestNoEnumeration(t *testing.T) {
	f := open(t)
	f.account(t, "ada", auth.Operations)
	f.account(t, "off", auth.Operations)
	require.NoError(t, f.DisableAccount(t.Context(), f.root, "off"))
	slow := auth.New(f.store, audit.New(f.store, audit.Options{}), auth.Options{FailureTime: 500 * time.Millisecond})
	var answers []string
	for _, name := range []string{"ada", "nobody", "off", "not a name", ""} {
		start := time.Now()
		_, err := slow.Login(t.Context(), name, "wrong", auth.Client{})
		require.ErrorIs(t, err, auth.ErrLogin)
		answers = append(answers, err.Error())
		require.InDelta(t, 500, time.Since(start).Milliseconds(), 150, name)
	}
	for _, a := range answers {
		require.Equal(t, auth.ErrLogin.Error(), strings.TrimSpace(a))
	}
}

func TestManyTriesAtOnceAreBounded(t *testing.T) {
	f := open(t)
	var busy atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			_, err := f.Login(t.Context(), "nobody", "x", auth.Client{})
			if err != nil && strings.Contains(err.Error(), auth.ErrBusy.Error()) {
				busy.Add(1)
			}
		})
	}
	all.Wait()
	require.Positive(t, busy.Load())
	require.Less(t, busy.Load(), int32(100))
}

func TestSessionsEnd(t *testing.T) {
	f := open(t)
	id := f.account(t, "ada", auth.Operations)
	one, two := f.login(t, "ada", password), f.login(t, "ada", password)
	sessions, err := f.Sessions(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, sessions, 3)
	oneID, _, err := f.Identify(t.Context(), one.Secret)
	require.NoError(t, err)
	require.ErrorIs(t, f.RevokeSession(t.Context(), f.root, oneID.Session), store.ErrNotFound, "another's")
	require.NoError(t, f.RevokeSession(t.Context(), id, oneID.Session))
	_, _, err = f.Identify(t.Context(), one.Secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
	_, _, err = f.Identify(t.Context(), oneID.Session)
	require.ErrorIs(t, err, auth.ErrNoSession, "what is in the store opens nothing")
	f.now = f.now.Add(4 * time.Hour)
	_, _, err = f.Identify(t.Context(), two.Secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
	require.NoError(t, f.Sweep(t.Context()))
	page, err := f.store.List(t.Context(), auth.SessionKind, store.ListOptions{})
	require.NoError(t, err)
	require.Empty(t, page.Objects)
}

func TestSecondFactor(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	require.NoError(t, f.BeginFactor(ctx, f.root))
	setup, err := f.FactorSetup(ctx, f.root)
	require.NoError(t, err)
	require.Contains(t, string(setup.PNG[:8]), "PNG")
	code := func() string {
		f.now = f.now.Add(30 * time.Second) // none is good twice
		text, err := totp.GenerateCode(setup.Secret, f.now)
		require.NoError(t, err)
		return text
	}
	_, err = f.ConfirmFactor(ctx, f.root, "wrong", code())
	require.Error(t, err)
	_, err = f.ConfirmFactor(ctx, f.root, password, "000000")
	require.Error(t, err)
	require.Equal(t, auth.Full, f.login(t, "admin", password).Purpose, "not on before it is confirmed")
	recovery, err := f.ConfirmFactor(ctx, f.root, password, code())
	require.NoError(t, err)
	require.Len(t, recovery, 10)

	second := func() auth.Identity {
		l := f.login(t, "admin", password)
		require.Equal(t, auth.SecondFactor, l.Purpose)
		id, _, err := f.Identify(ctx, l.Secret)
		require.NoError(t, err)
		require.Empty(t, id.Permissions)
		return id
	}
	id, now := second(), code()
	l, err := f.SecondFactor(ctx, id, now, auth.Client{})
	require.NoError(t, err)
	require.Equal(t, auth.Full, l.Purpose)
	_, err = f.SecondFactor(ctx, second(), now, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin, "a code is good once")
	_, err = f.SecondFactor(ctx, second(), recovery[3], auth.Client{})
	require.NoError(t, err)
	_, err = f.SecondFactor(ctx, second(), recovery[3], auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)
	for range 5 {
		_, err = f.SecondFactor(ctx, id, "000000", auth.Client{})
		require.ErrorIs(t, err, auth.ErrLogin)
	}
	_, err = f.SecondFactor(ctx, id, code(), auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin, "locked")

	f.now = f.now.Add(time.Hour)
	require.NoError(t, f.RemoveFactor(ctx, f.root, password))
	require.Equal(t, auth.Full, f.login(t, "admin", password).Purpose)
}

func TestTokens(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	id := f.account(t, "ada", auth.Operations)
	text, item, err := f.CreateToken(ctx, id, auth.NewToken{Label: "ci", Scopes: []auth.Permission{auth.ReadTenants}, Days: 30})
	require.NoError(t, err)
	got, err := f.IdentifyToken(ctx, text)
	require.NoError(t, err)
	require.Equal(t, "ada", got.Account)
	require.True(t, got.May(auth.ReadTenants))
	require.False(t, got.May(auth.WriteTenants))
	_, _, err = f.CreateToken(ctx, got, auth.NewToken{Label: "x", Scopes: []auth.Permission{auth.WriteTenants}, Days: 1})
	require.ErrorContains(t, err, "do not have the permission", "a token makes none that can do more")
	_, _, err = f.CreateToken(ctx, id, auth.NewToken{Label: "", Days: 366})
	p, ok := form.From(err)
	require.True(t, ok)
	require.Len(t, p, 3)
	for _, bad := range []string{"", "sealift_", text[:len(text)-1], text + "x", item.Value.Hash, "sealift_" + item.Name + "_" + item.Value.Hash} {
		_, err = f.IdentifyToken(ctx, bad)
		require.ErrorIs(t, err, auth.ErrNoSession, bad)
	}
	require.NoError(t, f.UpdateAccount(ctx, f.root, auth.Draft{Name: "ada", Role: auth.AccountAdmin}))
	got, err = f.IdentifyToken(ctx, text)
	require.NoError(t, err)
	require.Empty(t, got.Permissions, "the role lost what the token had")
	f.now = f.now.AddDate(0, 0, 30)
	_, err = f.IdentifyToken(ctx, text)
	require.ErrorIs(t, err, auth.ErrNoSession)
	require.ErrorIs(t, f.RevokeToken(ctx, "admin", item.Name), store.ErrNotFound)
	require.NoError(t, f.RevokeToken(ctx, "ada", item.Name))
}

// A token that a token made ends with it: no token renews itself, or outlives
// that it was revoked.
func TestTokensOfTokens(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	scopes := []auth.Permission{auth.Self, auth.WriteTenants}
	add := func(id auth.Identity, days int) (auth.Identity, string, store.Item[auth.Token]) {
		text, item, err := f.CreateToken(ctx, id, auth.NewToken{Label: "ci", Days: days, Scopes: scopes})
		require.NoError(t, err)
		id, err = f.IdentifyToken(ctx, text)
		require.NoError(t, err)
		return id, text, item
	}
	parent, _, revoked := add(f.root, 2)
	f.now = f.now.AddDate(0, 0, 1)
	child, long, item := add(parent, 365)
	require.Equal(t, revoked.Value.Expires, item.Value.Expires, "no longer than the one that made it")
	_, _, item = add(f.root, 365)
	require.Equal(t, f.now.UTC().AddDate(0, 0, 365), item.Value.Expires)
	_, _, err := f.CreateToken(ctx, child, auth.NewToken{Label: "ci", Days: 1, Scopes: scopes})
	require.ErrorContains(t, err, "My account")

	other, _, kept := add(f.root, 2)
	_, text, _ := add(other, 1)
	require.NoError(t, f.RevokeToken(ctx, "admin", revoked.Name))
	_, err = f.IdentifyToken(ctx, long)
	require.ErrorIs(t, err, auth.ErrNoSession)
	_, err = f.IdentifyToken(ctx, text)
	require.NoError(t, err, "that of another")
	tokens, err := f.Tokens(ctx, "admin")
	require.NoError(t, err)
	require.Len(t, tokens, 3, "what is listed opens something")
	// A revocation that was cut short has revoked both.
	require.NoError(t, f.store.Delete(ctx, auth.TokenKind, kept.Name, ""))
	_, err = f.IdentifyToken(ctx, text)
	require.ErrorIs(t, err, auth.ErrNoSession)
}

func TestAccountAdministratorsCannotTouchRoot(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	clerk := f.account(t, "clerk", auth.AccountAdmin)
	f.account(t, "boss", auth.Root)
	_, err := f.CreateAccount(ctx, clerk, auth.Draft{Name: "mine", Role: auth.Root})
	require.ErrorIs(t, err, auth.ErrForbidden)
	_, err = f.ResetAccount(ctx, clerk, "boss", true)
	require.ErrorIs(t, err, auth.ErrForbidden)
	require.ErrorIs(t, f.DisableAccount(ctx, clerk, "boss"), auth.ErrForbidden)
	require.ErrorIs(t, f.DeleteAccount(ctx, clerk, "boss"), auth.ErrForbidden)
	require.ErrorIs(t, f.UpdateAccount(ctx, clerk, auth.Draft{Name: "boss", Role: auth.Operations}), auth.ErrForbidden)
	require.Error(t, f.UpdateAccount(ctx, clerk, auth.Draft{Name: "clerk", Role: auth.Operations}), "nobody changes the own role")
	for _, id := range []auth.Identity{clerk, f.root} {
		require.Error(t, f.DeleteAccount(ctx, id, auth.FirstAccount))
		require.Error(t, f.DisableAccount(ctx, id, auth.FirstAccount))
	}
	require.Error(t, f.UpdateAccount(ctx, f.root, auth.Draft{Name: auth.FirstAccount, Role: auth.Operations}))
	require.NoError(t, f.DeleteAccount(ctx, f.root, "boss"))
	_, err = f.Login(ctx, "boss", password, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)
}

func TestLinksAreForOneUse(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	secret, err := f.CreateAccount(ctx, f.root, auth.Draft{Name: "ada", Role: auth.Operations})
	require.NoError(t, err)
	var won atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if f.SetPassword(ctx, secret, password) == nil {
				won.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, won.Load())
	secret, err = f.ResetAccount(ctx, f.root, "ada", false)
	require.NoError(t, err)
	f.now = f.now.Add(auth.LinkLife)
	require.ErrorIs(t, f.SetPassword(ctx, secret, password+"2"), auth.ErrLink)
	_, err = f.CreateAccount(ctx, f.root, auth.Draft{Name: "ada", Role: "king", Email: "x", FullName: "a\nb"})
	p, ok := form.From(err)
	require.True(t, ok)
	require.Len(t, p, 3)
}

// Nothing of what the store has or the record shows is a secret.
func TestSecretsAreNowhere(t *testing.T) {
	f := open(t)
	ctx := t.Context()
	id := f.account(t, "ada", auth.Operations)
	l := f.login(t, "ada", password)
	text, _, err := f.CreateToken(ctx, id, auth.NewToken{Label: "ci", Scopes: []auth.Permission{auth.Self}, Days: 1})
	require.NoError(t, err)
	link, err := f.ResetAccount(ctx, f.root, "ada", false)
	require.NoError(t, err)
	for _, kind := range []string{auth.AccountKind, auth.SessionKind, auth.TokenKind, auth.LinkKind, audit.Kind} {
		page, err := f.store.List(ctx, kind, store.ListOptions{})
		require.NoError(t, err)
		require.NotEmpty(t, page.Objects, kind)
		for _, o := range page.Objects {
			shown := o.Name + string(o.Data)
			for _, secret := range []string{password, l.Secret, text[len(text)-43:], link} {
				require.NotContains(t, shown, secret, kind)
			}
			if kind == audit.Kind {
				require.NotContains(t, shown, "argon2id")
			}
		}
	}
}

func FuzzIdentifyToken(f *testing.F) {
	s, err := bolt.Open(filepath.Join(f.TempDir(), "objects.db"))
	require.NoError(f, err)
	service := auth.New(s, audit.New(s, audit.Options{}), auth.Options{})
	f.Add("sealift_a_b")
	f.Fuzz(func(t *testing.T, text string) {
		_, err := service.IdentifyToken(t.Context(), text)
		require.ErrorIs(t, err, auth.ErrNoSession)
	})
}

func TestForgedHashesAreRefused(t *testing.T) {
	f := open(t)
	for _, hash := range []string{"x", "$argon2id$v=19$m=99999999,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=18$m=1,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=8,t=1,p=0$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=8,t=1,p=1$!$!", "$bcrypt$v=19$m=8,t=1,p=1$AAAA$AAAA", "$argon2id$v=19$m=x,t=1,p=1$AAAA$AAAA"} {
		ok, err := f.Verify(t.Context(), auth.Credential{Hash: hash}, "x")
		require.Error(t, err, hash)
		require.False(t, ok)
	}
	data, err := json.Marshal(auth.Credential{})
	require.NoError(t, err)
	require.JSONEq(t, "{}", string(data))
}
