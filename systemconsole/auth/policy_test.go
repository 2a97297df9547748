package auth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/form"
)

// Nothing that a policy can be keeps everybody out.
func TestPolicyHasBounds(t *testing.T) {
	require.NoError(t, auth.Policy{}.Check())
	require.Equal(t, auth.Policy{Length: 14, Classes: 4, History: 5, LockTries: 5, LockMinutes: 15, SessionMinutes: 240}, auth.Policy{}.Effective())
	for field, bad := range map[string][]auth.Policy{
		"length": {{Length: 7}, {Length: 65}, {Length: -1}}, "classes": {{Classes: 5}, {Classes: -1}}, "history": {{History: 25}, {History: -1}},
		"expiryDays": {{ExpiryDays: -1}, {ExpiryDays: 731}}, "lockTries": {{LockTries: 2}, {LockTries: 21}}, "lockMinutes": {{LockMinutes: 1441}, {LockMinutes: -1}},
		"sessionMinutes": {{SessionMinutes: 14}, {SessionMinutes: 1441}}, "idleMinutes": {{IdleMinutes: 4}, {IdleMinutes: 241}, {SessionMinutes: 30, IdleMinutes: 31}},
		"sessions": {{Sessions: 101}, {Sessions: -1}},
	} {
		for _, p := range bad {
			problems, ok := form.From(p.Check())
			require.True(t, ok, "%s: %+v", field, p)
			require.NotEmpty(t, problems.Of(field), "%+v", p)
		}
	}
	damaged := auth.Policy{Length: 1 << 30, LockTries: -5, LockMinutes: 1 << 40, SessionMinutes: 1}.Effective()
	require.Equal(t, auth.Policy{Length: 64, Classes: 4, History: 5, LockTries: 3, LockMinutes: 1440, SessionMinutes: 15}, damaged)
}

func TestPolicyOfPasswords(t *testing.T) {
	f := open(t)
	f.policy = auth.Policy{Length: 8, Classes: 2, History: 1}
	id := f.account(t, "ada", auth.Operations)
	try := func(current, next string) error {
		l, err := f.ChangePassword(t.Context(), id, current, next, auth.Client{})
		if err == nil {
			id, _, err = f.Identify(t.Context(), l.Secret)
			require.NoError(t, err)
		}
		return err
	}
	require.ErrorContains(t, try(password, "horse-7"), "8 characters")
	require.ErrorContains(t, try(password, "horsehorse"), "1 of these: an upper-case letter, a digit, a special character")
	require.NoError(t, try(password, "horse-horse"))
	require.ErrorContains(t, try("horse-horse", "horse-horse"), "last 1")
	require.NoError(t, try("horse-horse", "horse-house"))
	require.NoError(t, try("horse-house", "horse-horse"), "only the one before is kept")

	// A stricter policy does not touch what is set.
	f.policy = auth.Policy{Length: 20}
	f.login(t, "ada", "horse-horse")
	require.ErrorContains(t, try("horse-horse", password[:15]+"-Aa1"), "20 characters")
	require.Contains(t, f.policy.Rules(), "20 characters or more, of all four classes")
	require.Contains(t, auth.Policy{Classes: 3, History: 1}.Rules(), "of 3 or more of the classes")
}

func TestPasswordsExpire(t *testing.T) {
	f := open(t)
	f.account(t, "ada", auth.Operations)
	f.policy = auth.Policy{ExpiryDays: 30}
	require.Equal(t, auth.Full, f.login(t, "ada", password).Purpose)
	f.now = f.now.Add(30*24*time.Hour - time.Minute)
	require.Equal(t, auth.Full, f.login(t, "ada", password).Purpose)
	f.now = f.now.Add(2 * time.Minute)
	l := f.login(t, "ada", password)
	require.Equal(t, auth.ChangePassword, l.Purpose, "nobody is kept out: it is changed")
	id, _, err := f.Identify(t.Context(), l.Secret)
	require.NoError(t, err)
	_, err = f.ChangePassword(t.Context(), id, password, "Another-Horse-1-x", auth.Client{})
	require.NoError(t, err)
	require.Equal(t, auth.Full, f.login(t, "ada", "Another-Horse-1-x").Purpose)
}

