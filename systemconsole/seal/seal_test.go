package seal_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/systemconsole/seal"
)

func newKey(t *testing.T) *seal.Key {
	k, err := seal.NewKey(seal.NewSecret())
	require.NoError(t, err)
	return k
}

func TestSealedValuesOpenInTheirPlaceOnly(t *testing.T) {
	k := newKey(t)
	sealed := k.Seal([]byte("Ada"), "acme", "user", "name")
	require.NotContains(t, sealed, "Ada")
	require.NotEqual(t, sealed, k.Seal([]byte("Ada"), "acme", "user", "name"))
	got, err := k.Open(sealed, "acme", "user", "name")
	require.NoError(t, err)
	require.Equal(t, "Ada", string(got))
	for _, place := range [][]string{{"other", "user", "name"}, {"acme", "user", "mail"}, {"acme", "username"}, {"acmeuser", "name"}, {}} {
		_, err := k.Open(sealed, place...)
		require.ErrorIs(t, err, seal.ErrSealed, "%q", place)
	}
	_, err = newKey(t).Open(sealed, "acme", "user", "name")
	require.ErrorIs(t, err, seal.ErrSealed)
	for _, bad := range []string{"", "x1.", "x1.!", "x2" + sealed[2:], sealed[:len(sealed)-4]} {
		_, err := k.Open(bad, "acme", "user", "name")
		require.ErrorIs(t, err, seal.ErrSealed, bad)
	}
	require.Equal(t, k.Index("a", "b"), k.Index("a", "b"))
	require.NotEqual(t, k.Index("a", "b"), newKey(t).Index("a", "b"))
	_, err = seal.NewKey(make([]byte, 16))
	require.Error(t, err)
}

func FuzzOpen(f *testing.F) {
	k, err := seal.NewKey(make([]byte, seal.KeySize))
	require.NoError(f, err)
	f.Add(k.Seal([]byte("x"), "a")[:20])
	f.Fuzz(func(t *testing.T, sealed string) {
		_, err := k.Open(sealed, "b")
		require.ErrorIs(t, err, seal.ErrSealed)
	})
}

// service is a key management service of this process.
type service struct{ key *seal.Key }

func (s service) Encrypt(_ context.Context, plain []byte) ([]byte, error) {
	return []byte(s.key.Seal(plain)), nil
}
func (s service) Decrypt(_ context.Context, sealed []byte) ([]byte, error) {
	return s.key.Open(string(sealed))
}

func TestKeepers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "master.key")
	first, err := seal.File(path)
	require.NoError(t, err)
	second, err := seal.File(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	other, err := seal.File(filepath.Join(t.TempDir(), "master.key"))
	require.NoError(t, err)
	kms := service{newKey(t)}
	for name, c := range map[string]struct{ wrap, unwrap, other seal.Keeper }{
		"file":    {first, second, other},
		"service": {seal.Remote(kms), seal.Remote(kms), seal.Remote(service{newKey(t)})},
	} {
		t.Run(name, func(t *testing.T) {
			var wrapped string
			for _, secret := range [][]byte{[]byte("a password"), seal.NewSecret()} {
				var err error
				wrapped, err = c.wrap.Wrap(t.Context(), secret, "acme")
				require.NoError(t, err)
				got, err := c.unwrap.Unwrap(t.Context(), wrapped, "acme")
				require.NoError(t, err)
				require.Equal(t, secret, got)
			}
			_, err = c.unwrap.Unwrap(t.Context(), wrapped, "other")
			require.ErrorIs(t, err, seal.ErrSealed)
			_, err = c.other.Unwrap(t.Context(), wrapped, "acme")
			require.ErrorIs(t, err, seal.ErrSealed)
		})
	}
	require.NoError(t, os.WriteFile(path, []byte("no key"), 0o600))
	_, err = seal.File(path)
	require.Error(t, err)
}