func TestPolicyOfLocks(t *testing.T) {
	f := open(t)
	f.account(t, "ada", auth.Operations)
	f.policy = auth.Policy{LockTries: 3, LockMinutes: 1}
	for range 3 {
		_, err := f.Login(t.Context(), "ada", "wrong", auth.Client{})
		require.ErrorIs(t, err, auth.ErrLogin)
	}
	_, err := f.Login(t.Context(), "ada", password, auth.Client{})
	require.ErrorIs(t, err, auth.ErrLogin)
	f.now = f.now.Add(time.Minute)
	f.login(t, "ada", password)
}

func TestSessionsEndWhenNobodyUsesThem(t *testing.T) {
	f := open(t)
	f.account(t, "ada", auth.Operations)
	f.policy = auth.Policy{IdleMinutes: 10}
	used, left, watched := f.login(t, "ada", password), f.login(t, "ada", password), f.login(t, "ada", password)
	_, _, err := f.Watch(t.Context(), watched.Secret)
	require.NoError(t, err)
	for range 4 {
		f.now = f.now.Add(8 * time.Minute)
		_, _, err := f.Identify(t.Context(), used.Secret)
		require.NoError(t, err)
		_, _, _ = f.Watch(t.Context(), watched.Secret) // a page that was left open
	}
	_, _, err = f.Identify(t.Context(), left.Secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
	_, _, err = f.Watch(t.Context(), watched.Secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
	open, err := f.Sessions(t.Context(), "ada")
	require.NoError(t, err)
	require.Len(t, open, 1)
	require.NoError(t, f.Sweep(t.Context()))
	f.now = f.now.Add(10 * time.Minute)
	_, _, err = f.Identify(t.Context(), used.Secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
}

func TestOneMoreSessionEndsTheOldest(t *testing.T) {
	f := open(t)
	f.account(t, "ada", auth.Operations)
	f.policy = auth.Policy{Sessions: 2}
	var all []auth.Login
	for range 3 {
		f.now = f.now.Add(time.Second)
		all = append(all, f.login(t, "ada", password))
	}
	_, _, err := f.Identify(t.Context(), all[0].Secret)
	require.ErrorIs(t, err, auth.ErrNoSession)
	for _, l := range all[1:] {
		_, _, err := f.Identify(t.Context(), l.Secret)
		require.NoError(t, err)
	}
	_, _, err = f.Identify(t.Context(), f.login(t, auth.FirstAccount, password).Secret)
	require.NoError(t, err, "another account's do not count")
}

// A link goes to who owns an account, three at a time, and each sets the
// password once. An administrator's link stays good beside them.
func TestForgotten(t *testing.T) {
	f := open(t)
	secret, err := f.CreateAccount(t.Context(), f.root, auth.Draft{Name: "ada", Role: auth.Operations, Email: "ada@north.example"})
	require.NoError(t, err)
	for _, name := range []string{"ada", "nobody", "", "../x", strings.Repeat("x", 300), auth.FirstAccount} {
		got, err := f.Forgotten(t.Context(), name)
		require.NoError(t, err, name)
		require.Empty(t, got.Secret, "%q: not active yet, not there, or without an address", name)
	}
	require.NoError(t, f.SetPassword(t.Context(), secret, password))
	byAdministrator, err := f.ResetAccount(t.Context(), f.root, "ada", false)
	require.NoError(t, err)
	var asked []auth.Forgotten
	for range 3 {
		got, err := f.Forgotten(t.Context(), "ada")
		require.NoError(t, err)
		require.Equal(t, "ada@north.example", got.Email)
		asked = append(asked, got)
	}
	got, err := f.Forgotten(t.Context(), "ada")
	require.NoError(t, err)
	require.Empty(t, got.Secret, "enough")
	_, err = f.Link(t.Context(), byAdministrator)
	require.NoError(t, err)

	require.NoError(t, f.SetPassword(t.Context(), asked[1].Secret, "Another-Horse-1-x"))
	for _, s := range []string{asked[0].Secret, asked[1].Secret, asked[2].Secret, byAdministrator} {
		require.ErrorIs(t, f.SetPassword(t.Context(), s, "Another-Horse-2-x"), auth.ErrLink, "all end with the first that is used")
	}
	got, err = f.Forgotten(t.Context(), "ada")
	require.NoError(t, err)
	f.now = f.now.Add(auth.LinkLife)
	require.ErrorIs(t, f.SetPassword(t.Context(), got.Secret, "Another-Horse-2-x"), auth.ErrLink, "a day later")
	require.NoError(t, f.DisableAccount(t.Context(), f.root, "ada"))
	got, err = f.Forgotten(t.Context(), "ada")
	require.NoError(t, err)
	require.Empty(t, got.Secret, "disabled")
}
